"""When entries were read: noted in memory, and right wherever it is looked at."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, MemoryStore, PersistentMemory, open_store
from crewai_persistent_memory.backends.qdrant.embedded import access_times
from crewai_persistent_memory.validation import utcnow

LONG_AGO = datetime(2020, 1, 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


def opened(path: Path) -> MemoryStore:
    return open_store(path=path, user_id="john", embedder=None)


def writes_of(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is written to the engine from here on."""
    writer = store.backend.connection._engine._writer  # type: ignore[attr-defined]
    written: list[Any] = []
    update = writer.set_on_matching
    monkeypatch.setattr(writer, "set_on_matching", lambda request: written.append(request) or update(request))
    return written


def old(id: str) -> MemoryEntry:
    return MemoryEntry(id=id, content=f"John likes {id} tea", created_at=LONG_AGO, last_accessed=LONG_AGO)


def test_a_recall_writes_nothing_and_a_read_shows_when_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path) as store:
        store.put([old("green"), old("black")])
        memory = PersistentMemory(store=store)
        written = writes_of(store, monkeypatch)
        before = utcnow()
        for _ in range(5):
            assert len(memory.recall("tea")) == 2
        assert written == []
        for entry in (*store.list(), store.get("green"), *store.scan()):
            assert entry is not None
            assert entry.last_accessed >= before
        assert len(written) == 1, "the five notes are one"
        memory.close()


def test_it_is_written_when_the_store_is_closed(path: Path) -> None:
    with opened(path) as store:
        store.put([old("green")])
        store.touch(["green"], soon=True)
    with opened(path) as store:
        found = store.get("green")
        assert found is not None
        assert found.last_accessed > LONG_AGO


def test_a_note_does_not_undo_what_is_written_later(path: Path) -> None:
    with opened(path) as store:
        store.put([old("green")])
        store.touch(["green"], soon=True)
        later = utcnow() + timedelta(hours=1)
        store.replace(MemoryEntry(id="green", content="John likes green tea", last_accessed=later))
        found = store.get("green")
        assert found is not None
        assert found.last_accessed == later
        store.touch(["green"], soon=True)
        store.put([MemoryEntry(id="green", content="again", last_accessed=later)])
        found = store.get("green")
        assert found is not None
        assert found.last_accessed == later


def test_a_note_about_a_deleted_entry_brings_nothing_back(path: Path) -> None:
    with opened(path) as store:
        store.put([old("green")])
        store.touch(["green"], soon=True)
        store.delete("green")
        assert store.list() == []
    with opened(path) as store:
        assert store.count() == 0


def test_a_note_is_about_the_entries_of_its_scope(path: Path) -> None:
    with opened(path) as store:
        jane = open_store(path=path, user_id="jane", embedder=None)
        for each in (store, jane):
            each.put([old("green")])
        jane.touch(["green"], soon=True)
        found = store.get("green")
        assert found is not None
        assert found.last_accessed == LONG_AGO
        jane.close()


def test_very_many_notes_are_written_before_they_fill_the_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_times, "MOST_NOTED", 3)
    with opened(path) as store:
        store.put([old(f"{n}") for n in range(5)])
        written = writes_of(store, monkeypatch)
        for n in range(5):
            store.touch([f"{n}"], soon=True)
        assert len(written) == 4


def test_notes_are_written_after_a_while(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_times, "INTERVAL", 0.01)
    with opened(path) as store:
        store.put([old("green")])
        notes = store.backend.connection._engine._access_times  # type: ignore[attr-defined]
        store.touch(["green"], soon=True)
        notes._timer.join(10)
        assert not notes
