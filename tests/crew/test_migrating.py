"""The code of ``docs/migrating.md`` runs: what was written before, where CrewAI has it, and what to write instead."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import crewai
import pytest

from crewai_persistent_memory import open_store, unregister, use_scope

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


class Program:
    """A program of the guide, run as a script is: with arguments, an output, and an exit code or message."""

    def __init__(
        self, having: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store: Path
    ) -> None:
        self.code, self.monkeypatch, self.capsys, self.store = after(having), monkeypatch, capsys, store

    def __call__(self, *arguments: object) -> str:
        self.monkeypatch.setattr("sys.argv", ["program.py", *map(str, arguments)])
        self.capsys.readouterr()
        exec(self.code, {})
        return self.capsys.readouterr().out

    def refuses(self, *arguments: object) -> None:
        """It ends with an error, and makes nothing: neither what it was to read, nor a store of ours."""
        folder = Path(str(arguments[0]))
        before = contents(folder), self.store.exists()
        with pytest.raises(SystemExit, match=f"in {re.escape(str(folder))}: nothing is moved"):
            self(*arguments)
        assert (contents(folder), self.store.exists()) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@needs_unified
def test_moving_from_lancedb(
    names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What CrewAI's own memory has written, by its own ``remember``."""
    from crewai.memory.storage.lancedb_storage import LanceDBStorage
    from crewai.memory.unified_memory import Memory

    folder, program = tmp_path / "memory", Program("LanceDBStorage", monkeypatch, capsys, tmp_path / "store")
    program.refuses(tmp_path / "nowhere", "john")
    LanceDBStorage(str(folder), vector_dim=8)
    program.refuses(folder, "john")  # a table, and nothing in it
    theirs = Memory(
        storage=LanceDBStorage(str(folder)), llm=names["llm"], embedder=lambda texts: [[0.1] * 8] * len(texts)
    )
    told = {"categories": ["food"], "importance": 0.9, "metadata": {"by": "him"}}
    old = theirs.remember(TOLD, scope="/user/john", **told)
    theirs.remember("I like tea", scope="/user/johnny", **told)
    theirs.close() if hasattr(theirs, "close") else theirs.drain_writes()
    assert old is not None
    before = contents(folder)
    assert program(folder, "john", "/user/john") == f"1 memories in {folder}, 1 of them new for john, who now has 1\n"
    with open_store(user_id="john") as store:
        [entry] = store.list()
        assert (entry.id, entry.content, entry.path, entry.categories) == (old.id, TOLD, "/user/john", ("food",))
        assert (entry.importance, entry.created_at, entry.metadata) == (0.9, old.created_at, {"by": "him"})
        store.update(entry.id, content="I am allergic to nothing")
    assert program(folder, "john") == f"2 memories in {folder}, 1 of them new for john, who now has 2\n"
    assert program(folder, "john") == f"2 memories in {folder}, 0 of them new for john, who now has 2\n"
    with open_store(user_id="john") as store:
        assert {each.content for each in store.list()} == {"I am allergic to nothing", "I like tea"}, "ours was changed"
    assert contents(folder) == before


@needs_unified
def test_a_record_without_text_in_lancedb_stops_no_other(
    names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from crewai.memory.storage.lancedb_storage import LanceDBStorage
    from crewai.memory.types import MemoryRecord

    folder, program = tmp_path / "memory", Program("LanceDBStorage", monkeypatch, capsys, tmp_path / "store")
    texts = ["first", " ", "last"]
    records = [MemoryRecord(id=f"id{i}", content=text, embedding=[0.1] * 8) for i, text in enumerate(texts)]
    LanceDBStorage(str(folder), vector_dim=8).save(records)
    for new in (2, 0):
        with pytest.raises(SystemExit, match="1 left out"):
            program(folder, "john")
        printed = capsys.readouterr().out
        assert "left out id1: content is blank" in printed
        assert f"3 memories in {folder}, {new} of them new for john, who now has 2\n" in printed


REQUESTS = [f"{TOLD}. Book a table.", "Which wine do I like? Final Answer: red?"]


@pytest.mark.ends
@needs_contextual
def test_moving_from_chroma(
    names: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    openai_server: OpenAIServer,
) -> None:
    """What CrewAI until 1.9.3 has written itself: two kickoffs of a crew with ``memory=True``."""
    folder = tmp_path / "crewai"
    environment = {**os.environ, "CREWAI_STORAGE_DIR": str(folder), "TEST_EMBEDDINGS": f"{openai_server.url}/v1"}
    theirs = [sys.executable, "-m", "tests.support.crewai_chroma", *REQUESTS]
    done = run_program(theirs, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    program = Program("chromadb.PersistentClient", monkeypatch, capsys, tmp_path / "store")
    before = contents(folder)
    assert "chroma.sqlite3" in before
    moved = program(folder, "john").splitlines()
    assert next(line for line in moved if line.startswith("memory_short_term")).endswith(
        ": 2 memories, 2 of them new for john"
    )
    with open_store(user_id="john") as store:
        kept = {entry.content: entry for entry in store.list()}
        turns = [text for text, entry in kept.items() if entry.kind == "memory"]
        assert sorted(text.partition("\nResult: ")[0] for text in turns) == sorted(REQUESTS)
        assert all(re.fullmatch(r"Noted: \d+", text.partition("\nResult: ")[2]) for text in turns)
        [entity] = [entry for entry in kept.values() if entry.kind == "entity"]
        assert entity.content == f"{ENTITY['name']}({ENTITY['type']}): {ENTITY['description']}"
        assert entity.metadata["relationships"]
        assert len(store.search("Which wine do I like?", limit=1)) == 1
        store.delete(entity.id)
    again = program(folder, "john").splitlines()
    assert [line.split(", ")[1] for line in again if line.startswith("memory_short_term")] == ["0 of them new for john"]
    with open_store(user_id="john") as store:
        assert {entry.content: entry.created_at for entry in store.list()} == {
            text: entry.created_at for text, entry in kept.items()
        }
    assert contents(folder) == before


def test_what_chroma_has_of_others(
    names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of knowledge, of nothing, and none; then with a memory as CrewAI until 1.9.3 writes it."""
    chromadb = pytest.importorskip("chromadb", reason="no chromadb beside this CrewAI")
    program = Program("chromadb.PersistentClient", monkeypatch, capsys, tmp_path / "store")
    program.refuses(tmp_path / "nowhere", "john")
    folder = tmp_path / "chroma"
    client = chromadb.PersistentClient(str(folder), chromadb.Settings(anonymized_telemetry=False))
    client.create_collection("knowledge").add(ids=["k"], documents=["manual"], embeddings=[[0.1, 0.2]])
    client.create_collection("memory_entities_Concierge")
    program.refuses(folder, "john")
    collection = client.create_collection("memory_short_term_Concierge")
    answer = "Thought: I know\nFinal Answer: Noted."
    asked = {"observation": TOLD, "quality": 8}
    collection.add(ids=["a"], documents=[answer], metadatas=[asked], embeddings=[[0.1, 0.2]])
    for new in (1, 0):
        assert f"1 memories, {new} of them new for john\n" in program(folder, "john")
        with open_store(user_id="john") as store:
            [entry] = store.list()
            assert (entry.content, entry.metadata) == (f"{TOLD}\nResult: Noted.", {"quality": 8})
    with open_store(user_id="jane") as store:
        assert store.list() == []
    # No answer, no text, and one that is well after them.
    collection.add(ids=["b"], metadatas=[{"observation": "asked in vain"}], embeddings=[[0.1, 0.2]])
    collection.add(ids=["c"], documents=[" "], embeddings=[[0.1, 0.2]])
    collection.add(ids=["d"], documents=["well"], embeddings=[[0.1, 0.2]])
    with pytest.raises(SystemExit, match="1 left out"):
        program(folder, "john")
    assert "left out c: content is blank" in capsys.readouterr().out
    with open_store(user_id="john") as store:
        assert {entry.content for entry in store.list()} >= {"asked in vain\nResult: ", "well"}


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
