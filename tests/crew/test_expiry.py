"""What expires, as a crew meets it: on both generations, by every method of a memory, by the tools, in the prompt."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    NEVER,
    ConfigurationError,
    InvalidEntryError,
    MemoryEntry,
    MissingScopeError,
    PersistentMemory,
    StorePermissionError,
    open_store,
    use_scope,
)
from crewai_persistent_memory.expiry import now
from crewai_persistent_memory.testing import ScriptedLLM

from ..support.clock import in_hours
from ..support.crews import final, needs_unified, one_agent_crew

pytestmark = pytest.mark.crew

SECRET = "The code of the door is 4711"
HOUR = timedelta(hours=1)


@pytest.fixture
def memory(kept_store: Path) -> Iterator[PersistentMemory]:
    with PersistentMemory(path=kept_store, user_id="john", embedder=None) as memory:
        yield memory


def entries_of(memory: PersistentMemory) -> dict[str, datetime | None]:
    return {entry.content: entry.expires_at for entry in memory.store.list()}


def test_no_method_finds_it(memory: PersistentMemory) -> None:
    memory.remember(SECRET, scope="/house", categories=["secret"], ttl=HOUR)

    def answers() -> dict[str, Any]:
        return {
            "recall": memory.recall("what is the code of the door?", limit=5),
            "recall_each": memory.recall_each(["code of the door"])[0],
            "search": memory.search("code of the door"),
            "list_records": memory.list_records(),
            "list_categories": memory.list_categories(),
            "list_scopes": memory.list_scopes(),
            "info": memory.info("/house").record_count,
            "tree": "house" in memory.tree(),
            "scope().recall": memory.scope("/house").recall("code"),
        }

    assert [method for method, answer in answers().items() if not answer] == []
    with in_hours(2):
        assert [method for method, answer in answers().items() if answer] == []


def test_each_way_of_saving_takes_an_end(memory: PersistentMemory) -> None:
    end = now() + HOUR
    memory.remember("one", expires_at=end)
    memory.remember_many(["two", "three"], ttl=3600)
    memory.drain_writes()
    assert entries_of(memory)["one"] == end
    with in_hours(2):
        assert memory.list_records() == []
    with pytest.raises(InvalidEntryError, match="time zone"):
        memory.remember("four", expires_at=datetime(2199, 1, 1))
    with pytest.raises(InvalidEntryError, match="both given"):
        memory.remember_many(["four"], expires_at=end, ttl=5)


def test_update_changes_the_end_or_leaves_it(memory: PersistentMemory) -> None:
    record = memory.remember("text", ttl=HOUR)
    assert record is not None
    end = entries_of(memory)["text"]
    memory.update(record.id, content="another text")
    assert entries_of(memory) == {"another text": end}
    memory.update(record.id, ttl=2 * HOUR)
    assert entries_of(memory)["another text"] != end
    memory.update(record.id, expires_at=NEVER)
    assert entries_of(memory) == {"another text": None}
    memory.update(record.id, ttl=HOUR)
    with in_hours(2), pytest.raises(ValueError, match="not found"):
        memory.update(record.id, content="back again")


def test_the_rules_of_a_memory(kept_store: Path) -> None:
    options: Any = {"path": kept_store, "user_id": "john", "embedder": None}
    with PersistentMemory(**options, ttl=timedelta(days=2), run_ttl=3600) as memory:
        with use_scope(run_id="r"):
            memory.remember("of the run")
            memory.save("an answer of the run", {})
        memory.remember("of the user")
        memory.remember("for good", expires_at=NEVER)
        with in_hours(2), use_scope(run_id="r"):
            assert sorted(each.content for each in memory.list_records()) == ["for good", "of the user"]
        with in_hours(50):
            assert [each.content for each in memory.list_records()] == ["for good"]
    for wrong, why in (
        ({"ttl": 0}, "ttl: .*longer than 0"),
        ({"ttl": {"entity": -1}}, r"ttl\['entity'\] must be longer"),
        ({"run_ttl": "soon"}, "run_ttl: .*seconds"),
    ):
        with pytest.raises(ConfigurationError, match=why):
            PersistentMemory(**options, **wrong)


def test_the_rules_by_the_environment(kept_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_MEMORY_TTL", '{"memory": 3600}')
    monkeypatch.setenv("CREWAI_MEMORY_RUN_TTL", "60")
    with PersistentMemory(path=kept_store, user_id="john", embedder=None) as memory:
        memory.remember("text")
        memory.store.add("fact", kind="entity")
        with in_hours(2):
            assert entries_of(memory) == {"fact": None}


def asked(memory: PersistentMemory) -> str:
    """All that the LLM of a crew reads that is asked for the secret."""
    llm = ScriptedLLM(answer=final("I do not know"))
    one_agent_crew(llm, "What is the code of the door?", memory=memory).kickoff()
    return "\n".join(map(str, llm.prompts))


def test_the_prompt_of_a_crew(memory: PersistentMemory) -> None:
    memory.remember(SECRET, ttl=HOUR)
    assert "4711" in asked(memory)
    with in_hours(2):
        assert "4711" not in asked(memory)


@needs_unified
def test_the_memory_tools(memory: PersistentMemory) -> None:
    from crewai.tools.memory_tools import create_memory_tools

    memory.remember(SECRET, ttl=HOUR)
    tool = next(each for each in create_memory_tools(memory) if "search" in each.name.lower() or "recall" in each.name)
    assert "4711" in str(tool.run(queries=["code of the door"]))
    with in_hours(2):
        assert "4711" not in str(tool.run(queries=["code of the door"]))


@needs_unified
def test_crewai_s_own_update_keeps_the_end(memory: PersistentMemory) -> None:
    """CrewAI's consolidation changes records, which have no end."""
    record = memory.remember("likes tea", ttl=HOUR)
    assert record is not None
    end = entries_of(memory)["likes tea"]
    backend: Any = memory._storage
    backend.update(record.model_copy(update={"content": "likes green tea"}))
    assert entries_of(memory) == {"likes green tea": end}


@needs_unified
def test_what_crewai_s_llm_makes_of_a_text_has_its_end(kept_store: Path) -> None:
    from ..support.memory_llm import MemoryLLM

    options: Any = {"path": kept_store, "user_id": "john", "embedder": None, "ttl": timedelta(days=9)}
    with PersistentMemory(**options, llm=MemoryLLM()) as memory:
        end = now() + HOUR
        memory.remember(SECRET, expires_at=end)
        memory.remember_many(["John likes tea. He lives in Rome."], expires_at=end)
        memory.drain_writes()
        assert len(entries_of(memory)) >= 2
        assert set(entries_of(memory).values()) == {end}
        memory.remember("John plays the violin")
        last = entries_of(memory)["John plays the violin"]
        assert last is not None
        assert last > end


class TestTheEndOfARun:
    @pytest.mark.parametrize("awaited", [False, True])
    def test_what_is_kept_is_the_users(self, memory: PersistentMemory, awaited: bool) -> None:
        import asyncio

        with use_scope(run_id="r"):
            kept = memory.remember("likes tea")
            memory.remember("wants the blue one")
            assert kept is not None
            done = asyncio.run(memory.aend_run(keep=[kept.id])) if awaited else memory.end_run(keep=[kept.id])
            assert (done.kept, done.deleted) == (1, 2)
        assert [each.content for each in memory.list_records()] == ["likes tea"]
        with pytest.raises(MissingScopeError, match="run_id"):
            memory.end_run()

    def test_a_view_ends_what_it_sees(self, memory: PersistentMemory) -> None:
        with use_scope(run_id="r"):
            memory.remember("inside", scope="/house")
            memory.remember("outside", scope="/garden")
            memory.scope("/house").end_run()
            assert [each.content for each in memory.list_records()] == ["outside"]
            with pytest.raises(StorePermissionError, match="read-only"):
                memory.slice(["/garden"]).end_run()

    def test_a_crew_s_run(self, memory: PersistentMemory) -> None:
        with use_scope(run_id="r"):
            one_agent_crew(ScriptedLLM(answer=final("The blue one it is")), "Which one?", memory=memory).kickoff()
            memory.store.add("John likes blue", kind="entity")
            assert memory.end_run(keep={"kind": "entity"}).kept == 1
        assert [entry.content for entry in memory.store.list()] == ["John likes blue"]


def test_a_restored_memory_has_the_rules(tmp_path: Path) -> None:
    from crewai_persistent_memory.adapters.checkpoint_recipe import described

    with open_store(path=tmp_path / "store", ttl={"memory": 90.5}, run_ttl=60) as store:
        options: Any = described(store)["options"]
    assert (options["ttl"], options["run_ttl"]) == ({"memory": 90.5}, 60)
    with open_store(**options, user_id="john") as again:
        assert again.add("text").expires_at is not None
        assert again.put([MemoryEntry("a", "fact", kind="entity")]) is None
        assert [entry.expires_at for entry in again.list(kind="entity")] == [None]
