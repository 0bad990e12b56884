"""Runs that are cut short, and work that goes on when its run has ended, or that has none around it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Task
from crewai.flow.flow import Flow, start
from crewai.tools import tool

from crewai_persistent_memory import (
    CrewInUseError,
    MissingScopeError,
    PersistentMemory,
    PersistentMemoryError,
    use_scope,
)
from crewai_persistent_memory.adapters.version import is_unified
from crewai_persistent_memory.store.scoped_operations import ScopedOperations

from ..support.crews import ScriptedLLM, final, needs_unified
from ..support.embedders import WordHashEmbedder
from ..support.memory_llm import MemoryLLM
from .test_run_guard import awaited, crew_of, kept_for, kickoff_when_free

pytestmark = pytest.mark.crew

needs_akickoff = pytest.mark.skipif(not hasattr(Crew, "akickoff"), reason="akickoff: since CrewAI 1.7")


@pytest.fixture
def memory(kept_store: Path) -> Iterator[PersistentMemory]:
    with PersistentMemory(path=kept_store, embedder=None) as found:
        yield found


def action(name: str, prompt: str, arguments: str) -> str:
    """A call of a tool, by the name that this CrewAI gives it."""
    name = name if name in prompt else name.replace("_", " ")
    return f"Thought: I need it\nAction: {name}\nAction Input: {arguments}"


@needs_akickoff
class TestCutShort:
    def test_a_tool_that_goes_on_does_not_answer_the_next_user(self, memory: PersistentMemory) -> None:
        """Its result is the answer, and is put into the agent when the run was cancelled long ago."""
        begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

        @tool("card number", result_as_answer=True)
        def card(about: str) -> str:
            """The card."""
            if about == "john":
                begun.set()
                go_on.wait(30)
                ended.set()
                return "john-card"
            return "jane-card"

        def answer(prompt: str) -> str:
            if "john" in prompt.rpartition("Current Task")[2]:
                return action("card_number", prompt, '{"about": "john"}')
            return final("jane-answer")

        agent = Agent(role="Clerk", goal="Answer", backstory="x", llm=ScriptedLLM(answer), tools=[card])
        crew = crew_of(memory, None, agent=agent)

        async def two_requests() -> None:
            with use_scope(user_id="john"):
                request = asyncio.create_task(awaited(crew.akickoff, {"question": "john"}))
            while not begun.is_set():
                await asyncio.sleep(0.01)
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request

        # A loop waits for the threads of its pool when it ends.
        timer = threading.Timer(1, go_on.set)
        timer.start()
        asyncio.run(two_requests())
        assert ended.wait(30)
        with use_scope(user_id="jane"):
            assert kickoff_when_free(crew, {"question": "jane"}).raw == "jane-answer"
        assert kept_for(memory, "jane") == ["jane\nResult: jane-answer"]

    def test_a_run_that_is_never_finished_gives_its_crew_back(self, memory: PersistentMemory) -> None:
        """Its loop has stopped, and its coroutine is closed by whoever collects it, in another context."""
        crew = crew_of(memory, ScriptedLLM(final("noted")))
        with use_scope(user_id="john"):
            unfinished = crew.akickoff({"question": "john"})
        loop = asyncio.new_event_loop()
        task = loop.create_task(unfinished)
        for _ in range(3):
            loop.call_soon(loop.stop)
            loop.run_forever()
        assert not task.done(), "it stands still in its midst"
        with use_scope(user_id="jane"), pytest.raises(CrewInUseError):
            crew.kickoff({"question": "jane"})
        with suppress(ValueError, RuntimeError):  # CrewAI's own variables cannot be reset in another context
            contextvars.Context().run(unfinished.close)
        with use_scope(user_id="jane"):
            assert kickoff_when_free(crew, {"question": "jane"}).raw == "noted"
        loop.close()


class TestInsideAnother:
    @needs_unified
    def test_a_flow_in_a_tool_that_served_somebody_else(self, memory: PersistentMemory) -> None:
        class Visits(Flow):  # type: ignore[type-arg]
            @start()
            def count(self) -> str:
                self.state["visits"] = self.state.get("visits", 0) + 1
                return str(self.state["visits"])

        flow = Visits()
        flow.memory = memory
        outcomes: list[Any] = []

        @tool("visits")
        def visits(about: str) -> str:
            """Counts."""
            try:
                outcomes.append(flow.kickoff())
            except CrewInUseError as error:
                outcomes.append(error)
            return "counted"

        def answer(prompt: str) -> str:
            asked = prompt.rpartition("Current Task")[2]
            return final("noted") if "counted" in asked else action("visits", prompt, '{"about": "me"}')

        for user in ("john", "jane"):
            agent = Agent(role="Clerk", goal="Count", backstory="x", llm=ScriptedLLM(answer), tools=[visits])
            with use_scope(user_id=user):
                crew_of(memory, None, agent=agent).kickoff({"question": user})
        assert outcomes[0] == "1"
        assert isinstance(outcomes[1], CrewInUseError)

    def test_a_flow_without_a_memory_that_starts_crews_with_one(self, memory: PersistentMemory) -> None:
        """Its state may hold what one user said."""
        llm = ScriptedLLM(final("noted"))

        class Desk(Flow):  # type: ignore[type-arg]
            question: Any = None

            @start()
            def ask(self) -> str:
                return str(crew_of(memory, llm).kickoff({"question": "hello"}).raw)

        flow = Desk()
        with use_scope(user_id="john"):
            assert flow.kickoff() == "noted"
        with use_scope(user_id="jane"), pytest.raises(CrewInUseError, match="a new one for each request"):
            flow.kickoff()
        with use_scope(user_id="jane"):
            assert Desk().kickoff() == "noted"


class TestWithoutARun:
    """An application may ask an agent for a task itself."""

    @pytest.mark.parametrize("how", ["execute_task", "execute_sync"])
    def test_an_agents_task(self, memory: PersistentMemory, how: str) -> None:
        llm = ScriptedLLM(lambda prompt: final("john-answer" if "john-secret" in prompt else "noted"))
        crew = crew_of(memory, llm)
        agent = crew.agents[0]
        crew.tasks[0].description = "a warm-up"
        with use_scope(user_id="warm-up"):
            crew.kickoff()

        def ask(question: str) -> Any:
            task = Task(description=question, expected_output="x", agent=agent)
            return agent.execute_task(task) if how == "execute_task" else task.execute_sync(agent)

        asked = len(llm.prompts)
        with pytest.raises(MissingScopeError):
            ask("whose?")
        assert len(llm.prompts) == asked
        with use_scope(user_id="john"):
            ask("john-secret")
        with use_scope(user_id="jane"):
            ask("jane-question")
        assert not any("john" in prompt for prompt in llm.prompts if "jane-question" in prompt)
        assert not any("john" in text for text in kept_for(memory, "jane"))


class TestToolsOfAnAwaitedCrew:
    """They run in threads of the loop's pool, without the context of the crew."""

    @needs_akickoff
    def test_a_users_tool_asks_the_memory(self, memory: PersistentMemory) -> None:
        recalled: list[Any] = []

        @tool("ask memory")
        def ask(about: str) -> str:
            """Asks."""
            recalled.append([match.record.content for match in memory.recall("tea")])
            return "asked"

        def answer(prompt: str) -> str:
            asked = prompt.rpartition("Current Task")[2]
            return final("noted") if "asked" in asked else action("ask_memory", prompt, '{"about": "me"}')

        agent = Agent(role="Clerk", goal="Ask", backstory="x", llm=ScriptedLLM(answer), tools=[ask])
        with use_scope(user_id="john"):
            memory.remember("John likes tea")
            asyncio.run(awaited(crew_of(memory, None, agent=agent).akickoff, {"question": "hello"}))
        assert recalled == [["John likes tea"]]

    @needs_unified
    def test_a_save_tool_that_fails_fails_the_crew_where_it_shall(self, tmp_path: Path, monkeypatch: Any) -> None:
        def fails(*args: Any, **kwargs: Any) -> Any:
            raise PersistentMemoryError("the disk is on fire")
            yield

        def answer(prompt: str) -> str:
            if "disk is on fire" in prompt or "Error" in prompt.rpartition("Current Task")[2]:
                return final("done")
            return action("save_to_memory", prompt, '{"contents": ["I like tea"]}')

        with PersistentMemory(path=tmp_path / "s", embedder=None, user_id="john", on_error="raise") as memory:
            crew = crew_of(memory, ScriptedLLM(answer))
            monkeypatch.setattr(ScopedOperations, "put", fails)
            with pytest.raises(PersistentMemoryError, match="the disk is on fire"):
                asyncio.run(awaited(crew.akickoff, {"question": "hello"}))


def test_an_accepted_answer_is_kept_though_a_callback_fails(memory: PersistentMemory) -> None:
    def broken(output: Any) -> None:
        raise ValueError("the callback is broken")

    agent = Agent(role="Clerk", goal="Answer", backstory="x", llm=ScriptedLLM(final("good")))
    accept = lambda output: (True, output.raw)  # noqa: E731 (CrewAI refuses a return type that is written as text)
    task = Task(description="hello", expected_output="x", agent=agent, guardrail=accept, callback=broken)
    with use_scope(user_id="john"), pytest.raises(ValueError, match="the callback is broken"):
        Crew(agents=[agent], tasks=[task], **memory.crew_kwargs(long_term=False)).kickoff()
    assert kept_for(memory, "john") == ["hello\nResult: good"]


@pytest.mark.skipif(not is_unified(), reason="what CrewAI has since 1.10 only")
def test_crewais_own_memory_saves_in_the_scope_of_the_crew(tmp_path: Path) -> None:
    """It saves in the background; in 1.10 and 1.11 without the caller's context."""
    from crewai.memory.unified_memory import Memory

    from crewai_persistent_memory import QdrantStorageBackend

    backend = QdrantStorageBackend(path=tmp_path / "s")
    own = Memory(storage=backend, llm=MemoryLLM(), embedder=WordHashEmbedder())
    agent = Agent(role="Clerk", goal="Answer", backstory="x", llm=ScriptedLLM(final("FACT: John likes tea.")))
    task = Task(description="FACT: I am John.", expected_output="x", agent=agent)
    with use_scope(user_id="john"):
        Crew(agents=[agent], tasks=[task], memory=own).kickoff()
        own.drain_writes()
        kept = [record.content for record in backend.list_records()]
    assert any("John likes tea" in text for text in kept), kept
    own.close()
    backend.close()
