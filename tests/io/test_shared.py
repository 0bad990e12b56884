"""One value of a key in a process: counted, closed once, forgotten after a fork."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from crewai_persistent_memory.io.shared import Shared


class Resource:
    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.closed = 0

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.close()


@pytest.fixture
def shared() -> Shared[str, Resource]:
    return Shared(Resource.close)


def test_holders_of_a_key_share_a_value(shared: Shared[str, Resource]) -> None:
    first, second, other = shared.acquire("a", Resource), shared.acquire("a", Resource), shared.acquire("b", Resource)
    assert first is second is not other
    shared.release("a", first)
    assert (first.closed, "a" in shared) == (0, True)
    shared.release("a", second)
    assert (first.closed, "a" in shared, shared.keys()) == (1, False, ["b"])
    assert shared.acquire("a", Resource) is not first


def test_a_value_that_is_given_back_too_often_is_closed_once(shared: Shared[str, Resource]) -> None:
    old = shared.acquire("a", Resource)
    shared.release("a", old)
    new = shared.acquire("a", Resource)
    shared.release("a", old)
    assert (old.closed, new.closed) == (1, 0)


def test_what_cannot_be_made_or_joined_has_no_holder(shared: Shared[str, Resource]) -> None:
    def fail(value: Any = None) -> Any:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        shared.acquire("a", fail)
    assert "a" not in shared
    value = shared.acquire("a", Resource)
    with pytest.raises(OSError, match="no"):
        shared.acquire("a", Resource, join=fail)
    shared.release("a", value)
    assert value.closed == 1


def test_threads_that_come_at_once_make_one(shared: Shared[str, Resource]) -> None:
    gate = threading.Barrier(16)
    before = Resource.made

    def use(_: int) -> Resource:
        gate.wait()
        return shared.acquire("a", Resource)

    with ThreadPoolExecutor(16) as pool:
        values = list(pool.map(use, range(16)))
    assert Resource.made == before + 1
    for value in values:
        shared.release("a", value)
    assert values[0].closed == 1


def test_given_back_awaiting() -> None:
    shared: Shared[str, Resource] = Shared(Resource.close)
    value = shared.acquire("a", Resource)
    shared.acquire("a", Resource)
    asyncio.run(shared.arelease("a", value, Resource.aclose))
    assert value.closed == 0
    asyncio.run(shared.arelease("a", value))
    assert value.closed == 1


def test_of_an_exclusive_one_there_are_never_two() -> None:
    """A folder that one process at a time may open: the next holder waits until it is closed."""
    opened: list[str] = []
    closing, close_on = threading.Event(), threading.Event()

    def close(value: object) -> None:
        closing.set()
        assert close_on.wait(30)
        opened.append("closed")

    shared: Shared[str, object] = Shared(close, exclusive=True)
    value = shared.acquire("a", object)
    threads = [threading.Thread(target=shared.release, args=("a", value))]
    threads[0].start()
    assert closing.wait(30)
    threads.append(threading.Thread(target=shared.acquire, args=("a", lambda: opened.append("opened") or object())))
    threads[1].start()
    close_on.set()
    for thread in threads:
        thread.join(30)
    assert opened == ["closed", "opened"]


def in_child(use: Any) -> int:
    """The exit code of a forked child that does something."""
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            os._exit(0 if use() else 1)
        except BaseException:  # noqa: BLE001 (whatever it is, the parent hears of it by the exit code)
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_starts_afresh(shared: Shared[str, Resource]) -> None:
    parents = shared.acquire("a", Resource)

    def use() -> bool:
        own = shared.acquire("a", Resource)
        shared.release("a", parents)
        fresh = own is not parents and own.closed == 0 and parents.closed == 0
        shared.release("a", own)
        return fresh and own.closed == 1

    assert in_child(use) == 0
    shared.release("a", parents)
    assert parents.closed == 1


def test_a_lock_that_was_held_at_the_fork_does_not_stop_the_child(shared: Shared[str, Resource]) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> Resource:
        inside.set()
        assert go_on.wait(30)
        return Resource()

    thread = threading.Thread(target=shared.acquire, args=("a", slow))
    thread.start()
    assert inside.wait(30)
    assert in_child(lambda: shared.acquire("b", Resource) is not None) == 0
    go_on.set()
    thread.join(30)


def test_a_value_that_can_go_on_does() -> None:
    reset: list[Resource] = []

    def after_fork(value: Resource) -> bool:
        reset.append(value)
        return True

    shared: Shared[str, Resource] = Shared(Resource.close, after_fork=after_fork)
    value = shared.acquire("a", Resource)

    def use() -> bool:
        same = shared.acquire("a", Resource) is value and reset == [value]
        shared.release("a", value)
        shared.release("a", value)
        return same and value.closed == 1

    assert in_child(use) == 0
    assert reset == []


def test_closed_at_exit_whatever_fails() -> None:
    program = """
import logging
from crewai_persistent_memory.io.shared import Shared
logging.basicConfig(format="%(message)s")
def close(name):
    if name == "first":
        raise OSError("its disk is away")
    print("closed", name)
shared = Shared(close)
for name in ("first", "second"):
    shared.acquire(name, lambda: name)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "closed second\n"
    assert done.stderr == "closing str at exit failed: its disk is away\n"
