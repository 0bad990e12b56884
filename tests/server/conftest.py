from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryStore, open_store

from ..support.calling import CALLS
from ..support.durability import writes_wait_in
from ..support.engines import NEWEST, OLDER
from ..support.qdrant_server import QdrantServer, newest
from ..support.tcp_proxy import TcpProxy
from ..support.thorough import sample

ON_EVERY_VERSION = ("test_setup", "test_same_results", "test_faults", "test_strict_mode")
"""Modules whose shared server is one of each version."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    ways = ["sync", "async"]
    on_every_version = metafunc.module.__name__.rpartition(".")[2] in ON_EVERY_VERSION
    if "server" in metafunc.fixturenames and on_every_version:
        versions = [NEWEST, OLDER]
        if "do" in metafunc.fixturenames:
            # Each version and each way of calling; every pair of them when thorough.
            pairs = sample(list(itertools.product(versions, ways)), 2)
            metafunc.parametrize(("server_version", "do"), pairs, indirect=["do"])
        else:
            metafunc.parametrize("server_version", versions)
    elif "do" in metafunc.fixturenames:
        metafunc.parametrize("do", ways, indirect=True)


BY_DEFAULT = ("test_service", "test_compose")
"""Modules with stores as users open them: with an outbox. The others look at the server itself after each call, and at
what a call raises when the server fails."""


@pytest.fixture(scope="module", autouse=True)
def writes_wait_for_the_store(request: pytest.FixtureRequest) -> Iterator[None]:
    with writes_wait_in(request, but=BY_DEFAULT):
        yield


@pytest.fixture
def do(request: pytest.FixtureRequest) -> Any:
    """``do(store, "add", "tea")`` calls a method, blocking or awaited."""
    return CALLS[request.param]


OpenHere = Callable[..., MemoryStore]


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[QdrantServer]:
    """A server of the test's own, to kill, pause and restart."""
    started = QdrantServer(newest(), tmp_path / "qdrant").start()
    yield started
    started.stop()


@pytest.fixture
def proxy(server: QdrantServer) -> Iterator[TcpProxy]:
    made = TcpProxy(server.port)
    yield made
    made.close()


@pytest.fixture
def open_here(collection: str) -> Iterator[OpenHere]:
    """``open_store`` on the test's collection, keywords only unless said otherwise; closes what it opened."""
    opened: list[MemoryStore] = []

    def open_one(url: str, **options: Any) -> MemoryStore:
        given = {"user_id": "john", "embedder": None, "collection": collection, **options}
        store = open_store(url=url, **given)  # type: ignore[arg-type]
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()
