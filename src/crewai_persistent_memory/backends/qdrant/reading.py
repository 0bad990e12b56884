"""What a store in Qdrant reads: every operation inside the scope, over whichever engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from ...embedding import check_vector
from ...entry import EntryFilter, MemoryEntry, PathInfo
from ...ranking import Ranking, RankingWeights
from ...scope import Scope, owners_visible_to
from ...store.base import MemoryStore
from ...validation import check_id, check_text, child_paths, utcnow
from .codec import to_entry
from .dense_vectors import vectors_to_search
from .paging import page_of
from .requests import (
    Compute,
    Count,
    Describe,
    Facet,
    Health,
    Hit,
    Profile,
    Retrieve,
    Search,
    SearchMany,
    Steps,
    ask,
)
from .schema import checked, point_id, where_filter, where_visible

LONG: Final = 8_192
"""Characters. Counting the words of longer texts takes so long that an event loop must not wait for it."""


def is_long(texts: Iterable[str]) -> bool:
    """Whether these texts together are long."""
    return sum(len(text) for text in texts if isinstance(text, str)) > LONG


class ReadingStore(MemoryStore):
    """The reading half of :class:`QdrantStore`."""

    def _search(
        self, query: str, limit: int, min_score: float, weights: RankingWeights | None, filter: EntryFilter
    ) -> Steps[list[MemoryEntry]]:
        [found] = yield from self._search_many([query], limit, min_score, weights, [filter])
        return found

    def _search_many(
        self,
        queries: Sequence[str],
        limit: int,
        min_score: float,
        weights: RankingWeights | None,
        filters: Sequence[EntryFilter],
    ) -> Steps[list[list[MemoryEntry]]]:
        reader = self.scope
        found: list[list[MemoryEntry]] = [[] for _ in queries]
        asked = [
            (index, query, filter)
            for index, (query, filter) in enumerate(zip(queries, filters, strict=True))
            if check_text("query", query).strip() and limit > 0 and not filter.matches_nothing
        ]
        if not asked:
            return found
        profile = yield from ask(Describe())
        texts = list(dict.fromkeys(query for _, query, _ in asked))
        dense = dict(zip(texts, (yield from vectors_to_search(profile, texts)), strict=True))
        make = partial(self._searches_for, profile, dense, limit, min_score, weights, reader, asked)
        searches = (yield from ask(Compute(make))) if is_long(texts) else make()
        answers = (yield from ask(SearchMany(searches))) if len(searches) > 1 else [(yield from ask(searches[0]))]
        for (index, _, _), hits in zip(asked, answers, strict=True):
            found[index] = self._entries(hits, reader)
        return found

    def _searches_for(
        self,
        profile: Profile,
        dense: Mapping[str, Sequence[float]],
        limit: int,
        min_score: float,
        weights: RankingWeights | None,
        reader: Scope,
        asked: Sequence[tuple[int, str, EntryFilter]],
    ) -> list[Search]:
        ranking = Ranking(weights or self.weights, utcnow())
        return [
            Search(
                where=where_filter(filter, reader, include_shared=self._include_shared),
                corpus=where_visible(reader, include_shared=self._include_shared),
                limit=limit,
                dense=dense[query] or None,
                keywords=profile.encoder.query(query),
                ranking=ranking,
                min_score=min_score or None,
            )
            for _, query, filter in asked
        ]

    def _nearest(
        self, embedding: Sequence[float], text: str | None, limit: int, min_score: float, filter: EntryFilter
    ) -> Steps[list[MemoryEntry]]:
        reader = self.scope
        dense = check_vector("embedding", embedding)
        by_words = text if not dense else None
        if not (dense or by_words) or limit == 0 or filter.matches_nothing:
            return []
        encoder = (yield from ask(Describe())).encoder
        hits = yield from ask(
            Search(
                where=where_filter(filter, reader, include_shared=self._include_shared),
                corpus=where_visible(reader, include_shared=self._include_shared),
                limit=limit,
                dense=dense or None,
                keywords=None if by_words is None else encoder.query(by_words),
                min_score=min_score if dense and min_score > 0 else None,
            )
        )
        if by_words is not None:
            # BM25 scores have no scale; CrewAI compares what it gets here with thresholds such as 0.85.
            scored = [hit._replace(score=encoder.similarity(by_words, hit.payload["content"])) for hit in hits]
            scored.sort(key=lambda hit: -(hit.score or 0.0))
            hits = [hit for hit in scored if (hit.score or 0.0) >= min_score]
        return self._entries(hits, reader)

    def _entries(self, hits: list[Hit], reader: Scope) -> list[MemoryEntry]:
        return [
            to_entry(hit, owner, score=None if hit.score is None else min(1.0, max(0.0, hit.score)))
            for hit, owner in checked(hits, reader, include_shared=self._include_shared)
        ]

    def _get(self, id: str) -> Steps[MemoryEntry | None]:
        found = yield from self._find(id, include_shared=self._include_shared, with_vectors=True)
        return None if found is None else to_entry(*found)

    def _find(self, id: str, *, include_shared: bool, with_vectors: bool) -> Steps[tuple[Hit, Scope] | None]:
        """The visible entry with this id; of several, the one whose run and agent are the most specific."""
        reader = self.scope
        ids = [point_id(owner, check_id(id)) for owner in owners_visible_to(reader, include_shared=include_shared)]
        hits = yield from ask(Retrieve(ids, with_vectors=with_vectors))
        asked_for = [hit for hit in hits if str(hit.id) in ids]
        found = checked(asked_for, reader, include_shared=include_shared)
        return min(found, key=lambda pair: ids.index(str(pair[0].id)), default=None)

    def _list(self, limit: int, offset: int, filter: EntryFilter) -> Steps[list[MemoryEntry]]:
        reader = self.scope
        if filter.matches_nothing:
            return []
        where = where_filter(filter, reader, include_shared=self._include_shared)
        return self._entries((yield from page_of(where, limit, offset)), reader)

    def _count(self, filter: EntryFilter) -> Steps[int]:
        where = self._where(filter)
        return 0 if filter.matches_nothing else (yield from ask(Count(where)))

    def _categories(self, filter: EntryFilter) -> Steps[dict[str, int]]:
        return (yield from ask(Facet("categories", self._where(filter))))

    def _children(self, filter: EntryFilter) -> Steps[tuple[str, ...]]:
        ancestors = yield from ask(Facet("ancestors", self._where(filter)))
        return tuple(child_paths(filter.path or "/", ancestors))

    def _info(self, filter: EntryFilter) -> Steps[PathInfo]:
        reader, where = self.scope, self._where(filter)
        count = yield from ask(Count(where))
        categories = yield from self._categories(filter)
        newest = self._entries((yield from page_of(where, 1)), reader)
        oldest = self._entries((yield from page_of(where, 1, newest_first=False)), reader)
        return PathInfo(
            path=filter.path or "/",
            count=count,
            categories=tuple(sorted(categories)),
            oldest=oldest[0].created_at if oldest else None,
            newest=newest[0].created_at if newest else None,
            children=(yield from self._children(filter)),
        )

    def _where(self, filter: EntryFilter) -> Any:
        return where_filter(filter, self.scope, include_shared=self._include_shared)

    def _health(self) -> Steps[dict[str, Any]]:
        return (yield from ask(Health()))
