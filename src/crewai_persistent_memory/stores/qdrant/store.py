"""A store in Qdrant: every operation inside the scope, over whichever engine."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar, cast

from typing_extensions import Self

from ...embedding import Embedder, KeywordEncoder, check_vector
from ...entry import EntryFilter, MemoryEntry, check_id, check_text, normalize_path, utcnow
from ...errors import EntryNotFoundError, InvalidEntryError
from ...scope import Scope, ScopeBinding
from ..base import MemoryStore
from ..types import EntryArgs, EntryChanges, PathInfo, RankingWeights
from .descriptor import Descriptor
from .layout import (
    checked,
    child_paths,
    format_time,
    owners_visible_to,
    point_id,
    to_entry,
    to_point,
    where_filter,
    where_visible,
)
from .requests import (
    Count,
    Delete,
    Embed,
    Facet,
    Health,
    Hit,
    Listing,
    Ranking,
    Request,
    Retrieve,
    Search,
    SetPayload,
    Steps,
    Upsert,
    ask,
)

T = TypeVar("T")


class Engine(Protocol):
    """What runs the requests: the embedded engine, or a server's client."""

    descriptor: Descriptor

    def execute(self, request: Request[Any]) -> Any: ...

    def close(self) -> None: ...


class QdrantStore(MemoryStore):
    """A handle on memories in Qdrant; see :class:`MemoryStore`."""

    def __init__(
        self,
        engine: Engine,
        embedder: Embedder | None,
        binding: ScopeBinding,
        *,
        include_shared: bool = False,
        weights: RankingWeights | None = None,
        encoder: KeywordEncoder | None = None,
        owns_engine: bool = True,
    ) -> None:
        super().__init__(binding, include_shared=include_shared)
        self._engine = engine
        self._embedder = embedder
        self._weights = weights or RankingWeights()
        self._encoder = encoder or KeywordEncoder(engine.descriptor.language)
        self._owns_engine = owns_engine

    @property
    def embedder(self) -> Embedder | None:
        """The dense embedder, ``None`` for keywords only."""
        return self._embedder

    def _view(self, binding: ScopeBinding) -> Self:
        return type(self)(
            self._engine,
            self._embedder,
            binding,
            include_shared=self._include_shared,
            weights=self._weights,
            encoder=self._encoder,
            owns_engine=False,
        )

    def close(self) -> None:
        if self._owns_engine:
            self._owns_engine = False
            self._engine.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._engine!r})"

    # -- drivers ---------------------------------------------------------------------------------------------------

    def _run(self, steps: Steps[T]) -> T:
        try:
            request = next(steps)
            while True:
                request = steps.send(self._execute(request))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    async def _arun(self, steps: Steps[T]) -> T:
        try:
            request = next(steps)
            while True:
                request = steps.send(await asyncio.to_thread(self._execute, request))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    def _execute(self, request: Request[Any]) -> Any:
        if isinstance(request, Embed):
            return [[] for _ in request.texts] if self._embedder is None else self._embedder.embed(request.texts)
        return self._engine.execute(request)

    # -- writing ---------------------------------------------------------------------------------------------------

    def _add(self, content: str, about: EntryArgs) -> Steps[MemoryEntry]:
        check_text("content", content, allow_blank=False)
        unknown = set(about) - EntryArgs.__annotations__.keys()
        if unknown:
            raise InvalidEntryError(
                f"unknown field {', '.join(sorted(unknown))}: an entry has {', '.join(EntryArgs.__annotations__)}"
            )
        values: dict[str, Any] = {"id": str(uuid.uuid4()), **about}
        created_at = values.get("created_at") or utcnow()
        values["created_at"] = values["last_accessed"] = created_at
        owner = self.scope
        entry = MemoryEntry(content=content, **values)
        yield from self._store([entry], [owner])
        return replace(
            entry,
            scope=owner,
            path=normalize_path(entry.path),
            categories=tuple(entry.categories),
            metadata=dict(entry.metadata),
            embedding=None,
        )

    def _put(self, entries: Sequence[MemoryEntry]) -> Steps[None]:
        owner = self.scope
        yield from self._store(entries, [owner] * len(entries))

    def _store(self, entries: Sequence[MemoryEntry], owners: Sequence[Scope]) -> Steps[None]:
        if not entries:
            return
        # Everything is checked before the first embedding is paid for, and embedded before the first write.
        points = [to_point(entry, owner, self._encoder) for entry, owner in zip(entries, owners, strict=True)]
        bare = [index for index, point in enumerate(points) if point.dense is None]
        if bare and self._embedder is not None:
            vectors = yield from ask(Embed([points[index].payload["content"] for index in bare]))
            for index, vector in zip(bare, vectors, strict=True):
                points[index] = points[index]._replace(dense=vector or None)
        yield from ask(Upsert(points))

    def _replace(self, entry: MemoryEntry) -> Steps[None]:
        owner = self.scope
        found = yield from self._find(entry.id, include_shared=False, with_vectors=True)
        if found is not None:
            hit, owner = found
            if not entry.embedding and hit.payload["content"] == entry.content and hit.dense:
                entry = replace(entry, embedding=hit.dense)
        yield from self._store([entry], [owner])

    def _update(self, id: str, changes: EntryChanges) -> Steps[MemoryEntry]:
        unknown = set(changes) - EntryChanges.__annotations__.keys()
        if unknown:
            raise InvalidEntryError(
                f"{', '.join(sorted(unknown))} cannot be updated: use {', '.join(EntryChanges.__annotations__)}"
            )
        if "content" in changes:
            check_text("content", changes["content"], allow_blank=False)
        found = yield from self._find(id, include_shared=False, with_vectors=True)
        if found is None:
            raise EntryNotFoundError(f"no entry with id {id!r} is visible in this scope: check the id and the scope")
        hit, owner = found
        entry = to_entry(hit, owner)
        changed = replace(entry, **cast(dict[str, Any], changes), last_accessed=utcnow())
        if changed.content != entry.content:
            changed = replace(changed, embedding=None)
        yield from self._store([changed], [owner])
        return replace(changed, embedding=None, categories=tuple(changed.categories))

    def _delete(self, filter: EntryFilter) -> Steps[int]:
        if filter.matches_nothing:
            return 0
        return (yield from ask(Delete(where_filter(filter, self.scope, include_shared=False))))

    def _touch(self, ids: Sequence[str]) -> Steps[None]:
        filter = EntryFilter.of({"ids": ids})
        if filter.matches_nothing:
            return
        where = where_filter(filter, self.scope, include_shared=False)
        yield from ask(SetPayload(where, {"last_accessed": format_time(utcnow())}))

    # -- reading ---------------------------------------------------------------------------------------------------

    def _search(
        self, query: str, limit: int, min_score: float, weights: RankingWeights | None, filter: EntryFilter
    ) -> Steps[list[MemoryEntry]]:
        reader = self.scope
        if not check_text("query", query).strip() or limit == 0 or filter.matches_nothing:
            return []
        weights = weights or self._weights
        [dense] = (yield from ask(Embed([query]))) if self._embedder is not None else [[]]
        hits = yield from ask(
            Search(
                where=where_filter(filter, reader, include_shared=self._include_shared),
                corpus=where_visible(reader, include_shared=self._include_shared),
                limit=limit,
                dense=dense or None,
                keywords=self._encoder.query(query),
                ranking=Ranking(
                    weights.semantic, weights.recency, weights.importance, weights.half_life_days, utcnow()
                ),
                min_score=min_score or None,
            )
        )
        return self._entries(hits, reader)

    def _nearest(
        self, embedding: Sequence[float], text: str | None, limit: int, min_score: float, filter: EntryFilter
    ) -> Steps[list[MemoryEntry]]:
        reader = self.scope
        dense = check_vector("embedding", embedding)
        by_words = text if not dense else None
        if not (dense or by_words) or limit == 0 or filter.matches_nothing:
            return []
        hits = yield from ask(
            Search(
                where=where_filter(filter, reader, include_shared=self._include_shared),
                corpus=where_visible(reader, include_shared=self._include_shared),
                limit=limit,
                dense=dense or None,
                keywords=None if by_words is None else self._encoder.query(by_words),
                min_score=min_score if dense and min_score > 0 else None,
            )
        )
        if by_words is not None:
            # BM25 scores have no scale; CrewAI compares what it gets here with thresholds such as 0.85.
            scored = [hit._replace(score=self._encoder.similarity(by_words, hit.payload["content"])) for hit in hits]
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
        return self._entries((yield from ask(Listing(where, limit, offset))), reader)

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
        newest = self._entries((yield from ask(Listing(where, 1))), reader)
        oldest = self._entries((yield from ask(Listing(where, 1, newest_first=False))), reader)
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
