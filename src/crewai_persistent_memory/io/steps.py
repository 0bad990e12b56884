"""The one way of waiting. An operation is a generator of steps; a driver waits for each step, blocking or awaiting.

So each decision is written once, and the two drivers below are the only code that knows how a caller
waits (the idea is psycopg's ``waiting.py``).
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

from .bridge import is_driven, wait_for

T = TypeVar("T")


class Step(ABC, Generic[T]):
    """A slow call. A caller waits for it by blocking or by awaiting."""

    __slots__ = ()

    @abstractmethod
    def wait(self) -> T:
        """Run on the caller's thread and block."""

    @abstractmethod
    async def awaited(self) -> T:
        """Run without blocking the event loop."""


Steps = Generator[Step[Any], Any, T]
"""A generator that yields steps, is sent their answers, and returns a ``T``. An error of a step is raised where it was
yielded."""


class Call(Step[T]):
    """A call that exists in two forms, blocking and awaiting."""

    __slots__ = ("_awaiting", "_blocking")

    def __init__(self, blocking: Callable[[], T], awaiting: Callable[[], Awaitable[T]]) -> None:
        self._blocking = blocking
        self._awaiting = awaiting

    def wait(self) -> T:
        return self._blocking()

    async def awaited(self) -> T:
        return await self._awaiting()


class Work(Step[T]):
    """A blocking function. Under an event loop it runs in a thread."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function

    def wait(self) -> T:
        return self._function()

    async def awaited(self) -> T:
        return await asyncio.to_thread(self._function)


class Pause(Step[None]):
    """Sleep for some seconds."""

    __slots__ = ("_seconds",)

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def wait(self) -> None:
        time.sleep(self._seconds)

    async def awaited(self) -> None:
        await asyncio.sleep(self._seconds)


def work(function: Callable[[], T], *, long: bool = True) -> Steps[T]:
    """``answer = yield from work(function)``: as :class:`Work` if it is ``long``, else at once."""
    return (yield Work(function)) if long else function()


def run(steps: Steps[T]) -> T:
    """Wait for every step, and return the generator's result.

    Blocking code of CrewAI that runs on an event loop below :func:`~.bridge.drive` does not stop the loop.
    """
    if is_driven():
        return wait_for(arun(steps))
    send: Callable[[Any], Step[Any]] = steps.send
    answer: Any = None
    while True:
        try:
            step = send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        try:
            answer = step.wait()
            send = steps.send
        except BaseException as error:  # noqa: BLE001 - raised where the generator waits
            send, answer = steps.throw, error


async def arun(steps: Steps[T]) -> T:
    """:func:`run`, awaited."""
    send: Callable[[Any], Step[Any]] = steps.send
    answer: Any = None
    while True:
        try:
            step = send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        try:
            answer = await step.awaited()
            send = steps.send
        except BaseException as error:  # noqa: BLE001 - raised where the generator waits, cancellation too
            send, answer = steps.throw, error
