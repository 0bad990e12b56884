"""Guards every start of a crew, an agent or a flow that has a memory of this package.

A run has the scope of its call to ``kickoff``. The scope is checked first, and carried into every thread and task in
which CrewAI does the work, including a stream that another caller reads later. During the run no other scope may use
its objects. State of earlier runs is removed from them before the run begins.

Contracts of CrewAI this relies on (seen in 0.203.2 to 1.15.30):

- Every way of starting a crew ends in ``Crew.kickoff``, ``Crew.akickoff`` (since 1.7) or ``Crew.replay``.
- A standalone agent starts in ``Agent.kickoff`` or ``kickoff_async`` (``LiteAgent`` too), a flow in
  ``Flow.kickoff_async``.
- With ``stream=True`` the first call returns the stream. A second call does the work while the stream is read.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, TypeVar

import crewai
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.flow.flow import Flow
from crewai.lite_agent import LiteAgent
from crewai.tools.tool_usage import ToolUsage

from ..errors import CrewInUseError, MissingScopeError, ScopeError
from ..io.bridge import drive, in_thread
from ..io.context import setting
from ..scope import current_binding
from ..scope_context import carry_scope
from . import flow_definitions
from . import run_leftovers as leftovers
from . import stream_scope as streams
from .crew_leases import Owners, leases
from .crew_memories import agents_of, memories_of_crew, store_of
from .current_run import Run, current_run

logger = logging.getLogger("crewai_persistent_memory")

T = TypeVar("T")
Carried = Callable[[], AbstractContextManager[None]]
Free = tuple[Any, Owners | None]

_FLOW: Final = next(base for base in Flow.__mro__ if "kickoff_async" in vars(base))
"""The base class of every flow. Since 1.15 ``Flow`` itself is a generic class derived from it."""

_GUARDED: Final = "__guarded__"
_BLOCKING: Final = ("kickoff", "kickoff_for_each", "replay", "resume", "stream_events", "astream")
_AWAITED: Final = ("kickoff_async", "kickoff_for_each_async", "akickoff", "akickoff_for_each", "resume_async")
_STEPS: Final = {"execute_task": False, "aexecute_task": True}
"""Methods that run one task of a crew, and whether they are awaited. An application may call them without a crew."""


def install() -> None:
    """Guard every way of starting that this CrewAI has. Idempotent."""
    flow_definitions.install(_FLOW)
    for owner in (crewai.Crew, crewai.Agent, LiteAgent, _FLOW):
        for name in (*_BLOCKING, *_AWAITED):
            method = vars(owner).get(name)
            if method is not None and not hasattr(method, _GUARDED):
                guarded = _blocking(method) if name in _BLOCKING else _awaited(method)
                setattr(guarded, _GUARDED, True)
                type.__setattr__(owner, name, guarded)
    for name, is_awaited in _STEPS.items():
        method = vars(crewai.Agent).get(name)
        if method is not None and not hasattr(method, _GUARDED):
            step = _unless_in_a_run(method, _awaited(method) if is_awaited else _blocking(method))
            setattr(step, _GUARDED, True)
            type.__setattr__(crewai.Agent, name, step)
    if not hasattr(ToolUsage._use, _GUARDED):
        use = _while_held(ToolUsage._use)
        setattr(use, _GUARDED, True)
        type.__setattr__(ToolUsage, "_use", use)


def _blocking(start: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(start)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        run = _run_of(self)
        if run is None:
            return start(self, *args, **kwargs)
        with carry_scope()():
            if _is_for_others(start.__name__):
                return start(self, *args, **kwargs)
            with _held(self, run, start.__name__) as free:
                if _makes_a_stream(self, start.__name__):
                    with streams.prepared(functools.partial(_working, self, run)):
                        return start(self, *args, **kwargs)
                _clean(self, free, run)
                result = start(self, *args, **kwargs)
                _finish(self, run)
                return result

    return guarded


def _awaited(start: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., Coroutine[Any, Any, T]]:
    # Not async: the scope is taken at the call, and not where the coroutine is awaited.
    @functools.wraps(start)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, T]:
        run = _run_of(self)
        if run is None:
            return _carried(carry_scope(), functools.partial(start, self, *args, **kwargs))
        return _awaiting(self, run, carry_scope(), start.__name__, functools.partial(start, self, *args, **kwargs))

    if hasattr(inspect, "markcoroutinefunction"):  # since Python 3.12
        inspect.markcoroutinefunction(guarded)
    return guarded


def _unless_in_a_run(step: Callable[..., Any], guarded: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(step)
    def executed(self: Any, *args: Any, **kwargs: Any) -> Any:
        return (guarded if current_run.get() is None else step)(self, *args, **kwargs)

    return executed


def _while_held(use: Callable[..., Any]) -> Callable[..., Any]:
    """Hold the run's objects during a tool call. A tool in a thread continues after its awaited run is cancelled, and
    writes its result into the agent."""

    @functools.wraps(use)
    def used(self: Any, *args: Any, **kwargs: Any) -> Any:
        run = current_run.get()
        if run is None:
            return use(self, *args, **kwargs)
        with leases.still_held(run):
            return use(self, *args, **kwargs)

    return used


async def _carried(scope: Carried, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run ``work`` in the scope. A flow, for example, may have no memory but start crews that have one."""
    with scope():
        return await work()


async def _awaiting(self: Any, run: Run, scope: Carried, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with scope():
        if _is_for_others(name):
            return await work()
        with _held(self, run, name) as free:
            if _makes_a_stream(self, name):
                with streams.prepared(functools.partial(_working, self, run)):
                    return await work()
            _clean(self, free, run)
            return await drive(_finishing(self, run, work()))


async def _finishing(self: Any, run: Run, work: Coroutine[Any, Any, T]) -> T:
    result = await work
    in_thread(_finish, self, run)
    return result


def _run_of(starting: Any) -> Run | None:
    """The run that begins; ``None`` if neither it nor an earlier run of its objects uses a memory of this package.

    An executor keeps the crew that it was made for, and that crew's memory. A run without memory, over objects that
    have worked with a memory, is therefore a run without owner: its objects are leased and cleaned too.

    Raises:
        MissingScopeError: a memory has no user.
        ScopeConflictError: a memory is fixed to another scope.
    """
    stores = [store for memory in _memories_of(starting) if (store := store_of(memory)) is not None]
    binding = current_binding.get()
    if not stores and binding is not None and _is_of_the_application(starting):
        return Run([binding])
    if not stores and not isinstance(starting, _FLOW):
        return Run([]) if any(leases.owners(each) is not None for each in _objects_of(starting)) else None
    try:
        return Run([store.scope for store in stores]) if stores else None
    except ScopeError as error:
        if isinstance(error, MissingScopeError) and isinstance(starting, _FLOW):
            # The flow may never use its memory, or set the user in one of its methods. Each use checks the scope again.
            return None
        # Logged as well, because the error is lost when a crew runs in a thread of its own.
        logger.error("a %s was not started: %s", type(starting).__name__, error)
        raise


def _memories_of(starting: Any) -> list[Any]:
    if isinstance(starting, crewai.Crew):
        return list(memories_of_crew(starting))
    own = [getattr(starting, "memory", None), getattr(starting, "_memory", None)]
    crew = starting.crew if isinstance(starting, BaseAgent) else None
    return [*own, *memories_of_crew(crew)] if isinstance(crew, crewai.Crew) else own


def _is_of_the_application(starting: Any) -> bool:
    """Whether it is a flow of the application, which starts crews for its caller and keeps its own state. CrewAI's
    executors and memory engines are flows too."""
    return isinstance(starting, _FLOW) and not type(starting).__module__.startswith("crewai.")


def _is_for_others(name: str) -> bool:
    """Whether the call starts copies, each guarded itself, or returns a stream of another call's events."""
    return "for_each" in name or "stream" in name


def _makes_a_stream(starting: Any, name: str) -> bool:
    """Whether the call returns a stream, so that the work is done when the stream is read. Call this only while the
    crew is held: CrewAI switches ``crew.stream`` off during the work of a stream."""
    return "kickoff" in name and getattr(starting, "stream", False) is True


@contextmanager
def _held(starting: Any, run: Run, name: str) -> Iterator[list[Free]]:
    """Lease the objects of a run. Yields the objects that no other run holds; they must be cleaned before the work.

    Raises:
        CrewInUseError: another run holds one of them, or the call would continue a run of another owner. A flow keeps
            the application's state, and a replay continues the last run of a crew.
    """
    objects = _objects_of(starting)
    goes_on = [starting] if isinstance(starting, _FLOW) else objects if name == "replay" else []
    if any(leases.owners(each) not in (None, run.owners) for each in goes_on):
        raise CrewInUseError(
            f"this {type(starting).__name__} has run for another user or run, and would go on with what that one left: "
            "build a new one for each request"
        )
    free = leases.acquire(objects, run)
    run.objects = objects
    try:
        with setting(current_run, run):
            yield free
    finally:
        for each in leases.release(objects, run):
            leftovers.close(each)


@contextmanager
def _working(starting: Any, run: Run) -> Iterator[None]:
    """Lease and clean the objects of a run during the work of a stream."""
    with _held(starting, run, "kickoff") as free:
        _clean(starting, free, run)
        yield


def _objects_of(starting: Any) -> list[Any]:
    if not isinstance(starting, crewai.Crew):
        return [starting]
    objects = [starting, *agents_of(starting), *starting.tasks, *_sources_of(starting)]
    return list({id(each): each for each in objects}.values())


def _sources_of(crew: Any) -> list[Any]:
    """Tasks of other crews whose results CrewAI puts into the prompts of this crew."""
    own = {id(task) for task in crew.tasks}
    contexts = [task.context for task in crew.tasks if isinstance(task.context, list)]
    return [task for context in contexts for task in context if id(task) not in own]


def _clean(starting: Any, free: list[Free], run: Run) -> None:
    if getattr(starting, "checkpoint_kickoff_event_id", None) is not None:
        return  # restored from a checkpoint, with the state that it continues from
    sources = {id(task) for task in _sources_of(starting)} if isinstance(starting, crewai.Crew) else set()
    for each, owners in free:
        if id(each) in sources:
            if owners not in (None, run.owners):
                each.output = None
        elif not isinstance(each, _FLOW):
            leftovers.clean(each)


def _finish(starting: Any, run: Run) -> None:
    """Wait for background saves, and raise the first fatal error of the run."""
    for memory in _memories_of(starting):
        if store_of(memory) is not None and hasattr(memory, "drain_writes"):
            memory.drain_writes()
    run.check()
