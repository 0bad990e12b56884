"""Token vectors of what an outbox delivers: made at delivery, like every vector."""

from __future__ import annotations

from pathlib import Path

from crewai_persistent_memory import MemoryEntry, MemoryStore, open_store

from ..support.qdrant_server import QdrantServer
from ..support.token_embedders import WordTokens


def first(store: MemoryStore, query: str) -> str:
    found = store.search(query, limit=2)
    assert (found[0].score or 0.0) > (found[1].score or 0.0) + 0.2
    return found[0].id


def test_what_was_delivered_is_scored_by_its_tokens(tmp_path: Path, server: QdrantServer, collection: str) -> None:
    embedder = WordTokens()
    with open_store(
        url=server.url,
        collection=collection,
        durability="outbox",
        outbox_path=tmp_path,
        recall_timeout=60,
        embedder=embedder,
        reranker="maxsim",
        user_id="john",
    ) as store:
        store.put([MemoryEntry("tea", "John likes tea"), MemoryEntry("bank", "The bank closes at five")])
        store.put([MemoryEntry("given", "It rains", embedding=embedder.vector("It rains"))])
        assert store.flush(timeout=60)
        assert first(store, "enjoys beverage") == "tea"
        embedder.fails = ConnectionError("connection refused")
        store.update("bank", content="Mary has a car")
        assert store.flush(timeout=60), "it does not wait for token vectors"
        embedder.fails = None
        store.embed_missing()
        assert first(store, "owns automobile") == "bank"
        store.delete("tea")
        assert store.flush(timeout=60)
        assert "tea" not in [entry.id for entry in store.search("enjoys beverage")]
