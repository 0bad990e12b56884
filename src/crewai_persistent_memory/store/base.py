"""The contract of a store: one handle, bound to a scope, whatever keeps the memories.

The public methods are here, once, sync and async. A store implements each operation once, as a generator that
yields what it needs (``_add``, ``_search``, ...), and two drivers that wait for it (``_run``, ``_arun``).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from typing_extensions import Self, Unpack

from ..config.options import MemoryConfig
from ..entry import EntryArgs, EntryChanges, EntryFilter, FilterArgs, MemoryEntry, PathInfo
from ..errors import InvalidEntryError
from ..io.bridge import is_driven, wait_for
from ..pickling import NotPickled
from ..ranking import RankingWeights
from ..scope import Scope, ScopeBinding
from ..scope_context import NO_SCOPE, ScopeFields, given_scope
from ..validation import check_limit, check_search_limit
from .operations import Steps, StoreOperations, T


class MemoryStore(
    NotPickled, AbstractContextManager["MemoryStore"], AbstractAsyncContextManager["MemoryStore"], StoreOperations
):
    """Memories of one scope. No method takes a scope: :meth:`scoped` gives a handle for a narrower one.

    Scope fields fixed at construction stay; fields left out are filled by ``use_scope`` at every call. Every
    method raises :class:`MissingScopeError` when no user is known, and :class:`ScopeConflictError` when
    ``use_scope`` contradicts a fixed field. Filters (:class:`FilterArgs`) are applied by the store before the
    limit. Each async twin (``aadd``, ``asearch``, ...) does what the sync method does, without blocking the loop.
    """

    weights = RankingWeights()
    """How a recall weighs what it finds, where the store leaves that to us (Mem0 ranks by itself)."""

    opened_with: MemoryConfig | None = None
    """The options it was opened with, to open it again elsewhere; ``None`` for a store of somebody else's."""

    def __init__(self, binding: ScopeBinding, *, include_shared: bool = False) -> None:
        self._binding = binding
        self._include_shared = include_shared

    def _complete(self, steps: Steps[T]) -> T:
        """Wait for an operation, without stopping the event loop where CrewAI calls from one."""
        return wait_for(self._arun(steps)) if is_driven() else self._run(steps)

    # -- scope -----------------------------------------------------------------------------------------------------

    @property
    def scope(self) -> Scope:
        """The scope a call made now would have."""
        return self._binding.resolve()

    @property
    def binding(self) -> ScopeBinding:
        """The scope fields that are fixed."""
        return self._binding

    def scoped(self, scope: Scope = NO_SCOPE, **fields: Unpack[ScopeFields]) -> Self:
        """Another handle over the same connection with more of the scope fixed. Closing it closes nothing.

        Args:
            scope: a whole scope, in place of the fields.
            fields: ``user_id``, ``project_id``, ``run_id``, ``agent_id``, ``org_id``.

        Raises:
            MissingScopeError: ``user_id``, or the whole scope, is ``None``.
            ScopeConflictError: a fixed field is given another value.
        """
        return self._narrowed(self._binding.narrow(given_scope(scope, fields), **fields))

    def bound(self) -> Self:
        """A handle fixed to the scope of this moment, for work handed to a thread that may have no context."""
        return self._narrowed(ScopeBinding.of(self.scope))

    def _narrowed(self, binding: ScopeBinding) -> Self:
        view = self._view(binding)
        view.opened_with = self.opened_with
        return view

    # -- writing ---------------------------------------------------------------------------------------------------

    def add(self, content: str, **about: Unpack[EntryArgs]) -> MemoryEntry:
        """Remember a text. When this returns, the entry is kept.

        Args:
            content: the text, not blank.
            about: ``id`` (left out: a new UUID; one that exists in this scope is replaced), ``path``,
                ``categories``, ``metadata``, ``importance`` (0…1), ``source``, ``private``, ``kind``, ``created_at``,
                ``embedding`` (left out: made by the store's embedder).

        Raises:
            InvalidEntryError: a field cannot be stored; the message names it.
            StoreError: the store failed; nothing was stored.

        A text longer than the embedder takes is cut for it; the vector is the mean of the parts' vectors. If the
        embedder is away, or refuses the text, the entry is kept without a vector, found by its words, and embedded by a
        later save or :meth:`embed_missing`.
        """
        return self._complete(self._add(content, about))

    async def aadd(self, content: str, **about: Unpack[EntryArgs]) -> MemoryEntry:
        return await self._arun(self._add(content, about))

    def put(self, entries: Sequence[MemoryEntry]) -> None:
        """Store whole entries as they are, in this scope; an id that exists in this scope is replaced.

        Entries without an embedding are embedded by the store's embedder if it has one. All entries are checked
        before the first is written.
        """
        return self._complete(self._put(entries))

    async def aput(self, entries: Sequence[MemoryEntry]) -> None:
        return await self._arun(self._put(entries))

    def replace(self, entry: MemoryEntry, *, create: bool = True, keep: Collection[str] = ()) -> bool:
        """Store ``entry`` in place of the visible entry with its id, which keeps its run and agent. Without an
        embedding, the stored vector stays while the content does.

        Args:
            entry: the entry.
            create: if there is none, store it in this scope. With ``False`` nothing is stored then, so that an entry
                which was deleted since it was read stays deleted.
            keep: names of fields of ``entry`` that say nothing: the stored ones stay.

        Returns:
            Whether it was stored.
        """
        return self._complete(self._replace(entry, create, keep))

    async def areplace(self, entry: MemoryEntry, *, create: bool = True, keep: Collection[str] = ()) -> bool:
        return await self._arun(self._replace(entry, create, keep))

    def update(self, id: str, **changes: Unpack[EntryChanges]) -> MemoryEntry:
        """Change fields of an entry; new content is embedded anew.

        Raises:
            EntryNotFoundError: no entry with this id is visible in the scope.
            InvalidEntryError: a field cannot be stored.
        """
        return self._complete(self._update(id, changes))

    async def aupdate(self, id: str, **changes: Unpack[EntryChanges]) -> MemoryEntry:
        return await self._arun(self._update(id, changes))

    def delete(self, id: str | None = None, **filters: Unpack[FilterArgs]) -> int:
        """Delete one entry by its id, or all that match the filters. Returns how many there were.

        Raises:
            InvalidEntryError: neither is given; :meth:`reset` empties the scope.
        """
        return self._complete(self._delete(self._selection(id, filters)))

    async def adelete(self, id: str | None = None, **filters: Unpack[FilterArgs]) -> int:
        return await self._arun(self._delete(self._selection(id, filters)))

    def reset(self, path: str | None = None) -> int:
        """Delete everything that is visible in the scope, at ``path`` and below it. Returns how many there were."""
        return self._complete(self._delete(EntryFilter.of({"path": path})))

    async def areset(self, path: str | None = None) -> int:
        return await self._arun(self._delete(EntryFilter.of({"path": path})))

    def touch(self, ids: Sequence[str], *, soon: bool = False) -> None:
        """Set ``last_accessed`` of these entries to now.

        Args:
            ids: the entries; one that is not visible is left alone.
            soon: do not wait for a remote store. A failure is then logged, not raised.
        """
        return self._complete(self._touch(ids, soon))

    async def atouch(self, ids: Sequence[str], *, soon: bool = False) -> None:
        return await self._arun(self._touch(ids, soon))

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
        return self._complete(self._embed_missing())

    async def aembed_missing(self) -> int:
        return await self._arun(self._embed_missing())

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
        return self._complete(self._compact())

    async def acompact(self) -> bool:
        return await self._arun(self._compact())

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
        """What the scope remembers about ``query``, best first, each with its ``score`` (0…1).

        Dense and keyword search, fused, weighed by recency and importance; keywords alone where the store has no
        embedder. No LLM is called.

        Args:
            query: text; a blank one finds nothing.
            limit: most results, 10,000 at most.
            min_score: leave out results below this score.
            weights: other than the store's.
            filters: see :class:`EntryFilter`.
        """
        return self._complete(
            self._search(query, check_search_limit(limit), min_score, weights, EntryFilter.of(filters))
        )

    async def asearch(
        self,
        query: str,
        *,
        limit: int = 10,
        min_score: float = 0.0,
        weights: RankingWeights | None = None,
        **filters: Unpack[FilterArgs],
    ) -> list[MemoryEntry]:
        return await self._arun(
            self._search(query, check_search_limit(limit), min_score, weights, EntryFilter.of(filters))
        )

    def search_many(
        self,
        queries: Sequence[str],
        *,
        limit: int = 10,
        min_score: float = 0.0,
        weights: RankingWeights | None = None,
        paths: Sequence[str | None] | None = None,
        **filters: Unpack[FilterArgs],
    ) -> list[list[MemoryEntry]]:
        """Several searches at the price of one round trip and one call of the embedder.

        Args:
            queries: texts.
            limit: most results of each, 10,000 at most.
            min_score, weights: see :meth:`search`.
            paths: one path for each query, in place of ``path``.
            filters: for all of them.

        Returns:
            One list for each query, in their order.
        """
        wanted = self._filters_for(queries, paths, filters)
        return self._complete(self._search_many(queries, check_search_limit(limit), min_score, weights, wanted))

    async def asearch_many(
        self,
        queries: Sequence[str],
        *,
        limit: int = 10,
        min_score: float = 0.0,
        weights: RankingWeights | None = None,
        paths: Sequence[str | None] | None = None,
        **filters: Unpack[FilterArgs],
    ) -> list[list[MemoryEntry]]:
        wanted = self._filters_for(queries, paths, filters)
        return await self._arun(self._search_many(queries, check_search_limit(limit), min_score, weights, wanted))

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
        return self._complete(
            self._nearest(embedding, text, check_search_limit(limit), min_score, EntryFilter.of(filters))
        )

    async def anearest(
        self,
        embedding: Sequence[float],
        *,
        text: str | None = None,
        limit: int = 10,
        min_score: float = 0.0,
        **filters: Unpack[FilterArgs],
    ) -> list[MemoryEntry]:
        return await self._arun(
            self._nearest(embedding, text, check_search_limit(limit), min_score, EntryFilter.of(filters))
        )

    def get(self, id: str) -> MemoryEntry | None:
        """The entry with this id, its vector included, or ``None`` if none is visible in the scope."""
        return self._complete(self._get(id))

    async def aget(self, id: str) -> MemoryEntry | None:
        return await self._arun(self._get(id))

    def list(self, *, limit: int = 200, offset: int = 0, **filters: Unpack[FilterArgs]) -> list[MemoryEntry]:
        """Entries, newest first; equal times keep one order over all pages."""
        return self._complete(self._list(check_limit(limit), check_limit(offset, "offset"), EntryFilter.of(filters)))

    async def alist(self, *, limit: int = 200, offset: int = 0, **filters: Unpack[FilterArgs]) -> list[MemoryEntry]:  # type: ignore[valid-type]
        return await self._arun(self._list(check_limit(limit), check_limit(offset, "offset"), EntryFilter.of(filters)))

    def count(self, **filters: Unpack[FilterArgs]) -> int:
        """How many entries match."""
        return self._complete(self._count(EntryFilter.of(filters)))

    async def acount(self, **filters: Unpack[FilterArgs]) -> int:
        return await self._arun(self._count(EntryFilter.of(filters)))

    def categories(self, path: str | None = None) -> dict[str, int]:
        """Each category at ``path`` and below it, with how many entries have it."""
        return self._complete(self._categories(EntryFilter.of({"path": path})))

    async def acategories(self, path: str | None = None) -> dict[str, int]:
        return await self._arun(self._categories(EntryFilter.of({"path": path})))

    def children(self, path: str = "/") -> tuple[str, ...]:
        """The paths one level below ``path`` that have entries, sorted."""
        return self._complete(self._children(EntryFilter.of({"path": path})))

    async def achildren(self, path: str = "/") -> tuple[str, ...]:
        return await self._arun(self._children(EntryFilter.of({"path": path})))

    def info(self, path: str = "/") -> PathInfo:
        """What is at ``path`` and below it."""
        return self._complete(self._info(EntryFilter.of({"path": path})))

    async def ainfo(self, path: str = "/") -> PathInfo:
        return await self._arun(self._info(EntryFilter.of({"path": path})))

    # -- the connection --------------------------------------------------------------------------------------------

    def health(self) -> dict[str, Any]:
        """Ask the engine whether it answers. Raises :class:`StoreError` if it does not."""
        return self._complete(self._health())

    async def ahealth(self) -> dict[str, Any]:
        return await self._arun(self._health())

    @abstractmethod
    def close(self) -> None:
        """Flush and close, if this handle opened the connection; a handle from :meth:`scoped` closes nothing."""

    async def aclose(self) -> None:
        self.close()

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # CrewAI deep-copies crews; a copy remembers in the same place.
        return self

    @staticmethod
    def _filters_for(
        queries: Sequence[str], paths: Sequence[str | None] | None, filters: FilterArgs
    ) -> Sequence[EntryFilter]:
        if isinstance(queries, str):
            raise InvalidEntryError("queries is one text: pass a list of texts, or use search()")
        if paths is None:
            return [EntryFilter.of(filters)] * len(queries)
        if filters.get("path") is not None or len(paths) != len(queries):
            raise InvalidEntryError(f"paths takes one path for each of the {len(queries)} queries, and no path= beside")
        return [EntryFilter.of({**filters, "path": path}) for path in paths]

    @staticmethod
    def _selection(id: str | None, filters: FilterArgs) -> EntryFilter:
        if id is not None:
            if filters.get("ids") is not None:
                raise InvalidEntryError("id and ids are both given: use one of them")
            filters = {**filters, "ids": [id]}
        selective = {**filters, "reader": None, "include_private": filters.get("include_private") is False or None}
        # A filter that is None (a variable that was never set, say) must not come to mean "everything".
        if all(value is None for value in selective.values()):
            raise InvalidEntryError("delete needs an id or a filter: use reset() to empty the scope")
        return EntryFilter.of(filters)
