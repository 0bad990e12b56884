"""The server starts again after every kind of write, and has what was acknowledged.

The log holds all writes of the last seconds, and the server reads all of them when it starts.
``RESTART_AFTER_EACH_WRITE=1`` restarts it after each one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, MemoryStore, open_store
from crewai_persistent_memory.errors import EmbedderUnavailableError

from ..support.qdrant_server import QdrantServer, binaries, missing

EACH = bool(os.environ.get("RESTART_AFTER_EACH_WRITE"))
VERSIONS = list(binaries()) or ["none"]


class Embedder:
    """An embedder that may be away."""

    away = False

    def __call__(self, texts: list[str]) -> list[list[float]]:
        if self.away:
            raise EmbedderUnavailableError("away")
        return [[1.0, float(len(text))] for text in texts]


def add(store: MemoryStore, id: str, **about: Any) -> MemoryEntry:
    return store.add(f"John likes tea, {id}", id=id, **about)


def without_vector(store: MemoryStore, embedder: Embedder) -> None:
    embedder.away = True
    add(store, "later")
    embedder.away = False
    assert store.embed_missing() == 1


def a_lost_race(store: MemoryStore, embedder: Embedder) -> None:
    """Writes to a point that is gone are in the log as well."""
    found = add(store, "gone")
    store.delete("gone")
    store.replace(found, create=False)
    store.touch(["gone", "kept"])


WRITES: dict[str, Callable[[MemoryStore, Embedder], Any]] = {
    "open": lambda store, embedder: store.count(),
    "add": lambda store, embedder: add(store, "new", path="/a/b", categories=["x"], metadata={"n": 1}, private=True),
    "put": lambda store, embedder: store.put([MemoryEntry(id=str(n), content="John likes tea") for n in range(5)]),
    "update": lambda store, embedder: store.update("kept", importance=0.9, metadata={"k": [1, None]}, source="bob"),
    "update to nothing": lambda store, embedder: store.update("kept", categories=(), metadata={}, source=None),
    "update of the text": lambda store, embedder: store.update("kept", content="John likes coffee"),
    "replace": lambda store, embedder: store.replace(MemoryEntry(id="kept", content="John likes milk")),
    "touch": lambda store, embedder: store.touch(["kept", "other", "missing"]),
    "recall": lambda store, embedder: store.touch([hit.id for hit in store.search("tea")], soon=True),
    "delete": lambda store, embedder: store.delete("other"),
    "delete by ids": lambda store, embedder: store.delete(ids=["other", "missing"], categories=["drinks"]),
    "delete by filter": lambda store, embedder: store.delete(path="/old", categories=["drinks"], metadata={"n": 1}),
    "delete by time": lambda store, embedder: store.delete(created_before=datetime(2024, 1, 1) + timedelta(days=1)),
    "delete by kind": lambda store, embedder: store.delete(kind="note", include_private=False, reader="bob"),
    "delete in a run": lambda store, embedder: store.scoped(run_id="r", agent_id="a").delete("other"),
    "reset": lambda store, embedder: store.reset(),
    "embed_missing": without_vector,
    "a lost race": a_lost_race,
}


@pytest.fixture(params=VERSIONS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[QdrantServer]:
    found = binaries()
    binary = found.get(request.param) or missing("no Qdrant binary: run scripts/fetch-qdrant, or set QDRANT_BIN")
    started = QdrantServer(binary, tmp_path / "qdrant").start()
    yield started
    started.stop()


ALL_WAYS = [("stop", False), ("kill", True), ("kill", False), ("stop", True)]


@pytest.mark.parametrize(("stop", "prefer_grpc"), ALL_WAYS if EACH else ALL_WAYS[:2])
def test_the_server_starts_again_after_every_write(server: QdrantServer, stop: str, prefer_grpc: bool) -> None:
    embedder = Embedder()
    options: dict[str, Any] = {
        "url": server.url,
        "grpc_port": server.grpc_port,
        "prefer_grpc": prefer_grpc,
        "embedder": embedder,
    }
    kept: dict[str, dict[str, MemoryEntry]] = {}
    last = list(WRITES)[-1]
    for name, write in WRITES.items():
        with open_store(user_id=name, **options) as store:
            for id in ("kept", "other"):
                about = {"path": "/old", "categories": ["drinks"], "metadata": {"n": 1}, "kind": "note"}
                add(store, id, created_at=datetime(2024, 1, 1), **(about if id == "other" else {}))
            write(store, embedder)
        with open_store(user_id=name, **options) as store:
            kept[name] = {entry.id: entry for entry in store.list()}
        if not EACH and name != last:
            continue
        getattr(server, stop)()
        try:
            server.restart()
        except RuntimeError as error:
            pytest.fail(f"after {name}: {error}")
        for user, entries in kept.items():
            with open_store(user_id=user, **options) as store:
                assert {entry.id: entry for entry in store.list()} == entries, user
