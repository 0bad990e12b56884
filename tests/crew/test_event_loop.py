"""``akickoff`` over a store that takes its time: the event loop goes on."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from crewai import Agent, Crew, Task

from crewai_persistent_memory import PersistentMemory, use_scope
from crewai_persistent_memory.io import steps

from ..support.crews import ScriptedLLM, final, memories_in
from ..support.qdrant_server import QdrantServer
from ..support.tcp_proxy import Fault, TcpProxy

pytestmark = [
    pytest.mark.crew,
    pytest.mark.skipif(not hasattr(Crew, "akickoff"), reason="akickoff: since CrewAI 1.7"),
]

CREWS, SLOW = 100, 0.2


@pytest.fixture
def slow_server(server: QdrantServer) -> Iterator[TcpProxy]:
    proxy = TcpProxy(server.port)
    yield proxy
    proxy.down()


def crew_of(memory: PersistentMemory | None, llm: Any, request: str) -> Crew:
    agent = Agent(role="Concierge", goal="Serve guests", backstory="At the desk", llm=llm)
    task = Task(description=request, expected_output="A short answer", agent=agent)
    return Crew(agents=[agent], tasks=[task], **(memory.crew_kwargs(long_term=False) if memory else {}))


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every step that blocked the thread of a running event loop."""
    found: list[str] = []

    def watching(kind: Any) -> None:
        wait = kind.wait

        def watched(step: Any) -> Any:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                pass
            else:
                found.append(kind.__name__)
            return wait(step)

        monkeypatch.setattr(kind, "wait", watched)

    for kind in (steps.Call, steps.Work, steps.Pause):
        watching(kind)
    return found


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Python's collector stops a process with this many tests in it for longer than what is measured."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Longest:
    """How long our own code held the loop at a stretch, in seconds: the steps of store operations, and of a crew
    around them, between two awaits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        arun = steps.arun

        async def timed(operation: Any) -> Any:
            return await _Timed(arun(operation), self)

        # Blocking calls of CrewAI on a loop are awaited by it.
        monkeypatch.setattr(steps, "arun", timed)


class _Timed:
    def __init__(self, coroutine: Any, longest: Longest) -> None:
        self._coroutine, self._longest = coroutine, longest

    def __await__(self) -> Any:
        argument: Any = None
        advance = self._coroutine.send
        while True:
            began = time.thread_time()
            try:
                yielded = advance(argument)
            except StopIteration as stop:
                return stop.value
            finally:
                self._longest.seconds = max(self._longest.seconds, time.thread_time() - began)
            try:
                argument = yield yielded
                advance = self._coroutine.send
            except BaseException as error:  # noqa: BLE001
                advance, argument = self._coroutine.throw, error


@pytest.mark.ends
def test_a_hundred_crews_at_once(
    slow_server: TcpProxy, collection: str, blocked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = ScriptedLLM(final("noted"))
    with PersistentMemory(url=slow_server.url, collection=collection, embedder=None, timeout=30) as memory:
        with use_scope(user_id="guest1"):
            memory.remember("guest1 is allergic to nuts")
        slow_server.rule = lambda request: Fault(delay=SLOW)
        longest = Longest(monkeypatch)

        async def guest(number: int) -> None:
            with use_scope(user_id=f"guest{number}"):
                await crew_of(memory, llm, f"guest{number} is allergic to fruit{number}. What else?").akickoff()

        async def all_of_them() -> None:
            await asyncio.gather(*(guest(number) for number in range(CREWS)))

        with no_garbage_collection():
            asyncio.run(all_of_them())
        slow_server.rule = lambda request: Fault()
        assert not blocked, f"on the loop's own thread: {set(blocked)}"
        assert longest.seconds < 0.02
        # Everybody's memory, and nobody else's.
        for number in range(CREWS):
            with use_scope(user_id=f"guest{number}"):
                [entry] = [each for each in memory.store.list() if "fruit" in each.content]
                assert f"fruit{number}." in entry.content
    recalled = [memories_in(prompt) for prompt in llm.prompts if "guest1 is allergic to fruit1." in prompt]
    assert "allergic to nuts" in recalled[0]


def test_a_frozen_server_stops_one_crew_and_not_the_loop(slow_server: TcpProxy, collection: str) -> None:
    """It accepts connections and never answers."""
    llm = ScriptedLLM(final("noted"))
    frozen = threading.Event()
    options: Any = {"embedder": None, "durability": "store", "timeout": 1, "retry_for": 0}
    with PersistentMemory(url=slow_server.url, collection=collection, **options) as memory:
        with use_scope(user_id="john"):
            memory.remember("x")
        slow_server.rule = lambda request: (frozen.set(), Fault(delay=3))[1]

        async def both() -> int:
            with use_scope(user_id="john"):
                crew = asyncio.create_task(crew_of(memory, llm, "hello").akickoff())
            turns = 0
            while not crew.done():
                await asyncio.sleep(0.01)
                turns += frozen.is_set()
            await crew
            return turns

        turns = asyncio.run(both())
        slow_server.rule = lambda request: Fault()
    assert turns > 30, "the loop turned while the server said nothing"
