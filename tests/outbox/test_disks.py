"""A queue on a disk that is full, fails, or cannot be written: nothing accepted is lost, and the error is named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    StoreCorruptedError,
    StoreFullError,
    open_store,
)
from crewai_persistent_memory.outbox import database as databases
from crewai_persistent_memory.outbox.queue import Queue

from ..support.calling import until
from ..support.faulty_store import FaultyStore
from ..support.mounts import mounted
from ..support.programs import Commanded, run_program
from ..support.qdrant_server import QdrantServer
from .conftest import OpenOutbox
from .test_queue import put, waiting

LONG = 20_000
"""Characters of a fact that fills a disk."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Where ``open_outbox`` keeps its queues, as a disk of 16 MiB."""
    place = tmp_path / "outbox"
    place.mkdir()
    mounted("-t", "tmpfs", "-o", "size=16m", "tmpfs", place)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


class TestFullDisk:
    def fill(self, store: Any) -> list[str]:
        accepted: list[str] = []

        def save() -> None:
            while len(accepted) < 1_000:
                text = f"fact {len(accepted)} {os.urandom(LONG // 2).hex()}"
                store.add(text)
                accepted.append(text)

        with pytest.raises(StoreFullError, match=r"This write was not accepted\. Make room"):
            save()
        assert 50 < len(accepted) < 1_000
        return accepted

    def test_it_refuses_while_there_is_room_to_deliver(
        self, small_disk: Path, open_outbox: OpenOutbox, behind: FaultyStore
    ) -> None:
        store = open_outbox()
        behind.away = True
        accepted = self.fill(store)
        assert [entry.content for entry in store.search("fact 7", limit=1)] == [accepted[7]]
        with pytest.raises(StoreFullError):
            store.add("long " * LONG)
        behind.away = False
        assert store.flush(30)
        assert sorted(behind.contents()) == sorted(accepted)
        store.add("there is room again")
        assert store.flush(10)

    def test_others_fill_it(
        self, small_disk: Path, open_outbox: OpenOutbox, behind: FaultyStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = open_outbox()
        behind.away = True
        accepted = self.fill(store)
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file:
            while shutil.disk_usage(small_disk).free:
                file.write(bytes(4096))
        behind.away = False
        until(lambda: caplog.text, lambda text: "delivers nothing: the disk of the outbox" in text)
        assert not store.flush(2)
        assert caplog.text.count("delivers nothing") == 1, "it is tried again and again, and told once"
        with pytest.raises(StoreFullError):
            store.add("one more")
        filler.unlink()
        assert store.flush(30)
        assert sorted(behind.contents()) == sorted(accepted)

    def test_a_restart_on_it(self, small_disk: Path, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        store = open_outbox()
        behind.away = True
        accepted = self.fill(store)
        store.close()
        again = open_outbox()
        assert again.pending() == len(accepted)
        behind.away = False
        assert again.flush(30)
        assert sorted(behind.contents()) == sorted(accepted)


class TestFailingDisk:
    def test_a_file_that_cannot_grow(self, tmp_path: Path) -> None:
        """In a child: a limit on the size of files makes a write of SQLite fail as a broken disk does."""
        done = run_program([sys.executable, "-c", GROW, str(tmp_path / "queue")])
        assert done.returncode == 0, done.stderr[-2000:]
        report = json.loads(done.stdout)
        assert report["error"] in ("StoreError", "StoreFullError")
        assert "the outbox at" in report["message"]
        assert 0 < report["accepted"] == report["waiting"]
        assert len(waiting(Queue(tmp_path / "queue"))) == report["accepted"]

    def test_a_file_that_is_damaged(self, tmp_path: Path) -> None:
        queue = Queue(tmp_path / "queue")
        queue.accept(put("tea"))
        queue.close()
        (queue.folder / "queue.db").write_bytes(b"this is not a database" * 1000)
        with pytest.raises(StoreCorruptedError, match=r"is damaged \(file is not a database\): move .*queue\.db away"):
            Queue(tmp_path / "queue")


class TestDeletedFolder:
    """By a clean-up, under running processes: what waited is lost with it, and nothing else."""

    def test_goes_on_with_a_new_one(
        self, open_outbox: OpenOutbox, behind: FaultyStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = open_outbox()
        store.add("delivered")
        assert store.flush(10)
        behind.away = True
        store.add("waits, and is lost")
        [folder] = [file.parent for file in Path(store.backend.settings.folder).glob("*/queue.db")]  # type: ignore[attr-defined]
        shutil.rmtree(folder)
        store.add("accepted afterwards")
        assert store.pending() == 1
        assert "was deleted by another program, with what waited in it" in caplog.text
        behind.away = False
        assert store.flush(30)
        assert {entry.content for entry in store.list()} == {"delivered", "accepted afterwards"}

    def test_all_processes_go_on_with_one(self, own_server: QdrantServer, tmp_path: Path) -> None:
        """The new queue has one sender, and the process that was the sender of the old one finds it."""
        options = {
            "url": own_server.url,
            "embedder": None,
            "user_id": "john",
            "outbox_path": str(tmp_path / "outbox"),
        }
        other = Commanded([sys.executable, "-c", ADDS, json.dumps(options)])
        other.tell("one")
        assert other.line() == "True"
        shutil.rmtree(tmp_path / "outbox")
        with open_store(**options) as store:  # type: ignore[arg-type]
            store.add("two")
            assert store.flush(30)
            for text in ("three", "four"):
                other.tell(text)
                assert other.line() == "True"
            store.add("five")
            assert store.flush(30)
            assert sorted(entry.content for entry in store.list()) == sorted(["one", "two", "three", "four", "five"])
        done = other.close()
        assert done.returncode == 0, done.stderr[-2000:]
        assert len(list((tmp_path / "outbox").iterdir())) == 1

    @pytest.mark.parametrize("now", [b"x" * 100_000, b""], ids=["overwritten", "emptied"])
    def test_damage_is_named_and_heals(self, open_outbox: OpenOutbox, now: bytes) -> None:
        store = open_outbox()
        store.add("delivered")
        assert store.flush(10)
        [file] = Path(store.backend.settings.folder).glob("*/queue.db")  # type: ignore[attr-defined]
        [database] = [each for each in list(databases._OPEN) if each.folder == file.parent and not each._is_closed]
        # The process has queue.db-shm in its memory: the sender, in a thread of its own, must not read there meanwhile,
        # and where the file became shorter, reading would end the process.
        with database._lock:
            file.write_bytes(now)
            file.with_name("queue.db-wal").write_bytes(now)
            with file.with_name("queue.db-shm").open("r+b") as shared:
                shared.write(b"x" * 32_768)
        with pytest.raises(StoreCorruptedError, match=r"is damaged .*move .*queue\.db away"):
            store.add("refused")
        for each in file.parent.glob("queue.db*"):
            each.rename(each.with_name(f"damaged-{each.name}"))
        store.add("accepted again")
        assert store.flush(10)


ADDS = """
import json, sys
from crewai_persistent_memory import open_store
with open_store(**json.loads(sys.argv[1])) as store:
    for line in sys.stdin:
        store.add(line.strip())
        print(store.flush(30), flush=True)
"""


GROW = """
import json, resource, sys
from pathlib import Path
from crewai_persistent_memory import MemoryEntry, PersistentMemoryError, Scope, operations
from crewai_persistent_memory.outbox.queue import Queue
queue = Queue(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
accepted = 0
try:
    while accepted < 1000:
        queue.accept(operations.Put(Scope("john"), [MemoryEntry(str(accepted), "x" * 10_000)], True))
        accepted += 1
except PersistentMemoryError as error:
    report = {"error": type(error).__name__, "message": str(error), "accepted": accepted, "waiting": queue.count()}
print(json.dumps(report))
"""


class TestReadOnlyDisk:
    @pytest.fixture
    def read_only(self, tmp_path: Path) -> Iterator[Path]:
        """A queue with one write, on a disk that nobody can write to."""
        place, seen = tmp_path / "place", tmp_path / "seen"
        queue = Queue(place / "queue")
        queue.accept(put("tea"))
        queue.close()
        seen.mkdir()
        mounted("--bind", place, seen)
        mounted("-o", "remount,bind,ro", seen)
        yield seen
        subprocess.run(["umount", "-l", seen], check=True)

    def test_it_is_named_at_start(self, read_only: Path, tmp_path: Path) -> None:
        for name in ("queue", "another"):
            with pytest.raises(
                ConfigurationError, match=r"outbox_path: no outbox can be kept at .*durability=\"store\""
            ):
                Queue(read_only / name)
        assert waiting(Queue(tmp_path / "place" / "queue")) == ["tea"]
