"""A queue that an earlier version kept for the same store under another name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crewai_persistent_memory import InvalidEntryError, MemoryEntry, MemoryStore, Scope, operations
from crewai_persistent_memory.config.options import MemoryConfig
from crewai_persistent_memory.outbox.backend import OutboxBackend
from crewai_persistent_memory.outbox.inspection import QueueFile
from crewai_persistent_memory.outbox.queue import Queue
from crewai_persistent_memory.outbox.sender_lock import SenderLock
from crewai_persistent_memory.outbox.shared import OutboxSettings
from crewai_persistent_memory.scope import ScopeBinding
from crewai_persistent_memory.store.factory import outbox_of

from ..support.faulty_store import FaultyStore

JOHN = Scope(user_id="john")


@pytest.fixture
def settings(tmp_path: Path) -> OutboxSettings:
    return OutboxSettings(
        tmp_path / "outbox", "Qdrant at http://127.0.0.1:6333", ("Qdrant at http://localhost:6333", "own"), exit_wait=0
    )


def left_by_an_earlier_version(settings: OutboxSettings) -> None:
    queue = Queue(settings.earlier_folders[0])
    refused = queue.accept(operations.Put(JOHN, [MemoryEntry("bad", "refused")]))
    queue.accept(operations.Put(JOHN, [MemoryEntry("a", "first")]))
    queue.accept(operations.Update(JOHN, "a", {"content": "second"}), waits=True)
    [write] = [each for each in queue.pending([each.lane for each in queue.next_writes(1)]) if each.seq == refused]
    queue.refused(write, InvalidEntryError("no"))
    queue.close()


@contextmanager
def opened(settings: OutboxSettings, behind: FaultyStore) -> Iterator[MemoryStore]:
    store = MemoryStore(OutboxBackend(behind, settings), ScopeBinding.of(user_id="john"))
    try:
        yield store
    finally:
        store.close()


def test_it_is_taken_over_once_and_in_order(settings: OutboxSettings) -> None:
    left_by_an_earlier_version(settings)
    assert settings.exists
    behind = FaultyStore()
    behind.away = True
    for _ in range(2):
        with opened(settings, behind) as store:
            assert store.pending() == 2
            assert store.health()["outbox"]["dead_letters"] == 1
            assert [each.content for each in store.search("second")] == ["second"]
    behind.away = False
    with opened(settings, behind) as store:
        assert store.flush(10)
        assert [each.content for each in store.list()] == ["second"]
    with QueueFile(settings.queue_folder) as file:
        assert file.retry() == 1


def test_a_worker_that_ends_while_it_takes_it_over(settings: OutboxSettings) -> None:
    left_by_an_earlier_version(settings)
    before = (settings.earlier_folders[0] / "queue.db").read_bytes()
    Queue(settings.queue_folder, earlier=settings.earlier_folders).close()
    # As if it had ended before the earlier file had no more writes.
    for name in ("queue.db-wal", "queue.db-shm"):
        (settings.earlier_folders[0] / name).unlink(missing_ok=True)
    (settings.earlier_folders[0] / "queue.db").write_bytes(before)
    again = Queue(settings.queue_folder, earlier=settings.earlier_folders)
    assert again.count() == 2
    assert again.depth().dead == 1
    again.close()


def test_who_delivers_from_it_keeps_it(settings: OutboxSettings) -> None:
    left_by_an_earlier_version(settings)
    worker = SenderLock(settings.earlier_folders[0])
    assert worker.take()
    with opened(settings, FaultyStore()) as store:
        assert store.pending() == 0
    worker.release()
    behind = FaultyStore()
    with opened(settings, behind) as store:
        assert store.flush(10)
        assert behind.contents() == ["second"]


def test_of_each_of_its_earlier_names(settings: OutboxSettings) -> None:
    for number, folder in enumerate(settings.earlier_folders):
        queue = Queue(folder)
        queue.accept(operations.Put(JOHN, [MemoryEntry(f"{number}", f"text {number}")]))
        queue.close()
    behind = FaultyStore()
    with opened(settings, behind) as store:
        assert store.flush(10)
    assert sorted(behind.contents()) == ["text 0", "text 1"]


def test_the_names_of_a_server() -> None:
    """A worker of an earlier version, which may run beside this one, has a queue of its own."""
    by_number = outbox_of(MemoryConfig.build(url="http://127.0.0.1:6333"), "own")
    by_name = outbox_of(MemoryConfig.build(url="http://localhost:6333"), "own")
    assert by_name.queue_folder == by_number.queue_folder
    assert by_name.queue_folder not in {*by_name.earlier_folders, *by_number.earlier_folders}
    assert set(by_name.earlier_folders) < set(by_number.earlier_folders)
