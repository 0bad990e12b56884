"""CrewAI until 1.9.3: one object in the place of short-term, entity and external memory; long-term memory as it is."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import crewai
import pytest

from crewai_persistent_memory import ConfigurationError, Crew, ExternalMemory, PersistentMemory, PersistentStorage
from crewai_persistent_memory.adapters.version import installed

from ..support.crews import ScriptedLLM, final, memories_in, needs_contextual, one_agent_crew
from ..support.memories import EVALUATION, files_of_crewai, long_term_rows, no_local_vectors
from ..support.openai_server import OpenAIServer
from ..support.programs import run_program

pytestmark = [pytest.mark.crew, needs_contextual]

ROOT = Path(__file__).parents[2]

TOLD = "John says: I am allergic to nuts and hate coriander"


def of_crew_kwargs(memory: PersistentMemory, plain: Any) -> Any:
    return crewai.Crew(agents=plain.agents, tasks=plain.tasks, **memory.crew_kwargs())


def of_external_memory(memory: PersistentMemory, plain: Any) -> Any:
    return Crew(agents=plain.agents, tasks=plain.tasks, external_memory=memory)


def of_both(memory: PersistentMemory, plain: Any) -> Any:
    return Crew(agents=plain.agents, tasks=plain.tasks, memory=True, external_memory=memory)


def of_memory(memory: PersistentMemory, plain: Any) -> Any:
    return Crew(agents=plain.agents, tasks=plain.tasks, memory=memory)


def of_crewais_class(memory: PersistentMemory, plain: Any) -> Any:
    from crewai.memory.external.external_memory import ExternalMemory as CrewAIExternalMemory

    external = CrewAIExternalMemory(storage=PersistentStorage(store=memory.store))
    return Crew(agents=plain.agents, tasks=plain.tasks, memory=True, external_memory=external)


def of_our_class(memory: PersistentMemory, plain: Any) -> Any:
    external = ExternalMemory(storage=PersistentStorage(store=memory.store))
    return Crew(agents=plain.agents, tasks=plain.tasks, external_memory=external)


@pytest.fixture(params=[of_crew_kwargs, of_external_memory, of_both, of_memory, of_crewais_class, of_our_class])
def given(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def memory(kept_store: Path) -> Any:
    with PersistentMemory(path=kept_store, user_id="john", embedder=None) as opened:
        yield opened


def run(given: Any, memory: Any, request: str, *, start: str = "kickoff") -> ScriptedLLM:
    llm = ScriptedLLM(final("noted"), EVALUATION)
    crew = given(memory, one_agent_crew(llm, request))
    outcome = getattr(crew, start)()
    if asyncio.iscoroutine(outcome):
        asyncio.run(outcome)
    return llm


@pytest.mark.parametrize("start", ["kickoff", "kickoff_async", "akickoff"])
def test_short_term_and_entity_memory_are_replaced_and_long_term_memory_is_not(
    given: Any, memory: PersistentMemory, start: str
) -> None:
    if start == "akickoff" and not hasattr(crewai.Crew, start):
        pytest.skip("akickoff: since CrewAI 1.7")
    run(given, memory, TOLD, start=start)
    kept = {entry.kind: entry for entry in memory.store.list()}
    assert {kind: entry.content for kind, entry in kept.items()} == {
        "memory": f"{TOLD}\nResult: noted",
        "entity": "John(person): hates coriander",
    }
    assert kept["entity"].metadata == {"relationships": "- guest of the hotel"}
    [(task, about)] = long_term_rows()
    assert task == TOLD
    assert "answer in one line" in about

    [prompt] = run(given, memory, TOLD, start=start).prompts
    assert "answer in one line" in prompt, "long-term memory is read"
    assert memories_in(prompt).count("allergic to nuts") == 1
    assert memories_in(prompt).count("John(person): hates coriander") == 1
    assert len(long_term_rows()) == 2
    assert memory.store.count() == 2, "the same task and answer, and the same entity, are stored once"
    assert no_local_vectors(), files_of_crewai()


def test_what_a_person_says_of_an_answer_is_kept(memory: PersistentMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter(["no sugar, please", ""])
    monkeypatch.setattr("builtins.input", lambda *prompt: next(said))
    crew = of_external_memory(memory, one_agent_crew(ScriptedLLM(final("Tea it is.")), "What shall I drink?"))
    crew.tasks[0].human_input = True
    crew.kickoff()
    [entry] = memory.store.list()
    assert entry.content == "User: What shall I drink?\nUser: no sugar, please\nAssistant: Tea it is."


@pytest.mark.parametrize("ours", [True, pytest.param(False, marks=pytest.mark.ends)], ids=["ours", "crewais"])
def test_no_folder_of_chroma_appears(tmp_path: Path, openai_server: OpenAIServer, ours: bool) -> None:
    """In a process of its own, since CrewAI chooses Chroma's folder when it is imported. CrewAI's own is seen."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from crewai_persistent_memory import Crew as Ours, PersistentMemory\n"
        "import crewai; from tests.support.crews import ScriptedLLM, final, one_agent_crew\n"
        "plain = one_agent_crew(ScriptedLLM(final('noted')), 'I am allergic to nuts')\n"
        "memory = PersistentMemory(path=sys.argv[1], user_id='john', embedder=None)\n"
        "Crew = Ours if sys.argv[3] == 'True' else crewai.Crew\n"
        "Crew(agents=plain.agents, tasks=plain.tasks, memory=True, external_memory=memory).kickoff()\n"
    )
    folder = tmp_path / "crewai"
    folder.mkdir()
    environment = {
        "CREWAI_STORAGE_DIR": str(folder),
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": f"{openai_server.url}/v1",
    }
    command = [sys.executable, "-c", program, str(tmp_path / "store"), str(ROOT), str(ours)]
    done = run_program(command, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    assert (folder / "long_term_memory_storage.db").exists()
    assert (not list(folder.rglob("chroma*"))) is ours, [str(path) for path in folder.rglob("*")]


def test_another_user_sees_nothing(given: Any, memory: PersistentMemory, kept_store: Path) -> None:
    run(given, memory, TOLD)
    question = "What is John allergic to? Does he hate coriander?"
    with PersistentMemory(path=kept_store, user_id="jane", embedder=None) as jane:
        [prompt] = run(given, jane, question).prompts
    assert memories_in(prompt) == ""
    [prompt] = run(given, memory, question).prompts
    assert "allergic to nuts" in memories_in(prompt), "the question finds it in this store"


def test_a_crew_that_has_run_is_copied(given: Any, memory: PersistentMemory) -> None:
    llm = ScriptedLLM(final("noted"))
    crew = given(memory, one_agent_crew(llm, "My sign is {sign}"))
    crew.kickoff_for_each(inputs=[{"sign": "leo"}, {"sign": "aries"}])
    crew.kickoff(inputs={"sign": "virgo"})
    crew.copy().kickoff()
    asyncio.run(crew.kickoff_for_each_async(inputs=[{"sign": "libra"}, {"sign": "pisces"}]))
    kept = "\n".join(entry.content for entry in memory.store.list())
    for sign in ("leo", "aries", "virgo"):
        assert f"My sign is {sign}" in kept
    assert no_local_vectors(), files_of_crewai()


@pytest.mark.parametrize("crew_class", [crewai.Crew, Crew])
def test_without_long_term_memory_no_llm_is_called_but_the_agents(memory: PersistentMemory, crew_class: Any) -> None:
    llm = ScriptedLLM(final("noted"), EVALUATION)
    plain = one_agent_crew(llm, TOLD)
    crew_class(agents=plain.agents, tasks=plain.tasks, **memory.crew_kwargs(long_term=False)).kickoff()
    assert (len(llm.prompts), llm.evaluations) == (1, [])
    assert [entry.kind for entry in memory.store.list()] == ["memory"]
    assert long_term_rows() == []


def test_memories_that_are_given_by_name_are_used(memory: PersistentMemory, tmp_path: Path) -> None:
    from crewai.memory.entity.entity_memory import EntityMemory
    from crewai.memory.long_term.long_term_memory import LongTermMemory

    own = EntityMemory(storage=PersistentStorage(store=memory.store, kind="person"))
    long_term = LongTermMemory(path=str(tmp_path / "own.db"))
    plain = one_agent_crew(ScriptedLLM(final("noted"), EVALUATION), TOLD)
    crew = Crew(
        agents=plain.agents,
        tasks=plain.tasks,
        external_memory=memory,
        entity_memory=own,
        long_term_memory=long_term,
    )
    assert crew.entity_memory is own
    crew.kickoff()
    assert memory.store.count(kind="person") == 1
    assert (tmp_path / "own.db").exists()
    assert long_term_rows() == []


def test_short_term_memory_over_a_storage_of_ours_keeps_the_same_entry(memory: PersistentMemory) -> None:
    from crewai.memory.short_term.short_term_memory import ShortTermMemory

    plain = one_agent_crew(ScriptedLLM(final("noted")), TOLD)
    short_term = ShortTermMemory(storage=PersistentStorage(store=memory.store))
    crew = crewai.Crew(
        agents=plain.agents, tasks=plain.tasks, short_term_memory=short_term, **memory.crew_kwargs(long_term=False)
    )
    crew.kickoff()
    assert [entry.content for entry in memory.store.list()] == [f"{TOLD}\nResult: noted"]


def test_the_environment_is_not_asked_again(memory: PersistentMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may name other stores, even several, beside the one that is open."""
    monkeypatch.setenv("QDRANT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("CREWAI_MEMORY_PATH", "/nowhere")
    run(of_external_memory, memory, TOLD)
    chef = memory.scoped(agent_id="chef")
    assert chef.store.count() == 2
    chef.close()
    assert memory.store.count() == 2, "a view closes nothing"


def test_two_memories_are_refused(memory: PersistentMemory) -> None:
    plain = one_agent_crew(ScriptedLLM(), "x")
    with pytest.raises(ConfigurationError, match="two memories"):
        Crew(agents=plain.agents, tasks=plain.tasks, external_memory=memory, memory=memory.scoped(run_id="r"))


def test_what_needs_a_newer_crewai_says_so(tmp_path: Path, memory: PersistentMemory) -> None:
    options: Any
    for options in ({"llm": "openai/gpt-4o-mini"}, {"consolidation_threshold": 0.5}):
        with pytest.raises(ConfigurationError, match=f"{next(iter(options))} is for the memory of crewai >= 1.10"):
            PersistentMemory(path=tmp_path / "s", **options)
    from crewai_persistent_memory import UnsupportedCrewAIError

    with pytest.raises(UnsupportedCrewAIError, match=".".join(map(str, installed()))):
        from crewai_persistent_memory import QdrantStorageBackend  # noqa: F401


def test_root_scope_is_where_everything_is(kept_store: Path) -> None:
    options: Any = {"path": kept_store, "user_id": "john", "embedder": None}
    with PersistentMemory(**options, root_scope="/desk") as desk, PersistentMemory(**options) as whole:
        run(of_external_memory, desk, TOLD)
        assert {entry.path for entry in whole.store.list()} == {"/desk"}
        whole.remember("nuts at the bar", scope="bar")
        assert "bar" not in memories_in(run(of_external_memory, desk, "nuts?").prompts[0])
        desk.reset()
        assert [entry.path for entry in whole.store.list()] == ["/bar"]
