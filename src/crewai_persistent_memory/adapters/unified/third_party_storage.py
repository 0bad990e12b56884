"""A third-party storage for CrewAI until 1.9.3, used as the memory of CrewAI >= 1.10.

The storage works as before. This package's scopes do not apply to it.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from crewai.memory.types import MemoryMatch, MemoryRecord
from crewai.memory.unified_memory import Memory
from typing_extensions import Self

from ...errors import ConfigurationError
from ...io.bridge import in_thread
from ...pickling import refuse_pickling
from ..checkpoint_recipe import Recipe, spec_of, written_as
from ..memory_operations.searching import CREWAI_THRESHOLD
from ..transcript import handed_over, messages_of, text_of


class NoBackend:
    """A placeholder for the vector storage of CrewAI's memory. Methods that need vectors raise an error."""

    # The storage's options are unknown. ``restoring(storage=...)`` passes it again.
    __pydantic_serializer__ = written_as(lambda backend: spec_of(Recipe("foreign"), None))

    def __init__(self, foreign: Any) -> None:
        self.foreign = foreign

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"a storage of CrewAI until 1.9.3 has save, search and reset, and no {name}")


class ForeignMemory(Memory):
    """The result of ``ExternalMemory(storage=...)`` for a third-party storage.

    Args:
        storage: has the methods ``save(value, metadata)``, ``search(query, limit, score_threshold)`` and ``reset()``.
            The metadata has ``description`` and ``messages``, as in CrewAI until 1.9.3. A search returns dicts with
            ``content``.
    """

    _foreign: Any

    def __init__(self, storage: Any) -> None:
        super().__init__(storage=NoBackend(storage), embedder=_no_vectors)
        if hasattr(self, "embedder"):  # a field of the pydantic model; a function cannot be written as JSON
            self.embedder = None
        self._foreign = storage

    def recall(
        self,
        query: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        limit: int = 10,
        depth: Literal["shallow", "deep"] = "shallow",
        source: str | None = None,
        include_private: bool = False,
    ) -> list[MemoryMatch]:
        if scope not in (None, "/") or categories:
            raise ConfigurationError(
                "scope and categories: a storage of CrewAI until 1.9.3 knows neither, leave them out"
            )
        return [_match(result) for result in self.search(query, limit)]

    def extract_memories(self, content: str) -> list[str]:
        return handed_over(content)

    def remember(self, content: str, *args: Any, metadata: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        said = messages_of(content)
        about = dict(metadata or {})
        if len(said) > 1:
            about.update(description=said[0]["content"], messages=[dict(message) for message in said])
        self.save(said[-1]["content"] if said else content, about)
        return MemoryRecord(content=text_of(said) if said else content, metadata=metadata or {})

    def remember_many(self, contents: list[str], *args: Any, **kwargs: Any) -> list[MemoryRecord]:
        return [self.remember(content, *args, **kwargs) for content in contents]

    def reset(self, scope: str | None = None) -> None:
        self._foreign.reset()

    def reset_all(self) -> None:
        self._foreign.reset()

    async def aextract_memories(self, content: str) -> list[str]:
        return self.extract_memories(content)

    async def aremember(self, content: str, *args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(self.remember, content, *args, **kwargs)

    async def aremember_many(self, contents: list[str], *args: Any, **kwargs: Any) -> list[MemoryRecord]:
        return await asyncio.to_thread(self.remember_many, contents, *args, **kwargs)

    async def arecall(self, query: str, *args: Any, **kwargs: Any) -> list[MemoryMatch]:
        return await asyncio.to_thread(self.recall, query, *args, **kwargs)

    # CrewAI has these until 1.9.3, and code for those versions may call them.

    def save(self, value: Any, metadata: dict[str, Any] | None = None) -> None:
        """As the storage does."""
        in_thread(self._foreign.save, value, metadata or {})

    async def asave(self, value: Any, metadata: dict[str, Any] | None = None) -> None:
        await asyncio.to_thread(self.save, value, metadata)

    def search(self, query: str, limit: int = 5, score_threshold: float = CREWAI_THRESHOLD) -> list[Any]:
        """As the storage does."""
        return list(in_thread(self._foreign.search, query=query, limit=limit, score_threshold=score_threshold))

    async def asearch(self, query: str, limit: int = 5, score_threshold: float = CREWAI_THRESHOLD) -> list[Any]:
        return await asyncio.to_thread(self.search, query, limit, score_threshold)

    def crew_kwargs(self, *, long_term: bool = True) -> dict[str, Any]:
        """Keyword arguments for a crew: ``Crew(..., **memory.crew_kwargs())``."""
        return {"memory": self}

    __reduce_ex__ = refuse_pickling

    if not hasattr(Memory, "model_dump"):  # in 1.10
        __pydantic_serializer__ = written_as(
            lambda memory: {"memory_kind": "memory", "storage": spec_of(Recipe("foreign"), None)}
        )

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self

    def __repr__(self) -> str:
        return f"ExternalMemory(storage={type(self._foreign).__name__})"

    __str__ = __repr__


def _no_vectors(texts: list[str]) -> list[list[float]]:
    raise ConfigurationError("a storage of CrewAI until 1.9.3 searches by text: there are no vectors")


def _match(result: Any) -> MemoryMatch:
    content = result.get("content") or result.get("memory") or result.get("context") or ""
    record = MemoryRecord(content=str(content), metadata=result.get("metadata") or {})
    return MemoryMatch(record=record, score=float(result.get("score") or 0.0), match_reasons=["semantic"])
