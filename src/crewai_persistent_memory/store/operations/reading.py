"""Operations that find, list and count entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ...entry import MemoryEntry, PathInfo
from ...entry_filter import EntryFilter
from ...ranking import RankingWeights
from .operation import ScopedOperation

T = TypeVar("T")


@dataclass(frozen=True)
class ReadOperation(ScopedOperation[T]):
    """An operation that reads. It never finds an entry whose ``expires_at`` has passed.

    Attributes:
        include_shared: a user's read finds the project's shared entries too.
        fields_complete: every entry that it sees has the values of the filter fields in its filter, see
            :class:`~.writing.CompleteFields`.
    """

    include_shared: bool
    fields_complete: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class Search(ReadOperation[list[list[MemoryEntry]]]):
    """What the scope remembers about each query, best first; one list for each.

    Attributes:
        queries: texts, none blank.
        filters: one for each query; none of them matches nothing.
        limit: most results of each, at least 1.
        min_score: results below are left out.
        weights: how to rank; ``None`` where the backend ranks by itself.
    """

    queries: tuple[str, ...] = field(repr=False)
    filters: tuple[EntryFilter, ...]
    limit: int
    min_score: float
    weights: RankingWeights | None


@dataclass(frozen=True)
class Nearest(ReadOperation[list[MemoryEntry]]):
    """Entries whose vector is nearest. For backends with the capability ``vectors``.

    Attributes:
        embedding: empty to search by ``text``.
        text: for a store of keywords only.
    """

    embedding: Sequence[float] = field(repr=False)
    text: str | None = field(repr=False)
    filter: EntryFilter
    limit: int
    min_score: float


@dataclass(frozen=True)
class Get(ReadOperation[MemoryEntry | None]):
    """The visible entry with this id, its vector included."""

    id: str


@dataclass(frozen=True)
class List(ReadOperation[list[MemoryEntry]]):
    """Entries, newest first; equal times keep one order over all pages."""

    filter: EntryFilter
    limit: int
    offset: int


@dataclass(frozen=True)
class Page:
    """Entries, newest first, and where the next ones begin.

    Attributes:
        entries: at most as many as requested.
        cursor: for the next page; ``None`` at the end.
    """

    entries: tuple[MemoryEntry, ...]
    cursor: str | None


@dataclass(frozen=True)
class ListPage(ReadOperation[Page]):
    """The entries from a cursor on, in the order of :class:`List`.

    Attributes:
        limit: most entries, at least 1.
        cursor: the backend's own text, from the page before; ``None`` for the first page.
    """

    filter: EntryFilter
    limit: int
    cursor: str | None


@dataclass(frozen=True)
class ScanPage:
    """Some entries of a scan.

    Attributes:
        entries: in the scan's order.
        cursor: for the next page; ``None`` at the end.
    """

    entries: tuple[MemoryEntry, ...]
    cursor: str | None


@dataclass(frozen=True)
class Scan(ReadOperation[ScanPage]):
    """The entries from a cursor on, in an order that no write changes.

    An entry that is there from the first page to the last is in one page. One that is added or deleted in between may
    be in none.

    Attributes:
        limit: most entries, at least 1. A backend that can only list everything answers with one page of all entries.
        cursor: the backend's own text, from the page before; ``None`` for the first page.
        with_vectors: with the vectors, where the backend has the capability ``vectors``.
    """

    filter: EntryFilter
    limit: int
    cursor: str | None = None
    with_vectors: bool = False


@dataclass(frozen=True)
class Count(ReadOperation[int]):
    """How many entries match."""

    filter: EntryFilter


@dataclass(frozen=True)
class CountCategories(ReadOperation[dict[str, int]]):
    """Each category, with how many matching entries have it."""

    filter: EntryFilter


@dataclass(frozen=True)
class ListChildren(ReadOperation[tuple[str, ...]]):
    """The paths one level below the filter's path that have entries, sorted."""

    filter: EntryFilter


@dataclass(frozen=True)
class DescribePath(ReadOperation[PathInfo]):
    """Summarize the filter's path and the paths below it."""

    filter: EntryFilter
