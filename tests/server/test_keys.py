"""API keys of every kind, and TLS with a private CA."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from crewai_persistent_memory import (
    EngineError,
    FilterField,
    MemoryStore,
    PersistentMemory,
    StorePermissionError,
    StoreUnavailableError,
    open_store,
)

from ..support.calling import until
from ..support.certificates import make_certificates
from ..support.qdrant_server import QdrantServer, newest

KEY = "an-admin-key-of-the-test-0123456789"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantServer]:
    """A server that wants a key, and takes tokens."""
    folder = tmp_path_factory.mktemp("guarded")
    started = QdrantServer(newest(), folder, settings={"SERVICE__JWT_RBAC": "true"}, key=KEY).start()
    yield started
    started.stop()


def token(access: Any) -> str:
    return jwt.encode({"access": access}, KEY, algorithm="HS256")


@pytest.fixture(params=["rest", "grpc"])
def transport(request: pytest.FixtureRequest, guarded: QdrantServer) -> dict[str, Any]:
    return {"prefer_grpc": request.param == "grpc", "grpc_port": guarded.grpc_port}


@pytest.fixture
def open_with(guarded: QdrantServer, transport: dict[str, Any], request: pytest.FixtureRequest) -> Any:
    """Opens the test's collection with a key. It is created by ``make()``."""
    name = f"c{abs(hash(request.node.name)) % 10**10}"

    def open_one(key: str | None, **options: Any) -> MemoryStore:
        given = {"url": guarded.url, "user_id": "john", "embedder": None, "collection": name, **transport, **options}
        return open_store(api_key=key, **given)  # type: ignore[arg-type]

    open_one.name = name  # type: ignore[attr-defined]
    return open_one


@pytest.mark.parametrize("key", [None, "wrong-key"])
def test_a_wrong_key_is_said_at_the_start(open_with: Any, key: str | None) -> None:
    with pytest.raises(StorePermissionError, match="api_key= or QDRANT_API_KEY") as caught:
        open_with(key)
    assert "wrong-key" not in str(caught.value)


@pytest.mark.parametrize("given", [{"api_key": "zebra-key\n"}, {"headers": {"x-gateway": "zebra-key\n"}}])
def test_a_key_that_cannot_be_sent_is_not_told(guarded: QdrantServer, given: dict[str, Any]) -> None:
    """The HTTP client names the whole value."""
    with pytest.raises(EngineError, match="Illegal header value …") as caught:
        open_store(url=guarded.url, user_id="john", embedder=None, **given)
    assert "zebra" not in str(caught.value)


def test_the_admin_key_from_the_environment(open_with: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_API_KEY", KEY)
    with open_with(None) as store:
        store.add("x")
        assert store.count() == 1


@pytest.mark.parametrize("scoped", [False, True])
def test_a_read_only_key_reads(open_with: Any, scoped: bool) -> None:
    with open_with(KEY) as store:
        store.add("John is allergic to nuts")
    access = [{"collection": open_with.name, "access": "r"}] if scoped else "r"
    with open_with(token(access)) as store:
        assert [entry.content for entry in store.search("nuts")] == ["John is allergic to nuts"]
        assert len(store.list()) == store.count() == 1
        assert store.health()["status"] in ("green", "grey", "yellow")
        for write in (lambda: store.add("y"), lambda: store.reset(), lambda: store.touch([store.list()[0].id])):
            with pytest.raises(StorePermissionError, match="did not permit"):
                write()
        assert store.count() == 1


def test_a_crew_recalls_with_a_read_only_key(
    open_with: Any, guarded: QdrantServer, transport: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with open_with(KEY) as store:
        store.add("John is allergic to nuts")
    memory = PersistentMemory(
        url=guarded.url, api_key=token("r"), user_id="john", collection=open_with.name, **transport
    )
    assert [match.record.content for match in memory.recall("nuts")] == ["John is allergic to nuts"]
    memory.close()
    until(lambda: caplog.text, lambda text: "access times were not updated" in text)


def test_a_filter_field_and_a_read_only_key(open_with: Any) -> None:
    """It says what the filter lacks: an index. Values that entries lack are computed for each filter."""
    priority = FilterField("priority", "integer", lambda entry: entry.metadata.get("priority"))
    with open_with(KEY) as store:
        store.add("the roof leaks", id="a", metadata={"priority": 1})
    with open_with(token("r"), filter_fields=[priority]) as reader:
        assert [entry.id for entry in reader.search("roof")] == ["a"]
        with pytest.raises(StorePermissionError, match=r"no index for the filter fields \(priority\).*filter_fields="):
            reader.list(fields={"priority": 1})
        with open_with(KEY, filter_fields=[priority]) as writer:
            assert [entry.id for entry in reader.list(fields={"priority": 1})] == ["a"]
            assert writer.count(fields={"priority": 1}) == 1
        assert [entry.id for entry in reader.list(fields={"priority": 1})] == ["a"]


def test_a_key_for_one_collection_reads_and_writes_it(open_with: Any) -> None:
    key = token([{"collection": open_with.name, "access": "rw"}])
    with pytest.raises(StorePermissionError, match="start-up check"):
        open_with(key)  # creating takes more
    open_with(KEY).close()
    with open_with(key, create_collection=False) as store:
        entry = store.add("John is allergic to nuts")
        store.update(entry.id, importance=1.0)
        assert store.search("nuts")
        assert store.delete(entry.id) == 1
    with pytest.raises(StorePermissionError):
        open_with(token([{"collection": "another", "access": "rw"}]))


def test_no_administrative_call_when_the_collection_exists(open_with: Any, guarded: QdrantServer) -> None:
    open_with(KEY).close()
    before = guarded.requests_served()
    open_with(KEY, timeout=7).close()
    after = guarded.requests_served()
    asked = {labels: count - before.get(labels, 0) for labels, count in after.items() if count != before.get(labels, 0)}
    asked = {labels: count for labels, count in asked.items() if "/metrics" not in labels}
    # The version, the descriptor, and, in the background, entries that lack a key.
    assert len(asked) <= 3, asked
    assert all('"/"' in labels or "HealthCheck" in labels or "oints" in labels for labels in asked), asked


class TestTls:
    @pytest.mark.parametrize("grpc", [False, True])
    def test_a_private_ca(self, secured: tuple[QdrantServer, Path], grpc: bool) -> None:
        server, ca = secured
        options: Any = {"prefer_grpc": grpc, "grpc_port": server.grpc_port, "user_id": "john", "embedder": None}
        with open_store(url=server.url, ca_cert=ca, **options) as store:
            store.add("x")
            assert store.count() == 1
        with open_store(host="127.0.0.1", port=server.port, ca_cert=str(ca), **options) as store:
            assert store.count() == 1

    @pytest.mark.parametrize("grpc", [False, True])
    @pytest.mark.parametrize("given", ["none", "another"])
    def test_the_wrong_one(self, secured: tuple[QdrantServer, Path], tmp_path: Path, grpc: bool, given: str) -> None:
        server, _ = secured
        options: Any = {} if given == "none" else {"ca_cert": make_certificates(tmp_path / "other")[0]}
        with pytest.raises(StoreUnavailableError, match=r"no secure connection .*ca_cert="):
            open_store(
                url=server.url,
                prefer_grpc=grpc,
                grpc_port=server.grpc_port,
                user_id="john",
                embedder=None,
                startup_timeout=2,
                **options,
            )

    def test_plain_http_to_it(self, secured: tuple[QdrantServer, Path]) -> None:
        server, _ = secured
        with pytest.raises(StoreUnavailableError):
            open_store(
                url=server.url.replace("https", "http"), user_id="john", embedder=None, startup_timeout=1, timeout=1
            )
