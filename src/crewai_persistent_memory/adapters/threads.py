"""``use_scope`` in the threads that CrewAI starts.

Below 1.12 CrewAI runs a task with ``async_execution=True``, and an agent with ``max_execution_time``, in a thread
without the caller's context. Memory would refuse to work there, for nobody says whose it is. The methods that run in
those threads are looked up by the thread that starts them; so a method that takes the context along when it is looked
up closes the gap, whoever starts the thread. 1.12 and later do the same themselves.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any, Final

from .generation import CONTEXT_FOLLOWS_SINCE, installed

RUN_IN_THREADS: Final = (("Task", "_execute_task_async"), ("Agent", "_execute_without_timeout"))


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
    """Make CrewAI's threads inherit the caller's context, where this version of it does not see to that."""
    if installed() >= CONTEXT_FOLLOWS_SINCE:
        return
    import crewai

    for owner, name in RUN_IN_THREADS:
        cls = getattr(crewai, owner)
        method = vars(cls)[name]
        if not isinstance(method, _TakesItsContext):
            setattr(cls, name, _TakesItsContext(method))
