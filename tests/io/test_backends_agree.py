"""The same fault on the network is the same error, whichever backend meets it: a Qdrant server and Mem0 Cloud."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from crewai_persistent_memory import (
    EngineError,
    InvalidEntryError,
    MemoryStore,
    Outcome,
    StoreBusyError,
    StoreFullError,
    StoreMissingError,
    StorePermissionError,
    StoreUnavailableError,
    open_store,
)

from ..support.calling import CALLS
from ..support.mem0_platform import DEFAULT_KEY
from ..support.tcp_proxy import PASS, Fault, Request, TcpProxy


class Backend:
    """A store behind a proxy, and the requests that an update makes."""

    def __init__(self, proxy: TcpProxy, open_one: Callable[..., MemoryStore], repeatable_write: Callable[..., Any]):
        self.proxy = proxy
        self.open = open_one
        self.repeatable_write = repeatable_write

    def fault(self, fault: Fault, times: int | None = None) -> None:
        """For the next requests, or all."""
        left = itertools.count() if times is None else iter(range(times))
        self.proxy.rule = lambda request: fault if next(left, None) is not None else PASS

    def lose_one_write_then_go_down(self) -> None:
        """The server does it and its answer is lost; then nobody listens."""

        def rule(request: Request) -> Fault:
            if request.method not in ("PUT", "DELETE"):
                return PASS
            self.proxy.refuse()
            return Fault("lose")

        self.proxy.rule = rule


@pytest.fixture(params=["qdrant", "mem0"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    opened: list[MemoryStore] = []
    if request.param == "qdrant":
        server, collection = request.getfixturevalue("server"), request.getfixturevalue("collection")
        proxy = TcpProxy(server.port)
        options: Any = {"url": proxy.url, "collection": collection, "embedder": None}
    else:
        platform = request.getfixturevalue("mem0_platform")
        proxy = TcpProxy(urlsplit(platform.url).port or 0)
        options = {"api_key": DEFAULT_KEY, "host": proxy.url}

    def open_one(**more: Any) -> MemoryStore:
        given = {**options, **more} if request.param == "qdrant" else {"mem0": {**options, **more}}
        opened.append(open_store(user_id="john", durability="store", **given))
        return opened[-1]

    def write(do: Any, store: MemoryStore) -> Any:
        """An idempotent write: of Qdrant a save under an id, of Mem0 an update."""
        if request.param == "qdrant":
            return do(store, "add", "tea", id="a")
        return do(store, "update", "a", content="green tea")

    yield Backend(proxy, open_one, write)
    for store in opened:
        store.close()
    proxy.close()


@pytest.fixture(params=["sync", "async"])
def do(request: pytest.FixtureRequest) -> Any:
    return CALLS[request.param]


MEANINGS = [
    (400, InvalidEntryError, Outcome.REFUSED),
    (400, EngineError, Outcome.REFUSED),
    (402, StoreFullError, Outcome.REFUSED),
    (403, StorePermissionError, Outcome.REFUSED),
    (404, StoreMissingError, Outcome.REFUSED),
    (409, InvalidEntryError, Outcome.REFUSED),
    (413, StoreFullError, Outcome.REFUSED),
    (422, InvalidEntryError, Outcome.REFUSED),
    (429, StoreBusyError, Outcome.NOT_DONE),
    (500, StoreUnavailableError, Outcome.NOT_DONE),
    (503, StoreUnavailableError, Outcome.NOT_DONE),
    (507, StoreFullError, Outcome.REFUSED),
]


def test_a_status(backend: Backend) -> None:
    """Of a read: nothing may have been done."""
    store = backend.open(retry_for=0)
    for status, error, outcome in MEANINGS:
        backend.fault(Fault("answer", status=f"{status} x", headers="Content-Type: application/json\r\n"))
        with pytest.raises(error, match="made by the") as raised:
            store.count()
        assert raised.value.outcome == outcome, status  # type: ignore[attr-defined]
        assert raised.value.retryable == (outcome is Outcome.NOT_DONE), status  # type: ignore[attr-defined]


def test_a_lost_answer_and_then_a_refused_connection(backend: Backend, do: Any) -> None:
    """That the last attempt did not arrive must not hide that the first one may have been done."""
    store = backend.open(retry_for=0.3)
    store.add("tea", id="a")
    backend.lose_one_write_then_go_down()
    with pytest.raises(
        StoreUnavailableError, match="may have been done all the same; doing it again is safe"
    ) as raised:
        backend.repeatable_write(do, store)
    assert (raised.value.outcome, raised.value.retryable) == (Outcome.UNKNOWN, True)


def test_a_lost_add_tells_the_id_under_which_it_may_be_added_again(backend: Backend, do: Any) -> None:
    """Without an id the same ``add`` again would be a second entry."""
    store = backend.open(retry_for=0)
    store.add("milk", id="a")
    backend.proxy.rule = lambda request: PASS if request.path.endswith("/scroll") else Fault("lose")
    with pytest.raises(StoreUnavailableError, match=r"The entry has the id '(.*)': give it as id=") as raised:
        do(store, "add", "tea")
    assert (raised.value.outcome, raised.value.retryable) == (Outcome.UNKNOWN, False)
    backend.proxy.rule = lambda request: PASS
    [id] = re.findall("has the id '(.*)'", str(raised.value))
    do(store, "add", "tea", id=id)
    assert sorted(entry.content for entry in store.list()) == ["milk", "tea"]


def test_a_refused_connection_alone(backend: Backend, do: Any) -> None:
    store = backend.open(retry_for=0.2)
    store.add("tea", id="a")
    backend.proxy.down()
    with pytest.raises(StoreUnavailableError, match="cannot be reached") as raised:
        backend.repeatable_write(do, store)
    assert "may have been done" not in str(raised.value)
    assert (raised.value.outcome, raised.value.retryable) == (Outcome.NOT_DONE, True)


def test_retry_after_in_every_form(backend: Backend, do: Any) -> None:
    store = backend.open(retry_for=1)
    in_an_hour = format_datetime(datetime.now(timezone.utc) + timedelta(hours=1), usegmt=True)
    for status, (value, seconds) in itertools.product((429, 503), (("30", 30), ("1.5", 1.5), (in_an_hour, 3600))):
        headers = f"Content-Type: application/json\r\nRetry-After: {value}\r\n"
        backend.fault(Fault("answer", status=f"{status} x", headers=headers))
        before = len(backend.proxy.requests)
        with pytest.raises((StoreBusyError, StoreUnavailableError)) as raised:
            do(store, "count")
        assert raised.value.retry_after == pytest.approx(seconds, abs=30 if seconds == 3600 else 0), (status, value)
        assert len(backend.proxy.requests) == before + 1, "asked again before it wants to be"


def test_a_short_retry_after_is_kept_to(backend: Backend, do: Any) -> None:
    store = backend.open()
    headers = "Content-Type: application/json\r\nRetry-After: 0.1\r\n"
    backend.fault(Fault("answer", status="429 x", headers=headers), times=2)
    assert do(store, "count") == 0
