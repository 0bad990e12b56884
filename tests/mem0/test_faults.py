"""A platform that is down, slow, busy or says no: the right error, and nothing done twice."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    EngineError,
    InvalidEntryError,
    StoreBusyError,
    StoreClosedError,
    StoreFullError,
    StorePermissionError,
    StoreUnavailableError,
    open_store,
)
from crewai_persistent_memory.backends.mem0.cloud_clients import CLIENTS
from crewai_persistent_memory.backends.mem0.errors import classify, request_info
from crewai_persistent_memory.backends.mem0.ids import all_with
from crewai_persistent_memory.io.retry import Effect
from crewai_persistent_memory.io.steps import run

from ..support.mem0_platform import DEFAULT_KEY, Fault, Mem0Platform
from ..support.tcp_proxy import TcpProxy
from .conftest import OpenMem0

MESSAGES: Any = [{"role": "user", "content": "I am allergic to nuts."}]


@pytest.fixture(params=["blocking", "awaiting"])
def do(request: pytest.FixtureRequest) -> Any:
    if request.param == "blocking":
        return lambda store, method, *args, **kwargs: getattr(store, method)(*args, **kwargs)
    return lambda store, method, *args, **kwargs: asyncio.run(getattr(store, f"a{method}")(*args, **kwargs))


def test_a_wrong_key(mem0_platform: Mem0Platform) -> None:
    with pytest.raises(StorePermissionError, match=r"Invalid API key.*MEM0_API_KEY") as raised:
        open_store(user_id="john", mem0={"api_key": "m0-wrong-key-123456", "host": mem0_platform.url})
    assert "m0-wrong-key-123456" not in str(raised.value)


def test_busy_and_then_not(cloud: OpenMem0, mem0_platform: Mem0Platform, do: Any) -> None:
    """429 was not done, so even an add is asked again, when the platform says."""
    store = cloud()
    mem0_platform.faults.append(Fault("add|v1/memories/$", 429, times=2, headers={"Retry-After": "0.2"}))
    start = time.monotonic()
    do(store, "add", "x")
    assert time.monotonic() - start > 0.3
    assert len(mem0_platform.memories) == 1


def test_busy_for_longer_than_we_wait(cloud: OpenMem0, mem0_platform: Mem0Platform, do: Any) -> None:
    store = cloud()
    mem0_platform.faults.append(Fault("memories", 429, headers={"Retry-After": "3600"}))
    with pytest.raises(StoreBusyError, match="3600 s") as raised:
        do(store, "search", "x")
    assert raised.value.retry_after == 3600


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_reads_are_asked_again(cloud: OpenMem0, mem0_platform: Mem0Platform, do: Any, status: int) -> None:
    store = cloud()
    store.add("tea")
    mem0_platform.faults.append(Fault("search", status, times=2))
    assert [entry.content for entry in do(store, "search", "tea")] == ["tea"]


def test_an_add_whose_answer_was_lost_is_not_repeated(cloud: OpenMem0, mem0_platform: Mem0Platform, do: Any) -> None:
    store = cloud()
    mem0_platform.faults.append(Fault("memories", 502, acts=True))
    with pytest.raises(StoreUnavailableError, match="may have been done all the same"):
        do(store, "add_messages", MESSAGES)
    assert len(mem0_platform.adds) == 1


def test_a_deletion_is_repeated(cloud: OpenMem0, mem0_platform: Mem0Platform, do: Any) -> None:
    store = cloud()
    store.add("x")
    mem0_platform.faults.append(Fault("batch", 503, acts=True))
    assert do(store, "reset") == 1
    assert mem0_platform.memories == {}


@pytest.mark.parametrize(
    ("status", "error"),
    [(402, StoreFullError), (413, StoreFullError), (400, InvalidEntryError), (422, InvalidEntryError)],
)
def test_a_no_is_told_in_the_platforms_words(
    cloud: OpenMem0, mem0_platform: Mem0Platform, do: Any, status: int, error: type[Exception]
) -> None:
    store = cloud()
    mem0_platform.faults.append(Fault("memories", status))
    with pytest.raises(error, match=f"scripted {status}"):
        do(store, "add", "x")
    assert mem0_platform.memories == {}


def test_retries_can_be_switched_off(cloud: OpenMem0, mem0_platform: Mem0Platform, do: Any) -> None:
    store = cloud(mem0={"retry_for": 0})
    mem0_platform.faults.append(Fault("search", 503))
    with pytest.raises(StoreUnavailableError):
        do(store, "search", "x")


def test_nobody_answers_in_time(do: Any) -> None:
    """The client's own patience would be 300 s."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        about: Any = {"api_key": DEFAULT_KEY, "host": host, "timeout": 0.3, "retry_for": 0, "startup_check": False}
        with open_store(user_id="john", mem0=about) as store:
            start = time.monotonic()
            with pytest.raises(StoreUnavailableError, match=r"did not answer adding memories.*may have been done"):
                do(store, "add", "x")
            assert time.monotonic() - start < 20


def test_clients_are_made_anew_after_a_fork_and_in_every_loop(cloud: OpenMem0, mem0_platform: Mem0Platform) -> None:
    store = cloud()
    store.add("of the parent")
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            store.add("of the child")
        except BaseException:  # noqa: BLE001 (whatever it is, the parent hears of it by the exit code)
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    async def in_a_loop(number: int) -> None:
        # All at once in a new loop: they share one client, whoever makes it.
        await asyncio.gather(*(store.aadd(f"loop {number} {i}") for i in range(20)))
        assert len(store.backend.api._clients._awaiting) == 1

    for number in range(3):
        asyncio.run(in_a_loop(number))
    assert len(store.backend.api._clients._awaiting) == 0, "closed with their loops"
    assert store.count() == 62
    assert {entry.content for entry in store.list()} >= {"of the parent", "of the child", "loop 2 4"}


def test_handles_share_their_sockets(mem0_platform: Mem0Platform) -> None:
    """Whoever opens a store for each request makes no connection for each; another key is another connection."""
    proxy = TcpProxy(urlsplit(mem0_platform.url).port or 0)
    about: Any = {"api_key": DEFAULT_KEY, "host": proxy.url}
    with open_store(user_id="john", mem0=about) as john:
        for number in range(5):
            with open_store(user_id=f"user {number}", mem0=about) as other:
                assert other.count() == 0
            with pytest.raises(StoreClosedError):
                other.count()
        assert john.count() == 0
        assert proxy.connections == 1
        with pytest.raises(StorePermissionError):
            open_store(user_id="john", mem0={**about, "api_key": "m0-of-somebody-else"})
        assert proxy.connections == 2
    assert CLIENTS.keys() == []
    proxy.close()


def test_long_lists_are_paged(cloud: OpenMem0, mem0_platform: Mem0Platform, do: Any) -> None:
    for number in range(450):
        mem0_platform.remember(f"fact {number}", user_id="john", app_id="default", run_id="no-run")
    store = cloud()
    assert do(store, "count") == 450
    assert len(do(store, "list", limit=1000)) == 450
    assert do(store, "reset") == 450


def test_filters_and_scores_are_applied_to_what_was_found(open_mem0: OpenMem0, do: Any) -> None:
    store = open_mem0()
    for number in range(30):
        store.add(f"tea tea tea {number}")
    store.add("something else about tea", categories=["rare"])
    assert [e.content for e in do(store, "search", "tea", limit=1, categories=["rare"])] == ["something else about tea"]
    best = do(store, "search", "tea tea tea 7", limit=1)[0]
    assert best.content == "tea tea tea 7"
    assert do(store, "search", "tea tea tea 7", min_score=best.score - 0.001)[0].content == best.content
    assert all(e.score >= 0.5 for e in do(store, "search", "tea", min_score=0.5))


def test_a_recall_asks_for_little(cloud: OpenMem0, mem0_platform: Mem0Platform) -> None:
    """CrewAI's recall leaves out private memories: a filter of ours, for which not all must be fetched."""
    from crewai_persistent_memory import PersistentMemory

    store = cloud()
    for number in range(60):
        mem0_platform.remember(f"tea {number}", user_id="john", app_id="default", run_id="no-run")
    with PersistentMemory(store=store) as memory:
        assert len(memory.recall("tea", limit=5)) == 5
    searches = [b for path in ("/v3/memories/search/", "/v2/memories/search/") for b in mem0_platform.bodies(path)]
    # More than five for the stages of a recall, and four times as many because some may be left out.
    assert [body["top_k"] for body in searches] == [4 * 17]
    store.add("tea and cake", private=True)
    store.search("tea and cake", limit=5, categories=["none has it"])
    searches = [b for path in ("/v3/memories/search/", "/v2/memories/search/") for b in mem0_platform.bodies(path)]
    assert [body["top_k"] for body in searches[1:]] == [20, 1000]


def test_an_update_keeps_the_expiry(open_mem0: OpenMem0) -> None:
    store = open_mem0(run_id="r1", mem0={"run_expiry_days": 7})
    store.add("of a run", id="a")
    later = open_mem0(run_id="r1", mem0={"run_expiry_days": 30})
    later.update("a", content="of a run, changed")
    [record] = run(all_with(later.backend.api, "a", [later.scope]))
    assert record.expires == (datetime.now(timezone.utc) + timedelta(days=7)).date()


def test_metadata_cannot_move_a_memory(open_mem0: OpenMem0) -> None:
    """Some versions of Mem0 take identities from metadata."""
    attack = dict.fromkeys(
        ("user_id", "agent_id", "run_id", "app_id", "crewai_id", "crewai_memory", "data", "memory", "actor_id"),
        "victim",
    )
    mallory, victim = open_mem0(user_id="mallory"), open_mem0(user_id="victim")
    mallory.add("forged", metadata=attack)
    mallory.add_messages([{"role": "user", "content": "I am allergic to nuts."}], wait=True, metadata=attack)
    assert victim.list() == []
    assert victim.search("forged nuts") == []
    assert {entry.content for entry in mallory.list()} == {"forged", "I am allergic to nuts"}
    assert all(entry.metadata == attack for entry in mallory.list())
    assert all(entry.scope.user_id == "mallory" and entry.id != "victim" for entry in mallory.list())


def test_vectors_and_weights_are_refused_in_words(open_mem0: OpenMem0) -> None:
    from crewai_persistent_memory import RankingWeights

    store = open_mem0()
    with pytest.raises(InvalidEntryError, match="makes its own vectors"):
        store.add("x", embedding=[1.0, 2.0])
    with pytest.raises(InvalidEntryError, match="searches by text"):
        store.nearest([1.0, 2.0])
    with pytest.raises(InvalidEntryError, match="ranks by itself"):
        store.search("x", weights=RankingWeights())
    for messages in ("text", [], [{"role": "boss", "content": "x"}], [{"role": "user", "content": " "}]):
        with pytest.raises(InvalidEntryError, match=r"messages|message"):
            store.add_messages(messages)


@pytest.mark.parametrize(
    ("name", "module", "state", "text", "error"),
    [
        (
            "UntranslatableCharacter",
            "psycopg.errors",
            "22P05",
            "\\u0000 cannot be converted to text",
            InvalidEntryError,
        ),
        ("DataError", "psycopg", None, "PostgreSQL text fields cannot contain NUL (0x00) bytes", InvalidEntryError),
        ("DataException", "psycopg.errors", "22000", "expected 1536 dimensions, not 64", ConfigurationError),
        ("OperationalError", "psycopg2", None, "connection refused: Connection refused", StoreUnavailableError),
        ("OperationalError", "psycopg", None, "server closed the connection unexpectedly", StoreUnavailableError),
        ("AdminShutdown", "psycopg.errors", "57P01", "terminating connection", StoreUnavailableError),
        ("PoolTimeout", "psycopg_pool", None, "couldn't get a connection after 5.00 sec", StoreUnavailableError),
        ("TooManyConnections", "psycopg.errors", "53300", "too many clients already", StoreBusyError),
        ("DiskFull", "psycopg2.errors", "53100", "could not extend file", StoreFullError),
        ("InsufficientPrivilege", "psycopg.errors", "42501", "permission denied", StorePermissionError),
        ("UndefinedTable", "psycopg.errors", "42P01", "relation does not exist", EngineError),
        ("BusyLoadingError", "redis.exceptions", None, "Redis is loading the dataset in memory", StoreBusyError),
        ("ConnectionError", "redis.exceptions", None, "Connection closed by server.", StoreUnavailableError),
        ("AuthenticationError", "redis.exceptions", None, "invalid username-password pair", StorePermissionError),
        ("OutOfMemoryError", "redis.exceptions", None, "command not allowed when used memory", StoreFullError),
    ],
)
def test_what_drivers_raise(name: str, module: str, state: str | None, text: str, error: type[Exception]) -> None:
    """By their names and codes: no driver is imported."""
    family = type("OperationalError" if state and state[:2] in ("57", "53") else "Error", (Exception,), {})
    raised = type(name, (family,), {"__module__": module, "sqlstate": state})(text)
    failure = classify(raised, request_info("Mem0 OSS", "adding memories", Effect.ONCE))
    assert type(failure.error) is error
