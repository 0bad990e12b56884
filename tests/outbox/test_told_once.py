"""An outage is told once: one event on CrewAI's bus and one line in the log, however many recalls there are."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types import memory_events

from crewai_persistent_memory import MemoryStore, PersistentMemory, StoreBusyError
from crewai_persistent_memory.adapters.version import installed
from crewai_persistent_memory.scope import ScopeBinding

from ..support.calling import until
from ..support.crews import ScriptedLLM, final, memories_in, needs_unified, one_agent_crew
from ..support.faulty_store import FaultyStore
from .conftest import OpenOutbox

pytestmark = [
    pytest.mark.crew,
    pytest.mark.skipif(
        (1, 0, 0) <= installed() < (1, 7, 0),
        reason="CrewAI's bus delivers from a pool of threads that can be full (seen on 1.6.1, under load)",
    ),
]


class Failures:
    """What CrewAI's bus tells of memories that failed, of this test."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self._told = threading.Semaphore(0)
        for kind in ("QueryFailed", "SaveFailed", "RetrievalFailed"):
            if hasattr(memory_events, f"Memory{kind}Event"):
                self._note(kind)
        for kind in ("QueryCompleted", "QueryFailed"):
            self._count(kind)

    def _note(self, kind: str) -> None:
        @crewai_event_bus.on(getattr(memory_events, f"Memory{kind}Event"))
        def note(source: Any, event: Any) -> None:
            self.seen.append((kind, event.error))

    def _count(self, kind: str) -> None:
        @crewai_event_bus.on(getattr(memory_events, f"Memory{kind}Event"))
        def count(source: Any, event: Any) -> None:
            self._told.release()

    def after(self, recalls: int) -> list[tuple[str, str]]:
        """The failures, once the ends of so many recalls were told: handlers run in threads of their own."""
        for _ in range(recalls):
            assert self._told.acquire(timeout=30)
        until(lambda: self.seen, bool)
        return self.seen


@pytest.fixture
def failures() -> Iterator[Failures]:
    with crewai_event_bus.scoped_handlers():
        yield Failures()


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "crewai_persistent_memory" and record.levelno >= logging.WARNING
    ]


def ask(memory: PersistentMemory, request: str) -> str:
    """Run a crew. Returns what of its memory was in the prompt."""
    llm = ScriptedLLM(final("noted"))
    one_agent_crew(llm, request, memory=memory).kickoff()
    return memories_in(llm.prompts[0])


class TestCrews:
    def test_three_kickoffs_and_a_second_outage(
        self,
        open_outbox: OpenOutbox,
        behind: FaultyStore,
        failures: Failures,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        memory = PersistentMemory(store=open_outbox())
        behind.away = True
        for dish in ("risotto", "ravioli", "polenta"):
            ask(memory, f"My dish is {dish}")
        assert "ravioli" in ask(memory, "Is ravioli a dish of mine?")
        [(kind, error)] = failures.after(4)
        assert kind == "QueryFailed"
        assert "the test's store is away. Only what waits in the outbox is found" in error
        [warning] = warnings_of(caplog)
        assert warning.startswith("the test's store is away: ")
        behind.away = False
        assert memory.flush(30)
        until(lambda: len(warnings_of(caplog)), lambda count: count == 3)
        assert [text.partition(",")[0] for text in warnings_of(caplog)[1:]] == [
            "the test's store answers again",
            "the test's store has got the 4 writes that were accepted while it was away",
        ]
        ask(memory, "Is ravioli a dish of mine?")
        assert len(failures.after(1)) == 1
        behind.away = True
        ask(memory, "My drink is tea")
        ask(memory, "My drink is coffee")
        failures.after(2)
        until(lambda: failures.seen, lambda seen: len(seen) == 2)
        assert [kind for kind, _ in failures.seen] == ["QueryFailed"] * 2, "each outage is told"
        assert "mismatch" not in "".join(capfd.readouterr()), "CrewAI pairs the events of a search"


class TestRecalls:
    def test_awaited_and_from_other_handles(
        self, open_outbox: OpenOutbox, behind: FaultyStore, failures: Failures, caplog: pytest.LogCaptureFixture
    ) -> None:
        memories = [PersistentMemory(store=open_outbox(user)) for user in ("john", "jane")]
        behind.away = True

        async def recall() -> None:
            for memory in memories:
                await memory.arecall("tea")

        asyncio.run(recall())
        for memory in memories:
            memory.recall("tea")
        assert len(failures.after(4)) == 1
        assert len(warnings_of(caplog)) == 1

    def test_an_outage_that_a_delivery_met_first(
        self, open_outbox: OpenOutbox, behind: FaultyStore, failures: Failures
    ) -> None:
        memory = PersistentMemory(store=open_outbox())
        behind.away = True
        memory.remember("John likes tea")
        until(lambda: memory.health()["outbox"]["last_error"], bool)
        assert [match.record.content for match in memory.recall("tea")] == ["John likes tea"]
        assert [kind for kind, _ in failures.after(1)] == ["QueryFailed"]

    def test_a_store_that_takes_no_requests(
        self, open_outbox: OpenOutbox, behind: FaultyStore, failures: Failures, caplog: pytest.LogCaptureFixture
    ) -> None:
        memory = PersistentMemory(store=open_outbox())
        behind.fails = StoreBusyError("too many requests")
        for _ in range(3):
            memory.recall("tea")
        assert [kind for kind, _ in failures.after(3)] == ["QueryFailed"]
        assert len(warnings_of(caplog)) == 1
        behind.fails = None
        memory.recall("tea")
        behind.fails = StoreBusyError("too many requests")
        memory.recall("tea")
        failures.after(2)
        until(lambda: failures.seen, lambda seen: len(seen) == 2)
        assert [kind for kind, _ in failures.seen] == ["QueryFailed"] * 2


@needs_unified
def test_a_save_in_the_background_that_fails_is_one_event(failures: Failures) -> None:
    store = FaultyStore(extracts=True)
    memory = PersistentMemory(store=MemoryStore(store, ScopeBinding.of(user_id="john")))
    store.away = True
    memory.remember_many(["John likes tea"])
    memory.drain_writes()
    store.away = False
    memory.recall("tea")
    assert [kind for kind, _ in failures.after(1)] == ["SaveFailed"]
