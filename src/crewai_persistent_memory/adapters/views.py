"""CrewAI's scope and slice views, recalling by one search unless asked for more.

CrewAI's own views pass ``depth="deep"``, an LLM flow, where nobody asked for it.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from crewai.memory.memory_scope import MemoryScope, MemorySlice
from crewai.memory.types import MemoryMatch

Depth = Literal["shallow", "deep"]


class PersistentScope(MemoryScope):
    """A view of one path and what is below it."""

    def recall(
        self,
        query: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        limit: int = 10,
        depth: Depth = "shallow",
        source: str | None = None,
        include_private: bool = False,
    ) -> list[MemoryMatch]:
        return super().recall(query, scope, categories, limit, depth, source, include_private)

    def subscope(self, path: str) -> PersistentScope:
        # Built by hand: CrewAI's would be a plain MemoryScope again.
        root = "/".join(part for part in (self._root.rstrip("/"), path.strip("/")) if part)
        return make_view(PersistentScope, memory=self._memory, root_path=root or "/")


class PersistentSlice(MemorySlice):
    """A view of several paths."""

    def recall(
        self,
        query: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        limit: int = 10,
        depth: Depth = "shallow",
        source: str | None = None,
        include_private: bool = False,
    ) -> list[MemoryMatch]:
        return super().recall(query, scope, categories, limit, depth, source, include_private)


View = TypeVar("View", bound="MemoryScope | MemorySlice")


def make_view(kind: type[View], **arguments: Any) -> View:
    """Build a view; ``memory`` is an argument of its validator in pydantic versions, unseen by type checkers."""
    return kind(**arguments)
