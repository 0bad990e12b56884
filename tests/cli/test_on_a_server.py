"""The commands on a Qdrant server: the same answers, and no collection made by looking for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryConfig, MemoryEntry, Scope, open_store, operations
from crewai_persistent_memory.outbox.database import FILE
from crewai_persistent_memory.outbox.inspection import QueueFile
from crewai_persistent_memory.outbox.queue import Queue

from ..support.qdrant_server import QdrantServer
from .conftest import Call


@pytest.fixture
def at(server: QdrantServer, collection: str, monkeypatch: pytest.MonkeyPatch, call: Call) -> tuple[str, ...]:
    monkeypatch.delenv("CREWAI_MEMORY_PATH")
    return ("--url", server.url, "--collection", collection)


def test_reading_creates_no_collection(call: Call, at: tuple[str, ...], server: QdrantServer, collection: str) -> None:
    john = ("-u", "john")
    for command in (("list", *john), ("recall", "tea", *john), ("forget", "--all", "-y", *john), ("health",)):
        printed = call(*command, *at)
        assert (printed.code, printed.out) == (2, "")
        assert f"there is no memory at {server.url}, collection {collection!r}: check --url" in printed.err
    with server.admin() as admin:
        assert admin.get(f"/collections/{collection}").status_code == 404


def test_a_round_trip(call: Call, at: tuple[str, ...], server: QdrantServer, collection: str) -> None:
    assert call("remember", "John likes tea", "-u", "john", "-p", "production", *at).code == 0
    hint = "nothing in project default; user john has 1 in production"
    assert call("list", "-u", "john", *at).out.splitlines()[-1] == hint
    [entry] = call("recall", "tea", "-u", "john", "-p", "production", "--json", *at).json
    assert "Forgot 1" in call("forget", entry["id"][:8], "-u", "john", "-p", "production", *at).out
    with open_store(url=server.url, collection=collection, user_id="john", project_id="production") as store:
        assert store.count() == 0


class TestTheOutboxOfTheHost:
    """Commands use the one that the application has, and make none."""

    @pytest.fixture
    def waiting(self, at: tuple[str, ...], server: QdrantServer, collection: str) -> Path:
        """The folder of a queue in which a memory of John waits; another one is in the store."""
        about: Any = {"url": server.url, "collection": collection, "user_id": "john", "embedder": None}
        with open_store(**about) as store:
            store.add("John likes tea")
            outbox: Any = store.backend
            folder: Path = outbox.outbox.queue.folder
        queue = Queue(folder)
        queue.accept(operations.Put(Scope("john"), [MemoryEntry("waits", "John likes coffee")]))
        queue.close()
        return folder

    def test_none_is_made(self, call: Call, at: tuple[str, ...]) -> None:
        john = ("-u", "john", *at)
        assert call("remember", "John likes tea", *john).code == 0
        for command in (("list", *john), ("recall", "tea", *john), ("health", *at), ("forget", "--all", "-y", *john)):
            assert call(*command).code == 0
        assert not MemoryConfig.build().outbox_folder.exists()

    def test_nobody_is_told_that_something_was_kept_which_was_not(self, call: Call, at: tuple[str, ...]) -> None:
        printed = call("remember", "John likes tea", "-u", "john", "--url", "http://127.0.0.1:9")
        assert printed.code == 2
        assert "StoreUnavailableError" in printed.err

    def test_what_waits_is_listed(self, call: Call, at: tuple[str, ...], waiting: Path) -> None:
        listed = {entry["content"] for entry in call("list", "-u", "john", "--json", *at).json}
        assert listed == {"John likes coffee", "John likes tea"}

    def test_a_command_with_the_embedder_delivers(self, call: Call, at: tuple[str, ...], waiting: Path) -> None:
        printed = call("remember", "John likes water", "-u", "john", *at)
        assert (printed.code, printed.err) == (0, "")
        assert QueueFile(waiting).state().depth.writes == 0

    def test_a_command_without_an_embedder_delivers_to_a_store_that_has_none(
        self, call: Call, at: tuple[str, ...], waiting: Path, server: QdrantServer, collection: str
    ) -> None:
        """``forget`` opens no embedder: in a store that goes by keywords, that is nothing to wait for."""
        with open_store(url=server.url, collection=collection, user_id="john", durability="store") as store:
            [tea] = store.list()
        printed = call("forget", tea.id, "-u", "john", *at)
        assert (printed.code, printed.err) == (0, "")
        assert QueueFile(waiting).state().depth.writes == 0
        with open_store(url=server.url, collection=collection, user_id="john", durability="store") as store:
            assert [entry.content for entry in store.list()] == ["John likes coffee"]

    def test_what_waits_is_forgotten(
        self, call: Call, at: tuple[str, ...], waiting: Path, server: QdrantServer, collection: str
    ) -> None:
        assert "Forgot 2" in call("forget", "--all", "-y", "-u", "john", *at).out
        assert QueueFile(waiting).state().depth.writes == 0
        with open_store(url=server.url, collection=collection, user_id="john", durability="store") as store:
            assert store.count() == 0

    def test_one_that_cannot_be_used(self, call: Call, at: tuple[str, ...], waiting: Path) -> None:
        for file in waiting.iterdir():
            file.unlink()
        (waiting / FILE).mkdir()
        printed = call("list", "-u", "john", "--json", *at)
        assert [entry["content"] for entry in printed.json] == ["John likes tea"], "reading goes on without it"
        printed = call("remember", "John likes water", "-u", "john", *at)
        assert printed.code == 2
        assert "outbox_path" in printed.err
