"""Awaiting from blocking code on an event loop."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from crewai_persistent_memory.io.bridge import drive, in_thread, is_driven, wait_for

current: ContextVar[int] = ContextVar("current", default=0)


def blocking(number: int) -> int:
    assert is_driven()
    current.set(number)
    wait_for(asyncio.sleep(0.01))
    assert current.get() == number, "a task has one context, whoever waits in it"
    return number + 1


async def step(number: int) -> int:
    number = blocking(number)
    await asyncio.sleep(0)
    return blocking(number)


def test_many_at_once_each_in_its_own_context() -> None:
    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(drive(step(number)) for number in range(100)))

    assert asyncio.run(all_of_them()) == [number + 2 for number in range(100)]


def test_others_run_while_it_waits() -> None:
    order: list[str] = []

    async def slow() -> None:
        order.append("slow begins")
        wait_for(released.wait())
        order.append("slow ends")

    async def other() -> None:
        order.append("other")
        released.set()

    async def both() -> None:
        await asyncio.gather(drive(slow()), other())

    released = asyncio.Event()
    asyncio.run(both())
    assert order == ["slow begins", "other", "slow ends"]


def test_what_it_sets_stays_set_in_the_task() -> None:
    async def caller() -> int:
        await drive(step(5))
        return current.get()

    assert asyncio.run(caller()) == 6


def test_an_error_is_raised_where_it_was_waited_for() -> None:
    async def failing() -> None:
        raise KeyError("inner")

    async def caller() -> None:
        with pytest.raises(KeyError, match="inner"):
            wait_for(failing())
        raise ValueError("outer")

    with pytest.raises(ValueError, match="outer"):
        asyncio.run(drive(caller()))


def test_cancelling_reaches_the_blocking_function() -> None:
    cancelled: list[str] = []

    async def waiting() -> None:
        try:
            wait_for(asyncio.Event().wait())
        except asyncio.CancelledError:
            cancelled.append("blocking")
            raise

    async def caller() -> None:
        task = asyncio.create_task(drive(waiting()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(caller())
    assert cancelled == ["blocking"]


def test_one_below_another() -> None:
    async def inner() -> int:
        return blocking(1)

    async def outer() -> tuple[int, int, tuple[int, bool]]:
        first = await drive(inner())
        return first, blocking(first), in_thread(lambda: (current.get(), is_driven()))

    assert asyncio.run(drive(outer())) == (2, 3, (2, False))


def test_outside_it_is_an_ordinary_call() -> None:
    assert not is_driven()
    assert in_thread(lambda: 7) == 7
