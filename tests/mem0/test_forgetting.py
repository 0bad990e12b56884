"""Mem0 OSS keeps more than memories: old texts, messages, entities. A deletion removes those too, of its scope only."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import portalocker
import pytest

from crewai_persistent_memory import StorePathError, open_store, use_scope
from crewai_persistent_memory.backends.mem0 import history
from crewai_persistent_memory.backends.mem0.compat import mem0_version
from crewai_persistent_memory.expiry import clock_set_to, now

from ..support.openai_server import OpenAIServer
from ..support.programs import run_program
from .conftest import OpenMem0, library_of

with_entities = pytest.mark.skipif(mem0_version() < (2,), reason="mem0ai keeps entities from 2.0 on")
posix = pytest.mark.skipif(os.name != "posix", reason="modes and links are POSIX's")


def told(text: str) -> Any:
    return [{"role": "user", "content": text}]


def bytes_of(config: dict[str, Any]) -> bytes:
    """The history database as it lies on the disk, journals included."""
    path = Path(config["history_db_path"])
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob("history.db*")))


def by_id(store: Any) -> None:
    [entry] = store.list()
    assert store.delete(entry.id) == 1


def by_filter(store: Any) -> None:
    assert store.delete(path="/diet") == 1


def by_reset(store: Any) -> None:
    assert store.reset() == 1


@pytest.mark.parametrize("forget", [by_id, by_filter, by_reset])
def test_deleted_text_is_in_no_later_prompt_and_not_on_the_disk(
    forget: Callable[[Any], None], oss: OpenMem0, oss_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    store, jane = oss(), oss(user_id="jane")
    store.add_messages(told("I am allergic to CANARYNUTS."), path="/diet")
    jane.add_messages(told("I am allergic to JANESNUTS."), path="/diet")
    assert b"CANARYNUTS" in bytes_of(oss_config), "Mem0 keeps texts there: else this tests nothing"
    forget(store)
    openai_server.prompts.clear()
    store.add_messages(told("My bicycle is red."))
    assert openai_server.extractions
    assert not [prompt for prompt in openai_server.prompts if "CANARYNUTS" in prompt]
    assert b"CANARYNUTS" not in bytes_of(oss_config)
    # Another user's are hers.
    memory = library_of(jane)
    [entry] = jane.list()
    assert [each["new_memory"] for each in memory.history(entry.id)] == ["I am allergic to JANESNUTS"]
    if mem0_version() >= (2,):
        openai_server.prompts.clear()
        jane.add_messages(told("My bicycle is blue."))
        assert "JANESNUTS" in openai_server.extractions[0]


def test_a_reset_without_memories_removes_the_messages(
    oss: OpenMem0, oss_config: dict[str, Any], openai_server: OpenAIServer
) -> None:
    store = oss(excludes="secrets")
    store.add_messages(told("It rains on CANARYTOWN today."))
    store.reset()
    openai_server.prompts.clear()
    store.add_messages(told("My bicycle is red."))
    assert "CANARYTOWN" not in "".join(openai_server.prompts)
    assert b"CANARYTOWN" not in bytes_of(oss_config)


def test_each_owner_has_messages_of_its_own(oss: OpenMem0, openai_server: OpenAIServer) -> None:
    """A name that Mem0 would escape, a run, an agent and a project: a reset of one leaves the others."""
    odd = "a&user_id=john %25 ü"
    owners: list[dict[str, Any]] = [
        {"user_id": "john"},
        {"user_id": odd},
        {"user_id": "john", "run_id": "r1"},
        {"user_id": "john", "agent_id": "chef"},
        {"user_id": "john", "project_id": "staging"},
    ]
    stores = [oss(**owner) for owner in owners]
    for number, each in enumerate(stores):
        each.add_messages(told(f"My word is WORD{number}."))

    def remembered(number: int) -> set[str]:
        openai_server.prompts.clear()
        stores[number].add_messages(told(f"My word is WORD{number}."))
        prompt = "".join(openai_server.extractions[:1])
        before = prompt.rsplit("## New Messages", 1)[0] if mem0_version() >= (2,) else ""
        return {f"WORD{other}" for other in range(len(owners)) if f"WORD{other}" in before}

    stores[1].reset()
    kept = set() if mem0_version() < (2,) else {"WORD0"}
    assert remembered(1) == set()
    assert remembered(0) == kept
    stores[4].reset()
    assert remembered(4) == set()
    stores[0].reset()
    assert remembered(0) == set()
    assert remembered(2) == ({"WORD2"} if kept else set())
    assert remembered(3) == ({"WORD3"} if kept else set())
    # What is visible in a run is the user's, too.
    stores[2].reset()
    assert remembered(2) == remembered(0) - {"WORD0"} == set()


def test_what_an_update_replaced_goes_with_the_memory(oss: OpenMem0, oss_config: dict[str, Any]) -> None:
    store = oss()
    entry = store.add("The door's code is CANARY1.")
    store.update(entry.id, content="The door's code is CANARY2.")
    assert b"CANARY1" in bytes_of(oss_config), "the history of a memory that exists is Mem0's to keep"
    store.delete(entry.id)
    assert b"CANARY" not in bytes_of(oss_config)


def test_long_histories_leave_nothing_on_the_disk(oss: OpenMem0, oss_config: dict[str, Any]) -> None:
    """SQLite moves rows between pages, and leaves copies of them behind."""
    store = oss()
    memory = library_of(store)
    entry = store.add("CANARY of the store")
    with memory.db._lock, memory.db.connection as connection:
        [[mem0_id]] = connection.execute("SELECT memory_id FROM history").fetchall()
        for number in range(400):
            for owner, text in (("another", f"KEPT{number:04}"), (mem0_id, f"CANARY{number:04}")):
                text += " x" * (number * 37 % 900)
                row = (f"{text[0]}{number}", owner, text)
                connection.execute("INSERT INTO history (id, memory_id, new_memory) VALUES (?, ?, ?)", row)
    store.delete(entry.id)
    found = bytes_of(oss_config)
    assert b"CANARY" not in found
    assert all(f"KEPT{number:04}".encode() in found for number in range(400))


def test_a_write_ahead_log_is_emptied(oss: OpenMem0, oss_config: dict[str, Any]) -> None:
    with closing(sqlite3.connect(oss_config["history_db_path"])) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    store = oss()
    entry = store.add("CANARYNUTS")
    assert b"CANARYNUTS" in bytes_of(oss_config)
    store.delete(entry.id)
    assert b"CANARYNUTS" not in bytes_of(oss_config)


def test_a_reset_removes_what_has_expired(oss: OpenMem0, openai_server: OpenAIServer) -> None:
    """No listing shows it, but Mem0's extraction reads it."""
    store, jane = oss(run_id="r1", mem0={"run_expiry_days": 7}), oss(user_id="jane", run_id="r1")
    with clock_set_to(now() - timedelta(days=30)):
        store.add("The code is CANARY.")
    jane.add("The code is JANES.")
    assert store.list() == []
    store.reset()
    openai_server.prompts.clear()
    store.add_messages(told("The code is lost."))
    assert "CANARY" not in "".join(openai_server.prompts)
    rows, *_ = library_of(store).vector_store.list(filters={"user_id": "jane/default//r1"})
    assert [row.payload["data"] for row in rows] == ["The code is JANES."]


@with_entities
@pytest.mark.parametrize("forget", [by_id, by_reset])
def test_entities_go_in_another_process_too(forget: Callable[[Any], None], oss_config: dict[str, Any]) -> None:
    """Mem0 looks for them only where it has opened their collection before."""

    def entities(store: Any) -> set[str]:
        return {row.payload["data"] for row in library_of(store).entity_store.list(filters={})[0]}

    about: Any = {"local_mem0_config": oss_config}
    with open_store(mem0=about) as store:
        for user, place in (("john", "Canary Islands"), ("jane", "Janesville")):
            with use_scope(user_id=user):
                store.add(f"I live in {place}.")
                [found] = store.list()
                [memory] = library_of(store).get_all(filters={"user_id": user})["results"]
                library_of(store)._upsert_entity(place, "PROPER", memory["id"], {"user_id": user})
                assert found.content
        assert entities(store) == {"Canary Islands", "Janesville"}
    with open_store(user_id="john", mem0=about) as store:
        forget(store)
        assert entities(store) == {"Janesville"}


@with_entities
def test_a_reset_removes_entities_that_earlier_deletions_left(oss: OpenMem0) -> None:
    store = oss()
    memory = library_of(store)
    memory._upsert_entity("Canary Islands", "PROPER", "gone-long-ago", {"user_id": "john"})
    store.reset()
    assert memory.entity_store.list(filters={})[0] == []


@posix
def test_the_history_is_its_owners_only(oss_config: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "new" / "history.db"
    before = os.umask(0)
    try:
        with open_store(user_id="john", mem0={"local_mem0_config": {**oss_config, "history_db_path": str(path)}}):
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    with open_store(user_id="john", mem0={"local_mem0_config": {**oss_config, "history_db_path": str(path)}}):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, "one of an earlier version is closed as well"


@posix
@pytest.mark.parametrize("name", ["history.db", "history.db.lock", "history.db-journal", "history.db-wal"])
def test_a_planted_link_is_not_followed(name: str, oss_config: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "folder" / name).symlink_to(victim)
    config = {**oss_config, "history_db_path": str(tmp_path / "folder" / "history.db")}
    with pytest.raises(StorePathError, match="symbolic link"):
        open_store(user_id="john", mem0={"local_mem0_config": config})
    assert victim.read_text() == "precious"


def test_opening_keeps_the_locks_of_this_process(tmp_path: Path) -> None:
    """POSIX releases all locks of a process on a file when the process closes the file anywhere."""
    path = tmp_path / "history.db"
    other = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
    with closing(sqlite3.connect(path)) as mine:
        mine.execute("CREATE TABLE history (id)")
        mine.execute("BEGIN IMMEDIATE")
        path.chmod(0o644)
        with history.opening(path):
            pass
        found = run_program([sys.executable, "-c", other, str(path)])
        assert "database is locked" in found.stderr


def test_one_process_at_a_time_creates_the_tables(tmp_path: Path) -> None:
    lock = portalocker.Lock(tmp_path / "history.db.lock", timeout=0, fail_when_locked=True)
    with history.opening(tmp_path / "history.db"), pytest.raises(portalocker.AlreadyLocked):
        lock.acquire()
    with lock:
        assert (tmp_path / "history.db").exists()
