"""A store in Qdrant: a handle, what it writes, and the two ways of waiting. What it reads is in ``reading``."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from typing_extensions import Self

from ...embedding import Embedder
from ...entry import EntryArgs, EntryChanges, EntryFilter, MemoryEntry, check_changes, check_fields
from ...errors import EntryNotFoundError, PersistentMemoryError
from ...ranking import RankingWeights
from ...scope import Scope, ScopeBinding
from ...validation import check_text, normalize_path, utcnow
from .changes import change_entry, replace_entry, with_vectors
from .codec import to_entry, to_points
from .dense_vectors import Backlog, embed_all, embed_some
from .reading import ReadingStore, is_long
from .requests import (
    Compact,
    Compute,
    Delete,
    Describe,
    Embed,
    Profile,
    Request,
    SetPayload,
    Steps,
    Upsert,
    ask,
)
from .schema import format_time, where_filter

T = TypeVar("T")


class Connection(Protocol):
    """What answers the requests: the embedded engine, or a server's client.

    ``place`` says where among what the connection reaches: the collection, where there may be several.
    """

    def place(self, binding: ScopeBinding) -> Any: ...

    def execute(self, request: Request[Any], place: Any) -> Any: ...

    async def aexecute(self, request: Request[Any], place: Any) -> Any: ...

    def close(self) -> None: ...

    async def aclose(self) -> None: ...


class QdrantStore(ReadingStore):
    """A handle on memories in Qdrant; see :class:`MemoryStore`."""

    def __init__(
        self,
        connection: Connection,
        binding: ScopeBinding,
        *,
        include_shared: bool = False,
        weights: RankingWeights | None = None,
        owns_connection: bool = True,
        backlog: Backlog | None = None,
    ) -> None:
        super().__init__(binding, include_shared=include_shared)
        self._connection = connection
        self.weights = weights or RankingWeights()
        self._owns_connection = owns_connection
        self._backlog = backlog or Backlog()

    @property
    def embedder(self) -> Embedder | None:
        """The dense embedder, ``None`` for keywords only."""
        return self._complete(ask(Describe())).embedder

    def _view(self, binding: ScopeBinding) -> Self:
        return type(self)(
            self._connection,
            binding,
            include_shared=self._include_shared,
            weights=self.weights,
            owns_connection=False,
            backlog=self._backlog,
        )

    def close(self) -> None:
        if self._owns_connection:
            self._owns_connection = False
            self._connection.close()

    async def aclose(self) -> None:
        if self._owns_connection:
            self._owns_connection = False
            await self._connection.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection!r})"

    # -- drivers ---------------------------------------------------------------------------------------------------

    def _run(self, steps: Steps[T]) -> T:
        try:
            request = next(steps)
            place = self._connection.place(self._binding)
            while True:
                try:
                    if isinstance(request, Embed):
                        answer: Any = request.embedder.embed(request.texts, most_pieces=request.most_pieces)
                    elif isinstance(request, Compute):
                        answer = request.function()
                    else:
                        answer = self._connection.execute(request, place)
                except PersistentMemoryError as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    async def _arun(self, steps: Steps[T]) -> T:
        try:
            request = next(steps)
            place = self._connection.place(self._binding)
            while True:
                try:
                    if isinstance(request, Embed):
                        embed = partial(request.embedder.embed, most_pieces=request.most_pieces)
                        answer: Any = await asyncio.to_thread(embed, request.texts)
                    elif isinstance(request, Compute):
                        answer = await asyncio.to_thread(request.function)
                    else:
                        answer = await self._connection.aexecute(request, place)
                except PersistentMemoryError as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    # -- writing ---------------------------------------------------------------------------------------------------

    def _add(self, content: str, about: EntryArgs) -> Steps[MemoryEntry]:
        check_text("content", content, allow_blank=False)
        check_fields(about)
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
        profile = yield from ask(Describe())
        # Everything is checked before the first embedding is paid for, and embedded before the first write.
        make = partial(to_points, entries, owners, profile.encoder)
        points = (yield from ask(Compute(make))) if is_long(entry.content for entry in entries) else make()
        points, vectors = yield from with_vectors(profile, points)
        yield from ask(Upsert(points))
        yield from self._after_saving(profile, vectors)

    def _after_saving(self, profile: Profile, vectors: Sequence[Sequence[float]]) -> Steps[None]:
        """Note what got no vector; embed some that got none earlier, now that the embedder answers."""
        scope = self.scope
        if not all(vectors):
            self._backlog.has_some(scope)
        if profile.embedder is not None and any(vectors) and self._backlog.is_due(scope):
            yield from embed_some(profile, profile.embedder, scope, self._backlog)

    def _embed_missing(self) -> Steps[int]:
        scope = self.scope
        profile = yield from ask(Describe())
        if profile.embedder is None:
            return 0
        return (yield from embed_all(profile, profile.embedder, scope, self._backlog))

    def _compact(self) -> Steps[bool]:
        return (yield from ask(Compact()))

    def _replace(self, entry: MemoryEntry, create: bool, keep: Collection[str]) -> Steps[bool]:
        found = yield from self._find(entry.id, include_shared=False, with_vectors=True)
        if found is None:
            if create:
                yield from self._store([entry], [self.scope])
            return create
        hit, owner = found
        entry = entry.keeping(keep, to_entry(hit, owner))
        if not entry.embedding and hit.payload["content"] == entry.content and hit.dense:
            entry = replace(entry, embedding=hit.dense)
        profile = yield from ask(Describe())
        there, vectors = yield from replace_entry(profile, entry, owner)
        yield from self._after_saving(profile, vectors)
        return there

    def _update(self, id: str, changes: EntryChanges) -> Steps[MemoryEntry]:
        check_changes(changes)
        if "content" in changes:
            check_text("content", changes["content"], allow_blank=False)
        found = yield from self._find(id, include_shared=False, with_vectors=False)
        if found is None:
            raise _not_found(id)
        hit, owner = found
        entry = to_entry(hit, owner)
        changed = replace(entry, **cast(dict[str, Any], changes), last_accessed=utcnow(), embedding=None)
        fields = set(changes)
        if changed.content == entry.content:
            fields.discard("content")
        profile = yield from ask(Describe())
        there, vectors = yield from change_entry(profile, changed, owner, fields)
        if not there:
            raise _not_found(id)
        yield from self._after_saving(profile, vectors)
        return replace(changed, categories=tuple(changed.categories))

    def _delete(self, filter: EntryFilter) -> Steps[int]:
        if filter.matches_nothing:
            return 0
        return (yield from ask(Delete(where_filter(filter, self.scope, include_shared=False))))

    def _touch(self, ids: Sequence[str], soon: bool) -> Steps[None]:
        filter = EntryFilter.of({"ids": ids})
        if filter.matches_nothing:
            return
        where = where_filter(filter, self.scope, include_shared=False)
        yield from ask(SetPayload(where, {"last_accessed": format_time(utcnow())}, soon))


def _not_found(id: str) -> EntryNotFoundError:
    return EntryNotFoundError(f"no entry with id {id!r} is visible in this scope: check the id and the scope")
