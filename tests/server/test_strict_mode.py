"""A collection whose strict mode allows little, and limits that no store can serve."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import EngineError, InvalidEntryError, MemoryEntry, MemoryStore, open_store

from ..support.qdrant_server import QdrantServer
from .conftest import OpenHere

TIGHT = {
    "enabled": True,
    "max_query_limit": 3,
    "upsert_max_batchsize": 2,
    "search_allow_exact": False,
    "max_timeout": 1,
    "condition_max_size": 2,
    "filter_max_conditions": 12,
}


def entry(id: str, day: int, **about: Any) -> MemoryEntry:
    return MemoryEntry(id=id, content=f"tea {id}", created_at=datetime(2024, 1, day), **about)


def paged(store: MemoryStore, **arguments: Any) -> list[MemoryEntry]:
    page = store.page(**arguments)
    entries = list(page.entries)
    while page.cursor is not None:
        page = store.page(cursor=page.cursor, **arguments)
        entries += page.entries
    return entries


def everything(store: MemoryStore) -> dict[str, Any]:
    """What the store answers to every kind of question."""
    # Five share a time, more than a page may hold.
    store.put([entry(f"a{n}", n + 1, categories=(f"c{n % 5}",), path=f"/p{n % 4}") for n in range(8)])
    store.put([entry(f"b{n}", 20) for n in range(5)])
    store.put([entry(f"b{n}", 20, path="/p4") for n in range(5)])
    ids = [f"a{n}" for n in range(8)]
    store.touch(ids)
    return {
        "list": [entry.id for entry in store.list()],
        "page": [entry.id for entry in store.list(limit=4, offset=3)],
        "last page": [entry.id for entry in store.list(limit=10**9, offset=10)],
        "pages": [entry.id for entry in paged(store, limit=4)],
        "pages by ids": [entry.id for entry in paged(store, limit=5, ids=ids)],
        "scanned": [entry.id for entry in store.scan(page_size=5)],
        "scanned by ids": [entry.id for entry in store.scan(page_size=5, ids=[*ids, "a0", "missing"])],
        "vectors": [entry.embedding for entry in store.scan(with_vectors=True)],
        "by ids": [entry.id for entry in store.list(ids=ids, limit=6)],
        "touched": all(entry.last_accessed > entry.created_at for entry in store.list(ids=ids)),
        "counts": (store.count(), store.count(ids=ids), store.count(path="/p1")),
        "categories": store.categories(),
        "children": store.children(),
        "info": store.info(),
        "found": len(store.search("tea", limit=3)),
        "found by many": [len(found) for found in store.search_many(["tea", "milk", "a3"], limit=2)],
        "updated": store.update("a0", content="coffee", importance=0.9).content,
        "deleted by ids": store.delete(ids=["a1", "a2", "a3", "a4", "missing"]),
        "deleted by filter": store.delete(path="/p1"),
        "left": [entry.id for entry in store.list()],
        "reset": store.reset(),
    }


def embed(texts: list[str]) -> list[list[float]]:
    return [[1.0, float(len(text))] for text in texts]


@pytest.mark.parametrize("prefer_grpc", [False, True], ids=["rest", "grpc"])
def test_a_tight_strict_mode_changes_no_answer(
    server: QdrantServer, collection: str, open_here: OpenHere, prefer_grpc: bool
) -> None:
    options: dict[str, Any] = {"embedder": embed, "grpc_port": server.grpc_port, "prefer_grpc": prefer_grpc}
    store = open_here(server.url, **options)
    without = everything(store)
    with server.admin() as admin:
        admin.patch(f"/collections/{collection}", json={"strict_mode_config": TIGHT}).raise_for_status()
    assert everything(store) == without, "made tight while the store was open"
    store.close()
    again = open_here(server.url, **options)
    assert everything(again) == without, "opened anew"
    assert len(again.search("tea", limit=50)) <= 3, "a search gives what the server gives"


def test_what_the_strict_mode_forbids_is_said(server: QdrantServer, collection: str, open_here: OpenHere) -> None:
    store = open_here(server.url)
    with server.admin() as admin:
        tight = {"enabled": True, "filter_max_conditions": 1}
        admin.patch(f"/collections/{collection}", json={"strict_mode_config": tight}).raise_for_status()
    with pytest.raises(EngineError, match=r"strict mode.*Filter condition limit"):
        store.count()


@pytest.fixture(params=["embedded", "server"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MemoryStore]:
    if request.param == "embedded":
        with open_store(path=tmp_path / "store", user_id="john", embedder=embed) as opened:
            yield opened
        return
    server = request.getfixturevalue("server")
    yield request.getfixturevalue("open_here")(server.url, embedder=embed)


@pytest.mark.parametrize("limit", [10**9, 2**31 - 1])
def test_a_list_may_be_as_long_as_one_likes(store: MemoryStore, limit: int) -> None:
    store.put([entry(str(n), n + 1) for n in range(3)])
    assert [found.id for found in store.list(limit=limit)] == ["2", "1", "0"]
    assert [found.id for found in store.list(limit=limit, offset=1)] == ["1", "0"]
    assert store.list(offset=limit) == []


def test_limits_that_cannot_be_are_refused_with_a_remedy(store: MemoryStore) -> None:
    for limit in (10_001, 10**9, 2**31, 2**64, 2**70, 10**5000):
        for search in (
            lambda: store.search("tea", limit=limit),  # noqa: B023
            lambda: store.search_many(["tea"], limit=limit),  # noqa: B023
            lambda: store.nearest([1.0, 0.0], limit=limit),  # noqa: B023
        ):
            with pytest.raises(InvalidEntryError, match=r"limit must be at most 10000, .*list\(\)"):
                search()
    for limit in (2**31, 2**64, 2**70, 10**5000):
        with pytest.raises(InvalidEntryError, match=r"limit must be at most .*filters"):
            store.list(limit=limit)
        with pytest.raises(InvalidEntryError, match=r"offset must be at most .*filters"):
            store.list(offset=limit)
    assert store.search("tea", limit=10_000) == []


def test_a_list_of_several_pages(server: QdrantServer, open_here: OpenHere) -> None:
    """More than one request holds, most of them at one time."""
    store = open_here(server.url)
    store.put([entry(f"{n:04}", 1 if n < 2100 else 2 + n % 20) for n in range(2600)])
    found = [each.id for each in store.list(limit=10**9)]
    assert len(found) == len(set(found)) == store.count() == 2600
    assert found[:1200] + found[1200:] == [
        each.id for offset in (0, 1200) for each in store.list(limit=1200 if not offset else 2000, offset=offset)
    ]
