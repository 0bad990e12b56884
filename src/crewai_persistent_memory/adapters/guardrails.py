"""Answers are saved when their task's guardrails have accepted them, and what was refused is not saved.

CrewAI saves inside the agent's step, before the guardrails of the task see the answer (seen in 0.203.2 to 1.15.30), so
a refused answer would be remembered beside the accepted one. While a task with guardrails runs, saving waits. When the
task has its result, the last attempt is saved, with the result as the guardrails have left it.
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
    """What is to be saved of one task, by the method that saves it; a new attempt replaces the one before.

    ``judged`` is the task, or the standalone agent, whose answer the guardrails see. What others do meanwhile for its
    agent (delegated work, say) is not theirs to judge.
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
"""Methods that save an answer: since 1.10 the first, of executors and of ``LiteAgent``; before, the others."""


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
        # A task may be an asyncio task of its own, in which its blocking saves and recalls are to be awaited too.
        return await (work if current_run.get() is None else drive(work))

    return guarded


@contextmanager
def _saved_in_the_end(waiting: _Waiting | None) -> Iterator[list[Any]]:
    """Save what the guardrails have accepted, also where a callback of the task fails after that. The block puts the
    result into the list it is given."""
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
    """An asynchronous task may go on when its run has ended, because another task failed or nobody waits any more."""
    run = current_run.get()
    return nullcontext() if run is None else leases.still_held(run)


def _waits(executed: Any) -> bool:
    """Whether guardrails will judge what this task, or this standalone agent, answers."""
    if current_run.get() is None:
        return False
    return bool(getattr(executed, "guardrail", None) or getattr(executed, "_guardrails", None))


def _as_accepted(output: Any, accepted: str | None) -> Any:
    """The agent's output, with the text that the guardrails have made of it if they have changed it."""
    if accepted is None or isinstance(output, str) or str(output.output) == accepted:
        return output if accepted is None or not isinstance(output, str) else accepted
    changed = copy.copy(output)
    changed.output = changed.text = accepted
    return changed
