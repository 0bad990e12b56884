"""The command line, ``crewai-memory``: a store without a crew, and the demo."""

from __future__ import annotations

from .commands import app, main

__all__ = ["app", "main"]
