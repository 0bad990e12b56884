from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryConfig, MemoryStore
from crewai_persistent_memory.stores.factory import open_configured

from .support.engines import NEWEST, STORES, Servers, servers
from .support.qdrant_server import QdrantServer

# A developer's own settings must not decide what the tests see, and no key may make a test call out.
for _name in list(os.environ):
    if _name.startswith("CREWAI_MEMORY_") or _name in ("QDRANT_URL", "QDRANT_API_KEY", "OPENAI_API_KEY"):
        del os.environ[_name]
os.environ["CREWAI_DISABLE_TELEMETRY"] = "true"
os.environ["CREWAI_TRACING_ENABLED"] = "false"
os.environ["CREWAI_TESTING"] = "true"


@pytest.fixture(autouse=True)
def own_crewai_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path_factory.mktemp("crewai")))


@pytest.fixture(autouse=True)
def no_connection_leaves_this_machine(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Any attempt to connect elsewhere fails the call, and is on the list that is returned."""
    attempts: list[Any] = []
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else address
        local = self.family == socket.AF_UNIX or host in ("::1", "localhost") or str(host).startswith("127.")
        if not local:
            attempts.append(address)
            raise ConnectionRefusedError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    return attempts


OpenStore = Callable[..., MemoryStore]


@pytest.fixture(scope="session")
def qdrant_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """``qdrant_servers("1.17.0")`` is a running Qdrant server of that version."""
    yield from servers(tmp_path_factory.mktemp("qdrant"))


@pytest.fixture
def server_version() -> str:
    """Of ``server``; a test module may run on several."""
    return NEWEST


@pytest.fixture
def server(qdrant_servers: Servers, server_version: str) -> QdrantServer:
    """A server that tests share: do not kill it."""
    return qdrant_servers(server_version)


@pytest.fixture
def collection(server: QdrantServer) -> Iterator[str]:
    name = f"t-{uuid.uuid4().hex[:12]}"
    yield name
    with server.admin() as admin:
        admin.delete(f"/collections/{name}")


@pytest.fixture(params=sorted(STORES))
def open_any(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens a store of each kind; the same store again within one test. Closes them afterwards."""
    opened: list[MemoryStore] = []
    kind = STORES[request.param]

    def open_one(*, external_vectors: bool = False, **options: Any) -> MemoryStore:
        options = {**kind.external, **options} if external_vectors else {"embedder": None, **options}
        config = MemoryConfig.build(**kind.options(request, tmp_path), **options)
        store = open_configured(config, external_vectors=external_vectors)
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()
    kind.remove(request, tmp_path)
