"""The public methods of ``PersistentMemory``, the same on every CrewAI.

Each operation is defined once, with its arguments and documentation, as steps in ``memory_operations``. Here it
becomes two methods: one that blocks, and one that awaits (its name begins with ``a``). Both have the signature of the
operation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Any, Concatenate, ParamSpec, TypeVar

from typing_extensions import Self, Unpack

from ..io.steps import Steps, arun, run
from ..io.twins import Twins
from ..redaction import sealed
from ..scope import Scope
from ..scope_context import NO_SCOPE, ScopeFields
from ..store.base import MemoryStore
from .current_run import OnError
from .defaults import options_of
from .memory_operations import deleting, ending, finding, listing, saving, searching, waiting
from .memory_operations.parts import MemoryParts
from .prompt_building import builds_a_prompt
from .scope_views import View, narrowed, sliced

P = ParamSpec("P")
T = TypeVar("T")

_TWINS: Twins[MemoryParts] = Twins(__name__, "MemoryApi", attrgetter("_parts"))
blocking, awaiting = _TWINS.blocking, _TWINS.awaiting


def recalling(steps: Callable[Concatenate[MemoryParts, P], Steps[T]]) -> Callable[Concatenate[Any, P], T]:
    """A method that blocks, for an operation that CrewAI calls to build a prompt."""

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        parts = self._parts
        if builds_a_prompt(sys._getframe(1)):
            parts = replace(parts, for_a_prompt=True)
        return run(steps(parts, *args, **kwargs))

    return _TWINS.named(method, steps, steps.__name__)


class MemoryApi:
    """The public methods of a memory. A subclass for each generation of CrewAI adapts it to CrewAI's base class."""

    remember = blocking(saving.remember)
    aremember = awaiting(saving.remember)
    remember_many = blocking(saving.remember_many)
    aremember_many = awaiting(saving.remember_many)
    extract_memories = blocking(saving.extract_memories)
    aextract_memories = awaiting(saving.extract_memories)
    update = blocking(saving.update)
    aupdate = awaiting(saving.update)

    recall = recalling(finding.recall)
    arecall = awaiting(finding.recall)
    recall_each = blocking(finding.recall_each)
    arecall_each = awaiting(finding.recall_each)
    explain_recall = blocking(finding.explain_recall)
    aexplain_recall = awaiting(finding.explain_recall)
    _recall_together = blocking(finding.recall_together)
    list_records = blocking(listing.list_records)
    alist_records = awaiting(listing.list_records)

    info = blocking(listing.info)
    ainfo = awaiting(listing.info)
    tree = blocking(listing.tree)
    atree = awaiting(listing.tree)
    list_scopes = blocking(listing.list_scopes)
    alist_scopes = awaiting(listing.list_scopes)
    list_categories = blocking(listing.list_categories)
    alist_categories = awaiting(listing.list_categories)

    forget = blocking(deleting.forget)
    aforget = awaiting(deleting.forget)
    undo_forget = blocking(deleting.undo_forget)
    aundo_forget = awaiting(deleting.undo_forget)
    reset = blocking(deleting.reset)
    areset = awaiting(deleting.reset)
    reset_all = blocking(deleting.reset_all)
    areset_all = awaiting(deleting.reset_all)
    end_run = blocking(ending.end_run)
    aend_run = awaiting(ending.end_run)
    drain_writes = blocking(waiting.drain_writes)
    adrain_writes = awaiting(waiting.drain_writes)
    pending = blocking(waiting.pending)
    apending = awaiting(waiting.pending)
    flush = blocking(waiting.flush)
    aflush = awaiting(waiting.flush)
    health = blocking(waiting.health)
    ahealth = awaiting(waiting.health)

    # The names in CrewAI until 1.9.3.

    save = blocking(saving.save)
    asave = awaiting(saving.save)
    search = blocking(searching.search)
    asearch = awaiting(searching.search)

    # -- hooks of the generations ----------------------------------------------------------------------------------

    @property
    def _parts(self) -> MemoryParts:
        raise NotImplementedError

    def _over(self, store: MemoryStore) -> Self:
        """This memory over another handle of its store. Closing it closes nothing."""
        raise NotImplementedError

    def _viewing(self, view: View) -> Self:
        """This memory with the paths of a view. Closing it closes nothing."""
        raise NotImplementedError

    def _closing(self) -> Steps[None]:
        raise NotImplementedError

    # -- which memory it is ----------------------------------------------------------------------------------------

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build from ``{"provider": ..., "config": {...}}``, Mem0's published configuration included.

        Raises:
            ConfigurationError: unknown provider, or see the constructor.
        """
        config = sealed(config)  # a local variable of this frame
        return cls(**options_of(config))

    @property
    def store(self) -> MemoryStore:
        """The store handle, bound to this memory's scope."""
        raise NotImplementedError

    @property
    def on_error(self) -> OnError:
        """The crew's reaction when this memory fails: ``"warn"`` or ``"raise"``."""
        raise NotImplementedError

    def crew_kwargs(self, *, long_term: bool = True) -> dict[str, Any]:
        """Keyword arguments for a crew, on every version of CrewAI: ``Crew(..., **memory.crew_kwargs())``.

        Args:
            long_term: use CrewAI's own long-term memory too. Only CrewAI until 1.9.3 has one: a SQLite file without
                users. CrewAI then evaluates each answer with an LLM call, and learns entities from the evaluation.
        """
        raise NotImplementedError

    def scoped(self, scope: Scope = NO_SCOPE, **fields: Unpack[ScopeFields]) -> Self:
        """This memory over the same store, with more scope fields fixed.

        An agent with a memory of its own: ``Agent(memory=memory.scoped(agent_id="chef"))`` (CrewAI >= 1.10).

        Args:
            scope: a whole scope, in place of the fields.
            fields: ``user_id``, ``project_id``, ``run_id``, ``agent_id``, ``org_id``.

        Raises:
            MissingScopeError: ``user_id``, or the whole scope, is ``None``.
            ScopeConflictError: a fixed field is given another value.
        """
        return self._over(self.store.scoped(scope, **fields))

    def scope(self, path: str) -> Self:
        """A view: a memory that saves and finds only at this path and below it."""
        return self._viewing(narrowed(self._parts.paths.view, path))

    subscope = scope

    def slice(self, scopes: list[str], categories: list[str] | None = None, read_only: bool = True) -> Self:
        """A view of several paths.

        Args:
            scopes: the paths.
            categories: only memories that have one of these, unless a recall names its own.
            read_only: save, change and delete nothing. Otherwise a save names one of several paths with ``scope=``.
        """
        parts = self._parts
        read_only = read_only or parts.read_only
        return self._viewing(sliced(parts.paths.view, scopes, categories, read_only=read_only))

    def close(self) -> None:
        """Wait for pending saves, then flush and close the store.

        The store stays open if this memory comes from :meth:`scoped`, :meth:`scope` or :meth:`slice`, or was built
        with ``store=``.
        """
        run(self._closing())

    async def aclose(self) -> None:
        """:meth:`close`, awaited."""
        await arun(self._closing())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()
