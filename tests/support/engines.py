"""The stores and engines the contract suite runs over. A new one joins by one line in ``STORES``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .qdrant_server import GIVEN_KEY, GIVEN_URL, QdrantServer, binaries, missing


@dataclass(frozen=True)
class Kind:
    """A kind of store: the options that open the one that belongs to a test's folder, and how to remove it."""

    options: Callable[[pytest.FixtureRequest, Path], dict[str, Any]]
    remove: Callable[[pytest.FixtureRequest, Path], None] = lambda request, folder: None
    external: Mapping[str, Any] = field(default_factory=dict)
    """Options for vectors from outside."""


def collection_of(folder: Path) -> str:
    return "t-" + hashlib.blake2b(str(folder).encode(), digest_size=8).hexdigest()


def on_server(version: str, *, grpc: bool = False, shards: int | None = None) -> Kind:
    def server(request: pytest.FixtureRequest) -> Any:
        return request.getfixturevalue("qdrant_servers")(version)

    def options(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
        found = server(request)
        chosen: dict[str, Any] = {"url": found.url, "collection": collection_of(folder), "prefer_grpc": grpc}
        if found.key:
            chosen["api_key"] = found.key
        if grpc:
            chosen["grpc_port"] = found.grpc_port
        if shards is not None:
            chosen["collection_settings"] = {"shard_number": shards}
        return chosen

    def remove(request: pytest.FixtureRequest, folder: Path) -> None:
        with server(request).admin() as client:
            client.delete(f"/collections/{collection_of(folder)}").raise_for_status()

    return Kind(options, remove, {"dimensions": 2})


NEWEST, OLDER = "1.17.0", "1.16.3"

EMBEDDED = Kind(lambda request, folder: {"path": folder / "store"})
STORES: dict[str, Kind] = {
    "embedded": EMBEDDED,
    "server": on_server(NEWEST),
    "server-grpc": on_server(NEWEST, grpc=True),
    "server-1.16": on_server(OLDER),
    "server-sharded": on_server(NEWEST, shards=3),
}
VARIANTS = {name for name in STORES if name.startswith("server-")}
"""The same engine in another version, transport or layout."""


class Servers:
    """Starts each version once a session, when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, QdrantServer] = {}

    def __call__(self, version: str) -> Any:
        if GIVEN_URL:
            return Given(GIVEN_URL)
        found = binaries()
        binary = found.get("given") or found.get(version)
        if binary is None:
            return missing(f"no Qdrant {version}: run scripts/fetch-qdrant, or set QDRANT_BIN or QDRANT_URL")
        if version not in self._running:
            self._running[version] = QdrantServer(binary, self._folder / version).start()
        return self._running[version]

    def stop(self) -> None:
        for server in self._running.values():
            server.stop()


class Given(QdrantServer):
    """A server that runs already, at ``QDRANT_URL``: nobody's to stop."""

    def __init__(self, url: str) -> None:
        self.url, self.grpc_port, self.key = url, 6334, GIVEN_KEY


def servers(folder: Path) -> Iterator[Servers]:
    started = Servers(folder)
    yield started
    started.stop()
