"""A deadline: the caller goes on, and the work too."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from crewai_persistent_memory import StoreUnavailableError
from crewai_persistent_memory.io.steps import Call, Steps, Work, arun, run
from crewai_persistent_memory.io.within import Within


def steps(work: Callable[[], Any], seconds: float) -> Steps[Any]:
    def inside() -> Steps[Any]:
        return (yield Work(work))

    return (yield Within(inside, seconds, "the store"))


@pytest.fixture(params=["blocking", "awaiting"])
def drive(request: pytest.FixtureRequest) -> Any:
    return run if request.param == "blocking" else lambda generator: asyncio.run(arun(generator))


def test_an_answer(drive: Any) -> None:
    assert drive(steps(lambda: 3, 5)) == 3


def test_an_error(drive: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        drive(steps(lambda: 1 / 0, 5))


def test_too_late() -> None:
    going_on, done = threading.Event(), threading.Event()
    start = time.monotonic()
    with pytest.raises(StoreUnavailableError, match=r"the store did not answer within 0.1 s \(recall_timeout\)"):
        run(steps(lambda: (going_on.wait(10), done.set()), 0.1))
    assert time.monotonic() - start < 5
    going_on.set()
    assert done.wait(10), "what takes long once gets done"


def test_too_late_awaited() -> None:
    done: list[int] = []

    async def later() -> None:
        async def slow() -> None:
            await asyncio.sleep(0.2)
            done.append(1)

        def inside() -> Steps[Any]:
            return (yield Call(lambda: None, slow))

        def outside() -> Steps[Any]:
            return (yield Within(inside, 0.05, "the store"))

        with pytest.raises(StoreUnavailableError):
            await arun(outside())
        for _ in range(100):
            if done:
                return
            await asyncio.sleep(0.02)

    asyncio.run(later())
    assert done == [1]
