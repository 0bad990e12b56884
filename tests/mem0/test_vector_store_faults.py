"""A vector store of Mem0 OSS that is away, goes away, or cannot keep a text: named, in time, and reads asked again."""

from __future__ import annotations

import copy
import socket
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    InvalidEntryError,
    MemoryStore,
    RequestRefusedError,
    StoreCorruptedError,
    StorePathError,
    StoreUnavailableError,
    open_store,
)

from ..support.mem0_stores import MORE_OF_MEM0, asked_for, is_opened
from ..support.openai_server import DIMENSIONS, OpenAIServer
from ..support.qdrant_server import free_ports
from ..support.tcp_proxy import TcpProxy
from ..support.vector_servers import SERVERS, Postgres
from .conftest import library_of

ASKED = [name.removeprefix("mem0-") for name in asked_for()]


def only(*names: str) -> Any:
    """The kinds of these that were asked for."""
    chosen = [name for name in names if name in ASKED]
    skip = pytest.mark.skip(reason=f"{', '.join(names)}: nox -s vector_stores runs it")
    return pytest.mark.parametrize("kind", chosen or [pytest.param(names[0], marks=skip)])


DRIVERS = {"chroma": "chromadb", "redis": "redisvl", "valkey": "valkey", "pgvector": "psycopg", "supabase": "psycopg"}
AWAY: dict[str, Any] = {
    "redis": lambda port: {"redis_url": f"redis://:secret@127.0.0.1:{port}", "embedding_model_dims": DIMENSIONS},
    "valkey": lambda port: {"valkey_url": f"valkey://:secret@127.0.0.1:{port}", "embedding_model_dims": DIMENSIONS},
    "supabase": lambda port: {"connection_string": f"postgresql://a:secret@127.0.0.1:{port}/x"},
    "chroma": lambda port: {"host": "127.0.0.1", "port": port, "collection_name": "away"},
    "pgvector": lambda port: {"connection_string": f"postgresql://a:secret@127.0.0.1:{port}/x"},
}


@pytest.mark.parametrize("provider", [name for name in sorted(AWAY) if is_opened(name)])
def test_a_server_that_is_down_is_told_in_time(provider: str, openai_server: OpenAIServer, tmp_path: Path) -> None:
    [port] = free_ports(1)
    assert_told_in_time(provider, port, openai_server, tmp_path)


@pytest.mark.parametrize("provider", [name for name in sorted(AWAY) if is_opened(name)])
def test_a_server_that_is_silent_is_told_in_time(provider: str, openai_server: OpenAIServer, tmp_path: Path) -> None:
    """It takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert_told_in_time(provider, silent.getsockname()[1], openai_server, tmp_path)


def assert_told_in_time(provider: str, port: int, openai_server: OpenAIServer, tmp_path: Path) -> None:
    pytest.importorskip(DRIVERS[provider], reason="nox -s vector_stores installs it")
    vectors = {"provider": provider, "config": AWAY[provider](port)}
    about: Any = openai_server.local_mem0_config(vectors, str(tmp_path / "history.db"))
    options: Any = {"local_mem0_config": about, "startup_timeout": 1}
    with pytest.raises(StoreUnavailableError) as first:
        open_store(user_id="john", mem0=options, durability="store")
    start = time.monotonic()  # with everything imported
    with pytest.raises(StoreUnavailableError) as raised:
        open_store(user_id="john", mem0=options, durability="store")
    assert time.monotonic() - start < 5
    for told in (first, raised):
        assert "secret" not in str(told.value)


def add_while_connections_are_cut(store: MemoryStore, postgres: Postgres) -> None:
    """A pool that notices it gives another connection."""
    for _ in range(100):
        postgres.cut_connections()
        store.add("I like tea.")


def reads_are_asked_again(store: MemoryStore, server: Any) -> None:
    """Save one memory, and read it while the server cuts its connections."""
    store.add("I am allergic to nuts.", id="a")
    for _ in range(3):
        server.cut_connections()
        assert [entry.content for entry in store.search("nuts")] == ["I am allergic to nuts."]
        server.cut_connections()
        assert store.count() == 1


@only("pgvector", "supabase")
def test_connections_that_are_cut(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A read is asked again; a write is done, or says that it may have been done."""
    postgres = request.getfixturevalue("vector_servers")("postgres")
    about: Any = dict(MORE_OF_MEM0[kind].options(request, tmp_path)["mem0"])
    with open_store(user_id="john", mem0=about, durability="store") as store:
        reads_are_asked_again(store, postgres)
        with pytest.raises(StoreUnavailableError, match="may have been done all the same"):
            add_while_connections_are_cut(store, postgres)
        assert store.update("a", content="I am allergic to milk.") is not None
        assert store.get("a") is not None


@only("redis", "valkey")
def test_redis_connections_that_are_cut(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    server = request.getfixturevalue("vector_servers")(kind)
    about: Any = MORE_OF_MEM0[kind].options(request, tmp_path)["mem0"]
    with open_store(user_id="john", mem0=about, durability="store") as store:
        reads_are_asked_again(store, server)
        server.cut_connections()
        assert store.update("a", content="I am allergic to milk.") is not None
        assert store.get("a") is not None


@only("redis", "valkey")
def test_a_server_without_a_search_module(kind: str, openai_server: OpenAIServer, tmp_path: Path) -> None:
    server = SERVERS[kind](modules=[]).start()
    try:
        vectors = {"provider": kind, "config": {**AWAY[kind](server.port), "collection_name": "plain"}}
        vectors["config"][f"{kind}_url"] = server.url
        about: Any = openai_server.local_mem0_config(vectors, str(tmp_path / "history.db"))
        with pytest.raises(ConfigurationError, match="no search module"):
            open_store(user_id="john", mem0={"local_mem0_config": about}, durability="store")
    finally:
        server.stop()


@only("chroma-server", "redis", "valkey")
def test_a_server_that_is_killed_and_comes_back(kind: str, openai_server: OpenAIServer, tmp_path: Path) -> None:
    provider = kind.partition("-")[0]
    server = SERVERS[provider]().start()
    try:
        vectors = {"provider": provider, "config": {**AWAY[provider](server.port), "collection_name": "killed"}}
        if provider != "chroma":
            vectors["config"][f"{provider}_url"] = server.url
        about: Any = openai_server.local_mem0_config(vectors, str(tmp_path / "history.db"))
        options: Any = {"local_mem0_config": about, "retry_for": 0.5}
        with open_store(user_id="john", mem0=options, durability="store") as store:
            store.add("I am allergic to nuts.", id="a")
            server.kill()
            with pytest.raises(StoreUnavailableError):
                store.search("nuts")
            server.start()
            assert [entry.content for entry in store.search("nuts")] == ["I am allergic to nuts."]
            store.add("I like tea.")
            assert store.count() == 2
    finally:
        server.stop()


@only("redis", "valkey")
def test_more_than_redis_has_in_one_answer(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """All are counted; or, if they are from the same second, nothing is counted wrong: it is an error."""
    about: Any = MORE_OF_MEM0[kind].options(request, tmp_path)["mem0"]

    def stored(numbers: range, second: float) -> None:
        times = [datetime.fromtimestamp(1_700_000_000 + number * second, timezone.utc) for number in numbers]
        library_of(store).vector_store.insert(
            vectors=[[0.1] * DIMENSIONS] * len(numbers),
            ids=[str(uuid.uuid4()) for _ in numbers],
            payloads=[
                {"data": f"fact {number}", "user_id": "john", "created_at": time.isoformat()}
                for number, time in zip(numbers, times, strict=True)
            ],
        )

    with open_store(user_id="john", mem0=about, durability="store") as store:
        store.add("I am allergic to nuts.")
        stored(range(10_500), 0.01)
        assert store.count() == 10_501
        assert {entry.content for entry in store.scan()} >= {f"fact {number}" for number in range(10_500)}
        found = store.search("I am allergic to nuts.", limit=1)
        assert [entry.content for entry in found] == ["I am allergic to nuts."]
        library_of(store).vector_store.most = 50
        for call in (store.count, store.list, store.reset):
            with pytest.raises(RequestRefusedError, match="same second"):
                call()


@only("pgvector", "supabase")
def test_nobody_answers_and_then_somebody_does(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    proxy = TcpProxy(request.getfixturevalue("vector_servers")("postgres").port, raw=True)
    about: Any = dict(MORE_OF_MEM0[kind].options(request, tmp_path)["mem0"])
    settings = about["local_mem0_config"]["vector_store"]["config"]
    settings["connection_string"] = request.getfixturevalue("vector_servers")("postgres").url_at(proxy.port)
    options = {**about, "retry_for": 0.5, "startup_timeout": 1}
    with open_store(user_id="john", mem0=options, durability="store") as store:
        store.add("I am allergic to nuts.")
        proxy.close()
        with pytest.raises(StoreUnavailableError):
            store.search("nuts")
        proxy.listen()
        assert store.count() == 1
        store.add("I like tea.")
    proxy.close()


@only("pgvector")
def test_no_transaction_is_left_open(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """It would keep Postgres from cleaning up its tables. mem0ai 0.1 left one of its telemetry's."""
    postgres = request.getfixturevalue("vector_servers")("postgres")
    about: Any = MORE_OF_MEM0[kind].options(request, tmp_path)["mem0"]
    with open_store(user_id="john", mem0=about) as store:
        assert store.count() == 0
    # Now the tables are there.
    with open_store(user_id="john", mem0=about) as store:
        assert store.count() == 0
        states = postgres.execute("SELECT state FROM pg_stat_activity WHERE backend_type = 'client backend'")
        assert ("idle",) in states
        assert ("idle in transaction",) not in states


@only("pgvector", "supabase")
@pytest.mark.parametrize("given", [{"content": "a\0b"}, {"content": "a", "metadata": {"by": "a\0b"}}])
def test_a_text_that_postgres_does_not_keep(
    kind: str, given: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    about: Any = dict(MORE_OF_MEM0[kind].options(request, tmp_path)["mem0"])
    with open_store(user_id="john", mem0=about, durability="store") as store:
        with pytest.raises(InvalidEntryError, match="NUL"):
            store.add(**given)
        store.add("I am allergic to nuts.", id="a")
        with pytest.raises(InvalidEntryError, match="NUL"):
            store.update("a", **given)
        assert [entry.content for entry in store.search("nuts\0")] == ["I am allergic to nuts."]
        assert store.count() == 1


@only("pgvector", "supabase")
def test_vectors_of_another_length_name_the_setting(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    about: Any = dict(MORE_OF_MEM0[kind].options(request, tmp_path)["mem0"])
    del about["local_mem0_config"]["vector_store"]["config"]["embedding_model_dims"]
    with (
        open_store(user_id="john", mem0=about, durability="store") as store,
        pytest.raises(ConfigurationError, match="embedding_model_dims"),
    ):
        store.add("I am allergic to nuts.")


@only("chroma", "chroma-server", "faiss", "pgvector", "qdrant-folder", "redis", "supabase", "valkey")
def test_another_embedder_than_before_is_told(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The first thing that a crew does is to search."""
    about: Any = dict(MORE_OF_MEM0[kind].options(request, tmp_path)["mem0"])
    with open_store(user_id="john", mem0=about, durability="store") as store:
        store.add("I am allergic to nuts.", id="a")
    another = copy.deepcopy(about)
    another["local_mem0_config"]["embedder"]["config"] |= {"model": "text-embedding-3-small", "embedding_dims": 1536}
    with open_store(user_id="john", mem0=another, durability="store") as store:
        for call in (
            lambda: store.search("nuts"),
            lambda: store.update("a", content="I like nuts."),
            lambda: store.add("I like tea."),
        ):
            with pytest.raises(ConfigurationError, match=r"embedder's vectors have 1536 numbers.*is for 64"):
                call()
        assert [entry.content for entry in store.list()] == ["I am allergic to nuts."]
    with open_store(user_id="john", mem0=about, durability="store") as store:
        assert [entry.content for entry in store.search("nuts")] == ["I am allergic to nuts."]


class TestFaiss:
    @pytest.fixture
    def about(self, request: pytest.FixtureRequest, tmp_path: Path) -> Any:
        return MORE_OF_MEM0["faiss"].options(request, tmp_path)["mem0"]

    @only("faiss")
    def test_a_path_that_is_a_file(self, kind: str, about: Any, tmp_path: Path) -> None:
        (tmp_path / "faiss").write_text("x")
        with pytest.raises(StorePathError, match="path of vector_store"):
            open_store(user_id="john", mem0=about)

    @only("faiss")
    def test_another_length_than_that_of_the_folder(self, kind: str, about: Any) -> None:
        with open_store(user_id="john", mem0=about, durability="store") as store:
            store.add("I am allergic to nuts.")
        del about["local_mem0_config"]["vector_store"]["config"]["embedding_model_dims"]
        with pytest.raises(ConfigurationError, match="embedding_model_dims"):
            open_store(user_id="john", mem0=about)

    @only("faiss")
    def test_a_write_that_was_cut_off(self, kind: str, about: Any, tmp_path: Path) -> None:
        """Killed after the new files are complete, and before; neither leaves rows with the vectors of others."""
        folder = tmp_path / "faiss"

        def files(pattern: str) -> dict[str, bytes]:
            return {file.name: file.read_bytes() for file in folder.glob(pattern)}

        def texts() -> set[str]:
            with open_store(user_id="john", mem0=about, durability="store") as store:
                return {entry.content for entry in store.search("nuts", limit=10)}

        with open_store(user_id="john", mem0=about, durability="store") as store:
            store.add("I am allergic to nuts.")
            before = files("t-*")
            store.add("I like nuts.")
            after = files("t-*")
        for name, content in before.items():
            (folder / name).write_bytes(content)
        for name, content in after.items():
            (folder / f"{name}.new").write_bytes(content)
        assert texts() == {"I am allergic to nuts.", "I like nuts."}
        for name, content in before.items():
            (folder / name).write_bytes(content)
            if name.endswith(".faiss"):
                (folder / f"{name}.new").write_bytes(content[:20])
        assert texts() == {"I am allergic to nuts."}
        assert not list(folder.glob("*.new"))

    @only("faiss")
    def test_files_that_do_not_fit(self, kind: str, about: Any, tmp_path: Path) -> None:
        with open_store(user_id="john", mem0=about, durability="store") as store:
            store.add("I am allergic to nuts.")
        for file in (tmp_path / "faiss").glob("*.json"):
            file.write_text('{"docstore": {}, "index_to_id": {}}')
        with pytest.raises(StoreCorruptedError, match="backup"):
            open_store(user_id="john", mem0=about)

    @only("faiss")
    def test_a_folder_that_cannot_be_written_any_more(self, kind: str, about: Any, tmp_path: Path) -> None:
        with open_store(user_id="john", mem0=about, durability="store") as store:
            store.add("I am allergic to nuts.")
            [rows] = [file for file in (tmp_path / "faiss").glob("t-*.json") if "entities" not in file.name]
            (rows.with_name(f"{rows.name}.new~")).mkdir()
            with pytest.raises(StorePathError, match="cannot write"):
                store.add("I like tea.")
            assert store.count() == 1, "what was not kept is not shown"
            (rows.with_name(f"{rows.name}.new~")).rmdir()
            store.add("I like coffee.")
        with open_store(user_id="john", mem0=about, durability="store") as store:
            assert {entry.content for entry in store.list()} == {"I am allergic to nuts.", "I like coffee."}
