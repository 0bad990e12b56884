"""Requests that write and delete points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ....embedding import SparseVector
from ....scope import Scope
from .conditions import Where
from .points import PointData
from .request import Request


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
        tokens: those of its tokens, beside ``dense``.
        keeps_dense: ``dense``, ``passages`` and ``tokens`` stay as they are, whatever the keywords.
    """

    id: str
    payload: Mapping[str, Any]
    whole: bool = False
    keywords: SparseVector | None = None
    dense: Sequence[float] | None = None
    passages: Sequence[Sequence[float]] = ()
    tokens: Sequence[Sequence[float]] = ()
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
