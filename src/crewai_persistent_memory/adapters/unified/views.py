"""CrewAI's scope and slice views, recalling by one search unless asked for more.

CrewAI's own views pass ``depth="deep"``, an LLM flow, where nobody asked for it.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar, cast

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
        if depth == "deep":
            return super().recall(query, scope, categories, limit, depth, source, include_private)
        # All paths in one round trip; CrewAI's own view asks for one after the other.
        memory, paths = cast(Any, self._memory), list(_own(self, "scopes"))
        about = (categories or _own(self, "categories"), limit, source, include_private)
        found = memory.recall_many([query] * len(paths), paths, *about)
        unique: dict[str, MemoryMatch] = {}
        for match in sorted((match for each in found for match in each), key=lambda match: -match.score):
            unique.setdefault(match.record.id, match)
        return list(unique.values())[:limit]


def _own(view: MemorySlice, name: str) -> Any:
    # A field since it is a pydantic model, a private attribute in 1.10.
    return getattr(view, name) if hasattr(view, name) else getattr(view, f"_{name}")


View = TypeVar("View", bound="MemoryScope | MemorySlice")


def make_view(kind: type[View], **arguments: Any) -> View:
    """Build a view; ``memory`` is an argument of its validator in pydantic versions, unseen by type checkers."""
    return kind(**arguments)
