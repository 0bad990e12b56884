"""What a crew's memory forgets and corrects, on both generations: it comes back, and tells what it said before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from crewai_persistent_memory import ConfigurationError, PersistentMemory, StorePermissionError, open_store, use_scope

from ..support.clock import in_hours

pytestmark = pytest.mark.crew

HOUR = timedelta(hours=1)


@pytest.fixture
def memory(kept_store: Path) -> Iterator[PersistentMemory]:
    with PersistentMemory(path=kept_store, user_id="john", embedder=None, undo_for=HOUR, history=3) as memory:
        yield memory


def contents(memory: PersistentMemory) -> list[str]:
    return sorted(entry.content for entry in memory.store.list())


def test_what_was_forgotten_comes_back(memory: PersistentMemory) -> None:
    memory.remember("John likes tea", scope="/taste")
    memory.remember("John lives in Rome", scope="/home")
    assert memory.forget() == 2
    assert contents(memory) == []
    assert len(memory.recall("tea")) == 0
    assert [record.content for record in memory.undo_forget(scope="/taste")] == ["John likes tea"]
    assert [record.content for record in asyncio.run(memory.aundo_forget())] == ["John lives in Rome"]
    assert contents(memory) == ["John likes tea", "John lives in Rome"]
    assert len(memory.recall("tea")) == 1


def test_by_ids_and_not_after_its_time(memory: PersistentMemory) -> None:
    [id] = [memory.store.add("John likes tea").id]
    assert memory.forget(record_ids=[id]) == 1
    with in_hours(2):
        assert memory.undo_forget(record_ids=[id]) == []
    assert len(memory.undo_forget(record_ids=[id])) == 1


def test_what_is_said_again_is_there(memory: PersistentMemory) -> None:
    memory.remember("John likes tea")
    memory.forget()
    memory.remember("John likes tea")
    assert contents(memory) == ["John likes tea"]
    assert len(memory.recall("tea")) == 1


def test_for_good_and_a_reset_leave_nothing(memory: PersistentMemory) -> None:
    memory.remember("John likes tea")
    memory.forget(for_good=True)
    memory.remember("John lives in Rome")
    memory.forget()
    memory.reset()
    assert memory.undo_forget() == []


def test_a_view_brings_back_what_is_in_it(memory: PersistentMemory) -> None:
    memory.remember("John likes tea", scope="/taste")
    memory.remember("John lives in Rome", scope="/home")
    memory.forget()
    assert [record.content for record in memory.scope("/taste").undo_forget()] == ["John likes tea"]
    with pytest.raises(StorePermissionError):
        memory.slice(["/home"]).undo_forget()
    assert contents(memory) == ["John likes tea"]


def test_of_another_user_nothing_comes(memory: PersistentMemory, kept_store: Path) -> None:
    memory.remember("John likes tea")
    memory.forget()
    with PersistentMemory(path=kept_store, embedder=None, undo_for=HOUR) as jane, use_scope(user_id="jane"):
        assert jane.undo_forget() == []
    assert len(memory.undo_forget()) == 1


def test_a_correction_keeps_what_was_said(memory: PersistentMemory) -> None:
    entry = memory.store.add("John likes coffee")
    with use_scope(run_id="r-7"):
        memory.update(entry.id, content="John likes tea")
    changed = memory.store.get(entry.id)
    assert changed is not None
    [earlier] = changed.history
    assert (earlier.content, earlier.since, earlier.run_id) == ("John likes coffee", entry.created_at, "r-7")
    assert "coffee" not in str(list(memory.recall("what does John like?")))


def test_nothing_is_kept_by_default(kept_store: Path) -> None:
    with PersistentMemory(path=kept_store, user_id="john", embedder=None) as memory:
        entry = memory.store.add("John likes coffee")
        memory.update(entry.id, content="John likes tea")
        changed = memory.store.get(entry.id)
        assert changed is not None
        assert changed.history == ()
        memory.forget()
        assert memory.undo_forget() == []


@pytest.mark.parametrize(
    "options", [{"undo_for": -1}, {"undo_for": "soon"}, {"undo_for": 4e9}, {"history": -1}, {"history": 101}]
)
def test_wrong_options(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        open_store(path=tmp_path / "store", user_id="john", **options)  # type: ignore[arg-type]


def test_options_from_the_environment(kept_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_MEMORY_UNDO_FOR", "60")
    monkeypatch.setenv("CREWAI_MEMORY_HISTORY", "2")
    with open_store(path=kept_store, user_id="john", embedder=None) as store:
        assert store.steps.corrections.undo_for == timedelta(minutes=1)
        assert store.steps.corrections.history == 2
    with open_store(path=kept_store, user_id="john", embedder=None, undo_for=0) as store:
        assert store.steps.corrections.undo_for is None


def test_mem0_takes_neither() -> None:
    for options in ({"undo_for": 60}, {"history": 1}):
        with pytest.raises(ConfigurationError, match="Mem0"):
            open_store(mem0={"api_key": "k"}, user_id="john", **options)  # type: ignore[arg-type]
