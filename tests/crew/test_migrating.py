"""The code of ``docs/migrating.md`` runs: what was written before, where CrewAI has it, and what to write instead."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import crewai
import pytest

from crewai_persistent_memory import open_store, use_scope
from crewai_persistent_memory.adapters import registering

from ..support.crews import ScriptedLLM, final, memories_in, needs_contextual, needs_unified, one_agent_crew
from ..support.mem0_platform import DEFAULT_KEY, Mem0Platform
from ..support.memories import no_local_vectors

pytestmark = pytest.mark.crew

GUIDE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text(encoding="utf-8")
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
    assert len(PYTHON) == len(re.findall(r"```python", GUIDE)) == 13


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


def test_every_memory_true(names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crewai.Crew, "__init__", crewai.Crew.__init__)
    for name in ("options", "default", "memory"):
        monkeypatch.setattr(registering._Registered, name, getattr(registering._Registered, name))
    names["Crew"] = crewai.Crew
    exec(after("register(default=True"), names)
    with use_scope(user_id="john"):
        assert TOLD in what_it_recalls(names)
    assert no_local_vectors()
    registering._Registered.memory.close()


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


@needs_unified
def test_moving_from_lancedb(names: dict[str, Any]) -> None:
    from crewai.memory.storage.lancedb_storage import LanceDBStorage
    from crewai.memory.types import MemoryRecord

    old = MemoryRecord(content=TOLD, scope="/diet", categories=["food"], importance=0.9, embedding=[0.1] * 8)
    LanceDBStorage(vector_dim=8).save([old])
    exec(after("LanceDBStorage"), names)
    with open_store(user_id="john") as store:
        [entry] = store.list()
        assert (entry.id, entry.content, entry.path, entry.categories) == (old.id, TOLD, "/diet", ("food",))
        assert (entry.importance, entry.created_at) == (0.9, old.created_at)


def test_moving_from_chroma(names: dict[str, Any]) -> None:
    chromadb = pytest.importorskip("chromadb")
    path = os.environ["CREWAI_STORAGE_DIR"]
    client = chromadb.PersistentClient(path, chromadb.Settings(anonymized_telemetry=False))
    for name, text in (("memory_short_term_Concierge", TOLD), ("memory_entities_Concierge", "John(person): a guest")):
        collection = client.create_collection(name)
        collection.add(ids=[name], documents=[text], metadatas=[{"observation": "x"}], embeddings=[[0.1, 0.2]])
    client.create_collection("knowledge").add(ids=["k"], documents=["manual"], embeddings=[[0.1, 0.2]])
    exec(after("chromadb.PersistentClient"), names)
    with open_store(user_id="john") as store:
        assert {(entry.kind, entry.content) for entry in store.list()} == {
            ("memory", TOLD),
            ("entity", "John(person): a guest"),
        }
        assert store.list()[0].metadata == {"observation": "x"}


def test_the_table_of_what_is_where(names: dict[str, Any]) -> None:
    """The names that a program may call on either generation."""
    from crewai_persistent_memory import ExternalMemory, PersistentMemory

    listed = re.search(r"By these names.*?\n\n", GUIDE, re.DOTALL)
    assert listed is not None
    of_memory, of_external = listed[0].split("and on an `ExternalMemory`")
    for name in re.findall(r"`(\w+)`", of_memory):
        assert hasattr(PersistentMemory, name), name
        if name in ("remember", "remember_many", "recall", "extract_memories"):
            assert hasattr(PersistentMemory, f"a{name}"), name
    for name in re.findall(r"`(\w+)`", of_external):
        assert hasattr(ExternalMemory, name), name
