"""Requests that find, list and count points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ....embedding import SparseVector
from ....ranking import Ranking, Variable
from .conditions import Where
from .points import Hit
from .request import Request


@dataclass(frozen=True)
class Search(Request[list[Hit]]):
    """Nearest points by dense vector, keywords, or both fused.

    With a ``ranking`` the answer has the scores of its formula; without one it has the raw cosine or
    BM25 scores. ``min_score`` applies to the score returned. ``corpus`` is what a word's rarity (IDF) is counted over:
    the caller's own entries, so that a ranking reveals nothing about other users' memories. ``by_passages``: with
    ``dense``, long entries are also found by their best passage. ``tokens``: the query's token vectors, by which a
    ``ranking`` also scores what is found; no entry is found by them.
    """

    where: Where
    corpus: Where
    limit: int
    dense: Sequence[float] | None = None
    keywords: SparseVector | None = None
    by_passages: bool = False
    tokens: Sequence[Sequence[float]] = ()
    ranking: Ranking | None = None
    min_score: float | None = None

    @property
    def by_keywords(self) -> bool:
        """Whether the query has a word to look for."""
        return self.keywords is not None and bool(self.keywords.indices)

    @property
    def lists(self) -> tuple[Variable, ...]:
        """The lists that are looked through, in this order."""
        by_dense = (Variable.COSINE, Variable.PASSAGES) if self.by_passages else (Variable.COSINE,)
        return (*(by_dense if self.dense else ()), *((Variable.KEYWORDS,) if self.by_keywords else ()))

    @property
    def scores(self) -> tuple[Variable, ...]:
        """What each candidate is scored by, in this order: the lists come first."""
        return (*self.lists, *((Variable.TOKENS,) if self.tokens else ()))


@dataclass(frozen=True)
class SearchMany(Request[list[list[Hit]]]):
    """Several searches in one go."""

    searches: Sequence[Search]


@dataclass(frozen=True)
class Ordered(Request[list[Hit]]):
    """The first matching points by time of creation; equal times come as they come."""

    where: Where
    limit: int
    newest_first: bool
    whole: bool
    """The keys that an entry is read from, or ``created_at`` alone."""


@dataclass(frozen=True)
class Everything(Request[list[Hit]]):
    """All matching points, in no order. ``whole``: as in :class:`Ordered`."""

    where: Where
    whole: bool


@dataclass(frozen=True)
class Scroll(Request[tuple[list[Hit], str | None]]):
    """Some of the matching points, whole, in the order of their ids; and the id at which the next ones begin.

    Attributes:
        where: the scope, and filters.
        limit: most points; the engine may give fewer.
        start: the id to begin at. It need not exist.
        with_vectors: with dense vectors.
    """

    where: Where
    limit: int
    start: str | None = None
    with_vectors: bool = False


@dataclass(frozen=True)
class Retrieve(Request[list[Hit]]):
    ids: Sequence[str]
    with_vectors: bool = False


@dataclass(frozen=True)
class Count(Request[int]):
    where: Where


@dataclass(frozen=True)
class Facet(Request[dict[str, int]]):
    """How many matching points have each value of a keyword. ``limit`` is the most values."""

    key: str
    where: Where
    limit: int = 1_000_000
