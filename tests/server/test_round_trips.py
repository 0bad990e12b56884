"""How often a store asks the server, counted by the server itself."""

from __future__ import annotations

import itertools
import math
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, MemoryStore, PersistentMemory, open_store
from crewai_persistent_memory.backends.qdrant.server import moves
from crewai_persistent_memory.validation import utcnow

from ..support.crews import needs_unified
from ..support.embedders import WordHashEmbedder
from ..support.engines import NEWEST, OLDER, Servers
from ..support.qdrant_server import QdrantServer
from ..support.thorough import sample
from ..support.token_embedders import WordTokens

pytestmark = pytest.mark.xdist_group("round-trips")

# Each of both; every pair of them when thorough.
VERSIONS_AND_TRANSPORTS = sample(list(itertools.product([NEWEST, OLDER], ["rest", "grpc"])), 2)


@pytest.fixture(scope="module", params=VERSIONS_AND_TRANSPORTS, ids="-".join)
def at(request: pytest.FixtureRequest, qdrant_servers: Servers) -> tuple[QdrantServer, dict[str, Any]]:
    """A server, and how it is spoken to."""
    version, transport = request.param
    server = qdrant_servers(version)
    return server, {"prefer_grpc": transport == "grpc", "grpc_port": server.grpc_port}


@pytest.fixture
def server(at: tuple[QdrantServer, dict[str, Any]]) -> QdrantServer:
    return at[0]


def fill(store: MemoryStore) -> None:
    first = utcnow()
    store.put(
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


@pytest.fixture(scope="module", params=[None, 3], ids=["one-shard", "sharded"])
def options(request: pytest.FixtureRequest, at: tuple[QdrantServer, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of one collection for all of these tests."""
    server, transport = at
    collection = f"t-{uuid.uuid4().hex[:12]}"
    yield {
        "url": server.url,
        "collection": collection,
        "embedder": WordHashEmbedder(),
        "collection_settings": {"shard_number": request.param},
        "include_shared": True,
        "user_id": "john",
        "agent_id": "a",
        **transport,
    }
    with server.admin() as admin:
        admin.delete(f"/collections/{collection}")


@pytest.fixture(scope="module")
def opened(options: dict[str, Any]) -> Iterator[MemoryStore]:
    with open_store(**options) as store:
        yield store


@pytest.fixture
def store(opened: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """A run of its own for each test. The descriptor is not read again meanwhile."""
    monkeypatch.setattr(moves, "LEASE", math.inf)
    own = opened.scoped(run_id=uuid.uuid4().hex)
    fill(own)
    return own


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


def test_now_and_then_one_more_looks_where_the_memories_are(server: QdrantServer, store: MemoryStore, do: Any) -> None:
    targets = store.backend.connection._engine.targets  # type: ignore[attr-defined]
    targets.update({name: target._replace(checked_at=-math.inf) for name, target in targets.items()})
    for expected in (2, 1):
        with Counted(server) as counted:
            assert do(store, "search", "fact 4")
        assert counted.total == expected, counted.asked


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


def test_with_token_vectors_it_is_still_one(
    server: QdrantServer, options: dict[str, Any], collection: str, do: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "LEASE", math.inf)
    own = {**options, "collection": collection, "embedder": WordTokens(), "reranker": "maxsim"}
    with open_store(**own) as store:
        fill(store)
        asked: list[tuple[str, Any, dict[str, Any]]] = [
            ("search", "fact 4", {"limit": 40}),
            ("search_many", ["fact 4", "fact 5"], {}),
            ("add", "fact", {}),
            ("put", [MemoryEntry(id=f"p{number}", content="fact") for number in range(50)], {}),
        ]
        for method, about, more in asked:
            with Counted(server) as counted:
                do(store, method, about, **more)
            assert counted.total == 1, (method, counted.asked)


OTHERS: list[tuple[int, tuple[Any, ...]]] = [
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
]


def test_others(server: QdrantServer, store: MemoryStore, do: Any) -> None:
    too_many = {}
    for most, operation in OTHERS:
        with Counted(server) as counted:
            do(store, *operation, **({"importance": 1.0} if operation[0] == "update" else {}))
        if counted.total > most:
            too_many[operation[0]] = counted.asked
    assert too_many == {}


def test_a_crews_recall_waits_for_one(server: QdrantServer, options: dict[str, Any], collection: str) -> None:
    """The access times go in the background, and slices ask for all of their paths at once."""
    # Closing waits only if no other handle is on the same collection.
    store = open_store(**{**options, "collection": collection}, run_id="crew")
    fill(store)
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
