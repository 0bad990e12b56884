"""The queue's file: who may read it, what it refuses, and what an erasure takes out of it."""

from __future__ import annotations

import itertools
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    EntryFilter,
    MemoryEntry,
    SchemaVersionError,
    Scope,
    StoreFullError,
    open_store,
    operations,
)
from crewai_persistent_memory.outbox import callers, intake
from crewai_persistent_memory.outbox.database import FILE, Database
from crewai_persistent_memory.outbox.inspection import QueueFile
from crewai_persistent_memory.outbox.queue import Queue
from crewai_persistent_memory.validation import utcnow

JOHN, MARY = Scope("john"), Scope("mary")
EVERYTHING = EntryFilter()


def put(content: str, scope: Scope = JOHN, **fields: object) -> operations.Put:
    return operations.Put(scope, [MemoryEntry(content, content, **fields)], True)  # type: ignore[arg-type]


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "queue")


def waiting(queue: Queue) -> list[str]:
    return [
        entry.content
        for write in queue.next_writes(1000)
        if isinstance(write.operation, operations.Put)
        for entry in write.operation.entries
    ]


def erased(queue: Queue, delete: operations.Delete) -> int:
    """How many entries are taken out that were never sent."""
    never_sent, _ = queue.erase(queue.accept(delete))
    return never_sent


def on_disk(queue: Queue, text: str) -> bool:
    return any(text.encode() in file.read_bytes() for file in queue.folder.iterdir() if file.is_file())


def test_writes_come_in_the_order_of_acceptance(queue: Queue) -> None:
    for content in "abc":
        queue.accept(put(content))
    assert waiting(queue) == ["a", "b", "c"]
    assert queue.depth().writes == queue.count() == 3


def test_a_write_gets_its_name_while_another_thread_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_first, may_go_on, numbers = threading.Event(), threading.Event(), itertools.count()

    class Counting:
        """``itertools.count``, in whose first number a thread is stopped."""

        def __iter__(self) -> Counting:
            return self

        def __next__(self) -> int:
            if not is_first.is_set():
                is_first.set()
                assert may_go_on.wait(60)
            return next(numbers)

    monkeypatch.setattr(intake.itertools, "count", Counting)
    queue = Queue(tmp_path / "queue")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(queue.accept, put("first"))
        assert is_first.wait(60)
        try:
            second = queue.accept(put("second"))
        finally:
            may_go_on.set()
        assert first.result() != second


def test_what_is_delivered_or_refused_is_not_kept_in_memory(queue: Queue) -> None:
    for content in "ab":
        queue.accept(put(content))
    first, second = queue.next_writes(2)
    assert len(queue._parsed) == 2
    queue.done([first])
    queue.refused(second, ValueError("no"))
    assert not queue._parsed


def test_another_process_continues(queue: Queue, tmp_path: Path) -> None:
    queue.accept(put("a"))
    queue.close()
    again = Queue(tmp_path / "queue")
    assert waiting(again) == ["a"]
    again.done(again.next_writes(1))
    queue_number = again.accept(put("b"))
    assert queue_number == 2, "a number is never used again"


def test_files_are_for_their_owner(queue: Queue) -> None:
    queue.accept(put("a"))
    assert stat.S_IMODE(queue.folder.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in queue.folder.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def test_wider_modes_are_tightened(queue: Queue, tmp_path: Path) -> None:
    queue.close()
    (queue.folder / FILE).chmod(0o644)
    queue.folder.chmod(0o755)
    again = Queue(tmp_path / "queue")
    assert stat.S_IMODE((again.folder / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(again.folder.stat().st_mode) == 0o700


def test_a_full_queue_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue", most_bytes=2_000)
    accepted = 0
    while queue.depth().bytes < 1_500:
        accepted += bool(queue.accept(put(f"fact {accepted}")))
    with pytest.raises(StoreFullError, match=r"outbox at .* is full.*not accepted.*outbox_max_mb"):
        queue.accept(put("long " * 200))
    assert 0 < accepted == queue.count()
    erased(queue, operations.Delete(JOHN, EVERYTHING))  # what makes room is accepted
    queue.accept(put("there is room again"))


def test_a_link_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue" / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="outbox_path"):
        Queue(tmp_path / "queue")


def test_a_newer_layout_is_refused(queue: Queue) -> None:
    queue.close()
    with sqlite3.connect(queue.folder / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(SchemaVersionError, match="newer version"):
        Queue(queue.folder)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ConfigurationError, match=r"outbox_path.*durability=\"store\""):
        open_store(user_id="john", path=tmp_path / "s", durability="outbox", outbox_path=tmp_path / "file" / "below")


def test_a_durable_queues_new_folders_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(file: int) -> None:
        name = Path(f"/proc/self/fd/{file}")
        synced.append(str(name.readlink()) if name.is_symlink() else "?")
        fsync(file)

    monkeypatch.setattr(os, "fsync", noted)
    Database(tmp_path / "a" / "quick").close()
    assert synced == []
    for _ in range(2):
        Database(tmp_path / "b" / "kept", durable=True).close()
    assert len(synced) == 3, "of the file, of its folder and of the folder above, once"
    assert set(synced) <= {*map(str, (tmp_path / "b" / "kept", tmp_path / "b", tmp_path)), "?"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    (tmp_path / "fixed").mkdir(mode=0o500)
    with pytest.raises(ConfigurationError, match="outbox_path"):
        Queue(tmp_path / "fixed" / "queue")


def test_an_option_of_the_outbox_alone_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match='durability="outbox" as well'):
        open_store(user_id="john", path=tmp_path, recall_timeout=1)


class TestErasure:
    def test_a_reset_takes_a_users_writes_and_dead_letters(self, queue: Queue) -> None:
        for content, scope in [("secret one", JOHN), ("secret two", JOHN), ("of mary", MARY)]:
            queue.accept(put(content, scope))
        queue.refused(queue.next_writes(1)[0], ValueError("secret one was refused"))
        assert erased(queue, operations.Delete(JOHN, EVERYTHING)) == 1
        assert waiting(queue) == ["of mary"]
        assert queue.depth().dead == 0
        assert not on_disk(queue, "secret")
        assert on_disk(queue, "of mary")

    def test_a_delete_that_is_delivered_takes_dead_letters_and_what_was_delivered_before_it(self, queue: Queue) -> None:
        queue.accept(put("secret one"))
        queue.refused(queue.next_writes(1)[0], ValueError("no"))
        queue.accept(put("secret two"))
        queue.accept(operations.Delete(JOHN, EVERYTHING))
        queue.accept(put("said later"))
        assert queue.depth().dead == 1, "a delete that is refused changes nothing"
        for write in queue.next_writes(2):
            queue.done([write])
        assert queue.depth().dead == 0
        assert not on_disk(queue, "secret")
        assert waiting(queue) == ["said later"]

    def test_what_is_accepted_after_a_delete_is_not_its_concern(self, queue: Queue) -> None:
        queue.accept(put("before"))
        seq = queue.accept(operations.Delete(JOHN, EVERYTHING))
        queue.accept(put("after"))
        assert queue.erase(seq) == (1, 1)
        assert waiting(queue) == ["after"]

    def test_the_same_text_of_another_run_stays(self, queue: Queue) -> None:
        queue.accept(put("of the run", Scope("john", run_id="r")))
        queue.accept(put("of no run"))
        erased(queue, operations.Delete(JOHN, EVERYTHING))
        assert waiting(queue) == ["of the run"]

    def test_one_entry_of_several(self, queue: Queue) -> None:
        queue.accept(operations.Put(JOHN, [MemoryEntry("a", "secret"), MemoryEntry("b", "plain")]))
        assert erased(queue, operations.Delete(JOHN, EntryFilter(ids=("a",)))) == 1
        assert waiting(queue) == ["plain"]
        assert not on_disk(queue, "secret")

    def test_a_forgotten_entry_leaves_no_change_of_it(self, queue: Queue) -> None:
        queue.accept(put("a"))
        queue.accept(operations.Update(JOHN, "a", {"content": "secret"}))
        queue.accept(operations.Replace(JOHN, MemoryEntry("a", "secret too")))
        assert erased(queue, operations.Delete(JOHN, EntryFilter(ids=("a",)))) == 1
        assert not on_disk(queue, "secret")

    def test_an_entry_that_was_moved_away_is_not_deleted_with_its_old_path(self, queue: Queue) -> None:
        queue.accept(put("a", path="/old"))
        queue.accept(operations.Update(JOHN, "a", {"path": "/new"}))
        assert erased(queue, operations.Delete(JOHN, EntryFilter(path="/old"))) == 0
        assert waiting(queue) == ["a"]

    def test_what_may_be_in_the_store_is_not_counted_twice(self, queue: Queue) -> None:
        queue.accept(put("a"))
        queue.begin(queue.next_writes(1))
        assert queue.erase(queue.accept(operations.Delete(JOHN, EVERYTHING))) == (0, 1)

    def test_an_entry_is_counted_once(self, queue: Queue) -> None:
        for _ in range(3):
            queue.accept(operations.Put(JOHN, [MemoryEntry("a", "again")]))
        queue.accept(operations.Replace(JOHN, MemoryEntry("b", "made"), True))
        assert queue.erase(queue.accept(operations.Delete(JOHN, EVERYTHING))) == (2, 2)

    def test_what_is_sent_is_not_taken_back(self, queue: Queue) -> None:
        seq = queue.accept(operations.Delete(JOHN, EVERYTHING))
        queue.begin(queue.next_writes(1))
        assert not queue.withdraw(seq)

    def test_a_delete_is_later_than_all_it_deletes(self, queue: Queue) -> None:
        """Also where the clock was set back since, or an entry has a time in the future."""
        queue.accept(put("from the future", created_at=utcnow() + timedelta(days=300)))
        queue.accept(put("of the last moment", Scope("jane"), created_at=datetime.max))
        queue.done(queue.next_writes(2))
        queue.accept(operations.Delete(Scope("jane"), EVERYTHING))
        assert queue.next_writes(1)[0].accepted_at == datetime.max
        queue.done(queue.next_writes(1))
        queue.accept(operations.Delete(JOHN, EVERYTHING))
        queue.accept(operations.Delete(MARY, EVERYTHING))
        of_john, of_mary = queue.next_writes(2)
        assert of_john.accepted_at > utcnow() + timedelta(days=299)
        assert of_mary.accepted_at < utcnow() + timedelta(seconds=1)


class TestDeadLetters:
    def test_an_older_text_is_not_put_back_over_a_newer_one(self, queue: Queue) -> None:
        for id, content in [("plan", "the plan is A"), ("diet", "eats no meat"), ("plan", "the plan is B")]:
            queue.accept(operations.Put(JOHN, [MemoryEntry(id, content)]))
            if content != "the plan is B":
                queue.refused(queue.next_writes(1)[0], ValueError("no"))
        with QueueFile(queue.folder) as file:
            assert [row.operation["entries"][0]["id"] for row in file.rows(dead_only=True)] == ["diet"]
            assert file.retry() == 1
        assert waiting(queue) == ["the plan is B", "eats no meat"]

    def test_keeps_the_error_without_a_key(self, queue: Queue) -> None:
        queue.accept(put("a"))
        queue.refused(queue.next_writes(1)[0], ValueError("no: sk-0123456789abcdef"))
        assert queue.depth().dead == 1
        assert not on_disk(queue, "sk-0123456789abcdef")

    def test_a_refusal_that_the_caller_was_told_leaves_none(self, queue: Queue) -> None:
        seq = queue.accept(put("a"), waits=True)
        queue.refused(queue.next_writes(1)[0], ValueError("no"))
        assert queue.answers.take(seq) == {"error": "ValueError", "message": "no"}
        assert queue.depth().dead == 0

    def test_a_refusal_after_the_caller_went_away(self, queue: Queue) -> None:
        seq = queue.accept(put("a"), waits=True)
        assert queue.answers.take(seq, give_up=True) is None
        queue.refused(queue.next_writes(1)[0], ValueError("no"))
        assert queue.answers.take(seq) is None
        assert queue.depth().dead == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
class TestAnswers:
    """An answer may hold a memory's text, and is kept no longer than somebody waits for it."""

    @pytest.fixture
    def gone(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
        """Another process, for which writes are accepted here."""
        with subprocess.Popen(["sleep", "60"]) as process:
            monkeypatch.setattr(callers.os, "getpid", lambda: process.pid)
            yield process
            process.kill()

    def answer(self, queue: Queue) -> None:
        queue.done(queue.next_writes(1), {"entry": "a secret of John"})

    def test_of_a_process_that_runs(self, queue: Queue, gone: subprocess.Popen[bytes]) -> None:
        seq = queue.accept(put("a"), waits=True)
        self.answer(queue)
        queue.answers.drop()
        assert queue.answers.take(seq) == {"answer": {"entry": "a secret of John"}}

    def test_of_one_that_ended_before_it(self, queue: Queue, gone: subprocess.Popen[bytes]) -> None:
        seq = queue.accept(put("a"), waits=True)
        gone.kill()
        gone.wait()
        self.answer(queue)
        assert queue.answers.take(seq) is None
        assert not on_disk(queue, "secret of John")

    def test_of_one_that_ended_after_it(self, queue: Queue, gone: subprocess.Popen[bytes]) -> None:
        seq = queue.accept(put("a"), waits=True)
        self.answer(queue)
        gone.kill()
        gone.wait()
        queue.answers.drop()
        assert queue.answers.take(seq) is None
        assert not on_disk(queue, "secret of John")

    def test_of_one_in_another_container(
        self, queue: Queue, gone: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seq = queue.accept(put("a"), waits=True)
        gone.kill()
        gone.wait()
        here = callers._namespace()
        monkeypatch.setattr(callers, "_namespace", lambda: None if here is None else here + 1)
        self.answer(queue)
        queue.answers.drop()
        assert queue.answers.take(seq) is not None
