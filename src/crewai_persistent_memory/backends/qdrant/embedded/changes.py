"""A change to one point of the embedded engine: what is not changed is not written, and nothing is created."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qdrant_edge as edge

from ..engine_requests import Change, PointData
from ..point_vectors import bytes_of, dense_vectors
from ..schema import KEYWORDS
from .long_texts import LONG_TEXT, make_way


def change(shard: Any, request: Change, *, names: Sequence[str]) -> None:
    """Apply a change to a point that is there. The caller holds the lock of the writes.

    Args:
        shard: the engine's.
        request: the change.
        names: of the dense vectors that the shard has.
    """
    operation = edge.UpdateOperation
    if request.keywords is not None:
        payload = {"content": "", "record": "", **request.payload}
        make_way(shard, [PointData(request.id, payload, request.keywords, request.dense)])
    if request.payload:
        write = operation.overwrite_payload if request.whole else operation.set_payload
        shard.update(write([request.id], dict(request.payload)))
    if request.keywords is None:
        return
    vectors: dict[str, Any] = {KEYWORDS: request.keywords, **dense_vectors(request)}
    shard.update(operation.update_vectors([edge.PointVectors(id=request.id, vector=vectors)]))
    if not request.keeps_dense and (gone := [name for name in names if name not in vectors]):
        shard.update(operation.delete_vectors([request.id], gone))


def size_of_change(request: Change) -> int:
    """Bytes that the engine writes for it, about."""
    return 4096 + 4 * _length(request) + bytes_of(request)


def is_long_change(request: Change) -> bool:
    """Whether a store that holds the changed point is read entry by entry."""
    return _length(request) > LONG_TEXT


def _length(request: Change) -> int:
    return sum(len(value) for value in request.payload.values() if isinstance(value, str))
