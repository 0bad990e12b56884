"""What every request is."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Request(Generic[T]):
    """Asks an engine for a ``T``."""
