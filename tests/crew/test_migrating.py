"""The code of ``docs/migrating.md`` runs: what was written before, where CrewAI has it, and what to write instead."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import crewai
import pytest

from crewai_persistent_memory import PersistentMemory, Scope, open_store, unregister, use_scope
from crewai_persistent_memory.admin import migrate

from ..support.crewai_folders import folder_of_193, state
from ..support.crews import ScriptedLLM, final, memories_in, needs_contextual, needs_unified, one_agent_crew
from ..support.mem0_platform import DEFAULT_KEY, Mem0Platform
from ..support.memories import ENTITY, no_local_vectors
from ..support.openai_server import OpenAIServer
from ..support.programs import run_program

pytestmark = pytest.mark.crew

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(# (?:before|after).*?)```", GUIDE, re.DOTALL)
TOLD = "I am allergic to nuts"


def after(having: str) -> str:
    [found] = [code for code in PYTHON if code.startswith("# after") and having in code]
    return found


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the guide takes for granted: an agent and a task."""
    monkeypatch.setenv("CREWAI_MEMORY_PATH", str(tmp_path / "store"))
    monkeypatch.setenv("CREWAI_MEMORY_EMBEDDER", "keywords")
    llm = ScriptedLLM(final("noted"))
    plain = one_agent_crew(llm, TOLD)
    return {"agent": plain.agents[0], "task": plain.tasks[0], "llm": llm}


def what_it_recalls(names: dict[str, Any]) -> str:
    """The crew runs twice; what the second run's prompt has of the first."""
    names["crew"].kickoff()
    names["crew"].kickoff()
    return memories_in(names["llm"].prompts[-1])


def test_every_snippet_is_run_here() -> None:
    assert len(PYTHON) == len(re.findall(r"```python", GUIDE)) == 12


def test_mem0(names: dict[str, Any], mem0_platform: Mem0Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEM0_API_KEY", DEFAULT_KEY)
    monkeypatch.setenv("MEM0_HOST", mem0_platform.url)
    monkeypatch.delenv("CREWAI_MEMORY_PATH")
    code = after('"provider": "mem0"').replace('"config": {', '"config": {"wait": True, ')
    exec(code, names)
    assert TOLD in what_it_recalls(names)
    [add, *_] = mem0_platform.adds
    assert add["user_id"] == "john"
    names["external_memory"].close()


def test_a_storage_of_ours_in_place_of_a_custom_one(names: dict[str, Any]) -> None:
    exec(after("PersistentStorage(user_id"), names)
    assert TOLD in what_it_recalls(names)
    assert no_local_vectors()
    names["storage"].close()


def test_a_custom_storage_goes_on(names: dict[str, Any]) -> None:
    exec(after("class OurStorage:"), names)
    assert f"{TOLD}: " in what_it_recalls(names)
    kept = names["ours"].kept
    assert len(kept) == 2
    assert all("noted" in text for text in kept)
    names["crew"].reset_memories(command_type="external")
    assert kept == []


def test_in_place_of_memory_true(names: dict[str, Any]) -> None:
    exec(after("**memory.crew_kwargs()"), names)
    assert TOLD in what_it_recalls(names)
    assert no_local_vectors()
    names["memory"].close()


def test_every_memory_true(names: dict[str, Any]) -> None:
    names["Crew"] = crewai.Crew
    exec(after("register(default=True"), names)
    try:
        with use_scope(user_id="john"):
            assert TOLD in what_it_recalls(names)
    finally:
        unregister()
    assert no_local_vectors()


def test_one_program_for_both(names: dict[str, Any]) -> None:
    exec(after("found = ["), names)
    assert names["found"] == []
    with use_scope(user_id="john"):
        assert [match.record.content for match in names["memory"].recall("nuts")] == [f"{TOLD}\nResult: noted"]
    names["memory"].close()


def test_in_place_of_short_term_and_entity_memory(names: dict[str, Any]) -> None:
    exec(after("memory=True, external_memory=memory"), names)
    assert TOLD in what_it_recalls(names)
    assert no_local_vectors()
    names["memory"].close()


@needs_contextual
@pytest.mark.parametrize("code", [code for code in PYTHON if code.startswith("# before")])
def test_what_was_written_before(names: dict[str, Any], code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what CrewAI takes; where it needs OpenAI's embeddings, it is only built."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    exec(code, names)


def test_bringing_memories_along_in_a_program(
    names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder_of_193(tmp_path / "crewai-folder")
    monkeypatch.chdir(tmp_path)
    exec(after("undo_migration"), names)
    assert capsys.readouterr().out.startswith("3 would come from {'chroma:memory_entities_Concierge': 1, ")
    assert names["done"].new == 3
    with open_store(user_id="john") as store:
        assert store.list() == []


REQUESTS = [f"{TOLD}. Book a table.", "Which wine do I like? Final Answer: red?"]


@needs_unified
def test_moving_from_lancedb(names: dict[str, Any], tmp_path: Path) -> None:
    """What CrewAI's own memory has written: of a crew's kickoff, and by ``remember``."""
    from crewai.memory.storage.lancedb_storage import LanceDBStorage
    from crewai.memory.unified_memory import Memory

    folder = tmp_path / "crewai"
    theirs = Memory(
        storage=LanceDBStorage(str(folder / "memory")),
        llm=names["llm"],
        embedder=lambda texts: [[0.1] * 8] * len(texts),
    )
    plain = one_agent_crew(names["llm"], REQUESTS[0])
    crewai.Crew(agents=plain.agents, tasks=plain.tasks, memory=theirs).kickoff()
    about = {"categories": ["food"], "importance": 0.9, "metadata": {"by": "him"}}
    old = theirs.remember("I like green tea", scope="/user/john", **about)
    theirs.drain_writes()
    theirs.close() if hasattr(theirs, "close") else None
    assert old is not None
    before = state(folder)
    with open_store() as store:
        assert migrate(folder, store, Scope("jane", "other"), dry_run=True).new == 2
        done = migrate(folder, store, Scope("john"))
        assert (done.new, done.left_out, dict(done.sources)) == (2, (), {"lancedb:memories": 2})
        entry = store.scoped(user_id="john").get(old.id)
        assert entry is not None
        assert (entry.content, entry.path, entry.categories) == ("I like green tea", "/user/john", ("food",))
        assert (entry.importance, entry.created_at, entry.metadata["by"]) == (0.9, old.created_at, "him")
        assert migrate(folder, store, Scope("john")).there == 2
    assert state(folder) == before
    what_was_said_is_recalled({"What am I allergic to?": f"{REQUESTS[0]}\nResult: noted", "tea": "I like green tea"})


@pytest.mark.ends
@needs_contextual
def test_moving_from_chroma(names: dict[str, Any], tmp_path: Path, openai_server: OpenAIServer) -> None:
    """What CrewAI until 1.9.3 has written itself: two kickoffs of a crew with ``memory=True``."""
    folder = tmp_path / "crewai"
    environment = {**os.environ, "CREWAI_STORAGE_DIR": str(folder), "TEST_EMBEDDINGS": f"{openai_server.url}/v1"}
    theirs = [sys.executable, "-m", "tests.support.crewai_chroma", *REQUESTS]
    done = run_program(theirs, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    before = state(folder)
    with open_store() as store:
        found = migrate(folder, store, Scope("john"))
        assert (found.new, found.left_out) == (3, ())
        assert sorted(name.rpartition("_")[0] for name in found.sources) == [
            "chroma:memory_entities",
            "chroma:memory_short_term",
        ]
        assert found.long_term is not None
        assert found.long_term.results == 2
        kept = store.scoped(user_id="john").list()
        turns = [entry.content for entry in kept if entry.kind == "memory"]
        assert sorted(text.partition("\nResult: ")[0] for text in turns) == sorted(REQUESTS)
        assert all(re.fullmatch(r"Noted: \d+", text.partition("\nResult: ")[2]) for text in turns)
        [entity] = [entry for entry in kept if entry.kind == "entity"]
        assert entity.content == f"{ENTITY['name']}({ENTITY['type']}): {ENTITY['description']}"
        assert entity.metadata["relationships"]
        assert migrate(folder, store, Scope("john")).there == 3
    assert state(folder) == before
    what_was_said_is_recalled({"What am I allergic to?": REQUESTS[0], "Which wine?": REQUESTS[1]})


def what_was_said_is_recalled(said: Mapping[str, str]) -> None:
    """By john, and by nobody else. The marks of a migration are not for an agent."""
    memory = PersistentMemory(user_id="john")
    for question, text in said.items():
        found = memory.recall(question, limit=1)
        assert found[0].record.content.startswith(text)
        shown = found[0].format() if hasattr(found[0], "format") else found[0].record.content
        assert "migra" not in shown
    memory.close()
    with PersistentMemory(user_id="jane") as hers:
        assert hers.recall("tea allergic wine") == []


def test_the_table_of_what_is_where(names: dict[str, Any]) -> None:
    """The names that a program may call on either generation."""
    from crewai_persistent_memory import ExternalMemory

    listed = re.search(r"By these names.*?\n\n", GUIDE, re.DOTALL)
    assert listed is not None
    of_memory, of_external = listed[0].split("and on an `ExternalMemory`")
    for name in re.findall(r"`(\w+)`", of_memory):
        assert hasattr(PersistentMemory, name), name
        if name in ("remember", "remember_many", "recall", "extract_memories"):
            assert hasattr(PersistentMemory, f"a{name}"), name
    for name in re.findall(r"`(\w+)`", of_external):
        assert hasattr(ExternalMemory, name), name
