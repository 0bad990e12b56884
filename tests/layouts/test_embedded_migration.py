"""The migration of an embedded store: killed at any moment, with a full disk, and with an entry that is damaged.

``MIGRATION_KILLS=20 MIGRATION_ENTRIES=10000`` is the large form: that many kills, at random times, of so many entries.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from crewai_persistent_memory import QdrantStorageBackend, SchemaVersionError, StoreFullError, open_store, use_scope
from crewai_persistent_memory.backends.qdrant.manifest import LAYOUT, Descriptor
from crewai_persistent_memory.backends.qdrant.schema import position_at

from crewai.memory.types import MemoryRecord  # isort: skip (after ours: no telemetry)

from ..support.programs import Commanded
from . import older
from .test_layouts import look_into

KILLS = int(os.environ.get("MIGRATION_KILLS", "0"))
ENTRIES = int(os.environ.get("MIGRATION_ENTRIES", "300"))

MIGRATE = """
import os, signal, sys
from crewai_persistent_memory import open_store
from crewai_persistent_memory.backends.qdrant.embedded import opening
calls, migrate = 0, opening.migrate

def count(frame, event, argument):
    global calls
    if event in ("call", "c_call"):
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)

def watched(*arguments):
    os.write(1, b"begins\\n")
    if last:
        sys.setprofile(count)
    migrated = migrate(*arguments)
    sys.setprofile(None)
    os.write(1, b"done after %d calls\\n" % calls)
    return migrated

opening.migrate = watched
for line in sys.stdin:
    path, last = line.split()
    last = int(last)
    child = os.fork()
    if child == 0:
        open_store(path=path, user_id="john", embedder=None).close()
        os._exit(0)
    os.write(1, b"%d\\n" % child)
    os.waitpid(child, 0)
    os.write(1, b"ended\\n")
"""


class Migrating(Commanded):
    """Processes that migrate a store. One process has imported all of it for them."""

    def __init__(self) -> None:
        super().__init__([sys.executable, "-c", MIGRATE])

    def start(self, path: Path, last_call: int = 0) -> int:
        """Returns the process's id when the migration begins. It kills itself at this call of a function in it."""
        self.tell(f"{path} {last_call}")
        lines = {self.line(), self.line()}
        lines.remove("begins")
        return int(lines.pop())


@pytest.fixture(scope="module")
def migrating() -> Iterator[Migrating]:
    started = Migrating()
    yield started
    assert started.close().returncode == 0


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return older.embedded(tmp_path_factory.mktemp("old") / "store", ENTRIES)


def copy_of(store: Path, to: Path) -> Path:
    subprocess.run(["cp", "-r", "--sparse=always", str(store), str(to)], check=True)
    return to


def assert_whole(path: Path, count: int = ENTRIES) -> None:
    """Twice, because the first opening writes checksums of what it found."""
    for _ in range(2):
        with open_store(path=path, user_id="john", embedder=None) as store:
            found = {each.id: (each.content, each.created_at, each.metadata) for each in store.list(limit=count + 1)}
            assert found == older.contents(count)
            health = store.health()
            assert (health["lost"], health["layout"]) == (None, LAYOUT)
    wanted = sorted(position_at(created_at) for _, created_at, _ in older.contents(count).values())
    assert [payload["position"] for payload in look_into(path)] == wanted
    assert json.loads((path / "store.json").read_text())["layout"] == LAYOUT


@pytest.mark.skipif(bool(KILLS), reason="MIGRATION_KILLS: the large form runs in its place")
def test_killed_at_any_call(old: Path, tmp_path: Path, migrating: Migrating) -> None:
    """Near the beginning, in the middle and near the end; each once more when it goes on."""
    copy = copy_of(old, tmp_path / "whole")
    migrating.start(copy, 10**9)
    calls = int(migrating.line().split()[2])
    assert migrating.line() == "ended"
    shutil.rmtree(copy)
    for number, last in enumerate((calls // 20, calls // 2, calls - calls // 50)):
        copy = copy_of(old, tmp_path / str(number))
        for call in (last, 10):
            migrating.start(copy, call)
            assert migrating.line() == "ended", "it was killed in the migration"
        assert_whole(copy)
        shutil.rmtree(copy)


@pytest.mark.skipif(not KILLS, reason="MIGRATION_KILLS=20 runs it")
def test_killed_at_random_times(old: Path, tmp_path: Path, migrating: Migrating) -> None:
    copy = copy_of(old, tmp_path / "whole")
    migrating.start(copy)
    begin = time.monotonic()
    assert migrating.line().startswith("done")
    duration = time.monotonic() - begin
    assert migrating.line() == "ended"
    shutil.rmtree(copy)
    print(f"\n{ENTRIES} entries are migrated in {duration:.2f} s")
    chance, killed, late = random.Random(5), 0, 0
    while killed < KILLS:
        copy = copy_of(old, tmp_path / "killed")
        process = migrating.start(copy)
        time.sleep(duration * chance.random())
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        if migrating.line() == "ended":
            killed += 1
        else:
            late += 1
            assert migrating.line() == "ended"
        assert_whole(copy)
        shutil.rmtree(copy)
    print(f"{killed} kills in the migration, {late} after it: nothing is lost")


@pytest.fixture(scope="module")
def migrated(old: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = copy_of(old, tmp_path_factory.mktemp("migrated") / "store")
    assert_whole(path)
    return path


def test_a_store_that_says_less_than_it_has(migrated: Path, tmp_path: Path) -> None:
    """As after a crash just before the descriptor is written."""
    path = copy_of(migrated, tmp_path / "store")
    older.take_away_embedded(path)
    assert "layout" not in json.loads((path / "store.json").read_text())
    assert_whole(path)


def test_an_older_version_refuses_a_migrated_store(migrated: Path) -> None:
    """It refuses a schema version above its own. Otherwise it would fail at the vectors."""
    descriptor = json.loads((migrated / "store.json").read_text())
    assert (descriptor["format"], descriptor["schema_version"]) == ("crewai-persistent-memory", 3)


@pytest.mark.skipif(older.CODE is None, reason="LAYOUT_1_CODE names the code of the older version")
def test_the_older_version_itself(old: Path, tmp_path: Path) -> None:
    path = copy_of(old, tmp_path / "store")
    assert_whole(path)
    program = (
        "import sys; from crewai_persistent_memory import SchemaVersionError, open_store\n"
        "try: open_store(path=sys.argv[1], user_id='john', embedder=None)\n"
        "except SchemaVersionError as error: print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": str(older.CODE)}
    done = subprocess.run([sys.executable, "-c", program, str(path)], env=environment, capture_output=True, text=True)
    assert "upgrade crewai-persistent-memory" in done.stdout, done.stderr
    assert_whole(path)


def test_a_newer_layout_that_this_code_may_use(migrated: Path, tmp_path: Path) -> None:
    """It stays what it is, though this code does not know it; and one that it may not use is refused."""
    path = copy_of(migrated, tmp_path / "store")
    descriptor = json.loads((path / "store.json").read_text())
    newer = {**descriptor, "layout": LAYOUT + 5, "schema_version": LAYOUT}
    (path / "store.json").write_text(json.dumps(newer))
    with open_store(path=path, user_id="john", embedder=None) as store:
        assert store.count() == ENTRIES
    kept = json.loads((path / "store.json").read_text())
    assert (kept["layout"], kept["schema_version"]) == (LAYOUT + 5, LAYOUT)
    assert Descriptor.from_json(kept, "here").with_dimensions(3).to_json()["layout"] == LAYOUT + 5
    (path / "store.json").write_text(json.dumps({**newer, "schema_version": LAYOUT + 1}))
    with pytest.raises(SchemaVersionError, match="upgrade crewai-persistent-memory"):
        open_store(path=path, user_id="john", embedder=None)


class TestFullDisk:
    @pytest.fixture
    def path(self, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 0))
        return copy_of(old, tmp_path / "store")

    def test_it_is_migrated_when_there_is_room(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(StoreFullError, match="Make room"):
            open_store(path=path, user_id="john", embedder=None)
        monkeypatch.undo()
        assert_whole(path)


def test_an_entry_that_cannot_be_read_does_not_stop_it(
    old: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = copy_of(old, tmp_path / "store")
    [page] = path.glob("shard/segments/*/payload_storage/page_0.dat")
    with open(page, "r+b") as file:
        for found in re.finditer(rb"fact 30 of many", page.read_bytes()):
            file.seek(found.start() - 60)
            file.write(b"\xff" * 90)
    with suppress(FileNotFoundError):
        (path / "store.seal").unlink()
    with open_store(path=path, user_id="john", embedder=None) as store:
        assert store.health()["layout"] == LAYOUT
        assert store.health()["lost"]["entries"] == ["30"]
        assert {entry.id for entry in store.list(limit=ENTRIES)} == older.contents(ENTRIES).keys() - {"30"}
    assert "their ids: 30" in caplog.text


def test_the_first_vector_makes_room_for_vectors(tmp_path: Path) -> None:
    """The engine adds them when it creates a shard. What was saved without a vector is kept."""

    def record(id: str, content: str, embedding: list[float] | None = None) -> MemoryRecord:
        return MemoryRecord(id=id, content=content, scope="/", embedding=embedding)

    with use_scope(user_id="john"):
        backend = QdrantStorageBackend(path=tmp_path / "s")
        backend.save([record("tea", "john likes tea")])
        backend.save([record("coffee", "john likes coffee", [1.0, 2.0, 2.0])])
        backend.update(record("tea", "john likes tea", [2.0, 1.0, 2.0]))
        backend.close()
        backend = QdrantStorageBackend(path=tmp_path / "s")
        assert [found.id for found, _ in backend.search([2.0, 1.0, 2.0], limit=2)] == ["tea", "coffee"]
        backend.close()
