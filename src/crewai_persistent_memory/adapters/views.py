"""CrewAI's scope and slice views, recalling by one search unless asked for more."""

from __future__ import annotations

from typing import Any, Literal

from crewai.memory.memory_scope import MemoryScope, MemorySlice
from crewai.memory.types import MemoryMatch

Depth = Literal["shallow", "deep"]


class PersistentScope(MemoryScope):
    """A view of one path. CrewAI's own passes ``depth="deep"``, an LLM flow, where nobody asked for it."""

    def recall(self, query: str, *args: Any, depth: Depth = "shallow", **kwargs: Any) -> list[MemoryMatch]:
        return super().recall(query, *args, depth=depth, **kwargs)

    def subscope(self, path: str) -> PersistentScope:
        # Built by hand: CrewAI's would be a plain MemoryScope again.
        root = "/".join(part for part in (self._root.rstrip("/"), path.strip("/")) if part)
        return PersistentScope(memory=self._memory, root_path=root or "/")


class PersistentSlice(MemorySlice):
    """A view of several paths."""

    def recall(self, query: str, *args: Any, depth: Depth = "shallow", **kwargs: Any) -> list[MemoryMatch]:
        return super().recall(query, *args, depth=depth, **kwargs)
