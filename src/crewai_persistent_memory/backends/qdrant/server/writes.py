"""Requests that write, as calls of ``qdrant-client``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final

from qdrant_client import models

from ....errors import StorePermissionError
from ....io.steps import Steps, work
from ..engine_requests import (
    Change,
    Count,
    Delete,
    KeepSpread,
    PointData,
    SetPayload,
    SetPayloads,
    SetVectors,
    Upsert,
    Where,
)
from ..manifest import spreads_to_json
from ..point_vectors import bytes_of, dense_names, dense_vectors
from ..schema import COPIED_KEY, DENSE, KEYWORDS
from .bootstrap import describe
from .errors import PointMissing
from .place import PAGE, Place, dense_of, for_those_there, has_ids, scroll
from .reads import count
from .translate import server_filter, server_point, server_vectors

BATCH: Final = 256
"""Most points in one write."""

BATCH_BYTES: Final = 8_000_000
"""About the most bytes in one write; the server refuses a body of more than 32 MB."""

LARGE_REQUEST: Final = 200_000
"""Bytes, about. Making a larger request takes milliseconds."""


def upsert(request: Upsert, place: Place) -> Steps[Any]:
    # A new entry is the same however often it is written: the same ids, the same values.
    for batch, size in _batches(request.points, place.limits.batch(BATCH)):
        make = partial(_to_points, batch)
        large = size > LARGE_REQUEST
        points = yield from work(make, long=large)
        yield from place.write("upsert", points=points, large=large)


def _to_points(points: Sequence[PointData]) -> list[models.PointStruct]:
    return [server_point(point) for point in points]


def _batches(points: Sequence[PointData], most: int) -> Iterator[tuple[Sequence[PointData], int]]:
    start = size = 0
    for index, point in enumerate(points):
        bytes_ = 4 * (len(point.payload["content"]) + len(point.payload["record"]))
        bytes_ += 1024 + bytes_of(point)
        if index > start and (index - start >= most or size + bytes_ > BATCH_BYTES):
            yield points[start:index], size
            start, size = index, 0
        size += bytes_
    yield points[start:], size


def change(request: Change, place: Place) -> Steps[Any]:
    key: dict[str, Any] = {"shard_key": place.shard_key} if place.shard_key is not None else {}
    operations: list[Any] = _guard(request.id, place)
    if request.payload:
        payload = models.SetPayload(payload=dict(request.payload), points=[request.id], **key)
        operations.append(
            models.OverwritePayloadOperation(overwrite_payload=payload)
            if request.whole
            else models.SetPayloadOperation(set_payload=payload)
        )
    if request.keywords is not None:
        # The server takes no empty vector here.
        vectors = server_vectors(request.keywords, request)
        if not request.keywords.indices:
            del vectors[KEYWORDS]
        if vectors:
            new = models.PointVectors(id=request.id, vector=vectors)
            operations.append(models.UpdateVectorsOperation(update_vectors=models.UpdateVectors(points=[new], **key)))
        replaces_dense = place.descriptor.dimensions is not None and not request.keeps_dense
        known = [KEYWORDS, *dense_names(place.descriptor)] if replaces_dense else [KEYWORDS]
        if gone := [name for name in known if name not in vectors]:
            old = models.DeleteVectors(points=[request.id], vector=gone, **key)
            operations.append(models.DeleteVectorsOperation(delete_vectors=old))
    try:
        yield from place.change(operations)
    except PointMissing:
        return False
    return True


def _guard(id: str, place: Place) -> list[Any]:
    """The first operation of a change in a collection whose memories move to another one.

    A collection that takes no more writes refuses points and vectors, by its strict mode, and not payload. So a change
    begins with a vector. Its filter selects no point. A refused operation ends the batch.
    """
    if not place.guarded:
        return []
    key: dict[str, Any] = {"shard_key": place.shard_key} if place.shard_key is not None else {}
    never = models.FieldCondition(key=COPIED_KEY, match=models.MatchValue(value="never"))
    point = models.PointVectors(id=id, vector={KEYWORDS: models.SparseVector(indices=[0], values=[1.0])})
    update = models.UpdateVectors(points=[point], update_filter=models.Filter(must=[never]), **key)
    return [models.UpdateVectorsOperation(update_vectors=update)]


def set_vectors(request: SetVectors, place: Place) -> Steps[Any]:
    embedded, most = 0, place.limits.batch(BATCH)
    for start in range(0, len(request.vectors), most):
        embedded += yield from _set_some(replace(request, vectors=request.vectors[start : start + most]), place)
    return embedded


def _set_some(request: SetVectors, place: Place) -> Steps[Any]:
    where = server_filter((*request.where, request.lacking))
    asked = {new.id: new for new in request.vectors}
    points = [models.PointVectors(id=new.id, vector=dense_vectors(new)) for new in request.vectors]
    missing = yield from for_those_there(
        lambda some: place.write("update_vectors", points=list(some), update_filter=where), points
    )
    given = asked.keys() - {str(point.id) for point in missing}
    if not given:
        return 0
    # Another process may have changed a content in between, and have had no vector for the new one. The old content's
    # vector is taken away again: without one the entry is found by its words, and embedded later.
    records = yield from place.read("retrieve", ids=sorted(given), with_payload=["content"], with_vectors=[DENSE])
    embedded = 0
    stale = []
    for record in records:
        new, dense = asked[str(record.id)], dense_of(record.vector)
        ours = bool(dense) and _same_direction(dense or (), new.dense)
        if ours and (record.payload or {}).get("content") != new.content:
            stale.append(record.id)
        else:
            embedded += ours
    for id in stale:
        with suppress(PointMissing):  # deleted in between
            yield from place.write("delete_vectors", points=[id], vectors=dense_names(place.descriptor))
    return embedded


def _same_direction(a: Sequence[float], b: Sequence[float]) -> bool:
    # The server keeps vectors at unit length, in single precision.
    product = math.fsum(x * y for x, y in zip(a, b, strict=True))
    return product >= 0.9999 * math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))


# A write is never selected by a filter with ids: Qdrant 1.17.0 cannot read that back from its log, and does not start
# again. The ids that match are looked up, by a filter that holds the scope, and are named in the write. A point's id is
# made of its owner's scope, so a point that is found cannot become another user's before the write arrives.


def _matching(where: Where, place: Place) -> Steps[Any]:
    """The ids of the matching points."""
    return [record.id for record in (yield from scroll(where, place, False))]


def delete(request: Delete, place: Place) -> Steps[Any]:
    if has_ids(request.where):
        ids = yield from _matching(request.where, place)
        for start in range(0, len(ids), PAGE):
            named = models.PointIdsList(points=ids[start : start + PAGE])
            yield from place.write("delete", points_selector=named, repeatable=False)
        return len(ids)
    matching = yield from count(Count(request.where), place)
    if matching:
        # Not repeatable: what was stored in between, and acknowledged, must not go as well.
        selector = models.FilterSelector(filter=server_filter(request.where))
        yield from place.write("delete", points_selector=selector, repeatable=False)
    return matching


def set_payloads(request: SetPayloads, place: Place) -> Steps[Any]:
    key: dict[str, Any] = {"shard_key": place.shard_key} if place.shard_key is not None else {}
    operations = [
        models.SetPayloadOperation(set_payload=models.SetPayload(payload=dict(payload), points=list(ids), **key))
        for ids, payload in request.writes
    ]
    first = next((ids[0] for ids, _ in request.writes if ids), None)
    if first is not None:
        operations = [*_guard(first, place), *operations]
    # The caller reads the entries again afterwards. So a retry is safe, and the server may stop at a deleted point.
    with suppress(PointMissing):
        yield from place.change(operations, repeatable=True)


def set_payload(request: SetPayload, place: Place) -> Steps[Any]:
    if not has_ids(request.where):
        selector = models.FilterSelector(filter=server_filter(request.where))
        yield from place.write("set_payload", payload=dict(request.payload), points=selector)
        return
    ids = yield from _matching(request.where, place)
    for start in range(0, len(ids), PAGE):
        yield from for_those_there(
            lambda some: place.write("set_payload", payload=dict(request.payload), points=list(some)),
            ids[start : start + PAGE],
        )


def keep_spread(request: KeepSpread, place: Place) -> Steps[Any]:
    """Write it into the descriptor's point."""
    spreads = spreads_to_json(request.spread, request.tokens)
    with suppress(StorePermissionError):
        yield from describe(place.client, place.collection, place.descriptor, spreads)
