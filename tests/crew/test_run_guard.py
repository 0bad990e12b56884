"""What a run leaves in CrewAI's objects reaches nobody else, what cannot be made safe is refused by name, and a crew
whose memory has no user, or fails, says so."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import crewai
import pytest
from crewai import Agent, Crew, Task
from crewai.flow.flow import Flow, start
from crewai.tools import tool

from crewai_persistent_memory import (
    ConfigurationError,
    CrewInUseError,
    MissingScopeError,
    PersistentMemory,
    PersistentMemoryError,
    ScopeConflictError,
    register,
    unregister,
    use_scope,
)
from crewai_persistent_memory.adapters.version import installed
from crewai_persistent_memory.store.scoped_operations import ScopedOperations

from ..support.crews import ScriptedLLM, final, needs_unified, one_agent_crew
from ..support.crowd import aread, read, supports_streaming
from ..support.memories import told

pytestmark = pytest.mark.crew


@pytest.fixture
def memory(kept_store: Path) -> Iterator[PersistentMemory]:
    with PersistentMemory(path=kept_store, embedder=None) as found:
        yield found


def kept_for(memory: PersistentMemory, user: str) -> list[str]:
    with use_scope(user_id=user):
        return told(memory)


def crew_of(
    memory: PersistentMemory, llm: Any, *, agent: Any = None, description: str = "{question}", **crew: Any
) -> Crew:
    agent = agent or Agent(role="Concierge", goal="Serve guests", backstory="At the desk", llm=llm)
    task = Task(description=description, expected_output="A short answer", agent=agent)
    return Crew(agents=[agent], tasks=[task], **memory.crew_kwargs(long_term=False), **crew)


class TestLeftovers:
    """John's kickoff, then Jane's."""

    def test_inputs_are_not_baked_into_copies(self, memory: PersistentMemory) -> None:
        llm = ScriptedLLM(final("noted"))
        crew = crew_of(memory, llm)
        with use_scope(user_id="john"):
            crew.kickoff(inputs={"question": "john-secret"})
        for each in (crew.copy(), crew):
            with use_scope(user_id="jane"):
                each.kickoff(inputs={"question": "jane-question"})
                each.copy().kickoff_for_each(inputs=[{"question": "jane-question"}])
        assert all("jane-question" in prompt for prompt in llm.prompts[1:])
        assert not any("john-secret" in prompt for prompt in llm.prompts[1:])
        assert kept_for(memory, "john") == ["john-secret\nResult: noted"]

    def test_a_crew_that_runs_can_be_copied(self, memory: PersistentMemory) -> None:
        answered: list[str] = []

        def answer(prompt: str) -> str:
            if "john-secret" in prompt and not answered:
                answered.append("john")
                with use_scope(user_id="jane"):
                    copied = threading.Thread(target=lambda: serve(crew.copy()))
                    copied.start()
                    copied.join()
            return final("noted")

        def serve(copied: Crew) -> None:
            with use_scope(user_id="jane"):
                copied.kickoff(inputs={"question": "jane-question"})

        llm = ScriptedLLM(answer)
        crew = crew_of(memory, llm)
        with use_scope(user_id="john"):
            crew.kickoff(inputs={"question": "john-secret"})
        [jane] = [prompt for prompt in llm.prompts if "jane-question" in prompt]
        assert "john-secret" not in jane
        assert kept_for(memory, "jane") == ["jane-question\nResult: noted"]

    def test_what_the_application_writes_into_a_task_stays(self, memory: PersistentMemory) -> None:
        llm = ScriptedLLM(final("noted"))
        crew = crew_of(memory, llm, description="first")
        for user, description in (("john", "first"), ("jane", "second"), ("john", "third")):
            crew.tasks[0].description = description
            with use_scope(user_id=user):
                crew.kickoff()
            assert kept_for(memory, user)[-1] == f"{description}\nResult: noted"

    def test_a_result_stays_readable_until_the_next_run(self, memory: PersistentMemory) -> None:
        crew = crew_of(memory, ScriptedLLM(final("noted")))
        with use_scope(user_id="john"):
            crew.kickoff(inputs={"question": "hello"})
        assert crew.tasks[0].output is not None
        assert crew.tasks[0].output.raw == "noted"

    def test_results_of_tools(self, memory: PersistentMemory) -> None:
        """CrewAI answers an equal call from its cache, and keeps results that are answers for ever."""
        users: list[str] = []

        @tool("my orders")
        def orders(about: str) -> str:
            """The orders of whoever asks."""
            return f"orders of {users[-1]}"

        @tool("my name", result_as_answer=True)
        def name(about: str) -> str:
            """The name of whoever asks."""
            return f"I am {users[-1]}"

        def answer(prompt: str) -> str:
            asked = prompt.rpartition("Current Task")[2]
            if "Observation" not in asked:
                wanted = "my_name" if "who am I" in asked else "my_orders"
                if "my_orders" not in prompt:
                    wanted = wanted.replace("_", " ")
                return f'Thought: a tool\nAction: {wanted}\nAction Input: {{"about": "me"}}'
            return final("these: " + asked.rpartition("Observation:")[2].strip().splitlines()[0])

        agent = Agent(
            role="Clerk", goal="Look up", backstory="Has a list", llm=ScriptedLLM(answer), tools=[orders, name]
        )
        crew = crew_of(memory, None, agent=agent, cache=True)
        answers = []
        for user, question in (("john", "who am I"), ("john", "orders"), ("jane", "orders"), ("jane", "who am I")):
            users.append(user)
            with use_scope(user_id=user):
                answers.append(crew.kickoff(inputs={"question": question}).raw)
        assert answers == ["I am john", "these: orders of john", "these: orders of jane", "I am jane"]

    def test_a_replay_goes_on_with_ones_own_run_only(self, memory: PersistentMemory) -> None:
        """CrewAI keeps the results of the latest run, whoever's it was."""
        llm = ScriptedLLM(final("john-answer"))
        crew = crew_of(memory, llm)
        second = Task(description="second", expected_output="x", agent=crew.agents[0])
        crew = Crew(agents=crew.agents, tasks=[*crew.tasks, second], **memory.crew_kwargs(long_term=False))
        with use_scope(user_id="john"):
            crew.kickoff({"question": "first"})
            crew.replay(str(second.id))
        assert "john-answer" in llm.prompts[-1]
        new = Crew(agents=crew.agents, tasks=crew.tasks, **memory.crew_kwargs(long_term=False))
        for each in (crew, new):
            with use_scope(user_id="jane"), pytest.raises(CrewInUseError, match="a new one for each request"):
                each.replay(str(second.id))

    def test_what_a_crew_has_is_of_its_last_run(self, memory: PersistentMemory) -> None:
        """Not of its first one: whoever was served before somebody else gets nothing of that run."""
        llm = ScriptedLLM(lambda prompt: final("jane-answer" if "jane" in prompt else "john-answer"))
        first = crew_of(memory, llm)
        second = crew_of(memory, llm, description="second")
        second.tasks[0].context = [first.tasks[0]]
        for user in ("john", "jane"):
            with use_scope(user_id=user):
                first.kickoff({"question": user})
        with use_scope(user_id="john"):
            with pytest.raises(CrewInUseError, match="a new one for each request"):
                first.replay(str(first.tasks[0].id))
            second.kickoff()
        assert "jane-answer" not in llm.prompts[-1]
        with use_scope(user_id="jane"):
            first.kickoff({"question": "jane"})
            second.kickoff()
        assert "jane-answer" in llm.prompts[-1], "its own user gets it"

    @pytest.mark.parametrize("other", [{"project_id": "staging"}, {"org_id": "acme"}, {"run_id": "r2"}], ids=str)
    def test_another_project_organisation_or_run_is_another_owner(
        self, memory: PersistentMemory, other: dict[str, str]
    ) -> None:
        """Of the same user: what one of them left in a crew is no more the other one's than somebody else's."""
        owner: Any = {"user_id": "john", "project_id": "live", "org_id": "o", "run_id": "r1"}
        llm = ScriptedLLM(final("live-answer"))
        first = crew_of(memory, llm, description="first")
        second = crew_of(memory, llm, description="second")
        second.tasks[0].context = [first.tasks[0]]
        with use_scope(**owner):
            first.kickoff()
            second.kickoff()
            assert "live-answer" in llm.prompts[-1]
            second.replay(str(second.tasks[0].id))
        with use_scope(**{**owner, **other}):
            with pytest.raises(CrewInUseError, match="a new one for each request"):
                second.replay(str(second.tasks[0].id))
            second.kickoff()
        assert "live-answer" not in llm.prompts[-1]

    def test_the_result_of_another_crews_task(self, memory: PersistentMemory) -> None:
        llm = ScriptedLLM(final("john-answer"))
        first = crew_of(memory, llm, description="first")
        second = crew_of(memory, llm, description="second")
        second.tasks[0].context = [first.tasks[0]]
        with use_scope(user_id="john"):
            first.kickoff()
            second.kickoff()
        assert "john-answer" in llm.prompts[-1], "one user's own result is given to the next task"
        with use_scope(user_id="jane"):
            second.kickoff()
        assert "john-answer" not in llm.prompts[-1]

    @needs_unified
    def test_the_same_words_of_two_users_are_two_memories(self, memory: PersistentMemory) -> None:
        """With CrewAI's cache the second one is told "Saved", and nothing is stored."""
        action = 'Thought: save\nAction: save_to_memory\nAction Input: {"contents": ["I like tea"]}'
        llm = ScriptedLLM(lambda prompt: final("done") if "Saved to memory" in prompt else action)
        crew = crew_of(memory, llm, cache=True)
        for user in ("john", "jane"):
            with use_scope(user_id=user):
                crew.kickoff(inputs={"question": f"{user} says"})
            assert "I like tea" in kept_for(memory, user)

    @needs_unified
    def test_a_search_after_a_save_finds_what_was_saved(self, memory: PersistentMemory) -> None:
        search = 'Thought: look\nAction: search_memory\nAction Input: {"queries": ["password"]}'
        save = 'Thought: save\nAction: save_to_memory\nAction Input: {"contents": ["the password is swordfish"]}'

        def answer(prompt: str) -> str:
            if "Found memories" in prompt:
                return final("done")
            return search if "Saved to memory" in prompt or "No relevant memories" not in prompt else save

        llm = ScriptedLLM(answer)
        with use_scope(user_id="john"):
            crew_of(memory, llm, cache=True).kickoff(inputs={"question": "hello"})
        assert "swordfish" in llm.prompts[-1].rpartition("Found memories")[2]


class TestRefusals:
    def test_a_crew_that_runs_names_the_remedy(self, memory: PersistentMemory) -> None:
        refused: list[Exception] = []

        def answer(prompt: str) -> str:
            thread = threading.Thread(target=second)
            thread.start()
            thread.join()
            return final("noted")

        def second() -> None:
            with use_scope(user_id="jane"):
                for start_it in (crew.kickoff, lambda inputs: asyncio.run(crew.kickoff_async(inputs))):
                    with pytest.raises(CrewInUseError, match=r"crew\.copy\(\)") as caught:
                        start_it({"question": "jane"})
                    refused.append(caught.value)

        llm = ScriptedLLM(answer)
        crew = crew_of(memory, llm)
        with use_scope(user_id="john"):
            assert crew.kickoff({"question": "john"}).raw == "noted"
        assert len(refused) == 2
        assert kept_for(memory, "jane") == []
        with use_scope(user_id="jane"):
            crew.kickoff({"question": "jane"})  # free again

    def test_a_crew_that_failed_is_free_again(self, memory: PersistentMemory) -> None:
        def answer(prompt: str) -> str:
            if "john" in prompt:
                raise ValueError("no answer")
            return final("noted")

        crew = crew_of(memory, ScriptedLLM(answer))
        with use_scope(user_id="john"), pytest.raises(Exception, match="no answer"):
            crew.kickoff({"question": "john"})
        with use_scope(user_id="jane"):
            crew.kickoff({"question": "jane"})
        assert kept_for(memory, "jane") == ["jane\nResult: noted"]

    @pytest.mark.skipif(
        installed() < (1, 7, 0), reason="until CrewAI 1.6 a kickoff waits for ever for an asynchronous task that failed"
    )
    def test_while_an_asynchronous_task_of_a_failed_run_goes_on(self, memory: PersistentMemory) -> None:
        begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

        def failing(prompt: str) -> str:
            if "john" in prompt:
                begun.wait(30)
                raise ValueError("no answer")
            return final("noted")

        def slow(prompt: str) -> str:
            if "john" in prompt:
                begun.set()
                go_on.wait(30)
            return final("slow answer")

        def agent(answer: Any) -> Agent:
            return Agent(role="Clerk", goal="Answer", backstory="x", llm=ScriptedLLM(answer), max_retry_limit=0)

        first, second = agent(failing), agent(slow)
        tasks = [
            Task(description="first {question}", expected_output="x", agent=first, async_execution=True),
            Task(description="second {question}", expected_output="x", agent=second, async_execution=True),
            Task(description="third {question}", expected_output="x", agent=agent(final("noted"))),
        ]
        tasks[1].callback = lambda output: done.set()
        crew = Crew(agents=[first, second, tasks[2].agent], tasks=tasks, **memory.crew_kwargs(long_term=False))
        with use_scope(user_id="john"), pytest.raises(Exception, match="no answer"):
            crew.kickoff({"question": "john"})
        with use_scope(user_id="jane"), pytest.raises(CrewInUseError):
            crew.kickoff({"question": "jane"})
        go_on.set()
        assert done.wait(30)
        with use_scope(user_id="jane"):
            kickoff_when_free(crew, {"question": "jane"})
        assert not any("john" in text for text in kept_for(memory, "jane"))
        assert "second john\nResult: slow answer" in kept_for(memory, "john")

    @pytest.mark.skipif(not hasattr(Crew, "akickoff"), reason="akickoff: since CrewAI 1.7")
    def test_while_a_tool_of_a_cancelled_run_goes_on(self, memory: PersistentMemory) -> None:
        """A tool in a thread cannot be cancelled. Where the thread runs all of ``ToolUsage._use``, it writes the
        result into the agent when it is done. Where only the tool's function is in the thread, nobody takes it."""
        writes: list[bool] = []
        begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

        @tool("my orders")
        def orders(about: str) -> str:
            """The orders of whoever asks."""
            writes.append("_use" in [frame.function for frame in inspect.stack()])
            begun.set()
            go_on.wait(30)
            done.set()
            return "orders of john"

        def answer(prompt: str) -> str:
            if "john" not in prompt.rpartition("Current Task")[2]:
                return final("noted")
            name = "my_orders" if "my_orders" in prompt else "my orders"
            return f'Thought: a tool\nAction: {name}\nAction Input: {{"about": "me"}}'

        llm = ScriptedLLM(answer)
        agent = Agent(role="Clerk", goal="Look up", backstory="Has a list", llm=llm, tools=[orders])
        crew = crew_of(memory, None, agent=agent)

        async def johns() -> None:
            with use_scope(user_id="john"):
                run = asyncio.create_task(crew.akickoff({"question": "john"}))
            await asyncio.to_thread(begun.wait, 30)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
            try:
                with use_scope(user_id="jane"), pytest.raises(CrewInUseError) if writes == [True] else nullcontext():
                    await crew.akickoff({"question": "jane"})
            finally:
                go_on.set()

        asyncio.run(johns())
        assert done.wait(30)
        with use_scope(user_id="jane"):
            assert kickoff_when_free(crew, {"question": "jane"}).raw == "noted"
        assert "john" not in llm.prompts[-1]
        assert not any("john" in text for text in kept_for(memory, "jane"))

    def test_a_crew_for_somebody_else_inside_a_run_with_the_same_agent(self, memory: PersistentMemory) -> None:
        refused: list[Exception] = []

        def answer(prompt: str) -> str:
            if not refused:
                with use_scope(user_id="jane"), pytest.raises(CrewInUseError) as caught:
                    crew_of(memory, None, agent=agent, description="jane-question").kickoff()
                refused.append(caught.value)
            return final("noted")

        agent = Agent(role="Desk", goal="Serve", backstory="x", llm=ScriptedLLM(answer))
        with use_scope(user_id="john"):
            crew_of(memory, None, agent=agent, description="john-question").kickoff()
        assert refused
        assert kept_for(memory, "jane") == []

    def test_the_task_that_another_crew_takes_its_context_from(self, memory: PersistentMemory) -> None:
        """Its result would change under the other crew."""
        refused: list[Exception] = []

        def answer(prompt: str) -> str:
            thread = threading.Thread(target=john)
            thread.start()
            thread.join()
            return final("noted")

        def john() -> None:
            with use_scope(user_id="john"), pytest.raises(CrewInUseError) as caught:
                first.kickoff({"question": "john-secret"})
            refused.append(caught.value)

        first = crew_of(memory, ScriptedLLM(final("john-answer")))
        second = crew_of(memory, ScriptedLLM(answer), description="second")
        second.tasks[0].context = [first.tasks[0]]
        with use_scope(user_id="jane"):
            second.kickoff()
        assert refused

    @needs_unified
    def test_a_flow_that_served_somebody_else(self, memory: PersistentMemory) -> None:
        """Its state is the application's: nobody can clean it."""

        class Desk(Flow):  # type: ignore[type-arg]
            @start()
            def ask(self) -> str:
                self.remember("somebody was here")
                return "done"

        flow = Desk()
        flow.memory = memory
        with use_scope(user_id="john"):
            flow.kickoff()
            flow.kickoff()
        for _ in range(2):
            with use_scope(user_id="jane"), pytest.raises(CrewInUseError, match="a new one for each request"):
                flow.kickoff()
        assert kept_for(memory, "jane") == []
        assert kept_for(memory, "john") == ["somebody was here"]


def kickoff_when_free(crew: Crew, inputs: dict[str, Any]) -> Any:
    """A task's thread gives its objects back after its callback."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return crew.kickoff(inputs)
        except CrewInUseError:
            assert time.monotonic() < deadline, "never free again"


def starts(crew: Crew) -> dict[str, Any]:
    """Every way of starting a crew, blocking."""
    inputs = {"question": "hello"}
    found: dict[str, Any] = {
        "kickoff": lambda: crew.kickoff(inputs=inputs),
        "kickoff_for_each": lambda: crew.kickoff_for_each(inputs=[inputs]),
        "kickoff_async": lambda: asyncio.run(awaited(crew.kickoff_async, inputs)),
        "kickoff_for_each_async": lambda: asyncio.run(awaited(crew.kickoff_for_each_async, [inputs])),
        "replay": lambda: crew.replay(str(crew.tasks[0].id)),
    }
    if hasattr(crew, "akickoff"):
        found["akickoff"] = lambda: asyncio.run(awaited(crew.akickoff, inputs))
    return found


async def awaited(start_it: Any, inputs: Any) -> Any:
    return await aread(await start_it(inputs))


class TestNoUser:
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("on_error", ["warn", "raise"])
    def test_fails_every_start_before_the_first_llm_call(self, tmp_path: Path, stream: bool, on_error: Any) -> None:
        if stream and not supports_streaming():
            pytest.skip("this CrewAI does not stream")
        llm = ScriptedLLM(final("noted"))
        with PersistentMemory(path=tmp_path / "s", embedder=None, on_error=on_error) as memory:
            crew = crew_of(memory, llm, **({"stream": True} if stream else {}))
            for name, start_it in starts(crew).items():
                with pytest.raises(MissingScopeError):
                    start_it()
                assert not llm.prompts, name

    def test_fails_a_crew_whose_agent_has_a_memory_of_its_own(self, memory: PersistentMemory) -> None:
        if "memory" not in Agent.model_fields:
            pytest.skip("an agent has a memory since CrewAI 1.10")
        llm = ScriptedLLM(final("noted"))
        agent = Agent(role="Chef", goal="Cook", backstory="Knows", llm=llm, memory=memory.scoped(agent_id="chef"))
        plain = Crew(agents=[agent], tasks=[Task(description="Cook", expected_output="x", agent=agent)])
        with pytest.raises(MissingScopeError):
            plain.kickoff()
        with pytest.raises(MissingScopeError):
            agent.kickoff("Cook")
        with pytest.raises(MissingScopeError):
            asyncio.run(agent.kickoff_async("Cook"))
        assert not llm.prompts

    @needs_unified
    def test_a_flow_may_name_its_user_in_a_method(self, memory: PersistentMemory) -> None:
        class Desk(Flow):  # type: ignore[type-arg]
            @start()
            def ask(self) -> str:
                with pytest.raises(MissingScopeError):
                    self.recall("anything")
                with use_scope(user_id="john"):
                    self.remember("somebody was here")
                return "done"

        flow = Desk()
        flow.memory = memory
        assert flow.kickoff() == "done"
        assert kept_for(memory, "john") == ["somebody was here"]

    def test_another_user_than_the_memorys(self, tmp_path: Path) -> None:
        llm = ScriptedLLM(final("noted"))
        with PersistentMemory(path=tmp_path / "s", embedder=None, user_id="john") as memory:
            crew = crew_of(memory, llm)
            with use_scope(user_id="jane"), pytest.raises(ScopeConflictError):
                crew.kickoff({"question": "hello"})
        assert not llm.prompts

    def test_crewais_own_crew_and_crews_without_memory_are_left_alone(self, memory: PersistentMemory) -> None:
        plain = one_agent_crew(ScriptedLLM(final("noted")), "hello")
        assert plain.kickoff().raw == "noted"
        own = crewai.Crew(agents=plain.agents, tasks=plain.tasks, **memory.crew_kwargs(long_term=False))
        with pytest.raises(MissingScopeError):
            own.kickoff()


class TestAnAgentThatAlsoWorksInACrewWithoutMemory:
    """CrewAI's executor goes on with the crew that it was made for, and with that crew's memory."""

    def test_what_is_said_there_is_kept_for_nobody(self, memory: PersistentMemory) -> None:
        llm = ScriptedLLM(final("noted"))
        crew = crew_of(memory.scoped(user_id="john"), llm)
        plain = Crew(
            agents=crew.agents, tasks=[Task(description="{question}", expected_output="x", agent=crew.agents[0])]
        )
        crew.kickoff({"question": "John's question"})
        kept = kept_for(memory, "john")
        plain.kickoff({"question": "Jane's question"})
        with use_scope(user_id="jane"):
            plain.kickoff({"question": "Jane's other question"})
        assert kept_for(memory, "john") == kept
        assert kept_for(memory, "jane") == []
        assert not [prompt for prompt in llm.prompts[1:] if "John's question" in prompt]

    def test_not_at_once(self, memory: PersistentMemory) -> None:
        refused = []

        def answer(prompt: str) -> str:
            if "John's question" in prompt:  # in another thread, as another request would be
                thread = threading.Thread(target=start_plain)
                thread.start()
                thread.join()
            return final("noted")

        def start_plain() -> None:
            try:
                plain.kickoff({"question": "Jane's question"})
            except CrewInUseError as error:
                refused.append(str(error))

        llm = ScriptedLLM(answer)
        crew = crew_of(memory, llm)
        plain = Crew(
            agents=crew.agents, tasks=[Task(description="{question}", expected_output="x", agent=crew.agents[0])]
        )
        with use_scope(user_id="john"):
            crew.kickoff({"question": "John's question"})
        assert len(refused) == 1
        assert "crew.copy()" in refused[0]
        assert not [prompt for prompt in llm.prompts if "Jane's question" in prompt]
        assert "Jane's" not in str(kept_for(memory, "john"))

    def test_crews_without_memory_may_share_it(self, memory: PersistentMemory) -> None:
        answers = []

        def answer(prompt: str) -> str:
            if "first" in prompt:
                thread = threading.Thread(
                    target=lambda: answers.append(plain_crew().kickoff({"question": "second"}).raw)
                )
                thread.start()
                thread.join()
            return final("noted")

        def plain_crew() -> Crew:
            # CrewAI itself refuses an agent that works twice at once: this one is only of the crew.
            return Crew(agents=[agent], tasks=[Task(description="{question}", expected_output="x", agent=other)])

        llm = ScriptedLLM(answer)
        agent, other = (
            Agent(role=role, goal="Serve guests", backstory="At the desk", llm=llm) for role in ("Concierge", "Porter")
        )
        with use_scope(user_id="john"):
            crew_of(memory, llm, agent=agent).kickoff({"question": "hello"})
        Crew(agents=[agent], tasks=[Task(description="{question}", expected_output="x", agent=agent)]).kickoff(
            {"question": "first"}
        )
        assert answers == ["noted"]


class TestAMemoryThatFails:
    @pytest.mark.parametrize("start_it", ["kickoff", "akickoff"])
    @pytest.mark.parametrize("operation", ["search_many", "put"])
    def test_fails_the_crew_where_it_shall(
        self, tmp_path: Path, operation: str, start_it: str, caplog: pytest.LogCaptureFixture, monkeypatch: Any
    ) -> None:
        if start_it == "akickoff" and not hasattr(Crew, "akickoff"):
            pytest.skip("akickoff: since CrewAI 1.7")

        def fails(*args: Any, **kwargs: Any) -> Any:
            raise PersistentMemoryError("the disk is on fire")
            yield

        for on_error in ("warn", "raise"):
            llm = ScriptedLLM(final("noted"))
            with PersistentMemory(path=tmp_path / on_error, embedder=None, user_id="john", on_error=on_error) as memory:
                monkeypatch.setattr(ScopedOperations, operation, fails)
                crew = crew_of(memory, llm)
                run = starts(crew)[start_it]
                with caplog.at_level(logging.ERROR, "crewai_persistent_memory"):
                    if on_error == "warn":
                        assert run().raw == "noted"
                        assert "the disk is on fire" in caplog.text
                    else:
                        with pytest.raises(PersistentMemoryError, match="the disk is on fire"):
                            run()
                monkeypatch.undo()

    def test_of_every_crew(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """By ``register(default=True, on_error=...)``."""

        def fails(*args: Any, **kwargs: Any) -> Any:
            raise PersistentMemoryError("the disk is on fire")
            yield

        register(default=True, on_error="raise", path=tmp_path / "s", embedder=None, user_id="john")
        try:
            llm = ScriptedLLM(final("noted"))
            crew = one_agent_crew(llm, "hello", memory=True)
            monkeypatch.setattr(ScopedOperations, "put", fails)
            with pytest.raises(PersistentMemoryError, match="the disk is on fire"):
                crew.kickoff()
        finally:
            unregister()

    def test_the_option_is_checked(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match='on_error must be "warn" or "raise"'):
            PersistentMemory(path=tmp_path / "s", embedder=None, on_error="ignore")


class TestGuardrails:
    """What a guardrail refused is not remembered beside what it accepted."""

    # CrewAI refuses a return type that is written as text, as all of this module are.
    accepts = staticmethod(lambda output: (("good" in output.raw), output.raw if "good" in output.raw else "be good"))

    @pytest.mark.parametrize("start_it", ["kickoff", "akickoff"])
    def test_only_the_accepted_answer_is_kept(self, memory: PersistentMemory, start_it: str) -> None:
        if start_it == "akickoff" and not hasattr(Crew, "akickoff"):
            pytest.skip("akickoff: since CrewAI 1.7")
        answers = ["bad-one", "bad-two", "good-three"]
        llm = ScriptedLLM(lambda prompt: final(answers.pop(0)))
        agent = Agent(role="Clerk", goal="Answer", backstory="Careful", llm=llm)
        task = Task(description="{question}", expected_output="x", agent=agent, guardrail=self.accepts)
        crew = Crew(agents=[agent], tasks=[task], **memory.crew_kwargs(long_term=False))
        with use_scope(user_id="john"):
            inputs = {"question": "hello"}
            if start_it == "kickoff":
                crew.kickoff(inputs)
            else:
                asyncio.run(awaited(crew.akickoff, inputs))
        assert kept_for(memory, "john") == ["hello\nResult: good-three"]

    def test_what_the_guardrail_made_of_it_is_kept(self, memory: PersistentMemory) -> None:
        llm = ScriptedLLM(final("my card is 1234"))
        agent = Agent(role="Clerk", goal="Answer", backstory="Careful", llm=llm)
        task = Task(
            description="hello",
            expected_output="x",
            agent=agent,
            guardrail=lambda output: (True, output.raw.replace("1234", "****")),
        )
        with use_scope(user_id="john"):
            result = Crew(agents=[agent], tasks=[task], **memory.crew_kwargs(long_term=False)).kickoff()
        assert result.raw == "my card is ****"
        assert kept_for(memory, "john") == ["hello\nResult: my card is ****"]

    def test_delegated_work_is_not_judged(self, memory: PersistentMemory) -> None:
        """Each of it is kept, as it was said, whatever the guardrail makes of the answer to the task."""

        def boss(prompt: str) -> str:
            done = prompt.rpartition("Current Task")[2].count("part-")
            if done < 2:
                tool_name = (
                    "delegate_work_to_coworker"
                    if "delegate_work_to_coworker" in prompt
                    else "Delegate work to coworker"
                )
                work = json.dumps({"task": f"subtask-{done}", "context": "none", "coworker": "Helper"})
                return f"Thought: I need help\nAction: {tool_name}\nAction Input: {work}"
            return final("all done")

        answers = iter(["part-0", "part-1"])
        helper = Agent(role="Helper", goal="Help", backstory="x", llm=ScriptedLLM(lambda prompt: final(next(answers))))
        chief = Agent(role="Boss", goal="Lead", backstory="x", llm=ScriptedLLM(boss), allow_delegation=True)
        task = Task(
            description="the whole",
            expected_output="x",
            agent=chief,
            guardrail=lambda output: (True, output.raw.upper()),
        )
        crew = Crew(agents=[chief, helper], tasks=[task], **memory.crew_kwargs(long_term=False))
        with use_scope(user_id="john"):
            assert crew.kickoff().raw == "ALL DONE"
        kept = kept_for(memory, "john")
        assert "the whole\nResult: ALL DONE" in kept
        for part in ("part-0", "part-1"):
            assert any(text.endswith(f"Result: {part}") for text in kept), kept

    def test_nothing_is_kept_of_a_task_that_no_answer_passed(self, memory: PersistentMemory) -> None:
        llm = ScriptedLLM(final("bad"))
        agent = Agent(role="Clerk", goal="Answer", backstory="Careful", llm=llm)
        task = Task(description="hello", expected_output="x", agent=agent, guardrail=self.accepts)
        crew = Crew(agents=[agent], tasks=[task], **memory.crew_kwargs(long_term=False))
        with use_scope(user_id="john"), pytest.raises(Exception, match="guardrail"):
            crew.kickoff()
        assert kept_for(memory, "john") == []


@pytest.mark.skipif(not supports_streaming(), reason="this CrewAI does not stream")
class TestStreams:
    def test_one_that_is_never_read_holds_nothing(self, memory: PersistentMemory) -> None:
        crew = crew_of(memory, ScriptedLLM(final("noted")), stream=True)
        with use_scope(user_id="john"):
            crew.kickoff(inputs={"question": "john"})
        with use_scope(user_id="jane"):
            read(crew.kickoff(inputs={"question": "jane"}))
        assert kept_for(memory, "jane") == ["jane\nResult: noted"]
        assert kept_for(memory, "john") == []

    def test_read_on_another_thread_without_a_context(self, memory: PersistentMemory) -> None:
        crew = crew_of(memory, ScriptedLLM(final("noted")), stream=True)
        with use_scope(user_id="john"):
            stream = crew.kickoff(inputs={"question": "john"})
        reader = threading.Thread(target=read, args=(stream,))
        reader.start()
        reader.join()
        assert stream.result.raw == "noted"
        assert kept_for(memory, "john") == ["john\nResult: noted"]
