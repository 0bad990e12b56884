"""What was accepted is kept."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import threading
from pathlib import Path

import pytest

from crewai_persistent_memory import EngineError, MemoryEntry, PersistentMemoryError, open_store
from crewai_persistent_memory.backends.qdrant.embedded import flushing as edge_disk
from crewai_persistent_memory.backends.qdrant.embedded.engine import EmbeddedEngine

from ..support.programs import run_program, started
from ..support.qdrant_server import ROOT
from ..support.thorough import IS_THOROUGH

WRITER = [sys.executable, "-m", "tests.store.writer"]
KILLS = int(os.environ.get("KILLS", "0")) or (10 if IS_THOROUGH else 4)

AT_ONCE = 1 if IS_THOROUGH else 5
"""What is written by one acknowledged write. Of one each, the log takes long to fill."""


@pytest.fixture
def short_interval(monkeypatch: pytest.MonkeyPatch) -> float:
    """Of the syncs in the background, in seconds: what is waited for in vain is not waited for long."""
    monkeypatch.setattr(edge_disk, "SYNC_INTERVAL", 0.1)
    return 0.1


def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "store"
    acknowledged: set[int] = set()
    chance = random.Random(20261121)
    for _ in range(KILLS):
        start = max(acknowledged, default=-1) + 1000
        with started([*WRITER, str(path), "interval", str(start)], cwd=ROOT) as (child, lines):
            acknowledged.add(int(next(lines)))  # it writes: from here on any moment is the wrong one
            killer = threading.Timer(chance.uniform(0, 0.4), child.kill)
            killer.start()
            # A line cut short by the kill was never reported as a whole.
            acknowledged |= {int(line) for line in lines if line.endswith("\n")}
            assert child.wait().returncode == -signal.SIGKILL
        killer.join()
    with open_store(path=path, user_id="john") as store:
        found = {int(entry.id): entry.content for entry in store.list(limit=10_000_000)}
    assert len(acknowledged) > KILLS * 10
    assert acknowledged - found.keys() == set()
    assert all(found[number] == f"fact {number}" for number in acknowledged)


class Disk:
    """What would be on the disk after a power cut: the files of a store as they were when each was last synced."""

    def __init__(self, path: Path, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.image = path, image
        self.synced = threading.Semaphore(0)
        self.flushes = 0
        self.fail = False
        self._fsync = edge_disk._fsync
        shutil.copytree(path, image)
        monkeypatch.setattr(edge_disk, "_fsync", self.fsync)

    def fsync(self, path: str | os.PathLike[str]) -> bool:
        if self.fail:
            raise OSError(5, "Input/output error")
        done = self._fsync(path)
        if not Path(path).is_relative_to(self.path):
            return done
        inside = self.image / Path(path).relative_to(self.path)
        if Path(path).is_dir():
            # A folder's sync makes renames and removals durable, and no content.
            names = set(os.listdir(path))
            for name in set(os.listdir(inside)) - names:
                (inside / name).unlink()
        elif done:
            sparse_copy(Path(path), inside)
            self.synced.release()
        return done

    def watch(self, store: object) -> None:
        """Take the engine's own flush for one of every file."""
        engine = store.backend.connection._engine  # type: ignore[attr-defined]
        disk = self

        class Shard:
            def __getattr__(self, name: str) -> object:
                return getattr(engine_shard, name)

            def flush(self) -> None:
                engine_shard.flush()
                disk.flushes += 1
                shutil.rmtree(disk.image / "shard")
                for folder, _, names in os.walk(disk.path / "shard"):
                    (disk.image / Path(folder).relative_to(disk.path)).mkdir()
                    for name in names:
                        file = Path(folder) / name
                        sparse_copy(file, disk.image / file.relative_to(disk.path))

        engine_shard, engine._reader.shard = engine._shard, Shard()


def sparse_copy(source: Path, target: Path) -> None:
    with open(source, "rb") as old, open(target, "wb") as new:
        new.truncate(os.fstat(old.fileno()).st_size)
        end = 0
        while True:
            try:
                start = os.lseek(old.fileno(), end, os.SEEK_DATA)
            except OSError:  # no data follows
                return
            end = os.lseek(old.fileno(), start, os.SEEK_HOLE)
            new.seek(start)
            old.seek(start)
            new.write(old.read(end - start))


def found_in(image: Path) -> set[str]:
    with open_store(path=image, user_id="john") as store:
        return {entry.id for entry in store.list(limit=100_000)}


def test_fsync_always_keeps_every_acknowledged_write_over_rotations_of_the_log(
    tmp_path: Path, on_a_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = {"long": "x" * 780_000}  # in the content it would be cut into words, which takes longer
    with open_store(path=on_a_disk / "s", user_id="john", embedder=None, fsync="always") as store:
        disk = Disk(on_a_disk / "s", tmp_path / "image", monkeypatch)
        disk.watch(store)
        monkeypatch.setattr(edge_disk, "LONG_LOG", 2)
        for start in range(0, 45, AT_ONCE):
            numbers = range(start, start + AT_ONCE)
            store.put([MemoryEntry(id=str(number), content="a fact", metadata=long) for number in numbers])
        assert any(name.startswith("closed-") for name in os.listdir(on_a_disk / "s/shard/wal")), "no log was rotated"
        shutil.copytree(tmp_path / "image", tmp_path / "cut")
    assert found_in(tmp_path / "cut") == {str(number) for number in range(45)}


def test_the_log_is_synced_every_second() -> None:
    assert edge_disk.SYNC_INTERVAL <= 1


def test_fsync_interval_syncs_the_log_and_does_not_flush_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_interval: float
) -> None:
    with open_store(path=tmp_path / "s", user_id="john", embedder=None) as store:
        disk = Disk(tmp_path / "s", tmp_path / "image", monkeypatch)
        disk.watch(store)
        for id in ("x", "y"):
            store.add("text", id=id)
            assert disk.synced.acquire(timeout=30)
            while disk.synced.acquire(timeout=short_interval * 5):
                pass  # the log has several files; with nothing written they are not synced again
            shutil.copytree(tmp_path / "image", tmp_path / id)
        assert disk.flushes == 0
        store.touch(["x"])
        assert not disk.synced.acquire(timeout=short_interval * 5), "a touch reached for the disk"
    assert found_in(tmp_path / "x") == {"x"}
    assert found_in(tmp_path / "y") == {"x", "y"}


def test_fsync_close_flushes_at_close_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_interval: float
) -> None:
    store = open_store(path=tmp_path / "s", user_id="john", embedder=None, fsync="close")
    disk = Disk(tmp_path / "s", tmp_path / "image", monkeypatch)
    disk.watch(store)
    store.add("x", id="x")
    assert not disk.synced.acquire(timeout=short_interval * 5)
    store.close()
    assert disk.flushes == 1
    assert found_in(tmp_path / "image") == {"x"}


def test_handles_on_one_path_share_the_strictest_promise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(path=tmp_path / "s", user_id="john", embedder=None, fsync="close") as first:
        with open_store(path=tmp_path / "s", user_id="john", fsync="always") as second:
            disk = Disk(tmp_path / "s", tmp_path / "image", monkeypatch)
            second.add("x")
            assert disk.synced.acquire(blocking=False)
            with open_store(path=tmp_path / "s", user_id="john"):
                second.add("y")
            assert disk.synced.acquire(blocking=False)
        assert first.count() == 2


def test_a_log_that_has_grown_long_is_flushed_in_the_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_disk, "LONG_LOG", 0)
    flushed = threading.Event()
    flush = EmbeddedEngine._flush
    monkeypatch.setattr(EmbeddedEngine, "_flush", lambda engine: (flush(engine), flushed.set()))
    with open_store(path=tmp_path / "s", user_id="john", embedder=None) as store:
        store.add("x")
        assert flushed.wait(timeout=30)


def test_a_sync_that_fails_in_the_background_is_not_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with open_store(path=tmp_path / "s", user_id="john", embedder=None) as store:
        disk = Disk(tmp_path / "s", tmp_path / "image", monkeypatch)
        disk.fail = True
        store.add("x")
        with pytest.raises(EngineError, match="could not be flushed"):  # noqa: PT012 (the first write after the failure)
            for number in range(10_000_000):
                store.add("y", id="same", importance=number % 2)
        assert "flushing" in caplog.text
        disk.fail = False
        store.add("z")
        assert store.count() == 3


def test_a_sync_that_fails_under_always_fails_the_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(path=tmp_path / "s", user_id="john", embedder=None, fsync="always") as store:
        disk = Disk(tmp_path / "s", tmp_path / "image", monkeypatch)
        disk.fail = True
        with pytest.raises(EngineError, match="a power cut may undo it"):
            store.add("x")
        disk.fail = False
        store.add("y")


def test_a_process_that_ends_without_closing_flushes(tmp_path: Path) -> None:
    code = (
        "import crewai_persistent_memory as m; "
        f"s = m.open_store(path={str(tmp_path / 's')!r}, user_id='john', embedder=None, fsync='close'); s.add('kept')"
    )
    done = run_program([sys.executable, "-c", code])
    assert (done.returncode, done.stderr) == (0, "")
    with open_store(path=tmp_path / "s", user_id="john") as store:
        assert [entry.content for entry in store.list()] == ["kept"]


def test_no_error_is_a_runtime_error() -> None:
    """CrewAI's background pool swallows those as "the interpreter is shutting down"."""

    def below(kind: type[Exception]) -> set[type[Exception]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    assert not [kind for kind in below(PersistentMemoryError) if issubclass(kind, RuntimeError)]
