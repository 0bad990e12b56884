"""``use_scope`` in the threads that CrewAI starts.

Below 1.12 CrewAI runs a task with ``async_execution=True``, and an agent with ``max_execution_time``, in a thread
without the caller's context. Memory would refuse to work there, because nobody says whose it is. The methods that run
in those threads are looked up by the thread that starts them; so a method that takes the context along when it is
looked up closes the gap. 1.12 and later do the same themselves, but for tools below ``akickoff``.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from .version import CONTEXT_FOLLOWS_SINCE, installed, is_unified

RUN_IN_THREADS: Final = (("Task", "_execute_task_async"), ("Agent", "_execute_without_timeout"))
POOLS: Final = (
    "crewai.agents.crew_agent_executor",
    "crewai.memory.encoding_flow",
    "crewai.memory.recall_flow",
    "crewai.memory.unified_memory",
)
"""Modules that give work to pools, since 1.10: several calls of tools at once, and CrewAI's own memory."""


class _TakesItsContext:
    """A method that runs in the context of the thread that looked it up, if another thread calls it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __get__(self, instance: Any, owner: type | None = None) -> Callable[..., Any]:
        if instance is None:
            return self.function
        method: Callable[..., Any] = self.function.__get__(instance, owner)
        context, here = contextvars.copy_context(), threading.get_ident()

        def run(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == here:
                return method(*args, **kwargs)
            return context.run(method, *args, **kwargs)

        return run


def carry_context() -> None:
    """Make CrewAI's threads inherit the caller's context, where this version of it does not see to that. Idempotent."""
    _carry_into_tools()
    if installed() >= CONTEXT_FOLLOWS_SINCE:
        return
    import crewai

    if is_unified():
        _carry_into_pools()

    for owner, name in RUN_IN_THREADS:
        cls = getattr(crewai, owner)
        method = vars(cls)[name]
        if not isinstance(method, _TakesItsContext):
            setattr(cls, name, _TakesItsContext(method))


_CARRIES: Final = "__carries_context__"


def _carry_into_tools() -> None:
    """An awaited tool that is a blocking function runs in a thread of the loop's pool, without the caller's context
    (``CrewStructuredTool.ainvoke``, 0.203.2 to 1.15.30)."""
    from crewai.tools.structured_tool import CrewStructuredTool

    ainvoke = CrewStructuredTool.ainvoke
    if hasattr(ainvoke, _CARRIES):
        return

    @functools.wraps(ainvoke)
    async def carrying(self: Any, *args: Any, **kwargs: Any) -> Any:
        if inspect.iscoroutinefunction(self.func):
            return await ainvoke(self, *args, **kwargs)  # in the caller's task: nothing to carry
        waiting = _contexts_of(self)
        context = contextvars.copy_context()
        waiting.append(context)
        try:
            return await ainvoke(self, *args, **kwargs)
        finally:
            if context in waiting:  # the function was not called
                waiting.remove(context)

    setattr(carrying, _CARRIES, True)
    type.__setattr__(CrewStructuredTool, "ainvoke", carrying)


def _contexts_of(tool: Any) -> list[contextvars.Context]:
    """The contexts in which the function of a tool is to be called next. A tool belongs to one run at a time, so calls
    that are made at once may take each other's."""
    function = tool.func
    contexts: list[contextvars.Context] | None = getattr(function, _CARRIES, None)
    if contexts is None:
        contexts = []
        tool.func = _in_contexts(function, contexts)
    return contexts


def _in_contexts(function: Callable[..., Any], contexts: list[contextvars.Context]) -> Callable[..., Any]:
    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            context = contexts.pop(0)
        except IndexError:  # called without ainvoke, in the caller's own thread
            return function(*args, **kwargs)
        return context.run(function, *args, **kwargs)

    setattr(called, _CARRIES, contexts)
    return called


class _CarryingPool(ThreadPoolExecutor):
    """A pool whose threads work in the context of whoever gives them the work."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(contextvars.copy_context().run, fn, *args, **kwargs)


def _carry_into_pools() -> None:
    for name in POOLS:
        if find_spec(name) is not None:
            module = import_module(name)
            if vars(module).get("ThreadPoolExecutor") is ThreadPoolExecutor:
                module.ThreadPoolExecutor = _CarryingPool  # type: ignore[attr-defined]
