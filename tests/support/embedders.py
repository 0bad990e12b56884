"""Deterministic embedders: no model, no network, and yet texts that share words are near each other."""

from __future__ import annotations

from crewai_persistent_memory.testing import FakeEmbedder as WordHashEmbedder

__all__ = ["WordHashEmbedder"]
