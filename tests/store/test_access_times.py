"""When entries were read: noted in memory, and right wherever it is looked at."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, MemoryStore, PersistentMemory, open_store
from crewai_persistent_memory.backends.qdrant.embedded import access_times
from crewai_persistent_memory.validation import utcnow

from ..support.calling import until

LONG_AGO = datetime(2020, 1, 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


def opened(path: Path) -> MemoryStore:
    return open_store(path=path, user_id="john", embedder=None)


def notes_of(store: MemoryStore) -> Any:
    return store.backend.connection._engine._access_times  # type: ignore[attr-defined]


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


def test_very_many_notes_are_written_by_a_thread_of_their_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_times, "MOST_NOTED", 3)
    with opened(path) as store:
        store.put([old(f"{n}") for n in range(5)])
        writer = store.backend.connection._engine._writer  # type: ignore[attr-defined]
        update, writers = writer.set_on_matching, []
        monkeypatch.setattr(
            writer, "set_on_matching", lambda request: writers.append(threading.current_thread()) or update(request)
        )
        for n in range(5):
            store.touch([f"{n}"], soon=True)
        until(lambda: bool(writers), bool)
        assert threading.current_thread() not in writers
        assert all(entry.last_accessed > LONG_AGO for entry in store.list())


def test_many_readings_are_few_writes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path) as store:
        store.put([old(f"{n}") for n in range(20)])
        written = writes_of(store, monkeypatch)
        times = []
        for n in range(20):
            times.append(utcnow())
            store.touch([f"{n}"], soon=True)
        store.touch([f"{n}" for n in range(5)], soon=True)
        found = {int(entry.id): entry.last_accessed for entry in store.list()}
        assert len(written) == access_times.MOST_TIMES
        for n, at in enumerate(times):
            assert at <= found[n] <= utcnow(), "it may be told a little late, never early"
        for n in (18, 19):
            assert found[n] >= times[n]
            assert n == 19 or found[n] < times[n + 1], "those of the last readings are exact"


def test_a_list_writes_the_notes_of_its_own_readers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path) as store, open_store(path=path, user_id="jane", embedder=None) as jane:
        for each in (store, jane):
            each.put([old("green")])
            each.touch(["green"], soon=True)
        written = writes_of(store, monkeypatch)
        assert store.list()[0].last_accessed > LONG_AGO
        assert len(written) == 1
        store.get("green")
        store.put([old("black")])
        assert len(written) == 1
        assert jane.list()[0].last_accessed > LONG_AGO
        assert len(written) == 2


def test_what_was_read_meanwhile_is_written_the_next_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path) as store:
        store.put([old("green"), old("black")])
        writer = store.backend.connection._engine._writer  # type: ignore[attr-defined]
        update, during = writer.set_on_matching, []

        def read_again(request: Any) -> None:
            update(request)
            if not during:
                during.append(utcnow())
                store.touch(["green"], soon=True)

        monkeypatch.setattr(writer, "set_on_matching", read_again)
        store.touch(["green", "black"], soon=True)
        notes_of(store).write_all()
        assert notes_of(store)
        found = {entry.id: entry.last_accessed for entry in store.list()}
        assert found["black"] < during[0] <= found["green"]
        assert not notes_of(store)


def test_many_threads_read_and_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No note is lost, and none stays."""
    monkeypatch.setattr(access_times, "MOST_NOTED", 5)
    with open_store(path=path, embedder=None) as store:
        users = [store.scoped(user_id=f"user{n}") for n in range(4)]
        for user in users:
            user.put([old(f"{n}") for n in range(10)])
        start = utcnow()

        def work(user: MemoryStore) -> None:
            for n in range(100):
                user.touch([f"{n % 10}", f"{n * 3 % 10}"], soon=True)
                if n % 10 == 0:
                    user.update(f"{n // 10}", importance=n / 100)
                if n % 25 == 0:
                    assert len(user.list()) == 10

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, users))
        for user in users:
            assert all(entry.last_accessed >= start for entry in user.list())
        until(lambda: bool(notes_of(store)), lambda left: not left)
        assert notes_of(store)._count == 0


def test_what_several_readers_see_has_the_time_of_the_last_one(path: Path) -> None:
    with opened(path) as store:
        store.put([old("green")])
        in_run = store.scoped(user_id="john", run_id="1")
        store.touch(["green"], soon=True)
        in_run.touch(["green"], soon=True)
        last = utcnow()
        store.touch(["green"], soon=True)
        found = store.get("green")
        assert found is not None
        assert found.last_accessed >= last


def test_a_note_does_not_undo_a_later_time(path: Path) -> None:
    with opened(path) as store:
        store.put([old("green")])
        store.touch(["green"], soon=True)
        last = utcnow()
        store.touch(["green"])
        found = store.get("green")
        assert found is not None
        assert found.last_accessed >= last


@pytest.mark.parametrize("is_shared", [True, False])
def test_who_looks_sees_its_own_reading_while_others_read(
    path: Path, monkeypatch: pytest.MonkeyPatch, is_shared: bool
) -> None:
    """Between the look at what is noted and the write of it, the same entry is read again."""
    with opened(path) as store:
        store.put([old("green")])
        last = utcnow()
        store.touch(["green"], soon=True)
        if is_shared:
            store.scoped(user_id="john", run_id="1").touch(["green"], soon=True)
        sort = access_times._notes_of

        def read_again(*args: Any) -> Any:
            monkeypatch.undo()
            notes = list(sort(*args))
            nonlocal last
            last = utcnow()
            store.touch(["green"], soon=True)
            return notes

        monkeypatch.setattr(access_times, "_notes_of", read_again)
        found = store.get("green")
        assert found is not None
        assert found.last_accessed >= last


def test_only_one_thread_waits_for_the_shard(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is written anew may hold its lock for minutes."""
    monkeypatch.setattr(access_times, "MOST_NOTED", 3)
    with opened(path) as store:
        store.put([old(f"{n}") for n in range(20)])
        engine = store.backend.connection._engine  # type: ignore[attr-defined]
        begun: list[Any] = []
        write = access_times.AccessTimes._write_in_turn
        monkeypatch.setattr(
            access_times.AccessTimes,
            "_write_in_turn",
            lambda notes: begun.append(threading.current_thread()) or write(notes),
        )
        reading = threading.Thread(target=lambda: [store.touch([f"{n}"], soon=True) for n in range(20)])
        with engine._lock:
            reading.start()
            until(lambda: bool(begun), bool)
            reading.join()
            reading = threading.Thread(target=lambda: [store.touch([f"{n}"], soon=True) for n in range(20)])
            reading.start()
            reading.join()
            assert len({*begun, notes_of(store)._timer}) == 1
        until(lambda: bool(notes_of(store)), lambda left: not left)


def test_who_reads_gets_no_error_where_no_thread_can_be_started(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with opened(path) as store:
        store.put([old("green"), old("black")])
        with monkeypatch.context() as failing:
            failing.setattr(threading.Thread, "start", fails)
            store.touch(["green"], soon=True)
        monkeypatch.setattr(access_times, "INTERVAL", 0.01)
        store.touch(["black"], soon=True)
        until(lambda: bool(notes_of(store)), lambda left: not left)
        assert all(entry.last_accessed > LONG_AGO for entry in store.list())


def test_notes_are_written_after_a_while(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_times, "INTERVAL", 0.01)
    with opened(path) as store:
        store.put([old("green")])
        store.touch(["green"], soon=True)
        until(lambda: bool(notes_of(store)), lambda left: not left)
