"""The public store: one handle, bound to a scope, for every backend.

Each operation is defined once, with its arguments and documentation, in ``steps``. Here it becomes two methods: one
that blocks, and one that awaits (its name begins with ``a``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from operator import attrgetter
from typing import Any

from typing_extensions import Self, Unpack

from ..config.options import MemoryConfig
from ..corrections import NOTHING_KEPT, Corrections
from ..embedding import Embedder
from ..entry import MemoryEntry
from ..expiry import NO_RULES, ExpiryRules
from ..filter_fields import FilterField
from ..io.steps import run
from ..io.twins import Twins
from ..pickling import NotPickled
from ..ranking import RankingWeights
from ..scope import Scope, ScopeBinding
from ..scope_context import NO_SCOPE, ScopeFields, given_scope
from . import run_end
from .backend import Backend, Capabilities
from .middleware import Middleware, fields_first, logged_at_debug, wrapped
from .scanning import aentries_of, entries_of
from .scoped_operations import ScopedOperations
from .steps import deleting, finding, listing, saving, upkeep

_TWINS: Twins[ScopedOperations] = Twins(__name__, "MemoryStore", attrgetter("steps"))
blocking, awaiting, through = _TWINS.blocking, _TWINS.awaiting, _TWINS.through


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

    # -- operations, each with its documentation in store/steps ----------------------------------------------------

    add = blocking(saving.add)
    aadd = awaiting(saving.add)
    put = blocking(saving.put)
    aput = awaiting(saving.put)
    replace = blocking(saving.replace)
    areplace = awaiting(saving.replace)
    update = blocking(saving.update)
    aupdate = awaiting(saving.update)
    add_messages = blocking(saving.add_messages)
    aadd_messages = awaiting(saving.add_messages)
    touch = blocking(saving.touch)
    atouch = awaiting(saving.touch)

    delete = blocking(deleting.delete)
    adelete = awaiting(deleting.delete)
    undo_delete = blocking(deleting.undo_delete)
    aundo_delete = awaiting(deleting.undo_delete)
    reset = blocking(deleting.reset)
    areset = awaiting(deleting.reset)

    end_run = blocking(run_end.end_run)
    aend_run = awaiting(run_end.end_run)

    search = blocking(finding.search)
    asearch = awaiting(finding.search)
    search_many = blocking(finding.search_many)
    asearch_many = awaiting(finding.search_many)
    nearest = blocking(finding.nearest)
    anearest = awaiting(finding.nearest)
    get = blocking(finding.get)
    aget = awaiting(finding.get)

    list = blocking(listing.list)
    alist = awaiting(listing.list)
    page = blocking(listing.page)
    apage = awaiting(listing.page)
    scan = through(listing.scan, entries_of, returns=Iterator[MemoryEntry])
    ascan = through(listing.scan, aentries_of, "ascan", AsyncIterator[MemoryEntry])
    count = blocking(listing.count)
    acount = awaiting(listing.count)
    categories = blocking(listing.categories)
    acategories = awaiting(listing.categories)
    children = blocking(listing.children)
    achildren = awaiting(listing.children)
    info = blocking(listing.info)
    ainfo = awaiting(listing.info)

    embed_missing = blocking(upkeep.embed_missing)
    aembed_missing = awaiting(upkeep.embed_missing)
    compact = blocking(upkeep.compact)
    acompact = awaiting(upkeep.compact)
    pending = blocking(upkeep.pending)
    apending = awaiting(upkeep.pending)
    flush = blocking(upkeep.flush)
    aflush = awaiting(upkeep.flush)
    health = blocking(upkeep.health)
    ahealth = awaiting(upkeep.health)

    # -- the end ---------------------------------------------------------------------------------------------------

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
