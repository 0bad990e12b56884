"""Requests that read, as calls of ``qdrant-client``; the answers become hits."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import replace
from typing import Any, Final

from qdrant_client import models

from ....io.steps import Steps
from ....scope import SCOPE_FIELDS
from ....text.passages import is_one_passage
from ..codec import ENTRY_KEYS
from ..engine_requests import (
    Between,
    Condition,
    Count,
    Everything,
    Facet,
    HasId,
    HasNoId,
    Hit,
    Match,
    NoDense,
    NoPassages,
    Ordered,
    Retrieve,
    Scroll,
    Search,
    SearchMany,
    Unembedded,
    Where,
    WithoutPassages,
)
from ..schema import DENSE, created_at, parse_time, points_named
from .place import PAGE, Place, dense_of, parts, scroll
from .translate import query_for, query_request, ranked, server_filter

_TENANT_IDF_SINCE: Final = (1, 19)

_USUAL_SCOPE: Final = 1_000
"""Entries of one scope. A count of each would be a request more for a recall."""


def _query(request: Search, place: Place) -> dict[str, Any] | None:
    tenant_idf = place.version >= _TENANT_IDF_SINCE
    size = min(place.size, _USUAL_SCOPE) if tenant_idf else place.size
    return query_for(request, place.limits.results, size=size, tenant_idf=tenant_idf)


def search(request: Search, place: Place) -> Steps[Any]:
    query = _query(request, place)
    if query is None:
        return []
    answer = yield from place.read("query_points", **query)
    return ranked(request, answer.points)


def search_many(request: SearchMany, place: Place) -> Steps[Any]:
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
        [] if query is None else ranked(search, next(answers).points)
        for search, query in zip(request.searches, queries, strict=True)
    ]


def ordered(request: Ordered, place: Place) -> Steps[Any]:
    several = list(parts(request.where, place))
    if len(several) > 1:
        found: list[Hit] = []
        for part in several:
            found += yield from ordered(replace(request, where=part), place)
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
        with_payload=list(ENTRY_KEYS) if request.whole else ["created_at"],
    )
    return [Hit(record.id, record.payload or {}) for record in records]


def everything(request: Everything, place: Place) -> Steps[Any]:
    return (yield from _some(request, place, None))


def _some(request: Everything, place: Place, most: int | None) -> Steps[Any]:
    """The matching points, or the first ``most`` of them."""
    records = yield from scroll(request.where, place, list(ENTRY_KEYS) if request.whole else ["created_at"], most)
    return [Hit(record.id, record.payload or {}) for record in records]


def scroll_page(request: Scroll, place: Place) -> Steps[Any]:
    most = place.limits.condition(PAGE)
    wide = next((each for each in request.where if isinstance(each, Match) and len(each.values) > most), None)
    if wide is not None:
        # More values than the server takes in one condition: all of the points, each once, in one page.
        others = tuple(each for each in request.where if each is not wide)
        found: dict[str, Hit] = {}
        for start in range(0, len(wide.values), most):
            part = replace(request, where=(*others, wide._replace(values=wide.values[start : start + most])))
            offset = request.start
            while True:
                hits, offset = yield from scroll_page(replace(part, start=offset), place)
                found.update((str(hit.id), hit) for hit in hits)
                if offset is None:
                    break
        return list(found.values()), None
    where, next_part = _part_from(_left_out_in_parts(request.where, most), request.start, most)
    records, next_id = yield from place.read(
        "scroll",
        scroll_filter=server_filter(where),
        limit=place.limits.page(request.limit),
        offset=request.start,
        with_payload=True,
        with_vectors=_which_vectors(request.with_vectors, place),
    )
    hits = [Hit(record.id, record.payload or {}, dense=dense_of(record.vector)) for record in records]
    next_id = next_part if next_id is None else next_id
    return hits, None if next_id is None else str(next_id)


def _left_out_in_parts(where: Where, most: int) -> Where:
    """A filter that leaves points out, with at most so many of them in one condition."""
    narrow: list[Condition] = []
    for each in where:
        if isinstance(each, HasNoId):
            narrow += [HasNoId(each.ids[start : start + most]) for start in range(0, len(each.ids), most)]
        else:
            narrow.append(each)
    return tuple(narrow)


def _part_from(where: Where, start: str | None, most: int) -> tuple[Where, str | None]:
    """A filter by very many ids as one by the first ``most`` of them from ``start`` on; and the id after those."""
    ids = sorted(set(points_named(where)))
    if len(ids) <= most:
        return where, None
    ids = ids[bisect_left(ids, start or "") :]
    others = tuple(condition for condition in where if not isinstance(condition, HasId))
    return (*others, HasId(tuple(ids[:most]))), ids[most] if len(ids) > most else None


def unembedded(request: Unembedded, place: Place) -> Steps[Any]:
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


def without_passages(request: WithoutPassages, place: Place) -> Steps[Any]:
    records, next_id = yield from place.read(
        "scroll",
        scroll_filter=server_filter((*request.where, NoPassages())),
        limit=place.limits.page(request.limit),
        offset=request.start,
        with_payload=["content"],
    )
    # The point in which a collection describes itself has no content.
    hits = [
        Hit(each.id, each.payload) for each in records if not is_one_passage((each.payload or {}).get("content", ""))
    ]
    return hits, None if next_id is None else str(next_id)


def retrieve(request: Retrieve, place: Place) -> Steps[Any]:
    with_vectors = _which_vectors(request.with_vectors, place)
    hits: list[Hit] = []
    for start in range(0, len(request.ids), PAGE):
        records = yield from place.read(
            "retrieve", ids=list(request.ids[start : start + PAGE]), with_payload=True, with_vectors=with_vectors
        )
        hits += [Hit(record.id, record.payload or {}, dense=dense_of(record.vector)) for record in records]
    return hits


def _which_vectors(wanted: bool, place: Place) -> list[str] | bool:
    return [DENSE] if wanted and place.descriptor.dimensions is not None else False


def count(request: Count, place: Place) -> Steps[Any]:
    if not place.limits.exact or place.limits.values is not None:
        return len((yield from scroll(request.where, place, False)))
    answer = yield from place.read("count", count_filter=server_filter(request.where), exact=True)
    return answer.count


def facet(request: Facet, place: Place) -> Steps[Any]:
    if not place.limits.exact or place.limits.results is not None:
        counted: Counter[str] = Counter()
        for record in (yield from scroll(request.where, place, [request.key])):
            values = (record.payload or {}).get(request.key) or ()
            counted.update({values} if isinstance(values, str) else set(map(str, values)))
        return dict(counted)
    answer = yield from place.read(
        "facet", key=request.key, facet_filter=server_filter(request.where), limit=request.limit, exact=True
    )
    return {str(hit.value): hit.count for hit in answer.hits}
