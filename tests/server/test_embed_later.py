"""A server starts again after vectors were set on points that were there: its log holds nothing it cannot read."""

from __future__ import annotations

from typing import Any

from crewai_persistent_memory import open_store

from ..support.embedders import WordHashEmbedder
from ..support.qdrant_server import QdrantServer


class Switched(WordHashEmbedder):
    away = True

    def __call__(self, texts: list[str]) -> list[list[float]]:
        if self.away and texts != ["The quick brown fox remembers 42 things."]:
            raise ConnectionError("connection refused")
        return super().__call__(texts)


def test_the_server_starts_again(own_server: QdrantServer) -> None:
    embedder: Any = Switched()
    options: dict[str, Any] = {"url": own_server.url, "user_id": "john", "embedder": embedder}
    with open_store(**options) as store:
        for number in range(5):
            store.add(f"fact number{number}", id=str(number))
        embedder.away = False
        store.add("another")
        own_server.kill()
        own_server.restart()
        assert store.embed_missing() == 0
        assert all(store.get(str(number)).embedding for number in range(5))  # type: ignore[union-attr]
    own_server.stop()
    own_server.start()
    with open_store(**options) as store:
        assert store.count() == 6
