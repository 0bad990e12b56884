"""Saves an answer only after the guardrails of its task have accepted it.

CrewAI saves inside the agent's step, before the guardrails of the task check the answer (seen in 0.203.2 to 1.15.30).
A refused answer would then be saved beside the accepted one. While a task with guardrails runs, saves are deferred.
When the task has its result, the last attempt is saved, with the text that the guardrails returned.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Final

from crewai import Task
from crewai.lite_agent import LiteAgent

from ..io.bridge import drive
from ..io.context import setting
from .crew_leases import leases
from .current_run import current_run
from .finished_task_hooks import executor_class

_DEFERS: Final = "__waits_for_guardrails__"


class _Waiting:
    """The deferred saves of one task, by the saving method; a new attempt replaces the previous one.

    ``judged`` is the task, or the standalone agent, whose answer the guardrails check. They do not check other work
    of its agent during the task, such as delegated work.
    """

    def __init__(self, judged: Any) -> None:
        self.judged = judged
        self.saves: dict[str, tuple[Callable[..., Any], Any, Any]] = {}

    def is_for(self, saver: Any) -> bool:
        return self.judged is (saver if isinstance(saver, LiteAgent) else saver.task)

    def save(self, accepted: str | None) -> None:
        for method, saver, output in self.saves.values():
            method(saver, _as_accepted(output, accepted))


_waiting: Final[ContextVar[_Waiting | None]] = ContextVar("answers_waiting_for_guardrails", default=None)


_SAVING: Final = ("_save_to_memory", "_create_external_memory", "_create_short_term_memory", "_create_long_term_memory")
"""Methods that save an answer: the first since 1.10, in executors and ``LiteAgent``; the others before 1.10."""


def install() -> None:
    """Make the methods that save an answer wait for the guardrails of its task. Idempotent."""
    for owner in (executor_class(), LiteAgent):
        for name in _SAVING:
            method = vars(owner).get(name)
            if method is not None and not hasattr(method, _DEFERS):
                _replace(owner, name, _deferring(method, name))
    for owner in (Task, LiteAgent):
        for name in ("_execute_core", "_aexecute_core"):
            method = vars(owner).get(name)
            if method is not None and not hasattr(method, _DEFERS):
                _replace(owner, name, _awaited(method) if name == "_aexecute_core" else _blocking(method))


def _replace(owner: type, name: str, method: Callable[..., Any]) -> None:
    setattr(method, _DEFERS, True)
    type.__setattr__(owner, name, method)


def _deferring(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(method)
    def save(saver: Any, output: Any) -> Any:
        waiting = _waiting.get()
        if waiting is None or not waiting.is_for(saver):
            return method(saver, output)
        waiting.saves[name] = (method, saver, output)
        return None

    return save


def _blocking(execute: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(execute)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        around = _waiting.get()
        if around is not None and around.judged is self:
            return execute(self, *args, **kwargs)  # LiteAgent calls itself again after a refusal
        waiting = _Waiting(self) if _waits(self) else None
        with _still_held(), setting(_waiting, waiting), _saved_in_the_end(waiting) as results:
            result = execute(self, *args, **kwargs)
            results.append(result)
        return result

    return guarded


def _awaited(execute: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def waits_for_guardrails(self: Any, *args: Any, **kwargs: Any) -> Any:
        waiting = _Waiting(self) if _waits(self) else None
        with _still_held(), setting(_waiting, waiting), _saved_in_the_end(waiting) as results:
            result = await execute(self, *args, **kwargs)
            results.append(result)
        return result

    @functools.wraps(execute)
    async def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        work = waits_for_guardrails(self, *args, **kwargs)
        # A task may run as an asyncio task of its own. Its blocking saves and recalls must be awaited there too.
        return await (work if current_run.get() is None else drive(work))

    return guarded


@contextmanager
def _saved_in_the_end(waiting: _Waiting | None) -> Iterator[list[Any]]:
    """Save the accepted answer, also if a callback of the task fails afterwards. The block appends the result to the
    list that this yields."""
    results: list[Any] = []
    before = None if waiting is None else getattr(waiting.judged, "output", None)
    try:
        yield results
    finally:
        if waiting is not None:
            after = getattr(waiting.judged, "output", None)
            for result in results or ([after] if after is not before else []):
                waiting.save(getattr(result, "raw", None))


def _still_held() -> AbstractContextManager[None]:
    """Hold the run's objects. An asynchronous task may outlive its run, if another task fails or the run is
    cancelled."""
    run = current_run.get()
    return nullcontext() if run is None else leases.still_held(run)


def _waits(executed: Any) -> bool:
    """Whether guardrails will check the answer of this task or standalone agent."""
    if current_run.get() is None:
        return False
    return bool(getattr(executed, "guardrail", None) or getattr(executed, "_guardrails", None))


def _as_accepted(output: Any, accepted: str | None) -> Any:
    """The agent's output, with the guardrails' text if they changed it."""
    if accepted is None or isinstance(output, str) or str(output.output) == accepted:
        return output if accepted is None or not isinstance(output, str) else accepted
    changed = copy.copy(output)
    changed.output = changed.text = accepted
    return changed
