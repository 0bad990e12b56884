"""How often a store asks the server, counted by the server itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, MemoryStore, PersistentMemory
from crewai_persistent_memory.validation import utcnow

from ..support.calling import CALLS
from ..support.crews import needs_unified
from ..support.embedders import WordHashEmbedder
from ..support.qdrant_server import QdrantServer
from .conftest import OpenHere


@pytest.fixture(params=["rest", "grpc"])
def transport(request: pytest.FixtureRequest, server: QdrantServer) -> dict[str, Any]:
    return {"prefer_grpc": request.param == "grpc", "grpc_port": server.grpc_port}


@pytest.fixture(params=["sync", "async"])
def do(request: pytest.FixtureRequest) -> Any:
    return CALLS[request.param]


@pytest.fixture(params=[None, 3], ids=["one-shard", "sharded"])
def store(
    request: pytest.FixtureRequest, server: QdrantServer, open_here: OpenHere, transport: dict[str, Any]
) -> MemoryStore:
    opened = open_here(
        server.url,
        embedder=WordHashEmbedder(),
        collection_settings={"shard_number": request.param},
        include_shared=True,
        run_id="r",
        agent_id="a",
        **transport,
    )
    first = utcnow()
    opened.put(
        [
            MemoryEntry(
                id=str(number),
                content=f"fact {number}",
                categories=("x",),
                metadata={"n": number % 3},
                path="/a/b",
                created_at=first + timedelta(milliseconds=number),
            )
            for number in range(30)
        ]
    )
    return opened


class Counted:
    """How many requests the block made."""

    def __init__(self, server: QdrantServer) -> None:
        self._server = server

    def __enter__(self) -> Counted:
        self._before = self._server.requests_served()
        return self

    def __exit__(self, *exc: object) -> None:
        after = self._server.requests_served()
        new = {
            labels: count - self._before.get(labels, 0) for labels, count in after.items() if "/metrics" not in labels
        }
        self.asked = {labels: count for labels, count in new.items() if count}
        self.total = sum(self.asked.values())


EVERY_FILTER: dict[str, Any] = {
    "path": "/a",
    "categories": ["x", "y"],
    "metadata": {"n": 1},
    "created_after": MemoryEntry(id="x", content="x").created_at.replace(year=2020),
    "reader": "chat",
    "include_private": False,
}


@pytest.mark.parametrize("filters", [{}, EVERY_FILTER], ids=["no-filter", "every-filter"])
def test_a_recall_is_one(server: QdrantServer, store: MemoryStore, do: Any, filters: dict[str, Any]) -> None:
    with Counted(server) as counted:
        assert do(store, "search", "fact 4", **filters)
    assert counted.total == 1, counted.asked


def test_a_save_is_one(server: QdrantServer, store: MemoryStore, do: Any) -> None:
    with Counted(server) as counted:
        do(store, "add", "fact", categories=["x"], metadata={"n": 1}, path="/a")
    assert counted.total == 1, counted.asked
    with Counted(server) as counted:
        do(store, "put", [MemoryEntry(id=f"p{number}", content="fact") for number in range(256)])
    assert counted.total == 1, counted.asked


def test_several_recalls_are_one(server: QdrantServer, store: MemoryStore, do: Any) -> None:
    queries = [f"fact {number}" for number in range(5)]
    with Counted(server) as counted:
        found = do(store, "search_many", queries, limit=40)
    assert counted.total == 1, counted.asked
    single = [do(store, "search", query, limit=40) for query in queries]
    # The age weighs, so equals may change places between two moments; their scores stay the same.
    assert [{entry.id for entry in each} for each in found] == [{entry.id for entry in each} for each in single]
    for many, one in zip(found, single, strict=True):
        assert [entry.score for entry in many] == pytest.approx([entry.score for entry in one], abs=1e-4)


@pytest.mark.parametrize(
    ("most", "operation"),
    [
        (1, ("get", "3")),
        (1, ("count",)),
        (1, ("categories",)),
        (1, ("children",)),
        (2, ("touch", ["3"])),  # which of them are there, then the write: no write is selected by a filter with ids
        (1, ("nearest", WordHashEmbedder().vector("fact"))),
        (2, ("list",)),  # a second one where the page ends among equal times
        (2, ("update", "3")),
        # Looks for entries that have its words, before and after, and writes those two; counts what it deletes.
        (8, ("delete", "3")),
        (2, ("reset",)),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_others(server: QdrantServer, store: MemoryStore, do: Any, most: int, operation: tuple[Any, ...]) -> None:
    with Counted(server) as counted:
        do(store, *operation, **({"importance": 1.0} if operation[0] == "update" else {}))
    assert counted.total <= most, counted.asked


def test_a_crews_recall_waits_for_one(server: QdrantServer, store: MemoryStore) -> None:
    """The access times go in the background, and slices ask for all of their paths at once."""
    memory = PersistentMemory(store=store)
    with Counted(server) as counted:
        assert memory.recall("fact 4")
        store.close()  # waits for the background
    assert counted.total == 3, counted.asked


@needs_unified
def test_a_slice_is_one(server: QdrantServer, store: MemoryStore) -> None:
    view = PersistentMemory(store=store, read_only=True).slice(["/a", "/a/b", "/c"])
    with Counted(server) as counted:
        found = view.recall("fact 4")
    assert counted.total == 1, counted.asked
    assert len({match.record.id for match in found}) == len(found) == 10
