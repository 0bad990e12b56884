"""The server answers as the embedded engine does: same entries, same order, same scores. And how it is spoken to."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, MemoryStore, open_store

from ..support.embedders import WordHashEmbedder
from ..support.qdrant_server import QdrantServer
from ..support.tcp_proxy import TcpProxy
from .conftest import OpenHere

WORDS = ["tea", "nuts", "spain", "window", "seat", "allergy", "museum", *(f"w{i}" for i in range(90))]
NOW = datetime(2026, 5, 1, 12)


def fill(store: MemoryStore) -> None:
    entries = []
    chance = random.Random(7)
    lengths = chance.sample(range(3, 123), 120)  # no two alike: equal scores would be ordered by chance
    for number in range(120):
        words = chance.choices(WORDS, k=lengths[number])
        entries.append(
            MemoryEntry(
                id=str(number),
                content=f"{' '.join(words)} item{number}",
                created_at=NOW - timedelta(days=number),
                importance=(number % 11) / 10,
                categories=(words[0],),
                path=f"/{words[1]}/{words[2]}",
                metadata={"n": number % 4},
            )
        )
    store.put(entries)


@pytest.mark.parametrize("embedder", [None, WordHashEmbedder()], ids=["keywords", "hybrid"])
@pytest.mark.parametrize("shards", [1, 3])
def test_the_same_results(
    server: QdrantServer, open_here: OpenHere, tmp_path: Path, embedder: Any, shards: int
) -> None:
    remote = open_here(server.url, embedder=embedder, collection_settings={"shard_number": shards})
    with open_store(path=tmp_path / "s", user_id="john", embedder=embedder) as local:
        fill(remote)
        fill(local)
        filters: list[dict[str, Any]] = [{}, {"categories": ["tea"]}, {"path": "/nuts"}, {"metadata": {"n": 1}}]
        for given in filters:
            for query in ("item7", "window seat in spain", "museum w7 w8 w9 tea", "allergy to nuts item33"):
                ours, theirs = (store.search(query, limit=10, **given) for store in (local, remote))
                if shards == 1:
                    # The age weighs by the second, so the scores are the same but for that.
                    assert [e.score for e in theirs] == pytest.approx([e.score for e in ours], abs=2e-4), query
                    assert [e.id for e in theirs] == [e.id for e in ours], query
                else:
                    # How rare a word is, is counted in each shard, here over 40 entries; that moves the lower places.
                    assert len({e.id for e in theirs} & {e.id for e in ours}) >= 0.3 * len(ours), query
            assert [e.id for e in remote.list(**given)] == [e.id for e in local.list(**given)]
            assert remote.count(**given) == local.count(**given)
        assert remote.categories() == local.categories()
        assert remote.info("/") == local.info("/")
        assert remote.children("/nuts") == local.children("/nuts")


def test_prefix_headers_and_no_gzip(proxy: TcpProxy, open_here: OpenHere) -> None:
    proxy.prefix = "/behind/a/proxy"
    for options in ({"url": proxy.url, "prefix": "behind/a/proxy"}, {"url": f"{proxy.url}/behind/a/proxy/"}):
        store = open_here(**options, headers={"X-Tenant": "acme"}, api_key="a-key")  # type: ignore[arg-type]
        store.add("x")
        assert store.count() == 1 + store.reset() - 1
    assert proxy.requests
    for request in proxy.requests:
        assert request.path.startswith("/behind/a/proxy/")
        head = request.head.lower()
        assert "x-tenant: acme" in head
        assert "api-key: a-key" in head
        assert "accept-encoding: identity" in head
        assert "gzip" not in head
