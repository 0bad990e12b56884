"""Reading requests as calls of the embedded engine, and its answers as hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, cast

import qdrant_edge as edge

from ....ranking import Ranking, rarest
from ....scope import SCOPE_FIELDS
from ....text.passages import is_one_passage
from ..codec import ENTRY_KEYS
from ..engine_requests import (
    Count,
    Everything,
    Facet,
    HasId,
    Hit,
    NoDense,
    NoPassages,
    Ordered,
    Retrieve,
    Scroll,
    Search,
    Unembedded,
    Where,
    WithoutPassages,
)
from ..ranking import depth_for
from ..schema import DENSE, EXPIRES_AT_KEY, KEYWORDS, PASSAGES, TOKENS
from .corpora import Corpora, all_meet
from .deletions import Deletions
from .known_points import KnownPoints
from .translate import edge_filter, edge_formula

MOST_CHARACTERS: Final = 4_000_000
"""Of texts in one page of a scan, about."""

MANY: Final = 10_000
"""Entries. From here on, to look only at those of a corpus takes a large part of a search."""

FEW: Final = 500
"""Entries. So few are all candidates: to score each by all lists takes half the time of finding the best ones first."""

_RESCORED: Final = edge.SearchParams(quantization=edge.QuantizationSearchParams(rescore=True, oversampling=2.0))
"""Of the compact vectors, twice as many as asked for are looked at exactly: then the best ones are missed in 1 of 1,000
cases, without it in 1 of 10, and the scores are exact."""

_ENTRY: Final = cast(Any, edge.PayloadSelector.Include(list(ENTRY_KEYS)))
_ALL: Final = edge.CountRequest(exact=False)
"""All points: the engine knows their number without a count."""

_WITH_AN_END: Final = edge.Filter(
    must=[edge.FieldCondition(key=EXPIRES_AT_KEY, range=edge.RangeDateTime(gte="0001-01-01T00:00:00Z"))]
)


class EdgeReader:
    """Answers the reading requests over one shard."""

    def __init__(self, shard: Any, deletions: Deletions, *, one_by_one: bool = False) -> None:
        self.shard = shard
        self.one_by_one = one_by_one
        """Read payloads each by itself. Ten texts of 1 MB in one answer hold the interpreter's lock for 70 ms."""
        self.has_ends = bool(shard.count(edge.CountRequest(filter=_WITH_AN_END, exact=True)))
        """Whether an entry may have an end. While none has one, no request looks for it: that would take 4 % of a
        recall. Only this process writes; it says so before it writes the first."""
        self.known: Final = KnownPoints()
        self._corpora = Corpora(lambda corpus: self.count(Count(corpus)), deletions)
        self._passages = False

    def search(self, request: Search) -> list[Hit]:
        if request.by_passages and request.dense and not self._has_passages(request.dense):
            request = replace(request, by_passages=False)
        total = self.known.total(self.shard, _ALL)
        is_all = total >= MANY and self._corpora.is_all(request.corpus, self.shard)
        lists = self._lists(request, is_all=is_all)
        if not lists:
            return []
        asked = self._asked(request, lists, total, is_all=is_all)
        since = self.known.writes
        answer = self.shard.query(edge.QueryRequest(**asked, with_payload=False))
        payloads = self.known.payloads(self.shard, answer, _ENTRY, since, one_by_one=self.one_by_one)
        if payloads is None:
            # A point that was written since it was found may be private now. Asked for both, the engine gives payloads
            # that meet the conditions.
            answer = self.shard.query(edge.QueryRequest(**asked, with_payload=_ENTRY))
            payloads = [point.payload for point in answer]
        hits = []
        for point, payload in zip(answer, payloads, strict=True):
            if payload is not None:
                hits.append(Hit(None, payload, score=point.score))
        return hits

    def _asked(
        self, request: Search, lists: list[tuple[Any, edge.SearchParams | None]], total: int, *, is_all: bool
    ) -> dict[str, Any]:
        """A search as the arguments of the engine's request."""
        if request.ranking is not None:
            return self._ranked(request, lists, request.ranking, total, is_all=is_all)
        query, params = lists[0]
        return {
            "query": query,
            "limit": request.limit,
            "filter": edge_filter(request.where, self.has_ends),
            "params": params,
            "score_threshold": request.min_score,
        }

    def _one(self, where: Where, id: str, since: int, with_vector: Any = False) -> list[Any]:
        """The point with this id, which was found under these conditions; none if it was deleted meanwhile, or no
        longer meets them.

        Args:
            where: the conditions.
            id: its id.
            since: the number of the last write before it was found.
            with_vector: as the engine takes it.
        """
        records: list[Any] = self.shard.retrieve([id], with_payload=True, with_vector=with_vector)
        if self.known.was_written(id, since):
            # It may be private now. Asked for both, the engine gives a payload that meets the conditions.
            filter = edge_filter((*where, HasId((id,))), self.has_ends)
            records, _ = self.shard.scroll(
                edge.ScrollRequest(limit=1, filter=filter, with_payload=True, with_vector=with_vector)
            )
        return records

    def _has_passages(self, dense: Sequence[float]) -> bool:
        """Whether an entry has passages. To look for them among 100,000 entries takes 1.5 ms; if there are none, and
        without a condition, 0.07 ms."""
        if not self._passages:
            any_passage = edge.Query.Nearest(cast(Any, dense), using=PASSAGES)
            self._passages = bool(self.shard.query(edge.QueryRequest(query=any_passage, limit=1, with_payload=False)))
        return self._passages

    def _lists(self, request: Search, *, is_all: bool) -> list[tuple[Any, edge.SearchParams | None]]:
        lists: list[tuple[Any, edge.SearchParams | None]] = []
        if request.dense:
            lists.append((edge.Query.Nearest(cast(Any, request.dense), using=DENSE), _RESCORED))
            if request.by_passages:
                lists.append((edge.Query.Nearest(cast(Any, request.dense), using=PASSAGES), _RESCORED))
        if request.by_keywords:
            # How rare a word is among all entries, the engine knows; of a part, it looks at every entry with the word.
            corpus = None if is_all else edge.IdfParams(corpus=edge_filter(request.corpus, self.has_ends))
            idf = edge.SearchParams(idf=corpus)
            lists.append((edge.Query.Nearest(cast(Any, request.keywords), using=KEYWORDS), idf))
        return lists

    def _ranked(
        self,
        request: Search,
        lists: list[tuple[Any, edge.SearchParams | None]],
        ranking: Ranking,
        total: int,
        *,
        is_all: bool,
    ) -> dict[str, Any]:
        depth = depth_for(request.limit)
        where = edge_filter(request.where, self.has_ends)
        scored, scores = lists, request.scores if request.tokens else request.lists
        size, most = self._corpora.size(request.corpus, total)
        if len(lists) > 1 and most <= FEW and not request.tokens:
            depth = max(depth, most)
        elif len(scores) > 1:
            # The candidates of all lists, scored by each. They are found by a request of their own: nested in this one,
            # the engine would find them once for each list, which doubles the time (qdrant-edge-py 0.9).
            # Where all entries meet the conditions, they are left to the other request, which has them in any case.
            beside = [condition for condition in request.where if condition not in request.corpus]
            anywhere = is_all and all_meet(beside, self.shard, has_ends=self.has_ends)
            found = self.shard.query_batch(
                edge.QueryBatchRequest(
                    [
                        edge.QueryRequest(
                            query=q,
                            limit=depth,
                            filter=None if anywhere else where,
                            params=params,
                            with_payload=False,
                        )
                        for q, params in lists
                    ]
                )
            )
            ids = tuple(str(point.id) for points in found for point in points)
            where = edge_filter((*request.where, HasId(ids)), self.has_ends)
            depth = len(lists) * depth
            if request.tokens:
                scored = [*lists, (edge.Query.Nearest(cast(Any, request.tokens), using=TOKENS), None)]
        candidates = []
        for q, params in scored:
            candidates.append(edge.Prefetch(query=q, limit=depth, filter=where, params=params))
        return {
            "prefetches": candidates,
            "query": edge_formula(ranking, rarest(size), scores, len(request.tokens)),
            "limit": request.limit,
            "score_threshold": request.min_score,
        }

    def ordered(self, request: Ordered) -> list[Hit]:
        direction = edge.Direction.Desc if request.newest_first else edge.Direction.Asc
        one_by_one, since = request.whole and self.one_by_one, self.known.writes
        records, _ = self.shard.scroll(
            edge.ScrollRequest(
                limit=request.limit,
                filter=edge_filter(request.where, self.has_ends),
                with_payload=False if one_by_one else _ENTRY if request.whole else ["created_at"],
                order_by=edge.OrderBy(key="created_at", direction=direction),
            )
        )
        if one_by_one:
            records = [whole for found in records for whole in self._one(request.where, str(found.id), since)]
        return [Hit(record.id, record.payload or {}) for record in records]

    def everything(self, request: Everything) -> list[Hit]:
        hits: list[Hit] = []
        offset = None
        while True:
            records, offset = self.shard.scroll(
                edge.ScrollRequest(
                    limit=1000,
                    offset=offset,
                    filter=edge_filter(request.where, self.has_ends),
                    with_payload=_ENTRY if request.whole else ["created_at"],
                )
            )
            hits += [Hit(record.id, record.payload) for record in records]
            if offset is None:
                return hits

    def scroll(self, request: Scroll) -> tuple[list[Hit], str | None]:
        with_vectors, since = request.with_vectors, self.known.writes
        records, next_id = self.shard.scroll(
            edge.ScrollRequest(
                limit=request.limit,
                offset=request.start,
                filter=edge_filter(request.where, self.has_ends),
                with_payload=not self.one_by_one,
                with_vector=[DENSE] if with_vectors and not self.one_by_one else False,
            )
        )
        if self.one_by_one:
            return self._whole(request, [str(record.id) for record in records], next_id, since)
        hits = [Hit(record.id, record.payload, dense=(record.vector or {}).get(DENSE)) for record in records]
        return hits, None if next_id is None else str(next_id)

    def _whole(self, request: Scroll, ids: Sequence[str], next_id: Any, since: int) -> tuple[list[Hit], str | None]:
        """The points with these ids, up to about :data:`MOST_CHARACTERS`, and the id of the next one."""
        hits: list[Hit] = []
        characters = 0
        for id in ids:
            if characters > MOST_CHARACTERS:
                return hits, id
            for record in self._one(request.where, id, since, [DENSE] if request.with_vectors else False):
                hits.append(Hit(record.id, record.payload, dense=(record.vector or {}).get(DENSE)))
                characters += len(record.payload["content"])
        return hits, None if next_id is None else str(next_id)

    def unembedded(self, request: Unembedded) -> list[Hit]:
        hits: list[Hit] = []
        offset = None
        where = edge_filter((*request.where, NoDense()), self.has_ends)
        while len(hits) < request.limit:
            records, offset = self.shard.scroll(
                edge.ScrollRequest(
                    limit=request.limit, offset=offset, filter=where, with_payload=["content", *SCOPE_FIELDS]
                )
            )
            hits += [Hit(r.id, r.payload) for r in records if str(r.id) not in request.but]
            if offset is None:
                break
        return hits[: request.limit]

    def without_passages(self, request: WithoutPassages) -> tuple[list[Hit], str | None]:
        where = edge_filter((*request.where, NoPassages()), self.has_ends)
        page = edge.ScrollRequest(limit=request.limit, offset=request.start, filter=where, with_payload=["content"])
        records, next_id = self.shard.scroll(page)
        hits = [Hit(r.id, r.payload) for r in records if not is_one_passage(r.payload["content"])]
        return hits, None if next_id is None else str(next_id)

    def retrieve(self, request: Retrieve) -> list[Hit]:
        with_vector = [DENSE] if request.with_vectors else False
        records = []
        for ids in [[id] for id in request.ids] if self.one_by_one else [list(request.ids)]:
            records += self.shard.retrieve(ids, with_payload=True, with_vector=with_vector)
        return [Hit(r.id, r.payload, dense=(r.vector or {}).get(DENSE)) for r in records]

    def count(self, request: Count) -> int:
        count: int = self.shard.count(edge.CountRequest(filter=edge_filter(request.where, self.has_ends), exact=True))
        return count

    def facet(self, request: Facet) -> dict[str, int]:
        answer = self.shard.facet(
            edge.FacetRequest(
                key=request.key, filter=edge_filter(request.where, self.has_ends), limit=request.limit, exact=True
            )
        )
        return {str(hit.value): hit.count for hit in answer.hits}
