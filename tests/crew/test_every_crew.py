"""What CrewAI's users do with crews, with ``Crew(external_memory=...)`` of this package, on every CrewAI."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import os
import sys
import textwrap
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import crewai
import pytest
from crewai import Agent, Process, Task

from crewai_persistent_memory import Crew, ExternalMemory, PersistentMemory, open_store, use_scope
from crewai_persistent_memory.adapters.version import installed

from ..fixtures import OpenStore
from ..support.crews import ScriptedLLM, final, memories_in, one_agent_crew
from ..support.memories import ForeignStorage, no_local_vectors, told
from ..support.programs import run_program

pytestmark = pytest.mark.crew


@pytest.fixture
def options(kept_store: Path) -> dict[str, Any]:
    return {"path": kept_store, "embedder": None}


@pytest.fixture
def memory(options: dict[str, Any]) -> Iterator[PersistentMemory]:
    with PersistentMemory(user_id="john", **options) as opened:
        yield opened


def crew_of(memory: PersistentMemory, llm: Any, *requests: str, **more: Any) -> Crew:
    agent = Agent(role="Concierge", goal="Serve guests", backstory="At the desk for years", llm=llm)
    tasks = [Task(description=request, expected_output="A short answer", agent=agent) for request in requests]
    return Crew(agents=[agent], tasks=tasks, external_memory=memory, **more)


def recalled(memory: PersistentMemory, request: str) -> str:
    """What a new crew finds in its prompt."""
    llm = ScriptedLLM(final("noted"))
    crew_of(memory, llm, request).kickoff()
    return memories_in(llm.prompts[0])


def test_a_hierarchical_crew(memory: PersistentMemory) -> None:
    llm = ScriptedLLM(final("noted"))
    agent = Agent(role="Concierge", goal="Serve guests", backstory="At the desk for years", llm=llm)
    task = Task(description="John is allergic to nuts", expected_output="A short answer")
    crew = Crew(agents=[agent], tasks=[task], process=Process.hierarchical, manager_llm=llm, external_memory=memory)
    crew.kickoff()
    assert told(memory) == ["John is allergic to nuts\nResult: noted"]
    assert recalled(memory, "Who is allergic?").count("allergic to nuts") == 1
    assert no_local_vectors()


def test_copies_and_kickoff_for_each(memory: PersistentMemory) -> None:
    crew = crew_of(memory, ScriptedLLM(final("noted")), "My sign is {sign}")
    crew.kickoff_for_each(inputs=[{"sign": "leo"}, {"sign": "aries"}])
    copied = crew.copy()
    copied.kickoff(inputs={"sign": "virgo"})
    copied.copy().kickoff(inputs={"sign": "libra"})
    kept = "\n".join(told(memory))
    for sign in ("leo", "aries", "virgo"):
        assert f"My sign is {sign}" in kept
    assert no_local_vectors()


def test_replay(memory: PersistentMemory) -> None:
    llm = ScriptedLLM(final("noted"))
    crew = crew_of(memory, llm, "John likes tea", "What does John like?")
    crew.kickoff()
    assert memory.store.count() == 2
    crew.replay(task_id=str(crew.tasks[1].id))
    assert "John likes tea" in memories_in(llm.prompts[-1])
    assert memory.store.count() == 2, "the same answer to the same task is the same memory"


@pytest.mark.skipif(
    (1, 14, 0) <= installed() < (1, 15, 0),
    reason="CrewAI 1.14 cannot be trained: its AgentExecutor lacks _format_feedback_message, with any memory or none",
)
def test_train(memory: PersistentMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.input", lambda *prompt: "shorter, please")

    def answer(prompt: str) -> str:
        if "Assess the quality of the training data" in prompt:
            return json.dumps({"suggestions": ["be short"], "quality": 8, "final_summary": "- be short"})
        return final("noted")

    crew_of(memory, ScriptedLLM(answer), "John likes tea").train(n_iterations=1, filename="trained.pkl", inputs={})
    assert (tmp_path / "trained.pkl").exists()
    assert any("John likes tea" in text for text in told(memory))
    assert no_local_vectors()


def test_test(memory: PersistentMemory) -> None:
    def answer(prompt: str) -> str:
        quality = '{"quality": 8.0}'
        return (
            quality if "valid JSON" in prompt else final(quality if "evaluate the performance" in prompt else "noted")
        )

    llm = ScriptedLLM(answer)
    crew_of(memory, llm, "John likes tea").test(n_iterations=1, eval_llm=llm, inputs={})
    assert "John likes tea" in "\n".join(told(memory))
    assert no_local_vectors()


@pytest.mark.parametrize("command", ["external", "memory", "all"])
def test_a_reset_stays_inside_the_scope(options: dict[str, Any], command: str) -> None:
    with PersistentMemory(**options) as memory:
        crew = crew_of(memory, ScriptedLLM(final("noted")), "x")
        for user in ("john", "jane"):
            with use_scope(user_id=user):
                crew_of(memory, ScriptedLLM(final("noted")), f"{user} likes tea").kickoff()
        with use_scope(user_id="john"):
            crew.reset_memories(command_type=command)
            assert memory.store.count() == 0
        with use_scope(user_id="jane"):
            assert told(memory) == ["jane likes tea\nResult: noted"]
        with pytest.raises(Exception, match="no user for this call"):
            crew.reset_memories(command_type="external")


PROJECT = """
from crewai import Agent, Process, Task
from crewai.project import CrewBase, agent, crew, task

from crewai_persistent_memory import Crew, ExternalMemory
from tests.support.crews import ScriptedLLM, final

LLM = ScriptedLLM(final("noted"))
CONFIG = {"path": %(path)r, "user_id": "john", "embedder": None}


@CrewBase
class Desk:
    agents_config = "config/agents.yaml"
    tasks_config = "config/tasks.yaml"

    @agent
    def concierge(self) -> Agent:
        return Agent(config=self.agents_config["concierge"], llm=LLM)

    @task
    def serve(self) -> Task:
        return Task(config=self.tasks_config["serve"])

    @crew
    def crew(self) -> Crew:
        memory = ExternalMemory(embedder_config={"provider": "persistent", "config": CONFIG})
        return Crew(agents=self.agents, tasks=self.tasks, process=Process.sequential, external_memory=memory)
"""
AGENTS = """
concierge:
  role: Concierge of {hotel}
  goal: Serve guests
  backstory: At the desk for years
"""
TASKS = """
serve:
  description: "A guest says: {request}"
  expected_output: A short answer
  agent: concierge
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project as ``crewai create crew`` lays it out."""
    folder = tmp_path / "project"
    config = folder / "src" / "desk" / "config"
    config.mkdir(parents=True)
    (config / "agents.yaml").write_text(AGENTS)
    (config / "tasks.yaml").write_text(TASKS)
    (config.parent / "crew.py").write_text(PROJECT % {"path": str(tmp_path / "store")})
    (folder / "pyproject.toml").write_text('[project]\nname = "desk"\nversion = "0.1"\n[tool.crewai]\ntype = "crew"\n')
    return folder


ROOT = Path(__file__).parents[2]


def in_project(project: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(project / "src")])}
    done = run_program(command, cwd=project, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.ends  # a process of CrewAI's own command; the classic project is run in test_scaffold.py on every CrewAI
def test_a_crewbase_project_and_crewais_command(project: Path, options: dict[str, Any]) -> None:
    """``@CrewBase`` and YAML, two crews; then ``crewai reset-memories``, which leaves other users alone."""
    run = textwrap.dedent(
        """
        import sys
        from desk import crew
        from tests.support.crews import memories_in
        for request in sys.argv[1:]:
            crew.Desk().crew().kickoff(inputs={"hotel": "Ritz", "request": request})
            print("FOUND", memories_in(crew.LLM.prompts[-1]).replace(chr(10), " "))
        """
    )
    printed = in_project(project, sys.executable, "-c", run, "I am allergic to nuts", "allergic?")
    at_first, later = [line for line in printed.splitlines() if line.startswith("FOUND")]
    assert "nuts" not in at_first
    assert "A guest says: I am allergic to nuts" in later
    with PersistentMemory(user_id="jane", **options) as jane:
        jane.remember("Jane likes tea")

    printed = in_project(project, str(Path(sys.executable).parent / "crewai"), "reset-memories", "--all")
    with PersistentMemory(user_id="john", **options) as john:
        assert john.store.count() == 0, printed
    with PersistentMemory(user_id="jane", **options) as jane:
        assert told(jane) == ["Jane likes tea"]


class TestThreads:
    def test_an_asynchronous_task_has_the_users_scope(self, options: dict[str, Any]) -> None:
        """CrewAI runs it in a thread; below 1.12 in one that has lost the context."""
        with PersistentMemory(**options) as memory:

            def serve(user: str, request: str) -> str:
                llm = ScriptedLLM(final("noted"))
                crew = crew_of(memory, llm, request, f"Wrap up for {user}")
                crew.tasks[0].async_execution = True
                with use_scope(user_id=user):
                    crew.kickoff()
                return next(memories_in(prompt) for prompt in llm.prompts if request in prompt.partition("ask:")[2])

            for user, secret in (("john", "nuts"), ("jane", "figs")):
                serve(user, f"I am allergic to {secret}")
            assert "allergic to nuts" in serve("john", "allergic?")
            assert "nuts" not in serve("jane", "allergic?")

    def test_users_at_the_same_time_do_not_mix(self, options: dict[str, Any]) -> None:
        prompts: dict[str, str] = {}
        with PersistentMemory(**options) as memory:

            def request(user: str) -> None:
                with use_scope(user_id=user):
                    for what in (f"{user} has the secret code of{user}", "which secret code has been told?"):
                        llm = ScriptedLLM(final("noted"))
                        crew = crew_of(memory, llm, what, "Wrap up")
                        crew.tasks[0].async_execution = True
                        crew.kickoff()
                        prompts[user] = "\n".join(map(memories_in, llm.prompts))

            threads = [
                threading.Thread(target=contextvars.copy_context().run, args=(request, f"u{i}")) for i in range(6)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for user, prompt in prompts.items():
            assert f"of{user}" in prompt
            assert not [other for other in prompts if other != user and f"of{other}" in prompt]

    def test_an_agent_with_a_time_limit_has_the_users_scope(self, options: dict[str, Any]) -> None:
        with PersistentMemory(**options) as memory:
            crew = crew_of(memory, ScriptedLLM(final("noted")), "John likes tea")
            crew.agents[0].max_execution_time = 60
            with use_scope(user_id="john"):
                crew.kickoff()
                assert told(memory) == ["John likes tea\nResult: noted"]

    def test_a_thread_that_has_lost_the_user_gets_nothing(
        self, options: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        with PersistentMemory(**options) as memory:
            with use_scope(user_id="john"):
                memory.remember("John is allergic to nuts")
            llm = ScriptedLLM(final("noted"))
            crew = crew_of(memory, llm, "Who is allergic?")
            failed: list[Exception] = []

            def without_context() -> None:
                try:
                    crew.kickoff()
                except Exception as error:  # noqa: BLE001 (which one depends on CrewAI)
                    failed.append(error)

            with use_scope(user_id="john"), caplog.at_level(logging.ERROR, "crewai_persistent_memory"):
                thread = threading.Thread(target=without_context)
                thread.start()
                thread.join()
                assert memory.store.count() == 1, "nothing was stored"
            assert "no user for this call" in caplog.text
            assert not any("nuts" in prompt for prompt in llm.prompts)


def test_memory_by_the_same_names_on_every_crewai(memory: PersistentMemory) -> None:
    """What a program may call without asking which CrewAI it runs on."""
    kept = memory.remember("John likes tea", scope="/food", categories=["drinks"], metadata={"by": "waiter"})
    assert kept is not None
    memory.remember_many(["John likes figs", "John hates rum"])
    [match] = memory.recall("tea", limit=1)
    assert (match.record.id, match.record.content, match.record.scope) == (kept.id, "John likes tea", "/food")
    assert match.record.categories == ["drinks"]
    assert match.record.metadata == {"by": "waiter"}
    assert 0 < match.score <= 1
    assert match.match_reasons[0] == "keywords"
    assert memory.extract_memories("Task: I like tea\nAgent: C\nResult: Final Answer: ok") == ["I like tea\nResult: ok"]
    chef = memory.scoped(agent_id="chef")
    chef.remember("John wants it hot")
    assert len(chef.recall("John")) == 4
    assert len(memory.recall("John")) == 3
    assert memory.forget(scope="/food") == 1
    assert memory.forget(record_ids=[]) == 0
    memory.drain_writes()
    memory.reset()
    assert memory.store.count() == 0
    assert [entry.content for entry in chef.store.list()] == ["John wants it hot"]


@pytest.mark.parametrize("open_any", ["embedded", "server", "mem0-cloud", "mem0-oss"], indirect=True)
@pytest.mark.parametrize("start", ["kickoff", "kickoff_async", "akickoff"])
def test_every_store_and_every_way_to_start(open_any: OpenStore, start: str) -> None:
    if not hasattr(Crew, start):
        pytest.skip("akickoff: since CrewAI 1.7")
    memory = PersistentMemory(store=open_any(user_id="john"), infer=False)
    prompts = []
    for request in ("John is allergic to nuts", "What is John allergic to?"):
        llm = ScriptedLLM(final("noted"))
        outcome = getattr(crew_of(memory, llm, request), start)()
        if asyncio.iscoroutine(outcome):
            asyncio.run(outcome)
        prompts.append(memories_in(llm.prompts[0]))
    assert prompts[0] == ""
    assert prompts[1].count("John is allergic to nuts") == 1
    memory.close()


def test_an_open_store_asks_the_environment_nothing(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It may name other stores, even several, beside the one that is open."""
    with open_store(user_id="john", **options) as store:
        monkeypatch.setenv("QDRANT_URL", "http://127.0.0.1:1")
        monkeypatch.setenv("CREWAI_MEMORY_PATH", "/nowhere")
        external = ExternalMemory(storage=store)
        external.save("John likes tea")
        assert [found["content"] for found in external.search("tea")] == ["John likes tea"]
        assert [found["content"] for found in asyncio.run(external.asearch("tea"))] == ["John likes tea"]
        [match] = PersistentMemory(store=store).scoped(project_id="default").recall("tea")
        assert match.match_reasons == ["keywords", "recency"]


def test_how_soon_a_memory_is_old_is_the_stores_business(options: dict[str, Any]) -> None:
    with open_store(user_id="john", recency_half_life_days=0.5, **options) as store:
        store.add("John likes tea", created_at=datetime.now(timezone.utc) - timedelta(days=1))
        [match] = PersistentMemory(store=store).recall("tea")
        assert match.match_reasons == ["keywords"]


@pytest.mark.parametrize("days", [1_000_000, None], ids=["longer than there are dates", "left out"])
def test_a_half_life_that_switches_ageing_off(options: dict[str, Any], days: float | None) -> None:
    with PersistentMemory(user_id="john", recency_half_life_days=days, semantic_weight=None, **options) as memory:
        memory.remember("John likes tea")
        [match] = memory.recall("tea")
        assert match.match_reasons == ["keywords", "recency"]


def test_a_foreign_storage_by_the_same_names(memory: PersistentMemory) -> None:
    theirs = ForeignStorage()
    external = ExternalMemory(storage=theirs)
    external.save("John likes tea", {"by": "waiter"})
    assert theirs.saved == [("John likes tea", {"by": "waiter"})]
    assert external.search("tea", limit=1) == [{"content": "John likes tea"}]
    llm = ScriptedLLM(final("noted"))
    plain = one_agent_crew(llm, "What does John like?")
    crew = crewai.Crew(agents=plain.agents, tasks=plain.tasks, **external.crew_kwargs(long_term=False))
    crew.kickoff()
    crew.copy().kickoff()
    Crew(agents=plain.agents, tasks=plain.tasks, memory=external).kickoff()
    assert all("John likes tea" in prompt for prompt in llm.prompts)
    assert len(theirs.saved) == 4
    assert no_local_vectors()


def test_a_crew_of_crewais_own_class(memory: PersistentMemory) -> None:
    one_agent_crew(ScriptedLLM(final("noted")), "John likes tea", **memory.crew_kwargs()).kickoff()
    assert "John likes tea" in recalled(memory, "tea?")
