"""Requests in the server's own terms: each becomes calls of ``qdrant-client``, and the answers become hits.

Nothing here waits: a request is a generator of steps, so that REST and gRPC, blocking and awaiting, share every line.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from qdrant_client import models

from ....io.steps import Steps, work
from ....scope import SCOPE_FIELDS
from ..engine_requests import (
    Between,
    Change,
    Count,
    Delete,
    Everything,
    Facet,
    HasId,
    Hit,
    NoDense,
    Ordered,
    PointData,
    Request,
    Retrieve,
    Scroll,
    Search,
    SearchMany,
    SetPayload,
    SetVectors,
    Unembedded,
    Upsert,
    Where,
)
from ..manifest import Descriptor
from ..schema import DENSE, KEYWORDS, created_at, parse_time
from .client import RetryingClient
from .errors import PointMissing
from .strict_mode import NO_LIMITS, Limits
from .translate import query_for, query_request, ranked, server_filter, server_point, server_vectors

BATCH: Final = 256
"""Most points in one write."""

BATCH_BYTES: Final = 8_000_000
"""About the most bytes in one write; the server refuses a body of more than 32 MB."""

LARGE_REQUEST: Final = 200_000
"""Bytes, about. Making a larger request takes milliseconds."""

PAGE: Final = 1000
"""Points per request where all of something is read."""

_TENANT_IDF_SINCE: Final = (1, 19)


@dataclass(frozen=True)
class Place:
    """Where a request goes, and what every call to there carries."""

    client: RetryingClient
    collection: str
    descriptor: Descriptor
    version: tuple[int, int]
    wait: bool = True
    reading: Mapping[str, Any] = field(default_factory=dict)
    writing: Mapping[str, Any] = field(default_factory=dict)
    shard_key: Any = None
    limits: Limits = NO_LIMITS

    def read(self, method: str, **arguments: Any) -> Steps[Any]:
        consistency = {} if method == "count" else self.reading
        return self.client.call(method, {**self._common(), **consistency, **arguments})

    def write(self, method: str, *, repeatable: bool = True, large: bool = False, **arguments: Any) -> Steps[Any]:
        arguments = {**self._common(), "wait": self.wait, **self.writing, **arguments}
        return self.client.call(method, arguments, repeatable=repeatable, large=large)

    def change(self, operations: Sequence[Any]) -> Steps[Any]:
        """Several writes to one point in one request. They are waited for, whatever ``wait`` says: what comes after
        them looks at what is there."""
        arguments = {"collection_name": self.collection, "wait": True, **self.writing}
        # Not repeatable: doing it twice could undo a change of another process in between.
        arguments["update_operations"] = list(operations)
        return self.client.call("batch_update_points", arguments, repeatable=False)

    def _common(self) -> dict[str, Any]:
        common: dict[str, Any] = {"collection_name": self.collection}
        if self.shard_key is not None:
            common["shard_key_selector"] = self.shard_key
        return common


def answer(request: Request[Any], place: Place) -> Steps[Any]:
    """Answer a request."""
    return _HOW[type(request)](request, place)


# -- writes --------------------------------------------------------------------------------------------------------


def _upsert(request: Upsert, place: Place) -> Steps[Any]:
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
        bytes_ += 1024 + 12 * len(point.dense or ())
        if index > start and (index - start >= most or size + bytes_ > BATCH_BYTES):
            yield points[start:index], size
            start, size = index, 0
        size += bytes_
    yield points[start:], size


def _change(request: Change, place: Place) -> Steps[Any]:
    key: dict[str, Any] = {"shard_key": place.shard_key} if place.shard_key is not None else {}
    operations: list[Any] = []
    if request.payload:
        payload = models.SetPayload(payload=dict(request.payload), points=[request.id], **key)
        operations.append(
            models.OverwritePayloadOperation(overwrite_payload=payload)
            if request.whole
            else models.SetPayloadOperation(set_payload=payload)
        )
    if request.keywords is not None:
        # The server takes no empty vector here.
        vectors = server_vectors(request.keywords, request.dense)
        if not request.keywords.indices:
            del vectors[KEYWORDS]
        if vectors:
            new = models.PointVectors(id=request.id, vector=vectors)
            operations.append(models.UpdateVectorsOperation(update_vectors=models.UpdateVectors(points=[new], **key)))
        known = [KEYWORDS] if place.descriptor.dimensions is None else [KEYWORDS, DENSE]
        if gone := [name for name in known if name not in vectors]:
            old = models.DeleteVectors(points=[request.id], vector=gone, **key)
            operations.append(models.DeleteVectorsOperation(delete_vectors=old))
    try:
        yield from place.change(operations)
    except PointMissing:
        return False
    return True


def _set_vectors(request: SetVectors, place: Place) -> Steps[Any]:
    embedded, most = 0, place.limits.batch(BATCH)
    for start in range(0, len(request.vectors), most):
        embedded += yield from _set_some(SetVectors(request.where, request.vectors[start : start + most]), place)
    return embedded


def _set_some(request: SetVectors, place: Place) -> Steps[Any]:
    where = server_filter((*request.where, NoDense()))
    asked = {new.id: new for new in request.vectors}
    points = [models.PointVectors(id=new.id, vector={DENSE: list(new.dense)}) for new in request.vectors]
    given = set(asked)
    try:
        yield from place.write("update_vectors", points=points, update_filter=where)
    except PointMissing:
        # Of several points those that are there may have their vectors, or not: each by itself then.
        for point in points:
            try:
                yield from place.write("update_vectors", points=[point], update_filter=where)
            except PointMissing:
                given.discard(str(point.id))
    if not given:
        return 0
    # Another process may have changed a content in between, and have had no vector for the new one. The old content's
    # vector is taken away again: without one the entry is found by its words, and embedded later.
    records = yield from place.read("retrieve", ids=sorted(given), with_payload=["content"], with_vectors=[DENSE])
    embedded = 0
    stale = []
    for record in records:
        new, dense = asked[str(record.id)], _dense(record.vector)
        ours = bool(dense) and _same_direction(dense or (), new.dense)
        if ours and (record.payload or {}).get("content") != new.content:
            stale.append(record.id)
        else:
            embedded += ours
    for id in stale:
        with suppress(PointMissing):  # deleted in between
            yield from place.write("delete_vectors", points=[id], vectors=[DENSE])
    return embedded


def _same_direction(a: Sequence[float], b: Sequence[float]) -> bool:
    # The server keeps vectors at unit length, in single precision.
    product = math.fsum(x * y for x, y in zip(a, b, strict=True))
    return product >= 0.9999 * math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))


# A write is never selected by a filter with ids: Qdrant 1.17.0 cannot read that back from its log, and does not start
# again. The ids that match are looked up, by a filter that holds the scope, and are named in the write. A point's id is
# made of its owner's scope, so a point that is found cannot become another user's before the write arrives.


def _has_ids(where: Where) -> bool:
    return any(isinstance(condition, HasId) for condition in where)


def _matching(where: Where, place: Place) -> Steps[Any]:
    """The ids of the matching points."""
    return [record.id for record in (yield from _scroll(where, place, False))]


def _scroll(where: Where, place: Place, with_payload: bool | list[str], most: int | None = None) -> Steps[Any]:
    """All matching points, or the first ``most``, page by page."""
    found: list[Any] = []
    for part in _parts(where, place):
        offset = None
        while True:
            left = PAGE if most is None else most - len(found)
            if left <= 0:
                return found
            records, offset = yield from place.read(
                "scroll",
                scroll_filter=server_filter(part),
                limit=place.limits.page(min(left, PAGE)),
                offset=offset,
                with_payload=with_payload,
            )
            found += records
            if offset is None:
                break
    return found


def _parts(where: Where, place: Place) -> Iterator[Where]:
    """A filter by very many ids as several."""
    others = tuple(condition for condition in where if not isinstance(condition, HasId))
    ids = _ids_in(where)
    most = place.limits.condition(PAGE)
    if len(ids) <= most:
        yield where
        return
    for start in range(0, len(ids), most):
        yield (*others, HasId(tuple(ids[start : start + most])))


def _ids_in(where: Where) -> list[str]:
    return [id for condition in where if isinstance(condition, HasId) for id in condition.ids]


def _delete(request: Delete, place: Place) -> Steps[Any]:
    if _has_ids(request.where):
        ids = yield from _matching(request.where, place)
        for start in range(0, len(ids), PAGE):
            named = models.PointIdsList(points=ids[start : start + PAGE])
            yield from place.write("delete", points_selector=named, repeatable=False)
        return len(ids)
    count = yield from _count(Count(request.where), place)
    if count:
        # Not repeatable: what was stored in between, and acknowledged, must not go as well.
        selector = models.FilterSelector(filter=server_filter(request.where))
        yield from place.write("delete", points_selector=selector, repeatable=False)
    return count


def _set_payload(request: SetPayload, place: Place) -> Steps[Any]:
    if not _has_ids(request.where):
        selector = models.FilterSelector(filter=server_filter(request.where))
        yield from place.write("set_payload", payload=dict(request.payload), points=selector)
        return
    ids = yield from _matching(request.where, place)
    for start in range(0, len(ids), PAGE):
        batch = ids[start : start + PAGE]
        try:
            yield from place.write("set_payload", payload=dict(request.payload), points=batch)
        except PointMissing:
            # One was deleted in between; the server may have stopped there.
            for id in batch:
                with suppress(PointMissing):
                    yield from place.write("set_payload", payload=dict(request.payload), points=[id])


# -- reads ---------------------------------------------------------------------------------------------------------


def _query(request: Search, place: Place) -> dict[str, Any] | None:
    tenant_idf = place.version >= _TENANT_IDF_SINCE
    return query_for(request, place.descriptor.shards, place.limits.results, tenant_idf=tenant_idf)


def _search(request: Search, place: Place) -> Steps[Any]:
    query = _query(request, place)
    if query is None:
        return []
    answer = yield from place.read("query_points", **query)
    return ranked(request, answer.points, place.descriptor.shards)


def _search_many(request: SearchMany, place: Place) -> Steps[Any]:
    queries = [_query(search, place) for search in request.searches]
    asked = [query for query in queries if query is not None]
    if not asked:
        return [[] for _ in queries]
    common = {"collection_name": place.collection, **place.reading}
    batch = [query_request(query, place.shard_key) for query in asked]
    found: list[Any] = []
    most = place.limits.queries or len(batch)
    for start in range(0, len(batch), most):
        found += yield from place.client.call("query_batch_points", {**common, "requests": batch[start : start + most]})
    answers = iter(found)
    return [
        [] if query is None else ranked(search, next(answers).points, place.descriptor.shards)
        for search, query in zip(request.searches, queries, strict=True)
    ]


def _ordered(request: Ordered, place: Place) -> Steps[Any]:
    parts = list(_parts(request.where, place))
    if len(parts) > 1:
        found: list[Hit] = []
        for part in parts:
            found += yield from _ordered(replace(request, where=part), place)
        found.sort(key=lambda hit: str(hit.payload["created_at"]), reverse=request.newest_first)
        return found[: request.limit]
    hits: list[Hit] = []
    where = request.where
    while True:
        most = min(request.limit - len(hits), place.limits.page(PAGE))
        page = yield from _first(replace(request, where=where, limit=most), place)
        if len(page) < most or len(hits) + most >= request.limit:
            return hits + page
        # The server starts a page at a time and not at a point: what has the last time is read by itself.
        last = page[-1].payload["created_at"]
        tied = created_at(parse_time(last))
        hits += [hit for hit in page if hit.payload["created_at"] != last]
        same_time = Everything((*request.where, tied), request.whole)
        hits += yield from _some(same_time, place, request.limit - len(hits))
        if len(hits) >= request.limit or (tied.end is None and not request.newest_first):
            return hits
        rest = (None, tied.start) if request.newest_first else (tied.end, None)
        where = (*request.where, Between("created_at", *rest))


def _first(request: Ordered, place: Place) -> Steps[Any]:
    direction = models.Direction.DESC if request.newest_first else models.Direction.ASC
    records, _ = yield from place.read(
        "scroll",
        scroll_filter=server_filter(request.where),
        limit=request.limit,
        order_by=models.OrderBy(key="created_at", direction=direction),
        with_payload=True if request.whole else ["created_at"],
    )
    return [Hit(record.id, record.payload or {}) for record in records]


def _everything(request: Everything, place: Place) -> Steps[Any]:
    return (yield from _some(request, place, None))


def _some(request: Everything, place: Place, most: int | None) -> Steps[Any]:
    """The matching points, or the first ``most`` of them."""
    records = yield from _scroll(request.where, place, True if request.whole else ["created_at"], most)
    return [Hit(record.id, record.payload or {}) for record in records]


def _scroll_page(request: Scroll, place: Place) -> Steps[Any]:
    where, next_part = _part_from(request.where, request.start, place.limits.condition(PAGE))
    records, next_id = yield from place.read(
        "scroll",
        scroll_filter=server_filter(where),
        limit=place.limits.page(request.limit),
        offset=request.start,
        with_payload=True,
        with_vectors=_which_vectors(request.with_vectors, place),
    )
    hits = [Hit(record.id, record.payload or {}, dense=_dense(record.vector)) for record in records]
    next_id = next_part if next_id is None else next_id
    return hits, None if next_id is None else str(next_id)


def _part_from(where: Where, start: str | None, most: int) -> tuple[Where, str | None]:
    """A filter by very many ids as one by the first ``most`` of them from ``start`` on; and the id after those."""
    ids = sorted(set(_ids_in(where)))
    if len(ids) <= most:
        return where, None
    ids = ids[bisect_left(ids, start or "") :]
    others = tuple(condition for condition in where if not isinstance(condition, HasId))
    return (*others, HasId(tuple(ids[:most]))), ids[most] if len(ids) > most else None


def _unembedded(request: Unembedded, place: Place) -> Steps[Any]:
    hits: list[Hit] = []
    offset = None
    where = server_filter((*request.where, NoDense()))
    while len(hits) < request.limit:
        records, offset = yield from place.read(
            "scroll",
            scroll_filter=where,
            limit=place.limits.page(request.limit),
            offset=offset,
            with_payload=["content", *SCOPE_FIELDS],
        )
        hits += [Hit(record.id, record.payload or {}) for record in records if str(record.id) not in request.but]
        if offset is None:
            break
    return hits[: request.limit]


def _retrieve(request: Retrieve, place: Place) -> Steps[Any]:
    with_vectors = _which_vectors(request.with_vectors, place)
    hits: list[Hit] = []
    for start in range(0, len(request.ids), PAGE):
        records = yield from place.read(
            "retrieve", ids=list(request.ids[start : start + PAGE]), with_payload=True, with_vectors=with_vectors
        )
        hits += [Hit(record.id, record.payload or {}, dense=_dense(record.vector)) for record in records]
    return hits


def _which_vectors(wanted: bool, place: Place) -> list[str] | bool:
    return [DENSE] if wanted and place.descriptor.dimensions is not None else False


def _dense(vector: Any) -> Sequence[float] | None:
    return vector.get(DENSE) if isinstance(vector, Mapping) else None


def _count(request: Count, place: Place) -> Steps[Any]:
    if not place.limits.exact or place.limits.values is not None:
        return len((yield from _scroll(request.where, place, False)))
    answer = yield from place.read("count", count_filter=server_filter(request.where), exact=True)
    return answer.count


def _facet(request: Facet, place: Place) -> Steps[Any]:
    if not place.limits.exact or place.limits.results is not None:
        counted: Counter[str] = Counter()
        for record in (yield from _scroll(request.where, place, [request.key])):
            values = (record.payload or {}).get(request.key) or ()
            counted.update({values} if isinstance(values, str) else set(map(str, values)))
        return dict(counted)
    answer = yield from place.read(
        "facet", key=request.key, facet_filter=server_filter(request.where), limit=request.limit, exact=True
    )
    return {str(hit.value): hit.count for hit in answer.hits}


_HOW: Final[Mapping[type, Callable[[Any, Place], Steps[Any]]]] = {
    Upsert: _upsert,
    Change: _change,
    Delete: _delete,
    SetPayload: _set_payload,
    Search: _search,
    SearchMany: _search_many,
    Ordered: _ordered,
    Everything: _everything,
    Scroll: _scroll_page,
    Retrieve: _retrieve,
    Count: _count,
    Facet: _facet,
    Unembedded: _unembedded,
    SetVectors: _set_vectors,
}
