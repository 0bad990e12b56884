"""Long texts in the embedded engine: it keeps the interpreter's lock while it works, so it gets little at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import qdrant_edge as edge

from ....embedding import SparseVector
from ..engine_requests import HasId, PointData, Where
from ..schema import KEYWORDS

BATCH: Final = 256
"""Points per write: a shard replays its last write when it is opened, and a giant one costs seconds and gigabytes."""

BATCH_LENGTH: Final = 300_000
"""Characters per write of several points: a write of 1 MB takes 5 to 30 ms, all of it with the interpreter's lock."""

MANY_TERMS: Final = 5_000
"""Terms of one entry, from which on they are taken away before the entry is written again."""

LONG_TEXT: Final = 64_000
"""Characters of a text, from which on entries are read one by one."""


def make_way(shard: Any, points: Sequence[PointData]) -> None:
    """Take the keywords of large points away before they are written again.

    Writing 120,000 terms over 120,000 takes the engine a second, all of it with the interpreter's lock; taking them
    away and writing anew takes 40 ms (qdrant-edge-py 0.9). If the process dies in between, the entry is there
    without its keywords, and gets them when the store is opened; see :func:`complete_keywords`.
    """
    # A term takes two characters or more.
    long = [point for point in points if length_of(point.payload) > 2 * MANY_TERMS]
    ids = [point.id for point in long if len(point.keywords.indices) > MANY_TERMS]
    if not ids:
        return
    existing: list[Any] = [record.id for record in shard.retrieve(ids, with_payload=False, with_vector=False)]
    if existing:
        shard.update(edge.UpdateOperation.delete_vectors(existing, [KEYWORDS]))


def complete_keywords(shard: Any, keywords_of: Callable[[Mapping[str, Any]], SparseVector]) -> None:
    """Give their keywords to entries that have none, because the process died while they were written again."""
    without = edge.Filter(must_not=[edge.HasVectorCondition(KEYWORDS)])
    if not shard.count(edge.CountRequest(filter=without, exact=True)):
        return
    offset = None
    while True:
        records, offset = shard.scroll(edge.ScrollRequest(limit=10, offset=offset, filter=without, with_payload=True))
        for record in records:
            vector: dict[str, Any] = {KEYWORDS: keywords_of(record.payload)}
            shard.update(edge.UpdateOperation.update_vectors([edge.PointVectors(id=record.id, vector=vector)]))
        if offset is None:
            return


def one_by_one(where: Where) -> Iterator[Where]:
    """A filter by ids as one for each: setting a key writes the whole payload anew, 5 ms for a text of 1 MB."""
    ids = [id for condition in where if isinstance(condition, HasId) for id in condition.ids]
    others = tuple(condition for condition in where if not isinstance(condition, HasId))
    return ((*others, HasId((id,))) for id in ids) if ids else iter([where])


def length_of(payload: Mapping[str, Any]) -> int:
    """The characters of an entry."""
    return len(payload["content"]) + len(payload["record"])


def batches_of(points: Sequence[PointData], lengths: Sequence[int]) -> Iterator[Sequence[PointData]]:
    """Points of one write each: not too many, and not too long together, for a write holds the interpreter's lock.

    Args:
        points: all of them.
        lengths: the characters of each.
    """
    start = total = 0
    for index, length in enumerate(lengths):
        if index > start and (index - start >= BATCH or total + length > BATCH_LENGTH):
            yield points[start:index]
            start, total = index, 0
        total += length
    yield points[start:]
