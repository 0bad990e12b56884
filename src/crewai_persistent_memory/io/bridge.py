"""Awaiting from blocking code that runs on an event loop.

CrewAI's ``akickoff`` calls ``recall``, ``remember_many`` and its tools as blocking functions, on the loop (seen in 1.7
to 1.15.30). A store that answers in a second then stops every other request of the process for a second.

:func:`drive` runs such a coroutine so that a blocking function below it can await: the coroutine's steps run in a
greenlet, :func:`wait_for` leaves the greenlet with what is to be awaited, and the task awaits that in its place. It is
how SQLAlchemy's asyncio extension runs blocking code (``sqlalchemy.util.concurrency.greenlet_spawn``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import copy_context
from functools import partial
from typing import Any, Final, TypeVar, cast

import greenlet

T = TypeVar("T")


class _Step(greenlet.greenlet):
    """One step of a driven coroutine, on the loop's thread."""


class _Awaited:
    """The awaitable of a blocking function below a driven coroutine."""

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.awaitable: Final = awaitable


def is_driven() -> bool:
    """Whether this code runs below :func:`drive`, and so may call :func:`wait_for`."""
    return isinstance(greenlet.getcurrent(), _Step)


def wait_for(awaitable: Awaitable[T]) -> T:
    """Await from blocking code below :func:`drive`. Other tasks of the loop run meanwhile."""
    step = greenlet.getcurrent()
    assert isinstance(step, _Step), "only below drive()"
    assert step.parent is not None, "a step is made by another greenlet"
    return cast(T, step.parent.switch(_Awaited(awaitable)))


def in_thread(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call a blocking function; below :func:`drive` in another thread, with this context, awaited."""
    if not is_driven():
        return function(*args, **kwargs)
    call = partial(copy_context().run, function, *args, **kwargs)
    return wait_for(asyncio.get_running_loop().run_in_executor(None, call))


async def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Await a coroutine whose blocking functions may call :func:`wait_for`."""
    return await _Driven(coroutine)


class _Driven(Awaitable[T]):
    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, T]:
        advance: Callable[..., Any] = self._coroutine.send
        argument: Any = None
        while True:
            reached = yield from _one_step(advance, argument)
            if isinstance(reached, _Returned):
                return cast(T, reached.value)
            try:
                argument = yield reached
                advance = self._coroutine.send
            except GeneratorExit:
                self._coroutine.close()
                raise
            except BaseException as error:  # noqa: BLE001 (cancellation too is raised where the coroutine waits)
                advance, argument = self._coroutine.throw, error


class _Returned:
    """The return value of a driven coroutine. A ``StopIteration`` cannot pass through a generator."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _advance(advance: Callable[..., Any], argument: Any) -> Any:
    try:
        return advance(argument)
    except StopIteration as stop:
        return _Returned(stop.value)


def _one_step(advance: Callable[..., Any], argument: Any) -> Generator[Any, Any, Any]:
    """Run the coroutine up to its next await, and wait for what blocking functions ask for on the way."""
    step = _Step(_advance)
    # A greenlet has a context of its own unless it is given one: context variables belong to the task.
    step.gr_context = greenlet.getcurrent().gr_context
    reached = step.switch(advance, argument)
    while isinstance(reached, _Awaited):
        try:
            answer = yield from reached.awaitable.__await__()
        except GeneratorExit:
            step.throw(greenlet.GreenletExit)
            raise
        except BaseException as error:  # noqa: BLE001 (cancellation too is raised where the function waits)
            resume, value = step.throw, error
        else:
            resume, value = step.switch, answer
        # A driven coroutine below another one is resumed in another step of that one.
        step.parent = greenlet.getcurrent()
        reached = resume(value)
    return reached
