"""``check`` says what is damaged and changes nothing; ``repair`` keeps what can be read."""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    MemoryEntry,
    StoreInUseError,
    StoreMissingError,
    open_store,
)
from crewai_persistent_memory.admin import check, repair
from crewai_persistent_memory.expiry import clock_set_to, now

from ..support.damage import damage_text
from ..support.programs import Commanded
from ..support.qdrant_server import QdrantServer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with open_store(path=tmp_path / "s", embedder=None, user_id="john") as store:
        store.put([MemoryEntry(str(n), f"fact {n} of many") for n in range(60)])
    return tmp_path / "s"


def state(path: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in path.rglob("*") if file.is_file() and file.name != "store.lock"}


def test_a_whole_store(path: Path) -> None:
    before = state(path)
    found = check(path=path)
    assert (found.entries, found.lost, found.damaged, found.is_whole) == (60, (), (), True)
    assert state(path) == before
    assert sorted(each.name for each in path.parent.iterdir()) == ["s"]


def test_a_damaged_one(path: Path) -> None:
    name = damage_text(path, "fact 7 of many")
    before = state(path)
    found = check(path=path)
    assert (found.entries, found.lost, found.damaged) == (59, ("7",), (name,))
    assert not found.is_whole
    assert state(path) == before
    repaired = repair(path=path)
    assert (repaired.lost, repaired.entries, repaired.damaged) == (("7",), 59, (name,))
    with open_store(path=path, embedder=None, user_id="john") as store:
        assert store.count() == 59
        assert store.get("8") is not None
    assert check(path=path).lost == ("7",)  # until the damaged files are removed
    with open_store(path=path, embedder=None, user_id="john") as store:
        store.compact()
    assert check(path=path).is_whole


def test_a_damaged_index_costs_nothing(path: Path) -> None:
    for file in path.rglob("*"):
        if file.is_file() and "payload_index" in str(file):
            file.write_bytes(b"")
    found = check(path=path)
    assert (found.entries, found.lost) == (60, ())
    assert found.damaged
    assert repair(path=path).lost == ()
    assert check(path=path).is_whole


def test_a_store_whose_process_was_killed(path: Path) -> None:
    program = (
        "import sys\n"
        "from crewai_persistent_memory import open_store\n"
        "store = open_store(path=sys.argv[1], embedder=None, user_id='john')\n"
        "store.add('one more', id='more')\n"
        "print('saved', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    child = Commanded([sys.executable, "-c", program, str(path)])
    assert child.line() == "saved"
    with pytest.raises(StoreInUseError):
        check(path=path)
    os.kill(child.pid, signal.SIGKILL)
    assert child.close().returncode == -signal.SIGKILL
    found = check(path=path)
    assert (found.entries, found.lost, found.was_closed) == (61, (), False)
    assert found.is_whole


def test_a_server(server: QdrantServer, collection: str) -> None:
    with open_store(url=server.url, collection=collection, embedder=None, user_id="john", durability="store") as store:
        store.put([MemoryEntry(str(n), f"fact {n}") for n in range(5)])
    assert check(url=server.url, collection=collection).entries == 5
    with pytest.raises(ConfigurationError, match="only an embedded store"):
        repair(url=server.url, collection=collection)


def test_what_has_expired_is_told_apart(path: Path) -> None:
    with open_store(path=path, embedder=None, user_id="john") as store:
        store.add("soon gone", ttl=3600)
    with clock_set_to(now() + timedelta(hours=2)):
        found = check(path=path)
    assert (found.entries, found.expired, found.is_whole) == (60, 1, True)
    assert (check(path=path).entries, check(path=path).expired) == (61, 0)


def test_no_store(tmp_path: Path) -> None:
    for look in (check, repair):
        with pytest.raises(StoreMissingError):
            look(path=tmp_path / "nothing")
        with pytest.raises(ConfigurationError, match="mem0"):
            look(mem0={"api_key": "k"})
    assert list(tmp_path.iterdir()) == []
