"""Entries of an older layout get the words of what was said before them, as those that are saved now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import qdrant_edge as edge

from crewai_persistent_memory import MemoryEntry, MemoryStore, open_store
from crewai_persistent_memory.backends.qdrant.schema import INDEXES
from crewai_persistent_memory.backends.qdrant.server import encode
from crewai_persistent_memory.backends.qdrant.server.indexes import create_indexes
from crewai_persistent_memory.embedding import KeywordEncoder
from crewai_persistent_memory.io.steps import run

from ..support.calling import until
from ..support.qdrant_server import QdrantServer
from . import older
from .test_layouts import incomplete, scroll

AT = datetime(2026, 3, 1, 12)
TURNS = [
    # who, after how many minutes, what, and whether it is private
    ("john", 0, "How was the trip to Iceland?", False),
    ("john", 1, "It was great, we saw a whale", False),
    ("john", 2, "a private note of John's", True),
    ("john", 3, "And the food?", False),
    ("jane", 1, "nothing of this is about Jane", False),
    ("jane", 2, "she likes tea", False),
    ("john", 200, "a day later, of something else", False),
    ("john", 201, "word " * 200, False),
    ("john", 202, "what follows a long text", False),
]


def save(store: MemoryStore, turns: Sequence[tuple[str, int, str, bool]] = TURNS) -> None:
    for number, (user, minutes, text, private) in enumerate(turns):
        at = AT + timedelta(minutes=minutes)
        entry = MemoryEntry(
            id=str(number), content=text, created_at=at, private=private, source="a" if private else None
        )
        store.scoped(user_id=user).put([entry])


def contexts(payloads: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    return {each["content"]: each.get("context") or [] for each in payloads if "content" in each}


def payloads_in(folder: Path) -> list[dict[str, Any]]:
    with open_store(path=folder, embedder=None) as store:
        shard = store.backend.connection._engine._shard  # type: ignore[attr-defined]
        return [each.payload for each in shard.scroll(edge.ScrollRequest(limit=100, with_payload=True))[0]]


def test_embedded(tmp_path: Path) -> None:
    for name in ("new", "old"):
        with open_store(path=tmp_path / name, embedder=None) as store:
            save(store)
    new = contexts(payloads_in(tmp_path / "new"))
    assert new["It was great, we saw a whale"]
    older.take_away_embedded(tmp_path / "old")
    assert contexts(payloads_in(tmp_path / "old")) == new
    with open_store(path=tmp_path / "old", user_id="john", embedder=None) as store:
        assert {entry.id for entry in store.search("Iceland")} == {"0", "1", "3"}
        store.delete(ids=["0"])
        assert store.search("Iceland") == []


def opened(server: QdrantServer, collection: str) -> MemoryStore:
    return open_store(url=server.url, collection=collection, embedder=None, durability="store")


def migrated(server: QdrantServer, collection: str) -> None:
    with opened(server, collection) as store:
        store.scoped(user_id="john").count()
        until(lambda: incomplete(server, collection), lambda left: left == 0)


def test_on_a_server(server: QdrantServer, collection: str) -> None:
    with opened(server, collection) as store:
        save(store)
    new = contexts(scroll(server, collection))
    assert new["It was great, we saw a whale"]
    older.take_away(server, collection)
    assert contexts(scroll(server, collection)) == {content: [] for content in new}
    migrated(server, collection)
    assert contexts(scroll(server, collection)) == new
    with opened(server, collection) as store:
        john = store.scoped(user_id="john")
        assert {entry.id for entry in john.search("Iceland")} == {"0", "1", "3"}
        john.delete(ids=["0"])
        assert john.search("Iceland") == []


def delete(john: MemoryStore) -> None:
    john.delete(ids=["0"])


def change(john: MemoryStore) -> None:
    john.update("0", content="How was the trip to Norway?")


def move(john: MemoryStore) -> None:
    john.update("0", path="/elsewhere")


@pytest.mark.parametrize("does", [delete, change, move])
@pytest.mark.parametrize("after_the_write", [False, True])
def test_what_another_worker_takes_away_meanwhile_is_in_no_other_entry(
    server: QdrantServer,
    collection: str,
    monkeypatch: pytest.MonkeyPatch,
    does: Callable[[MemoryStore], None],
    after_the_write: bool,
) -> None:
    """Its words were read for the entries that follow it, and are written when it has gone."""
    with opened(server, collection) as store:
        save(store, TURNS[:2])
    older.take_away(server, collection)
    write, writes = encode._write_vectors, 0

    def meanwhile(*arguments: Any) -> Any:
        nonlocal writes
        writes += 1
        if writes == 1 and not after_the_write:
            does(other.scoped(user_id="john"))
        yield from write(*arguments)
        if writes == 1 and after_the_write:
            does(other.scoped(user_id="john"))

    with opened(server, collection) as other:
        other.scoped(user_id="john").count()
        until(lambda: incomplete(server, collection), lambda left: left == 0)  # it has looked, and looks no more soon
        older.take_away(server, collection)
        monkeypatch.setattr(encode, "_write_vectors", meanwhile)
        client = other.backend.connection._engine.client("a migration")  # type: ignore[attr-defined]
        run(create_indexes(client, collection, INDEXES, server.url))
        run(encode.encode(client, collection, "english", lambda: False))
    assert writes > 1
    with server.admin() as admin:
        body = {"limit": 10, "with_vector": ["keywords"], "with_payload": ["content"]}
        found = admin.post(f"/collections/{collection}/points/scroll", json=body).json()["result"]["points"]
    [answer] = [each for each in found if each["payload"].get("content") == "It was great, we saw a whale"]
    words = "How was the trip to Norway?" if does is change else ""
    made = KeywordEncoder().document("It was great, we saw a whale", [words] if words else [])
    assert set(answer["vector"]["keywords"]["indices"]) == set(made.indices)
