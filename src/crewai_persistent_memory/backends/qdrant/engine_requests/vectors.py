"""Requests about dense vectors: those that points lack, and those of a new embedder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ....embedding import Embedder, Fingerprint
from ....ranking import CosineSpread
from ..manifest import Descriptor
from .conditions import NoDense, NoPassages, Where
from .points import Hit, NewVector
from .request import Request

NO_DENSE: Final = NoDense()


@dataclass(frozen=True)
class Unembedded(Request[list[Hit]]):
    """Some of the matching points that have no dense vector, with their content and their owner.

    Attributes:
        where: the scope.
        limit: most points.
        but: ids of points that are left out.
    """

    where: Where
    limit: int
    but: Collection[str] = ()


@dataclass(frozen=True)
class WithoutPassages(Request[tuple[list[Hit], str | None]]):
    """Those of a page of points that have a long text, a dense vector and no vectors of passages, with their content;
    and where the next page begins. The collection must be one with passages."""

    where: Where
    limit: int
    start: str | None = None


@dataclass(frozen=True)
class SetVectors(Request[int]):
    """Give points their dense vectors; the answer is how many have got one.

    A point gets its vector if it is there, matches, has no vector, and still has the content that the vector was made
    of. No point is created, and nothing else of a point is changed.

    Attributes:
        where: the scope.
        vectors: of the points.
        lacking: what the points have not: a vector, or vectors of passages.
    """

    where: Where
    vectors: Sequence[NewVector]
    lacking: NoDense | NoPassages = NO_DENSE


@dataclass(frozen=True)
class KeepSpread(Request[None]):
    """Keep the spread of the embedder's cosines with the collection. A key that may only read leaves it.

    Attributes:
        spread: of the vectors of texts.
        tokens: of the token vectors, if the collection has such vectors.
    """

    spread: CosineSpread
    tokens: CosineSpread | None = None


@dataclass(frozen=True)
class BeginVectors(Request[bool]):
    """Begin to collect vectors of a new embedder beside the store's own, or go on with it. The answer is whether the
    engine can; otherwise :class:`MoveCollection` does the work.

    Attributes:
        fingerprint: of the new one; ``None`` for keywords only, which needs none.
    """

    fingerprint: Fingerprint | None


@dataclass(frozen=True)
class WithoutNewVector(Request[tuple[list[Hit], str | None]]):
    """Those of a page of :class:`.Scroll` that have no vector of the new embedder, and where the next page begins."""

    where: Where
    limit: int
    start: str | None = None


@dataclass(frozen=True)
class KeepNewVectors(Request[None]):
    """Keep vectors of the new embedder."""

    vectors: Sequence[NewVector]


@dataclass(frozen=True)
class ChangeEmbedder(Request[None]):
    """Give all points the vectors that were collected, in place of those that they have. A point without one is found
    by its words. What another caller has made with the embedder before is taken without its vectors.

    Attributes:
        descriptor: of the collection from now on.
        embedder: what all callers of this process use from now on.
    """

    descriptor: Descriptor
    embedder: Embedder | None


@dataclass(frozen=True)
class EndVectors(Request[None]):
    """The caller does not collect any more. What was collected stays, if the embedder was not changed."""


class Moved(NamedTuple):
    """What a move to another collection has embedded.

    Attributes:
        embedded: how many points.
        characters: of their contents together.
        without: how many points have no dense vector there, because the embedder refused their texts.
    """

    embedded: int = 0
    characters: int = 0
    without: int = 0


@dataclass(frozen=True)
class MoveCollection(Request[Moved]):
    """Copy all points to a new collection with the vectors of another embedder, and let all callers use that one.

    Attributes:
        descriptor: of the new collection.
        embedder: makes its dense vectors; ``None`` for keywords only.
        progress: is told how many points were looked at so far.
    """

    descriptor: Descriptor
    embedder: Embedder | None = field(repr=False)
    progress: Callable[[int], None] = field(repr=False)


@dataclass(frozen=True)
class FinishMove(Request[None]):
    """End an earlier :class:`MoveCollection` that was cut short: after the switch it is completed, before the switch it
    is given up.

    Attributes:
        embedder: of the collection; ``None`` for keywords only.
    """

    embedder: Embedder | None = field(repr=False)
