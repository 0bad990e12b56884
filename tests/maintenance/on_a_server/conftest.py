from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from crewai_persistent_memory.backends.qdrant.server import moves

from ...support.qdrant_server import QdrantServer
from .moving import collections


@pytest.fixture(autouse=True)
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no wait for the longest request: a busy machine takes its time for one."""
    monkeypatch.setattr(moves, "LEASE", 0.1)
    monkeypatch.setattr(moves, "noticed_after", lambda timeout: 0.6)


@pytest.fixture
def options(server: QdrantServer, collection: str) -> Iterator[dict[str, Any]]:
    yield {"url": server.url, "collection": collection, "durability": "store"}
    with server.admin() as admin:
        for name in collections(server):
            if name.startswith(collection):
                admin.delete(f"/collections/{name}")
