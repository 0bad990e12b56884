"""The options of a server: what they come to, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import ConfigurationError, MemoryConfig
from crewai_persistent_memory.config.qdrant import CollectionSettings


def urls(**options: Any) -> tuple[str, ...]:
    server = MemoryConfig.build(**options).server
    assert server is not None
    return server.urls


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"url": "http://qdrant"}, "http://qdrant:6333"),
        ({"url": "http://qdrant:7000/"}, "http://qdrant:7000"),
        ({"url": "https://xyz.cloud.qdrant.io"}, "https://xyz.cloud.qdrant.io:6333"),
        ({"url": "https://host:443/qdrant"}, "https://host:443/qdrant"),
        ({"url": "https://host:443", "prefix": "qdrant/"}, "https://host:443/qdrant"),
        ({"url": "http://[::1]:6333"}, "http://[::1]:6333"),
        ({"host": "qdrant"}, "http://qdrant:6333"),
        ({"host": "qdrant", "port": 7000, "prefix": "/q"}, "http://qdrant:7000/q"),
        ({"host": "qdrant", "api_key": "k"}, "https://qdrant:6333"),
        ({"host": "qdrant", "api_key": "k", "https": False}, "http://qdrant:6333"),
        ({"host": "::1"}, "http://[::1]:6333"),
    ],
)
def test_addresses(options: dict[str, Any], expected: str) -> None:
    assert urls(**options) == (expected,)


def test_several_nodes() -> None:
    expected = ("http://a:6333", "http://b:6333")
    assert urls(url=["http://a", "http://b"]) == urls(url="http://a, http://b:6333") == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "qdrant:6333"}, "url: .*http:// or https://"),
        ({"url": "ftp://qdrant"}, "url: .*http:// or https://"),
        ({"url": " "}, "url: .*blank"),
        ({"url": "http://user:secret@qdrant"}, "url: .*a key goes into api_key="),
        ({"url": "http://qdrant?api-key=secret"}, "url: .*a key goes into api_key="),
        ({"url": "http://a", "host": "b"}, "url and host are both given"),
        ({"url": "http://a", "path": "/x"}, "path and url are both given"),
        ({"url": "http://a:1", "port": 2}, "port=2 and another port in url="),
        ({"url": "http://a/x", "prefix": "y"}, "prefix='y' and a path in url="),
        ({"url": "https://a", "https": False}, "https=False and an https:// url="),
        ({"url": "http://a", "https": True}, "https=True and an http:// url="),
        ({"host": "a", "https": False, "ca_cert": __file__}, "ca_cert= needs an https:// address"),
        ({"url": "http://a", "ca_cert": __file__}, "ca_cert= needs an https:// address"),
        ({"url": "https://a", "ca_cert": "/no/such/file"}, "ca_cert: .*no such file"),
        ({"url": "https://a:443/q", "prefer_grpc": True}, "gRPC knows no path"),
        ({"host": "http://a"}, "host: .*goes into url="),
        ({"url": "http://a", "timeout": 0}, "timeout: .*greater than 0"),
        ({"url": "http://a", "collection": "a/b"}, "collection: .*letters, digits"),
        ({"url": "http://a", "ordering": "strange"}, "ordering: "),
        ({"url": "http://a", "read_consistency": "most"}, "read_consistency: "),
        ({"url": "http://a", "collection_settings": {"shards": 3}}, "collection_settings.shards: "),
        ({"url": "http://a", "collection_settings": {"shard_number": 0}}, "collection_settings.shard_number: "),
        (
            {"url": "http://a", "fsync": "always", "durability": "store"},
            r"fsync is of an embedded store .* or an outbox",
        ),
        ({"path": "/x", "timeout": 3}, "timeout is of a Qdrant server, and this store is embedded"),
        ({"api_key": "sk-secret"}, "api_key is of a Qdrant server"),
        ({"url": "http://a", "api_keys": "x"}, r"did you mean api_key\?"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        MemoryConfig.build(**options).server  # noqa: B018
    assert "secret" not in str(caught.value)


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_URL", "http://a,http://b")
    monkeypatch.setenv("QDRANT_API_KEY", "sk-secret")
    monkeypatch.setenv("CREWAI_MEMORY_TIMEOUT", "2.5")
    monkeypatch.setenv("CREWAI_MEMORY_COLLECTION", "crews")
    monkeypatch.setenv("CREWAI_MEMORY_HEADERS", '{"x-tenant": "t"}')
    monkeypatch.setenv("CREWAI_MEMORY_COLLECTION_SETTINGS", '{"shard_number": 6, "replication_factor": 2}')
    server = MemoryConfig.build(user_id="john").server
    assert server is not None
    assert server.urls == ("http://a:6333", "http://b:6333")
    assert server.api_key is not None
    assert server.api_key.get_secret_value() == "sk-secret"
    assert (server.timeout, server.collection, server.headers) == (2.5, "crews", (("x-tenant", "t"),))
    assert server.collection_settings == CollectionSettings(shard_number=6, replication_factor=2)  # type: ignore[call-arg]
    assert MemoryConfig.build(url="http://c").server.urls == ("http://c:6333",)  # type: ignore[union-attr]
    # The environment may hold a server's options while one program asks for an embedded store.
    assert MemoryConfig.build(path="/x").server is None


def test_what_is_none_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """``api_key=os.getenv(...)`` of an unset variable must not hide the one that is set."""
    monkeypatch.setenv("QDRANT_API_KEY", "from the environment")
    server = MemoryConfig.build(url="http://a", api_key=None, timeout=None).server  # type: ignore[arg-type]
    assert server is not None
    assert server.api_key is not None


def test_the_host_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_MEMORY_HOST", "qdrant")
    assert urls() == ("http://qdrant:6333",)
    monkeypatch.setenv("QDRANT_URL", "http://a")
    with pytest.raises(ConfigurationError, match="QDRANT_URL and CREWAI_MEMORY_HOST are both set"):
        MemoryConfig.build()


def test_equal_settings_are_equal(tmp_path: Path) -> None:
    one, two = (MemoryConfig.build(url="http://a", headers={"x": "1", "y": "2"}).server for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    assert one != MemoryConfig.build(url="http://a", api_key="k").server
