"""Carries ``use_scope`` into the threads that CrewAI starts.

Before 1.12 CrewAI runs a task with ``async_execution=True``, and an agent with ``max_execution_time``, in a thread
without the caller's context. A memory would raise ``MissingScopeError`` there. The starting thread looks up the
methods that run in the new thread. A descriptor therefore captures the context at that lookup. CrewAI 1.12 and later
carry the context themselves, except for tools below ``akickoff``.
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
"""Modules that submit work to thread pools since 1.10: concurrent tool calls, and CrewAI's own memory."""


class _TakesItsContext:
    """A descriptor. If another thread calls the method, it runs in the context of the thread that looked it up."""

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
    """Make CrewAI's threads inherit the caller's context, in versions that do not do so themselves. Idempotent."""
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
    """Carry the context into awaited tools.

    ``CrewStructuredTool.ainvoke`` runs a blocking function in a thread of the loop's pool, without the caller's
    context (0.203.2 to 1.15.30).
    """
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
    """The contexts for the next calls of a tool's function. A tool belongs to one run at a time, so concurrent calls
    may exchange their contexts."""
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
    """A thread pool that runs each function in the context of the thread that submitted it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(contextvars.copy_context().run, fn, *args, **kwargs)


def _carry_into_pools() -> None:
    for name in POOLS:
        if find_spec(name) is not None:
            module = import_module(name)
            if vars(module).get("ThreadPoolExecutor") is ThreadPoolExecutor:
                module.ThreadPoolExecutor = _CarryingPool  # type: ignore[attr-defined]
