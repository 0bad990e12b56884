"""Token vectors for a collection that was created without them: the memories move to another one."""

from __future__ import annotations

from typing import Any

import pytest

from crewai_persistent_memory import ConfigurationError, MemoryEntry, MemoryStore, open_store
from crewai_persistent_memory.admin import reembed

from ...support.calling import until
from ...support.engines import NEWEST, OLDER, Servers
from ...support.token_embedders import WordTokens
from .moving import collections, elsewhere

RELEVANCE: dict[str, Any] = {"semantic_weight": 1.0, "recency_weight": 0.0, "importance_weight": 0.0}


@pytest.fixture(params=[(NEWEST, 3), (OLDER, 1)], ids=["newest, three shards", "older"])
def options(request: pytest.FixtureRequest, qdrant_servers: Servers, collection: str) -> Any:
    version, shards = request.param
    server = qdrant_servers(version)
    settings = {"shard_number": shards}
    yield {"url": server.url, "collection": collection, "durability": "store", "collection_settings": settings}
    with server.admin() as admin:
        for name in collections(server):
            if name.startswith(collection):
                admin.delete(f"/collections/{name}")


def finds_by_tokens(store: MemoryStore) -> bool:
    first, second = store.scoped(user_id="john").search("enjoys beverage", limit=2)
    assert first.score is not None
    assert second.score is not None
    return first.id == "tea" and first.score > second.score + 0.3


def test_they_come_and_go(options: dict[str, Any]) -> None:
    embedder = WordTokens()
    with open_store(**options, **RELEVANCE, embedder=embedder) as store:
        john, jane = store.scoped(user_id="john"), store.scoped(user_id="jane")
        john.put([MemoryEntry("tea", "John likes tea"), MemoryEntry("car", "Mary has a car")])
        jane.put([MemoryEntry(f"e{n}", f"thing{n} enjoys a beverage") for n in range(80)])
        with (
            pytest.raises(ConfigurationError, match=r"admin\.reembed\(store, embedder, reranker='maxsim'\)"),
            open_store(**options, embedder=embedder, reranker="maxsim", user_id="john") as refused,
        ):
            refused.count()
        assert not finds_by_tokens(store)
        done = reembed(store, embedder, reranker="maxsim")
        assert (done.entries, done.embedded, done.without, done.changed) == (82, 82, 0, True)
        assert finds_by_tokens(store), "this handle uses them at once"
        assert sorted(entry.id for entry in john.search("who enjoys a beverage", limit=50)) == ["car", "tea"]
        john.update("car", content="Mary likes a brew")
        assert not finds_by_tokens(store), "two know it now"
        john.delete("car")
        with open_store(**options, **RELEVANCE, embedder=embedder, reranker="maxsim") as another:
            another.scoped(user_id="john").add("The bank closes at five", id="bank")
            assert finds_by_tokens(another)
            assert not reembed(another, embedder).changed, "as the store has it"
            assert reembed(another, embedder, reranker="none").changed
            assert not finds_by_tokens(another)
            assert another.scoped(user_id="jane").count() == 80


def test_running_workers_go_on_with_their_embedder(options: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """It makes the token vectors that the store has from now on, and none any more when the store has none."""
    embedder = WordTokens()
    with open_store(**options, **RELEVANCE, embedder=embedder) as store:
        store.scoped(user_id="john").put([MemoryEntry("tea", "John likes tea"), MemoryEntry("car", "Mary has a car")])
        with elsewhere(options, **RELEVANCE, embedder=embedder) as worker:
            assert not finds_by_tokens(worker)
            reembed(store, embedder, reranker="maxsim")
            assert until(lambda: finds_by_tokens(worker), bool)
            worker.scoped(user_id="jane").add("She has a brew", id="brew")
            assert worker.scoped(user_id="jane").search("enjoys beverage")[0].score > 0.3  # type: ignore[operator]
        with elsewhere(options, **RELEVANCE, embedder=embedder, reranker="maxsim") as worker:
            assert finds_by_tokens(worker)
            reembed(store, embedder, reranker="none")
            assert until(lambda: not finds_by_tokens(worker), bool)
            worker.scoped(user_id="jane").add("She likes sugar", id="sugar")
            sugar = worker.scoped(user_id="jane").get("sugar")
            assert sugar is not None
            assert sugar.embedding is not None
    assert "cannot use the new one" not in caplog.text
