"""What every test has, and the fixtures that tests of several folders use."""

from __future__ import annotations

import socket
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from qdrant_client.embed.schema_parser import ModelSchemaParser

from crewai_persistent_memory import MemoryStore, open_store
from crewai_persistent_memory.backends.qdrant.embedded import connection as embedded

from .support.certificates import make_certificates
from .support.engines import NEWEST, STORES, Places, Servers, StoresOfOneKind, described, servers
from .support.mem0_platform import Mem0Platform
from .support.openai_server import OpenAIServer
from .support.qdrant_server import QdrantServer, newest
from .support.vector_servers import VectorServers

_SCHEMA = ModelSchemaParser().__dict__
ModelSchemaParser.__init__ = lambda self: self.__dict__.update(_SCHEMA)  # type: ignore[method-assign]
"""Each of Qdrant's clients copies the same large schema, which takes as long as fifteen requests."""


@pytest.fixture(scope="session")
def crewai_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tests' folders for CrewAI are. For each folder that pytest makes, it looks through all those beside it.
    With thousands of these among them, that took longer than most tests."""
    return tmp_path_factory.mktemp("crewai")


@pytest.fixture(autouse=True)
def own_crewai_folder(crewai_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_STORAGE_DIR", tempfile.mkdtemp(dir=crewai_folders))


@pytest.fixture(autouse=True)
def no_model_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mem0 downloads one where fastembed is installed, and waits 40 s for each of its memories if it cannot."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


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


@pytest.fixture(scope="session", autouse=True)
def no_event_waits_for_a_tree() -> None:
    """CrewAI 1.6 lets the event of each task wait five seconds for a tree that only a verbose crew draws. Ten threads
    handle all events, and a flow waits for its own, behind those of every crew that ran before it."""
    if "crewai" not in sys.modules:
        return
    from crewai.events.event_listener import event_listener

    if hasattr(event_listener, "_crew_tree_lock"):
        from rich.tree import Tree

        event_listener.formatter.current_crew_tree = Tree("")


@pytest.fixture(scope="session")
def places(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, qdrant_servers: Servers
) -> Iterator[Places]:
    """Where the stores are that the tests of this worker have one after the other."""
    made = Places(request, tmp_path_factory.mktemp("places"))
    yield made
    made.close()


@pytest.fixture
def kept_stores(places: Places) -> Iterator[Callable[[Any], Path]]:
    """``kept_stores(embedder)`` is the folder of an embedded store that was made with this embedder. It is empty, and
    held open between the tests: creating and removing one takes as long as a hundred operations."""
    given: list[Path] = []

    def of(embedder: Any) -> Path:
        def open_it(folder: Path) -> MemoryStore:
            return open_store(path=folder / "store", embedder=embedder)

        given.append(places.of("embedded", described(embedder), open_it))
        return given[-1] / "store"

    yield of
    for place in dict.fromkeys(given):
        places.empty("embedded", place)


@pytest.fixture
def kept_store(kept_stores: Callable[[Any], Path]) -> Path:
    """One without an embedder."""
    return kept_stores(None)


@pytest.fixture(autouse=True)
def every_store_is_closed(tmp_path: Path, places: Places) -> Iterator[None]:
    """A store left open flushes into a folder that is gone by then, and logs that in the midst of another test."""
    yield
    left = set(embedded._engines.keys()) - places.held
    if left:
        places.drop_all()
        embedded._engines._close_all()
    assert not left, f"the test left stores open: {', '.join(map(str, left))}"


@pytest.fixture
def stores_stay_open(every_store_is_closed: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An embedded store that the test opens stays open until the test ends, however often it is closed and opened.

    Opening one takes a tenth of a second. For tests that are not about closing a store, nor about what another process
    finds in it.
    """
    held: dict[Path, Any] = {}
    acquire = embedded._engines.acquire

    def acquire_and_hold(path: Path, create: Callable[[], Any], join: Callable[[Any], Any] | None = None) -> Any:
        engine = acquire(path, create, join)
        if held.get(path) is not engine:
            held[path] = acquire(path, create)
        return engine

    with monkeypatch.context() as patched:
        patched.setattr(embedded._engines, "acquire", acquire_and_hold)
        yield
    for path, engine in held.items():
        embedded._engines.release(path, engine)


OpenStore = Callable[..., MemoryStore]


@pytest.fixture(scope="session")
def vector_servers() -> Iterator[VectorServers]:
    """``vector_servers("postgres")`` is a running server for a vector store of Mem0 OSS."""
    started = VectorServers()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def qdrant_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """``qdrant_servers("1.17.0")`` is a running Qdrant server of that version."""
    yield from servers(tmp_path_factory.mktemp("qdrant"))


@pytest.fixture(scope="session")
def served_mem0() -> Iterator[Mem0Platform]:
    with Mem0Platform() as platform:
        yield platform


@pytest.fixture
def mem0_platform(served_mem0: Mem0Platform) -> Iterator[Mem0Platform]:
    """A fake Mem0 platform. What is against its published description fails the test."""
    served_mem0.forget_everything()
    yield served_mem0
    violations, served_mem0.violations = served_mem0.violations, []
    assert violations == []


@pytest.fixture(scope="session")
def openai_server() -> Iterator[OpenAIServer]:
    """An OpenAI-compatible server with scripted answers."""
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def server_version() -> str:
    """Of ``server``; a test module may run on several."""
    return NEWEST


@pytest.fixture
def server(qdrant_servers: Servers, server_version: str) -> QdrantServer:
    """A server that tests share: do not kill it."""
    return qdrant_servers(server_version)


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[QdrantServer, Path]]:
    """A server of the test's own that speaks TLS, and the file of its CA."""
    ca, certificate, key = make_certificates(tmp_path / "tls")
    settings = {"SERVICE__ENABLE_TLS": "true", "TLS__CERT": str(certificate), "TLS__KEY": str(key)}
    started = QdrantServer(newest(), tmp_path / "qdrant", settings=settings, scheme="https").start()
    yield started, ca
    started.stop()


@pytest.fixture
def collection(server: QdrantServer) -> Iterator[str]:
    name = f"t-{uuid.uuid4().hex[:12]}"
    yield name
    with server.admin() as admin:
        admin.delete(f"/collections/{name}")


@pytest.fixture(params=sorted(STORES))
def open_any(request: pytest.FixtureRequest, tmp_path: Path, places: Places) -> Iterator[StoresOfOneKind]:
    """Opens an empty store of each kind; the same store again within one test. Closes it afterwards."""
    if reason := STORES[request.param].gap(request.node.nodeid):
        pytest.skip(f"not on {request.param}: {reason}")
    stores = StoresOfOneKind(request.param, request, tmp_path, places)
    yield stores
    stores.close()
