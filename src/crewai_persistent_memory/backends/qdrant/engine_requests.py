"""Engine requests, as dataclasses. The embedded engine and a server execute the same requests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from ...embedding import Embedder, Fingerprint, KeywordEncoder, SparseVector
from ...filter_fields import FilterField
from ...ranking import CosineSpread, Ranking, Variable
from ...scope import Scope
from ...store.operations import Taken
from .manifest import Descriptor
from .said_before import SaidBefore

T = TypeVar("T")


class Request(Generic[T]):
    """Asks an engine for a ``T``."""


# -- conditions: all of a filter's must hold -----------------------------------------------------------------------


class Match(NamedTuple):
    """The payload key has (or its list contains) one of the values, or, with ``or_missing``, is not there."""

    key: str
    values: tuple[str, ...] | tuple[int, ...]
    or_missing: bool = False


class Between(NamedTuple):
    """The time under the payload key is at or after ``start`` and before ``end``."""

    key: str
    start: datetime | None
    end: datetime | None


class HasId(NamedTuple):
    """The point has one of these ids."""

    ids: tuple[str, ...]


class HasNoId(NamedTuple):
    """The point has none of these ids."""

    ids: tuple[str, ...]


class Lacks(NamedTuple):
    """The payload key does not have the value (nor its list), or is not there."""

    key: str
    value: str


class FieldHolds(NamedTuple):
    """The point has the value of a filter field, and it meets a condition; or the point is one of some others.

    Attributes:
        named: the point names the field among those whose values it has.
        condition: on the value.
        others: the points that meet the condition by a value that is not stored.
    """

    named: Match
    condition: Match | Between
    others: HasId


class InScopes(NamedTuple):
    """The point belongs to one of some scopes.

    Attributes:
        keys: the scopes, as every point of layout 3 names its own. One condition is enough where all points have it.
        before: the same as conditions that points of every layout meet.
    """

    keys: tuple[str, ...]
    before: tuple[Match, ...]


class NotExpired(NamedTuple):
    """The entry of the point has not expired at this moment. A point that says nothing of it never expires."""

    moment: datetime
    expired: Literal[False] = False
    """Tells the two conditions apart where a filter is kept: named tuples of equal values are equal."""


class Expired(NamedTuple):
    """The entry of the point has expired at this moment."""

    moment: datetime
    expired: Literal[True] = True


class NoDense(NamedTuple):
    """The point has no dense vector."""


Condition = Match | Between | Lacks | HasId | HasNoId | FieldHolds | InScopes | NotExpired | Expired | NoDense
Where = tuple[Condition, ...]

# -- values --------------------------------------------------------------------------------------------------------


class PointData(NamedTuple):
    """A point to write. ``dense`` is ``None`` where there is no vector. ``passages`` are those of a long text."""

    id: str
    payload: dict[str, Any]
    keywords: SparseVector
    dense: Sequence[float] | None
    passages: Sequence[Sequence[float]] = ()


class Hit(NamedTuple):
    """A point that was read. ``str(id)`` is the point's id; the embedded engine gives UUID objects, and in the answer
    of a search ``None``: each costs 1 µs."""

    id: object
    payload: Mapping[str, Any]
    score: float | None = None
    dense: Sequence[float] | None = None


class Profile(NamedTuple):
    """A collection as a caller meets it. ``embedder`` is ``None`` for keywords only."""

    descriptor: Descriptor
    embedder: Embedder | None
    encoder: KeywordEncoder
    said_before: SaidBefore
    filter_fields: Sequence[FilterField] = ()


# -- requests ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Describe(Request["Profile"]):
    """What the collection says about itself, and how texts become its vectors."""


@dataclass(frozen=True)
class Upsert(Request[None]):
    """Write whole points: new ones, or in place of those with the same ids.

    Attributes:
        points: the points.
        new: no point has one of these ids yet.
    """

    points: Sequence[PointData]
    new: bool = False


@dataclass(frozen=True)
class Change(Request[bool]):
    """Change one point that is there. The answer is whether it was there: a deleted point is never created again.

    The id must come from the caller's own scope: an engine applies it without another filter.

    Attributes:
        id: the point's.
        payload: the keys to set; ``None`` removes a key. Other keys stay as they are.
        whole: the payload takes the place of the one that is there.
        keywords: new keywords; then ``dense`` takes the place of the dense vector, and ``None`` removes it. Left out:
            the vectors stay as they are.
        dense: see ``keywords``.
        passages: the vectors of its passages, beside ``dense``.
        keeps_dense: ``dense`` and ``passages`` stay as they are, whatever the keywords.
    """

    id: str
    payload: Mapping[str, Any]
    whole: bool = False
    keywords: SparseVector | None = None
    dense: Sequence[float] | None = None
    passages: Sequence[Sequence[float]] = ()
    keeps_dense: bool = False


@dataclass(frozen=True)
class Delete(Request[int]):
    """Delete the matching points; the answer is how many there were."""

    where: Where


@dataclass(frozen=True)
class SetPayload(Request[None]):
    """Set these keys on the matching points."""

    where: Where
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class SetPayloads(Request[None]):
    """Set keys on points: on each other ones. No point is created. Where one was deleted, others may be left
    out: look again.

    The ids must come from the caller's own scope, as for :class:`Change`.

    Attributes:
        where: the scope.
        writes: ids, and the keys to set on these points; ``None`` removes a key.
    """

    where: Where
    writes: Sequence[tuple[Sequence[str], Mapping[str, Any]]]


@dataclass(frozen=True)
class NoteAccess(Request[None]):
    """Set when entries were last read, soon, in the background. The caller does not wait and gets no error.

    Attributes:
        scope: the reader's.
        ids: of entries; one that is not visible is left alone.
        moment: naive UTC.
    """

    scope: Scope
    ids: tuple[str, ...]
    moment: datetime


@dataclass(frozen=True)
class Search(Request["list[Hit]"]):
    """Nearest points by dense vector, keywords, or both fused.

    With a ``ranking`` the answer has the scores of its formula; without one it has the raw cosine or
    BM25 scores. ``min_score`` applies to the score returned. ``corpus`` is what a word's rarity (IDF) is counted over:
    the caller's own entries, so that a ranking reveals nothing about other users' memories. ``by_passages``: with
    ``dense``, long entries are also found by their best passage.
    """

    where: Where
    corpus: Where
    limit: int
    dense: Sequence[float] | None = None
    keywords: SparseVector | None = None
    by_passages: bool = False
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


@dataclass(frozen=True)
class SearchMany(Request["list[list[Hit]]"]):
    """Several searches in one go."""

    searches: Sequence[Search]


@dataclass(frozen=True)
class Ordered(Request["list[Hit]"]):
    """The first matching points by time of creation; equal times come as they come."""

    where: Where
    limit: int
    newest_first: bool
    whole: bool
    """The keys that an entry is read from, or ``created_at`` alone."""


@dataclass(frozen=True)
class Everything(Request["list[Hit]"]):
    """All matching points, in no order. ``whole``: as in :class:`Ordered`."""

    where: Where
    whole: bool


@dataclass(frozen=True)
class Scroll(Request["tuple[list[Hit], str | None]"]):
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
class Retrieve(Request["list[Hit]"]):
    ids: Sequence[str]
    with_vectors: bool = False


class NewVector(NamedTuple):
    """A dense vector for the point with this id, and the vectors of its passages, made of this content."""

    id: str
    content: str
    dense: Sequence[float]
    passages: Sequence[Sequence[float]] = ()


@dataclass(frozen=True)
class Unembedded(Request["list[Hit]"]):
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
class SetVectors(Request[int]):
    """Give points their dense vectors; the answer is how many have got one.

    A point gets its vector if it is there, matches, has no vector, and still has the content that the vector was made
    of. No point is created, and nothing else of a point is changed.
    """

    where: Where
    vectors: Sequence[NewVector]


@dataclass(frozen=True)
class Count(Request[int]):
    where: Where


@dataclass(frozen=True)
class Facet(Request["dict[str, int]"]):
    """How many matching points have each value of a keyword. ``limit`` is the most values."""

    key: str
    where: Where
    limit: int = 1_000_000


@dataclass(frozen=True)
class Compact(Request[bool]):
    """Remove what deleted entries left in the files; whether the engine can be made to."""


@dataclass(frozen=True)
class ListProjects(Request["Sequence[Scope]"]):
    """The projects that have a collection of their own on a server, each as the scope of what is shared in it."""


@dataclass(frozen=True)
class BackUp(Request[Taken]):
    """Copy everything into a folder of this host, which is there and empty."""

    folder: Path


@dataclass(frozen=True)
class KeepSpread(Request[None]):
    """Keep the spread of the embedder's cosines with the collection. A key that may only read leaves it."""

    spread: CosineSpread


@dataclass(frozen=True)
class BeginVectors(Request[None]):
    """Begin to collect vectors of a new embedder beside the store's own, or go on with it.

    Attributes:
        fingerprint: of the new one; ``None`` for keywords only, which needs none.
    """

    fingerprint: Fingerprint | None


@dataclass(frozen=True)
class EndVectors(Request[None]):
    """The caller does not collect any more. What was collected stays, if the embedder was not changed."""


@dataclass(frozen=True)
class WithoutNewVector(Request["tuple[list[Hit], str | None]"]):
    """Those of a page of :class:`Scroll` that have no vector of the new embedder, and where the next page begins."""

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
class Health(Request["dict[str, Any]"]):
    """Whether the engine answers, and what it is."""
