"""The public store: one handle, bound to a scope, for every backend.

Each method stands here twice, blocking and awaiting, over one generator of ``scoped_operations``.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from typing import Any, TypeVar

from typing_extensions import Self, Unpack

from ..config.options import MemoryConfig
from ..corrections import NOTHING_KEPT, Corrections
from ..embedding import Embedder
from ..entry import EntryArgs, EntryChanges, EntryFields, MemoryEntry, PathInfo
from ..entry_filter import FilterArgs
from ..expiry import NO_RULES, ExpiryRules
from ..filter_fields import FilterField
from ..io.steps import Steps, arun, run
from ..pickling import NotPickled
from ..ranking import RankingWeights
from ..scope import Scope, ScopeBinding
from ..scope_context import NO_SCOPE, ScopeFields, given_scope
from .backend import Backend, Capabilities
from .middleware import Middleware, fields_first, logged_at_debug, wrapped
from .operations import AddedMessages, Message, Page, ScanPage
from .run_end import EndedRun, Keep, end_run
from .scoped_operations import ScopedOperations

T = TypeVar("T")


class MemoryStore(NotPickled, AbstractContextManager["MemoryStore"], AbstractAsyncContextManager["MemoryStore"]):
    """Memories of one scope. No method takes a scope: :meth:`scoped` gives a handle for a narrower one.

    Scope fields fixed at construction stay; fields left out are filled by ``use_scope`` at every call. Every
    method raises :class:`MissingScopeError` when no user is known, and :class:`ScopeConflictError` when
    ``use_scope`` contradicts a fixed field. Filters (:class:`FilterArgs`) are applied by the store before the
    limit. Each async twin (``aadd``, ``asearch``, ...) does what the sync method does, without blocking the loop.
    """

    def __init__(
        self,
        backend: Backend,
        binding: ScopeBinding,
        *,
        include_shared: bool = False,
        weights: RankingWeights | None = None,
        middleware: Sequence[Middleware] = (),
        owns_backend: bool = True,
        opened_with: MemoryConfig | None = None,
        filter_fields: Sequence[FilterField] = (),
        expiry: ExpiryRules = NO_RULES,
        corrections: Corrections = NOTHING_KEPT,
    ) -> None:
        self.backend = backend
        self.middleware = tuple(middleware)
        self.opened_with = opened_with
        """The options it was opened with, to open it again elsewhere; ``None`` for a store of somebody else's."""
        around = self.middleware
        if filter_fields and backend.capabilities.stores_fields:
            around = (fields_first, *around)
        self.steps = ScopedOperations(
            logged_at_debug(wrapped(backend.execute, around), backend),
            backend.capabilities,
            binding,
            include_shared=include_shared,
            weights=weights,
            filter_fields=filter_fields,
            expiry=expiry,
            corrections=corrections,
        )
        self._owns_backend = owns_backend

    @classmethod
    def over(
        cls,
        backend: Backend,
        scope: Scope = NO_SCOPE,
        *,
        filter_fields: Sequence[FilterField] = (),
        **fields: Unpack[ScopeFields],
    ) -> Self:
        """A store over a backend of your own; closing it closes the backend.

        Args:
            backend: see :class:`~.backend.Backend`.
            scope: a whole scope, in place of the fields.
            filter_fields: fields of your own that reads and deletes can filter by, see :class:`FilterField`.
            fields: ``user_id``, ``project_id``, ``run_id``, ``agent_id``, ``org_id``; those left out come from
                ``use_scope`` at every call.

        Raises:
            ScopeError: about the scope fields.
        """
        return cls(backend, ScopeBinding.of(given_scope(scope, fields), **fields), filter_fields=filter_fields)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.backend!r})"

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of the store's backend."""
        return self.backend.capabilities

    @property
    def weights(self) -> RankingWeights:
        """How a recall weighs what it finds, where the store leaves that to us (Mem0 ranks by itself)."""
        return self.steps.weights

    @property
    def embedder(self) -> Embedder | None:
        """The dense embedder; ``None`` for keywords only, and for a store that embeds by itself (Mem0)."""
        return run(self.steps.embedder())

    # -- scope -----------------------------------------------------------------------------------------------------

    @property
    def scope(self) -> Scope:
        """The scope a call made now would have."""
        return self.steps.binding.resolve()

    @property
    def binding(self) -> ScopeBinding:
        """The scope fields that are fixed."""
        return self.steps.binding

    def scoped(self, scope: Scope = NO_SCOPE, **fields: Unpack[ScopeFields]) -> Self:
        """Another handle over the same connection with more of the scope fixed. Closing it closes nothing.

        Args:
            scope: a whole scope, in place of the fields.
            fields: ``user_id``, ``project_id``, ``run_id``, ``agent_id``, ``org_id``.

        Raises:
            MissingScopeError: ``user_id``, or the whole scope, is ``None``.
            ScopeConflictError: a fixed field is given another value.
        """
        return self._narrowed(self.binding.narrow(given_scope(scope, fields), **fields))

    def bound(self) -> Self:
        """A handle fixed to the scope of this moment, for work handed to a thread that may have no context."""
        return self._narrowed(ScopeBinding.of(self.scope))

    def wrap(self, *middleware: Middleware) -> Self:
        """This handle with middleware around the store; the first one is the outermost. See :mod:`.middleware`.

        It stands for this handle: closing either closes the connection, if this handle opened it.
        """
        return self._like(self.binding, (*middleware, *self.middleware), self._owns_backend)

    def saving_until(self, expires_at: datetime) -> Self:
        """A handle whose saves expire then, but for those that have an end of their own. Closing it closes nothing."""
        return self._like(self.binding, self.middleware, False, ExpiryRules(end=expires_at))

    def _narrowed(self, binding: ScopeBinding) -> Self:
        return self._like(binding, self.middleware, False)

    def _like(
        self,
        binding: ScopeBinding,
        middleware: Sequence[Middleware],
        owns_backend: bool,
        expiry: ExpiryRules | None = None,
    ) -> Self:
        return type(self)(
            self.backend,
            binding,
            include_shared=self.steps.include_shared,
            weights=self.weights,
            middleware=middleware,
            owns_backend=owns_backend,
            opened_with=self.opened_with,
            filter_fields=tuple(self.steps.filter_fields.values()),
            expiry=expiry or self.steps.expiry,
            corrections=self.steps.corrections,
        )

    # -- writing ---------------------------------------------------------------------------------------------------

    def add(self, content: str, **about: Unpack[EntryArgs]) -> MemoryEntry:
        """Remember a text. When this returns, the entry is kept.

        Args:
            content: the text, not blank.
            about: ``id`` (left out: a new UUID; one that exists in this scope is replaced), ``path``,
                ``categories``, ``metadata``, ``importance`` (0…1), ``source``, ``private``, ``kind``, ``created_at``,
                ``embedding`` (left out: made by the store's embedder), ``expires_at`` (a time with a time zone) or
                ``ttl`` (a ``timedelta``, or seconds): from then on no read finds the entry. Both left out: by the
                options ``ttl`` and ``run_ttl``; ``expires_at=NEVER``: it stays.

        Raises:
            InvalidEntryError: a field cannot be stored; the message names it.
            StoreError: the store failed; nothing was stored.

        A text longer than the embedder takes is cut for it; the vector is the mean of the parts' vectors. If the
        embedder is away, or refuses the text, the entry is kept without a vector, found by its words, and embedded by a
        later save or :meth:`embed_missing`.
        """
        return run(self.steps.add(content, **about))

    async def aadd(self, content: str, **about: Unpack[EntryArgs]) -> MemoryEntry:
        return await arun(self.steps.add(content, **about))

    def put(self, entries: Sequence[MemoryEntry]) -> None:
        """Store whole entries as they are, in this scope; an id that exists in this scope is replaced.

        Entries without an embedding are embedded by the store's embedder if it has one. All entries are checked
        before the first is written. One without ``expires_at`` expires by the options ``ttl`` and ``run_ttl``.
        """
        return run(self.steps.put(entries))

    async def aput(self, entries: Sequence[MemoryEntry]) -> None:
        return await arun(self.steps.put(entries))

    def replace(self, entry: MemoryEntry, *, create: bool = True, keep: Collection[str] = ()) -> bool:
        """Store ``entry`` in place of the visible entry with its id, which keeps its run and agent. Without an
        embedding, the stored vector stays while the content does.

        Args:
            entry: the entry.
            create: if the entry does not exist, store it in this scope. With ``False`` nothing is stored then, so an
                entry that was deleted after the read stays deleted.
            keep: names of fields whose stored values stay; their values in ``entry`` are ignored.

        Returns:
            Whether it was stored.
        """
        return run(self.steps.replace(entry, create=create, keep=keep))

    async def areplace(self, entry: MemoryEntry, *, create: bool = True, keep: Collection[str] = ()) -> bool:
        return await arun(self.steps.replace(entry, create=create, keep=keep))

    def update(self, id: str, **changes: Unpack[EntryChanges]) -> MemoryEntry:
        """Change fields of an entry; new content is embedded anew.

        Args:
            id: of the entry.
            changes: its fields. ``expires_at`` or ``ttl`` gives it another end, ``expires_at=NEVER`` none; without
                them, or with ``None``, its end stays.

        Raises:
            EntryNotFoundError: no entry with this id is visible in the scope.
            InvalidEntryError: a field cannot be stored.
        """
        return run(self.steps.update(id, **changes))

    async def aupdate(self, id: str, **changes: Unpack[EntryChanges]) -> MemoryEntry:
        return await arun(self.steps.update(id, **changes))

    def delete(self, id: str | None = None, *, for_good: bool = False, **filters: Unpack[FilterArgs]) -> int:
        """Delete one entry by its id, or all that match the filters. Returns how many there were.

        Args:
            id: of an entry, in place of ``ids=``.
            for_good: at once, whatever the option ``undo_for`` says; what earlier deletes have kept of such entries
                goes too, and counts.
            filters: see :class:`FilterArgs`.

        Raises:
            InvalidEntryError: neither is given; :meth:`reset` empties the scope.
        """
        return run(self.steps.delete(id, for_good=for_good, **filters))

    async def adelete(self, id: str | None = None, *, for_good: bool = False, **filters: Unpack[FilterArgs]) -> int:
        return await arun(self.steps.delete(id, for_good=for_good, **filters))

    def undo_delete(
        self,
        id: str | None = None,
        *,
        ids: Sequence[str] | None = None,
        path: str | None = None,
        dry_run: bool = False,
    ) -> builtins.list[MemoryEntry]:
        """Bring back what was deleted, while the time of the option ``undo_for`` runs.

        An entry comes back as it was, with its times and its history. One whose own end has passed stays deleted. Where
        an entry with the same id was saved since, that one stays.

        Args:
            id, ids: of the entries. Left out: all that this scope would see.
            path: only entries at it and below it.
            dry_run: bring back nothing, and say what would come.

        Returns:
            What came back.

        Raises:
            InvalidArgumentError: the store keeps nothing of what was deleted (Mem0).
            StoreError: the store failed. What is not back is still kept: call it again.
        """
        return run(self.steps.undo_delete(id, ids=ids, path=path, dry_run=dry_run))

    async def aundo_delete(
        self,
        id: str | None = None,
        *,
        ids: Sequence[str] | None = None,
        path: str | None = None,
        dry_run: bool = False,
    ) -> builtins.list[MemoryEntry]:
        return await arun(self.steps.undo_delete(id, ids=ids, path=path, dry_run=dry_run))

    def reset(self, path: str | None = None, *, for_good: bool = True) -> int:
        """Delete everything that is visible in the scope, at ``path`` and below it. Returns how many there were.

        Entries that have expired, and are still in the store, are deleted and counted too; so is what earlier deletes
        have kept.

        Args:
            path: left out: everything.
            for_good: ``False``: as :meth:`delete` does it, so that it can be undone.
        """
        return run(self.steps.reset(path, for_good=for_good))

    async def areset(self, path: str | None = None, *, for_good: bool = True) -> int:
        return await arun(self.steps.reset(path, for_good=for_good))

    def end_run(self, *, keep: Keep = ()) -> EndedRun:
        """End the run in scope: its memories are deleted, and those that are kept become the user's.

        They keep their id, and their agent. If another memory of the user has the id, the kept one gets a new one.
        Everything that is kept is stored before anything is deleted; a call that was cut short is made again. Where the
        store can list agents (Qdrant), the memories that agents have in this run are ended as well, if no agent is in
        scope. A kept memory keeps an ``expires_at`` of its own; one from ``run_ttl`` ends with the run.

        Args:
            keep: which ones: ids, filters as for :meth:`list` (``{"kind": "entity"}``), or a function of an entry. Left
                out: none.

        Raises:
            MissingScopeError: there is no user, or no ``run_id``, in scope.
            InvalidArgumentError: the run has no memory with one of the ids. Nothing was deleted.
            StoreError: the store failed. Everything is there: call it again.
        """
        return run(end_run(self.steps, keep))

    async def aend_run(self, *, keep: Keep = ()) -> EndedRun:
        return await arun(end_run(self.steps, keep))

    def add_messages(
        self, messages: Sequence[Message], *, wait: bool | None = None, **about: Unpack[EntryFields]
    ) -> AddedMessages:
        """Let the store's LLM extract what is worth remembering: for a store with the capability ``extracts`` (Mem0).

        Args:
            messages: the conversation, oldest first.
            wait: return when it is done, with the outcome. Left out: as the store was opened.
            about: ``path``, ``categories``, ``metadata``, ``importance``, ``source``, ``private``, ``kind``,
                ``expires_at`` or ``ttl``, for every memory that comes of it.

        Raises:
            InvalidEntryError: a message or a field cannot be stored, or the store extracts nothing.
            StoreError: the store failed; see its subclasses.
        """
        return run(self.steps.add_messages(messages, wait=wait, **about))

    async def aadd_messages(
        self, messages: Sequence[Message], *, wait: bool | None = None, **about: Unpack[EntryFields]
    ) -> AddedMessages:
        return await arun(self.steps.add_messages(messages, wait=wait, **about))

    def touch(self, ids: Sequence[str], *, soon: bool = False) -> None:
        """Set ``last_accessed`` of these entries to now.

        Args:
            ids: the entries; one that is not visible is left alone.
            soon: do not wait for a remote store. A failure is then logged, not raised.
        """
        return run(self.steps.touch(ids, background=soon))

    async def atouch(self, ids: Sequence[str], *, soon: bool = False) -> None:
        return await arun(self.steps.touch(ids, background=soon))

    def embed_missing(self) -> int:
        """Embed the entries of this scope that have no dense vector because the embedder was away when they were saved.

        Every save embeds a few of them. This method embeds all of them now. Entries that the embedder refuses stay
        without a vector. A store that has no embedder, or embeds by itself (Mem0), returns 0.

        Returns:
            How many have got a vector.

        Raises:
            EmbedderUnavailableError: the embedder does not answer (yet).
            StoreError: the store failed.
        """
        return run(self.steps.embed_missing())

    async def aembed_missing(self) -> int:
        return await arun(self.steps.embed_missing())

    def compact(self) -> bool:
        """Remove the text of deleted entries from the files of an embedded store, of all its users.

        A delete makes an entry unreachable at once; its text stays in the engine's log and pages until the store is
        written anew, which this does, and :meth:`close` when much was deleted. It takes about 0.2 ms an entry; writes
        wait for it, reads go on. A crash in the midst of it loses nothing.

        Returns:
            Whether the files were written anew. ``False`` for a server and for Mem0: they remove what was deleted in
            their own time, and their snapshots and backups keep it.

        Raises:
            StoreFullError: there is no room for a second copy.
            StoreError: the store failed; it is as it was.
        """
        return run(self.steps.compact())

    async def acompact(self) -> bool:
        return await arun(self.steps.compact())

    # -- reading ---------------------------------------------------------------------------------------------------

    def search(
        self,
        query: str,
        *,
        limit: int = 10,
        min_score: float = 0.0,
        weights: RankingWeights | None = None,
        **filters: Unpack[FilterArgs],
    ) -> list[MemoryEntry]:
        """Entries of the scope that match ``query``, best first, each with its ``score`` (0…1).

        Dense and keyword search, fused, weighed by recency and importance; keywords alone where the store has no
        embedder. No LLM is called.

        Args:
            query: text; a blank one finds nothing.
            limit: most results, 10,000 at most.
            min_score: leave out results below this score.
            weights: other than the store's.
            filters: see :class:`EntryFilter`.
        """
        return run(self.steps.search(query, limit=limit, min_score=min_score, weights=weights, **filters))

    async def asearch(
        self,
        query: str,
        *,
        limit: int = 10,
        min_score: float = 0.0,
        weights: RankingWeights | None = None,
        **filters: Unpack[FilterArgs],
    ) -> list[MemoryEntry]:
        return await arun(self.steps.search(query, limit=limit, min_score=min_score, weights=weights, **filters))

    def search_many(
        self,
        queries: Sequence[str],
        *,
        limit: int = 10,
        min_score: float = 0.0,
        weights: RankingWeights | None = None,
        paths: Sequence[str | None] | None = None,
        kinds: Sequence[str | None] | None = None,
        **filters: Unpack[FilterArgs],
    ) -> list[list[MemoryEntry]]:
        """Several searches at the price of one round trip and one call of the embedder.

        Args:
            queries: texts.
            limit: most results of each, 10,000 at most.
            min_score, weights: see :meth:`search`.
            paths, kinds: one path, one kind, for each query, in place of ``path`` and ``kind``.
            filters: for all of them.

        Returns:
            One list for each query, in their order.
        """
        return run(
            self.steps.search_many(
                queries, limit=limit, min_score=min_score, weights=weights, paths=paths, kinds=kinds, **filters
            )
        )

    async def asearch_many(
        self,
        queries: Sequence[str],
        *,
        limit: int = 10,
        min_score: float = 0.0,
        weights: RankingWeights | None = None,
        paths: Sequence[str | None] | None = None,
        kinds: Sequence[str | None] | None = None,
        **filters: Unpack[FilterArgs],
    ) -> list[list[MemoryEntry]]:
        return await arun(
            self.steps.search_many(
                queries, limit=limit, min_score=min_score, weights=weights, paths=paths, kinds=kinds, **filters
            )
        )

    def nearest(
        self,
        embedding: Sequence[float],
        *,
        text: str | None = None,
        limit: int = 10,
        min_score: float = 0.0,
        **filters: Unpack[FilterArgs],
    ) -> list[MemoryEntry]:
        """Entries whose vector is nearest, ``score`` being the cosine (0 where it is negative).

        On a store of keywords only, ``text`` stands in for the vector, and the score is the cosine of the words.

        Raises:
            DimensionMismatchError: the vector has another length than the store's.
        """
        return run(self.steps.nearest(embedding, text=text, limit=limit, min_score=min_score, **filters))

    async def anearest(
        self,
        embedding: Sequence[float],
        *,
        text: str | None = None,
        limit: int = 10,
        min_score: float = 0.0,
        **filters: Unpack[FilterArgs],
    ) -> list[MemoryEntry]:
        return await arun(self.steps.nearest(embedding, text=text, limit=limit, min_score=min_score, **filters))

    def get(self, id: str) -> MemoryEntry | None:
        """The entry with this id, its vector included, or ``None`` if none is visible in the scope."""
        return run(self.steps.get(id))

    async def aget(self, id: str) -> MemoryEntry | None:
        return await arun(self.steps.get(id))

    def list(self, *, limit: int = 200, offset: int = 0, **filters: Unpack[FilterArgs]) -> list[MemoryEntry]:
        """Entries, newest first; equal times keep one order over all pages.

        The engine reads ``offset`` entries to leave them out: :meth:`page` continues where the page before ended, and
        :meth:`scan` reads everything.
        """
        return run(self.steps.list(limit=limit, offset=offset, **filters))

    async def alist(
        self, *, limit: int = 200, offset: int = 0, **filters: Unpack[FilterArgs]
    ) -> builtins.list[MemoryEntry]:
        return await arun(self.steps.list(limit=limit, offset=offset, **filters))

    def page(self, *, cursor: str | None = None, limit: int = 100, **filters: Unpack[FilterArgs]) -> Page:
        """One page of the entries, in the order of :meth:`list`, and the cursor of the next page.

        A page costs the same wherever it begins, also among thousands of entries of one time. Entries that are added or
        deleted between two pages move no other entry. Mem0 lists the whole scope for each page::

            page = store.page(limit=50)
            while page.cursor is not None:
                page = store.page(cursor=page.cursor, limit=50)

        Args:
            cursor: the cursor of the page before; ``None`` for the first page. It holds a time and an id, no content.
                It works in every process, but only in its scope and its kind of store.
            limit: most entries, 1 to 10,000. A page may have fewer; only ``Page.cursor`` says whether it is the last.
            filters: see :class:`EntryFilter`; the same ones for each page.

        Raises:
            InvalidArgumentError: the cursor was cut or changed, or comes from another scope.
        """
        return run(self.steps.page(cursor=cursor, limit=limit, **filters))

    async def apage(self, *, cursor: str | None = None, limit: int = 100, **filters: Unpack[FilterArgs]) -> Page:
        return await arun(self.steps.page(cursor=cursor, limit=limit, **filters))

    def scan(
        self, *, with_vectors: bool = False, page_size: int = 200, **filters: Unpack[FilterArgs]
    ) -> Iterator[MemoryEntry]:
        """Every entry of the scope that matches, once, however many there are.

        The memory used is that of one page. The order is the engine's, and no write changes it: an entry that exists
        during the whole scan comes exactly once; an entry that is added or deleted during the scan may come or not.
        The scope is that of this call, also where the iterator is read in another ``use_scope`` block. An iterator
        that is not read to its end holds nothing open.

        Mem0 has no stable cursor. There a scan is one listing of the whole scope, all of it in memory, without vectors.

        Args:
            with_vectors: entries have their ``embedding``.
            page_size: entries of one request, 1 to 10,000; a server's strict mode may make it smaller.
            filters: see :class:`EntryFilter`.

        Raises:
            InvalidArgumentError: an argument is wrong; raised by the call itself.
            StoreClosedError: the store was closed in the midst of it; raised where the next page is read.
        """
        return _entries(self.steps.scan(with_vectors=with_vectors, page_size=page_size, **filters))

    def ascan(
        self, *, with_vectors: bool = False, page_size: int = 200, **filters: Unpack[FilterArgs]
    ) -> AsyncIterator[MemoryEntry]:
        """:meth:`scan` for ``async for``."""
        return _aentries(self.steps.scan(with_vectors=with_vectors, page_size=page_size, **filters))

    def count(self, **filters: Unpack[FilterArgs]) -> int:
        """How many entries match."""
        return run(self.steps.count(**filters))

    async def acount(self, **filters: Unpack[FilterArgs]) -> int:
        return await arun(self.steps.count(**filters))

    def categories(self, path: str | None = None) -> dict[str, int]:
        """Each category at ``path`` and below it, with how many entries have it."""
        return run(self.steps.categories(path))

    async def acategories(self, path: str | None = None) -> dict[str, int]:
        return await arun(self.steps.categories(path))

    def children(self, path: str = "/") -> tuple[str, ...]:
        """The paths one level below ``path`` that have entries, sorted."""
        return run(self.steps.children(path))

    async def achildren(self, path: str = "/") -> tuple[str, ...]:
        return await arun(self.steps.children(path))

    def info(self, path: str = "/") -> PathInfo:
        """Summarize ``path`` and the paths below it."""
        return run(self.steps.info(path))

    async def ainfo(self, path: str = "/") -> PathInfo:
        return await arun(self.steps.info(path))

    # -- the connection --------------------------------------------------------------------------------------------

    def pending(self) -> int:
        """How many writes of this scope's user are accepted and not delivered yet.

        0 without an outbox (``durability="store"``), where a write is in the store when it returns.
        """
        return run(self.steps.pending())

    async def apending(self) -> int:
        return await arun(self.steps.pending())

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until the store has taken what this scope's user has written so far.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether it has. What the store refused for good counts as taken: see ``health()["outbox"]``.
        """
        return run(self.steps.flush(timeout))

    async def aflush(self, timeout: float = 10.0) -> bool:
        return await arun(self.steps.flush(timeout))

    def health(self) -> dict[str, Any]:
        """Ask the engine whether it answers. Raises :class:`StoreError` if it does not.

        With an outbox nothing is raised: ``status`` is ``"unavailable"`` then, and ``outbox`` tells how many writes
        wait, for how long, and why.
        """
        return run(self.steps.health())

    async def ahealth(self) -> dict[str, Any]:
        return await arun(self.steps.health())

    def close(self) -> None:
        """Flush and close, if this handle opened the connection; a handle from :meth:`scoped` closes nothing."""
        if self._owns_backend:
            self.backend.close()

    async def aclose(self) -> None:
        if self._owns_backend:
            await self.backend.aclose()

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # CrewAI deep-copies crews; a copy remembers in the same place.
        return self


def _entries(page_at: Callable[[str | None], Steps[ScanPage]]) -> Iterator[MemoryEntry]:
    cursor = None
    while True:
        page = run(page_at(cursor))
        yield from page.entries
        cursor = page.cursor
        if cursor is None:
            return


async def _aentries(page_at: Callable[[str | None], Steps[ScanPage]]) -> AsyncIterator[MemoryEntry]:
    cursor = None
    while True:
        page = await arun(page_at(cursor))
        for entry in page.entries:
            yield entry
        cursor = page.cursor
        if cursor is None:
            return
