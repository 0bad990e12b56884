"""Points, as they are written and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ....embedding import SparseVector


class PointData(NamedTuple):
    """A point to write. ``dense`` is ``None`` where there is no vector. ``passages`` are those of a long text.
    ``tokens`` are those of its tokens, in a collection that has such vectors."""

    id: str
    payload: dict[str, Any]
    keywords: SparseVector
    dense: Sequence[float] | None
    passages: Sequence[Sequence[float]] = ()
    tokens: Sequence[Sequence[float]] = ()


class Hit(NamedTuple):
    """A point that was read. ``str(id)`` is the point's id; the embedded engine gives UUID objects, and in the answer
    of a search ``None``: each costs 1 µs."""

    id: object
    payload: Mapping[str, Any]
    score: float | None = None
    dense: Sequence[float] | None = None


class NewVector(NamedTuple):
    """A dense vector for the point with this id, and the vectors of its passages and tokens, made of this content."""

    id: str
    content: str
    dense: Sequence[float]
    passages: Sequence[Sequence[float]] = ()
    tokens: Sequence[Sequence[float]] = ()
