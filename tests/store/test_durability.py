"""What was accepted is kept."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from crewai_persistent_memory import EngineError, PersistentMemoryError, open_store
from crewai_persistent_memory.stores.qdrant import edge

WRITER = [sys.executable, "-m", "tests.store.writer"]
KILLS = 20


def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "store"
    acknowledged: set[int] = set()
    chance = random.Random(20261121)
    for _ in range(KILLS):
        start = max(acknowledged, default=-1) + 1000
        child = subprocess.Popen([*WRITER, str(path), "interval", str(start)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        acknowledged.add(int(child.stdout.readline()))  # it writes: from here on any moment is the wrong one
        killer = threading.Timer(chance.uniform(0, 0.4), child.kill)
        killer.start()
        # A line cut short by the kill was never reported as a whole.
        acknowledged |= {int(line) for line in child.stdout if line.endswith("\n")}
        assert child.wait() == -signal.SIGKILL
        killer.join()
    with open_store(path=path, user_id="john") as store:
        found = {int(entry.id): entry.content for entry in store.list(limit=10_000_000)}
    assert len(acknowledged) > KILLS * 10
    assert acknowledged - found.keys() == set()
    assert all(found[number] == f"fact {number}" for number in acknowledged)


class CountingFlush:
    """The shard, counting flushes; everything else goes through."""

    def __init__(self, shard: object) -> None:
        self._shard = shard
        self.flushed = threading.Semaphore(0)
        self.fail = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._shard, name)

    def flush(self) -> None:
        if self.fail:
            raise Exception("IO Error: Input/output error (os error 5)")
        self._shard.flush()  # type: ignore[attr-defined]
        self.flushed.release()


def count_flushes(store: object) -> CountingFlush:
    engine = store._connection._engine  # type: ignore[attr-defined]
    engine._shard = counting = CountingFlush(engine._shard)
    return counting


def test_fsync_always_flushes_before_the_write_returns(tmp_path: Path) -> None:
    with open_store(path=tmp_path / "s", user_id="john", embedder=None, fsync="always") as store:
        flushes = count_flushes(store)
        store.add("x")
        assert flushes.flushed.acquire(blocking=False)


def test_fsync_interval_flushes_within_a_second_in_the_background(tmp_path: Path) -> None:
    assert edge.FLUSH_INTERVAL <= 1
    with open_store(path=tmp_path / "s", user_id="john", embedder=None) as store:
        flushes = count_flushes(store)
        store.add("x")
        assert flushes.flushed.acquire(timeout=30)
        assert not flushes.flushed.acquire(timeout=edge.FLUSH_INTERVAL * 2), "flushed again with nothing written"
        store.add("y")
        assert flushes.flushed.acquire(timeout=30)


def test_fsync_close_flushes_at_close_only(tmp_path: Path) -> None:
    store = open_store(path=tmp_path / "s", user_id="john", embedder=None, fsync="close")
    flushes = count_flushes(store)
    store.add("x")
    assert not flushes.flushed.acquire(timeout=edge.FLUSH_INTERVAL * 2)
    store.close()
    assert flushes.flushed.acquire(blocking=False)


def test_handles_on_one_path_share_the_strictest_promise(tmp_path: Path) -> None:
    with open_store(path=tmp_path / "s", user_id="john", embedder=None, fsync="close") as first:
        with open_store(path=tmp_path / "s", user_id="john", fsync="always") as second:
            flushes = count_flushes(second)
            second.add("x")
            assert flushes.flushed.acquire(blocking=False)
            with open_store(path=tmp_path / "s", user_id="john"):
                second.add("y")
            assert flushes.flushed.acquire(blocking=False)
        assert first.count() == 2


def test_a_flush_that_fails_in_the_background_is_not_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_store(path=tmp_path / "s", user_id="john", embedder=None) as store:
        flushes = count_flushes(store)
        flushes.fail = True
        store.add("x")
        with pytest.raises(EngineError, match="could not be flushed"):  # noqa: PT012 (the first write after the failure)
            for number in range(10_000_000):
                store.add("y", id="same", importance=number % 2)
        assert "flushing" in caplog.text
        flushes.fail = False
        store.add("z")
        assert store.count() == 3


def test_a_process_that_ends_without_closing_flushes(tmp_path: Path) -> None:
    code = (
        "import crewai_persistent_memory as m; "
        f"s = m.open_store(path={str(tmp_path / 's')!r}, user_id='john', embedder=None, fsync='close'); s.add('kept')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    with open_store(path=tmp_path / "s", user_id="john") as store:
        assert [entry.content for entry in store.list()] == ["kept"]


def test_no_error_is_a_runtime_error() -> None:
    """CrewAI's background pool swallows those as "the interpreter is shutting down"."""

    def below(kind: type[Exception]) -> set[type[Exception]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    assert not [kind for kind in below(PersistentMemoryError) if issubclass(kind, RuntimeError)]
