"""The public methods of ``PersistentMemory``, the same on every CrewAI.

Each operation is defined once, with its arguments and documentation, as steps in :class:`.MemoryOperations`. Here it
becomes two methods: one that blocks, and one that awaits (its name begins with ``a``). Both have the signature of the
operation.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, Concatenate, ParamSpec, TypeVar

from typing_extensions import Self, Unpack

from ..io.steps import Steps, arun, run
from ..redaction import sealed
from ..scope import Scope
from ..scope_context import NO_SCOPE, ScopeFields
from ..store.base import MemoryStore
from .current_run import OnError
from .defaults import options_of
from .memory_operations import MemoryOperations
from .prompt_building import builds_a_prompt
from .scope_views import View, narrowed, sliced

P = ParamSpec("P")
T = TypeVar("T")


def blocking(steps: Callable[Concatenate[MemoryOperations, P], Steps[T]]) -> Callable[Concatenate[Any, P], T]:
    """A method that blocks until the operation is done."""

    @functools.wraps(steps)
    def method(self: Any, *args: P.args, **kwargs: P.kwargs) -> T:
        return run(steps(self._operations, *args, **kwargs))

    named: Callable[Concatenate[Any, P], T] = _named(method, steps, steps.__name__)
    return named


def recalling(
    steps: Callable[Concatenate[MemoryOperations, P], Steps[T]],
) -> Callable[Concatenate[Any, P], T]:
    """:func:`blocking`, for an operation that CrewAI calls to build a prompt."""

    @functools.wraps(steps)
    def method(self: Any, *args: P.args, **kwargs: P.kwargs) -> T:
        operations = self._operations
        if builds_a_prompt(sys._getframe(1)):
            operations = replace(operations, for_a_prompt=True)
        return run(steps(operations, *args, **kwargs))

    named: Callable[Concatenate[Any, P], T] = _named(method, steps, steps.__name__)
    return named


def awaiting(
    steps: Callable[Concatenate[MemoryOperations, P], Steps[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """A method that awaits the operation. It occupies no thread meanwhile, except in CrewAI's own LLM flows."""

    @functools.wraps(steps)
    async def method(self: Any, *args: P.args, **kwargs: P.kwargs) -> T:
        return await arun(steps(self._operations, *args, **kwargs))

    named: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]] = _named(method, steps, f"a{steps.__name__}")
    return named


def _named(method: Any, steps: Callable[..., Any], name: str) -> Any:
    """``method`` with the signature of the operation. Its return type is the result of the steps."""
    signature = inspect.signature(steps)
    result = str(signature.return_annotation).removeprefix("Steps[").removesuffix("]")
    method.__signature__ = signature.replace(return_annotation=result)
    method.__name__, method.__qualname__ = name, f"MemoryApi.{name}"
    return method


class MemoryApi:
    """The public methods of a memory. A subclass for each generation of CrewAI adapts it to CrewAI's base class."""

    remember = blocking(MemoryOperations.remember)
    aremember = awaiting(MemoryOperations.remember)
    remember_many = blocking(MemoryOperations.remember_many)
    aremember_many = awaiting(MemoryOperations.remember_many)
    extract_memories = blocking(MemoryOperations.extract_memories)
    aextract_memories = awaiting(MemoryOperations.extract_memories)
    update = blocking(MemoryOperations.update)
    aupdate = awaiting(MemoryOperations.update)

    recall = recalling(MemoryOperations.recall)
    arecall = awaiting(MemoryOperations.recall)
    recall_each = blocking(MemoryOperations.recall_each)
    arecall_each = awaiting(MemoryOperations.recall_each)
    _recall_together = blocking(MemoryOperations.recall_together)
    list_records = blocking(MemoryOperations.list_records)
    alist_records = awaiting(MemoryOperations.list_records)

    info = blocking(MemoryOperations.info)
    ainfo = awaiting(MemoryOperations.info)
    tree = blocking(MemoryOperations.tree)
    atree = awaiting(MemoryOperations.tree)
    list_scopes = blocking(MemoryOperations.list_scopes)
    alist_scopes = awaiting(MemoryOperations.list_scopes)
    list_categories = blocking(MemoryOperations.list_categories)
    alist_categories = awaiting(MemoryOperations.list_categories)

    forget = blocking(MemoryOperations.forget)
    aforget = awaiting(MemoryOperations.forget)
    reset = blocking(MemoryOperations.reset)
    areset = awaiting(MemoryOperations.reset)
    reset_all = blocking(MemoryOperations.reset_all)
    areset_all = awaiting(MemoryOperations.reset_all)
    drain_writes = blocking(MemoryOperations.drain_writes)
    adrain_writes = awaiting(MemoryOperations.drain_writes)
    pending = blocking(MemoryOperations.pending)
    apending = awaiting(MemoryOperations.pending)
    flush = blocking(MemoryOperations.flush)
    aflush = awaiting(MemoryOperations.flush)
    health = blocking(MemoryOperations.health)
    ahealth = awaiting(MemoryOperations.health)

    # The names in CrewAI until 1.9.3.

    save = blocking(MemoryOperations.save)
    asave = awaiting(MemoryOperations.save)
    search = blocking(MemoryOperations.search)
    asearch = awaiting(MemoryOperations.search)

    # -- hooks of the generations ----------------------------------------------------------------------------------

    @property
    def _operations(self) -> MemoryOperations:
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
        return self._viewing(narrowed(self._operations.paths.view, path))

    subscope = scope

    def slice(self, scopes: list[str], categories: list[str] | None = None, read_only: bool = True) -> Self:
        """A view of several paths.

        Args:
            scopes: the paths.
            categories: only memories that have one of these, unless a recall names its own.
            read_only: save nothing. Otherwise a save names one of several paths with ``scope=``.
        """
        operations = self._operations
        read_only = read_only or operations.read_only
        return self._viewing(sliced(operations.paths.view, scopes, categories, read_only=read_only))

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
