"""What was deleted is gone from the files of an embedded store after ``compact()``, and nothing else is."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, PersistentMemoryError, open_store
from crewai_persistent_memory.backends.qdrant.embedded import rebuild as edge_rebuild
from crewai_persistent_memory.backends.qdrant.embedded.renewal import MUCH_DELETED

from ..support.programs import run_program, started
from ..support.thorough import IS_THOROUGH, sample

CANARY = "canary7c2e"


def holds_canary(path: Path) -> list[str]:
    files = [file for file in path.rglob("*") if file.is_file()]
    assert len(files) > 20
    return [str(file.relative_to(path)) for file in files if CANARY.encode() in file.read_bytes()]


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store of a hundred entries."""
    path = tmp_path_factory.mktemp("hundred") / "s"
    with open_store(path=path, user_id="john", embedder=None) as store:
        store.put([MemoryEntry(content=f"fact {n}", id=str(n)) for n in range(100)])
    return path


@pytest.fixture
def path(hundred: Path, tmp_path: Path) -> Path:
    """A copy of it, for this test."""
    path = tmp_path / "s"
    subprocess.run(["cp", "-r", "--sparse=always", str(hundred), str(path)], check=True)
    return path


def embed(texts: Any) -> list[list[float]]:
    return [[1.0, len(text) / 100, 0.5] for text in texts]


def test_deleted_text_is_gone_from_every_file(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with open_store(path=path, user_id="john", embedder=embed) as store:
        store.add("kept one", id="1", metadata={"a": 1}, categories=["x"])
        store.add("kept two", id="2")
        store.add(f"{CANARY} is forgotten", id="3", metadata={"about": CANARY})
        store.add(f"{CANARY} is replaced", id="4")
        store.add("long " * 20_000, id="5")
        store.update("4", content="replaced")
        store.delete("3")
    with open_store(path=path, user_id="john", embedder=embed) as store:
        assert holds_canary(path), "the engine removes it by itself now: compact() is not needed any more"
        before = sorted((store.get(str(id)) for id in (1, 2, 4, 5)), key=lambda entry: entry.id)  # type: ignore[union-attr]
        assert asyncio.run(store.acompact())
        assert holds_canary(path) == []
        assert [store.get(str(id)) for id in (1, 2, 4, 5)] == before
        assert store.search("kept one")[0].id == "1"
        assert store.get("3") is None
        store.add("written after it", id="6")
        store.add(f"{CANARY} is forgotten, too", id="7")
        store.delete("7")
        assert holds_canary(path)
        assert store.compact()
        assert holds_canary(path) == []
    with open_store(path=path, user_id="john", embedder=embed) as store:
        assert store.count() == 5
    assert holds_canary(path) == []


def test_much_that_was_deleted_is_gone_after_close(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with open_store(path=path, user_id="john", embedder=None) as store:
        store.put([MemoryEntry(content=f"{CANARY} {n}", id=str(n)) for n in range(MUCH_DELETED)])
        store.add("kept", path="/kept")
        store.delete(created_before=store.list(path="/kept")[0].created_at)
        assert store.count() == 1
    assert holds_canary(path) == []
    with open_store(path=path, user_id="john") as store:
        assert [entry.content for entry in store.list()] == ["kept"]


@pytest.mark.parametrize("step", sample([0, 3, 4, 5, 6, 7, 8, 9, 10, 11], 6))
def test_a_crash_at_any_step_leaves_the_store_whole(path: Path, step: int) -> None:
    """The process ends at the n-th of the steps of a compaction."""
    code = f"""
import os, shutil
from pathlib import Path
from crewai_persistent_memory import open_store
from crewai_persistent_memory.backends.qdrant.embedded import rebuild as module, directory
left = {step}
def dying(function):
    def call(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
        return function(*args, **kwargs)
    return call
store = open_store(path={str(path)!r}, user_id="john")
for owner, name in [(module, "new_shard"), (module, "sync_tree"), (module, "load_shard"),
                    (module.shutil, "rmtree"), (Path, "rename"), (directory.StoreDirectory, "sync")]:
    setattr(owner, name, dying(getattr(owner, name)))
store.compact()
print("done", left, flush=True)
os._exit(0)
"""
    done = run_program([sys.executable, "-c", code])
    assert done.returncode == (-signal.SIGKILL if step < 11 else 0), (done.stdout, done.stderr)
    with open_store(path=path, user_id="john") as store:
        assert sorted(int(entry.id) for entry in store.list(limit=1000)) == list(range(100))
        assert sorted(name.name for name in path.iterdir() if name.is_dir()) == ["shard"]


def test_reads_and_writes_go_on(tmp_path: Path) -> None:
    with open_store(path=tmp_path / "s", user_id="john", embedder=None, fsync="always") as store:
        store.put([MemoryEntry(content=f"fact {n}", id=f"old{n}") for n in range(300)])
        done = threading.Event()
        failures: list[BaseException] = []
        written: list[str] = []

        def until_done(action: Callable[[], Any]) -> None:
            try:
                while not done.is_set():
                    action()
            except PersistentMemoryError as error:
                failures.append(error)

        def write() -> None:
            written.append(store.add("new").id)

        def read() -> None:
            assert len(store.search("fact", limit=5)) == 5

        threads = [threading.Thread(target=until_done, args=(action,)) for action in (write, read)]
        for thread in threads:
            thread.start()
        for _ in range(3 if IS_THOROUGH else 2):
            assert store.compact()
        done.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert store.count() == 300 + len(written)


def test_a_store_that_fails_to_be_rewritten_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(path=tmp_path / "s", user_id="john", embedder=None) as store:
        store.add("kept", id="1")

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(edge_rebuild, "sync_tree", fail)
            with pytest.raises(PersistentMemoryError):
                store.compact()
        store.add("more", id="2")
        assert store.count() == 2
        assert store.compact()
    with open_store(path=tmp_path / "s", user_id="john") as store:
        assert store.count() == 2


def test_kill_9_at_any_moment(path: Path) -> None:
    chance = random.Random(3)
    code = f"""
from crewai_persistent_memory import open_store
store = open_store(path={str(path)!r}, user_id="john")
print("open", flush=True)
while True:
    store.compact()
"""
    for _ in range(4 if IS_THOROUGH else 2):
        with started([sys.executable, "-c", code]) as (child, lines):
            assert next(lines) == "open\n"
            timer = threading.Timer(chance.uniform(0, 0.5), child.kill)
            timer.start()
            assert child.wait().returncode == -signal.SIGKILL
        timer.join()
        with open_store(path=path, user_id="john") as store:
            assert store.count() == 100
