"""Writes that wait in this host's outbox, or were refused by the store."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryConfig, MemoryEntry, RequestRefusedError, Scope, open_store, operations
from crewai_persistent_memory.outbox.database import FILE
from crewai_persistent_memory.outbox.queue import Queue
from crewai_persistent_memory.store.factory import outbox_of

from ..support.qdrant_server import QdrantServer
from .conftest import Look


@pytest.fixture
def about(server: QdrantServer, collection: str, tmp_path: Path) -> dict[str, Any]:
    return {"url": server.url, "collection": collection, "outbox_path": tmp_path / "outbox"}


def queue_of(about: dict[str, Any]) -> Queue:
    """The queue of a store, as a process that is gone has left it."""
    settings = outbox_of(MemoryConfig.build(**about), "own")
    return Queue(settings.queue_folder, about={"store": settings.store})


def a_write() -> operations.Put:
    return operations.Put(Scope("john"), [MemoryEntry("tea", "John likes tea")])


def remember(about: dict[str, Any]) -> None:
    with open_store(**about, embedder=None, user_id="jane") as store:
        store.add("Jane likes tea")
        assert store.flush()


def test_writes_that_wait_for_long(look: Look, about: dict[str, Any]) -> None:
    remember(about)
    queue = queue_of(about)
    queue.accept(a_write())
    with queue._database.writing() as connection:
        hour_ago = (queue.depth().oldest or 0) - timedelta(hours=1)  # type: ignore[operator]
        connection.execute("UPDATE writes SET accepted_at = ?, error = 'the disk is full'", (hour_ago.isoformat(),))
    queue.close()
    found = look(**about).of("outbox", "warning")
    assert "waiting for the store: 1 write, the oldest for 36" in found
    assert "the last error: the disk is full" in found
    assert "no process delivers at the moment" in found


def test_a_dead_letter(look: Look, about: dict[str, Any]) -> None:
    remember(about)
    queue = queue_of(about)
    queue.accept(a_write())
    [write] = queue.next_writes(1)
    queue.refused(write, RequestRefusedError("Qdrant refused a save"))
    queue.close()
    assert "has refused 1 write for good" in look(**about).of("outbox", "warning")


def test_a_queue_for_another_address(look: Look, about: dict[str, Any]) -> None:
    remember(about)
    other = {**about, "url": "http://qdrant.example.com:6333"}
    queue = queue_of(other)
    queue.accept(a_write())
    queue.close()
    found = look(**about).of("outbox", "warning")
    assert "this host's outbox has 1 write for another store, Qdrant at http://qdrant.example.com" in found


def test_a_queue_that_cannot_be_used(look: Look, about: dict[str, Any]) -> None:
    remember(about)
    folder = outbox_of(MemoryConfig.build(**about), "own").queue_folder
    for file in folder.iterdir():
        file.unlink()
    (folder / FILE).write_bytes(b"this is no database" * 1000)
    report = look(**about)
    assert "the outbox cannot be used, so no write is accepted" in report.of("outbox", "error")


def test_one_that_is_nearly_full(look: Look, about: dict[str, Any]) -> None:
    remember(about)
    queue = queue_of(about)
    queue.accept(operations.Put(Scope("john"), [MemoryEntry("tea", "tea " * 250_000)]))
    queue.close()
    assert "nearly full" in look(**about, outbox_max_mb=1).of("outbox", "warning")


def test_the_doctor_makes_none(look: Look, about: dict[str, Any]) -> None:
    with open_store(**{**about, "outbox_path": None}, durability="store", embedder=None, user_id="john") as store:
        store.add("John likes tea")
    report = look(**about)
    assert report.bad == []
    assert "no outbox for this store yet" in report.of("outbox", "ok")
    assert not about["outbox_path"].exists()
