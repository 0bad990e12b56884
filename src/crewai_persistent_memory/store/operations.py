"""What a store implements: each operation once, as a generator, and the two drivers that wait for its requests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Sequence
from typing import Any, TypeVar

from typing_extensions import Self

from ..entry import EntryArgs, EntryChanges, EntryFilter, MemoryEntry, PathInfo
from ..ranking import RankingWeights
from ..scope import ScopeBinding

T = TypeVar("T")
Steps = Generator[Any, Any, T]


class StoreOperations(ABC):
    """The private half of :class:`MemoryStore`, whose public methods say what each of these does."""

    @abstractmethod
    def _view(self, binding: ScopeBinding) -> Self: ...

    @abstractmethod
    def _run(self, steps: Steps[T]) -> T: ...

    @abstractmethod
    async def _arun(self, steps: Steps[T]) -> T: ...

    @abstractmethod
    def _add(self, content: str, about: EntryArgs) -> Steps[MemoryEntry]: ...

    @abstractmethod
    def _put(self, entries: Sequence[MemoryEntry]) -> Steps[None]: ...

    @abstractmethod
    def _replace(self, entry: MemoryEntry, create: bool, keep: Collection[str]) -> Steps[bool]: ...

    @abstractmethod
    def _update(self, id: str, changes: EntryChanges) -> Steps[MemoryEntry]: ...

    @abstractmethod
    def _delete(self, filter: EntryFilter) -> Steps[int]: ...

    @abstractmethod
    def _touch(self, ids: Sequence[str], soon: bool) -> Steps[None]: ...

    def _embed_missing(self) -> Steps[int]:
        # A store that embeds by itself, or not at all, has nothing to do.
        yield from ()
        return 0

    def _compact(self) -> Steps[bool]:
        # Somebody else's files: a server removes what was deleted in its own time.
        yield from ()
        return False

    @abstractmethod
    def _search(
        self, query: str, limit: int, min_score: float, weights: RankingWeights | None, filter: EntryFilter
    ) -> Steps[Any]: ...

    @abstractmethod
    def _search_many(
        self,
        queries: Sequence[str],
        limit: int,
        min_score: float,
        weights: RankingWeights | None,
        filters: Sequence[EntryFilter],
    ) -> Steps[Any]: ...

    @abstractmethod
    def _nearest(
        self, embedding: Sequence[float], text: str | None, limit: int, min_score: float, filter: EntryFilter
    ) -> Steps[Any]: ...

    @abstractmethod
    def _get(self, id: str) -> Steps[MemoryEntry | None]: ...

    @abstractmethod
    def _list(self, limit: int, offset: int, filter: EntryFilter) -> Steps[Any]: ...

    @abstractmethod
    def _count(self, filter: EntryFilter) -> Steps[int]: ...

    @abstractmethod
    def _categories(self, filter: EntryFilter) -> Steps[dict[str, int]]: ...

    @abstractmethod
    def _children(self, filter: EntryFilter) -> Steps[tuple[str, ...]]: ...

    @abstractmethod
    def _info(self, filter: EntryFilter) -> Steps[PathInfo]: ...

    @abstractmethod
    def _health(self) -> Steps[dict[str, Any]]: ...
