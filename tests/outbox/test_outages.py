"""Real stores that are away, frozen or lose answers: nothing is lost, nothing is doubled, and nobody waits for long."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryStore, StoreUnavailableError, open_store
from crewai_persistent_memory.outbox import deliveries

from ..support.calling import until
from ..support.embedders import WordHashEmbedder
from ..support.mem0_platform import DEFAULT_KEY, Fault, Mem0Platform
from ..support.qdrant_server import QdrantServer
from ..support.tcp_proxy import PASS, Request, TcpProxy
from ..support.tcp_proxy import Fault as NetworkFault

Open = Callable[..., MemoryStore]


@pytest.fixture
def open_here(tmp_path: Path) -> Iterator[Open]:
    opened: list[MemoryStore] = []

    def open_one(**options: Any) -> MemoryStore:
        given = {
            "user_id": "john",
            "durability": "outbox",
            "outbox_path": tmp_path / "outbox",
            "recall_timeout": 0.5,
            "exit_wait": 0.2,
            **options,
        }
        opened.append(open_store(**given))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


def contents(store: MemoryStore) -> list[str]:
    return sorted(entry.content for entry in store.scan())


class TestQdrant:
    def test_a_change_that_is_not_answered_tells_of_the_outage(
        self, own_server: QdrantServer, open_here: Open, caplog: pytest.LogCaptureFixture
    ) -> None:
        """No read has met it. The next change does not wait: the store is known to be away."""
        store = open_here(url=own_server.url, embedder=None)
        store.add("tea", id="tea")
        assert store.flush()
        breaker = store.backend.outbox.breaker  # type: ignore[attr-defined]
        own_server.pause()
        try:
            store.update("tea", importance=0.9)
            assert breaker.is_open
            assert caplog.text.count("is away") == 1
            assert "no answer to a change within 0.5 s" in caplog.text
        finally:
            own_server.resume()
        assert store.flush(30)
        found = store.get("tea")
        assert found is not None
        assert found.importance == 0.9

    def test_a_reset_tells_how_many_entries_it_took_out(self, own_server: QdrantServer, open_here: Open) -> None:
        store = open_here(url=own_server.url, embedder=None, retry_for=0.5)
        store.add("before")
        assert store.flush()
        own_server.kill()
        for number in range(5):
            store.add(f"during {number}")
        until(lambda: store.backend.outbox.breaker.is_open, bool)  # type: ignore[attr-defined]
        assert store.reset() == 5, "also those that were sent, and refused by nobody"
        own_server.restart()
        assert store.flush(30)
        assert contents(store) == []

    def test_away_and_back(self, own_server: QdrantServer, open_here: Open) -> None:
        store = open_here(url=own_server.url, embedder=None, retry_for=0.5)
        store.add("before")
        assert store.flush()
        own_server.kill()
        start = time.monotonic()
        for number in range(10):
            store.add(f"during {number}")
        assert [entry.content for entry in store.search("during 3", limit=1)] == ["during 3"]
        assert time.monotonic() - start < 10, "22 if each of them waited"
        own_server.restart()
        assert store.flush(30)
        assert contents(store) == sorted(["before", *(f"during {number}" for number in range(10))])

    def test_frozen(self, own_server: QdrantServer, open_here: Open) -> None:
        store = open_here(url=own_server.url, embedder=None, retry_for=0.5, timeout=1)
        store.add("before")
        assert store.flush()
        own_server.pause()
        try:
            start = time.monotonic()
            store.add("green tea")
            first = store.search("green tea")
            for _ in range(5):
                store.search("green tea")
            assert time.monotonic() - start < 6, "12 if each of them waited"
        finally:
            own_server.resume()
        assert [entry.content for entry in first] == ["green tea"]
        assert store.flush(30)
        assert contents(store) == ["before", "green tea"]

    def test_a_store_that_is_away_is_opened_all_the_same(self, own_server: QdrantServer, open_here: Open) -> None:
        own_server.kill()
        start = time.monotonic()
        store = open_here(url=own_server.url, embedder=None, retry_for=0.5)
        store.add("tea")
        assert [entry.content for entry in store.search("tea")] == ["tea"]
        assert time.monotonic() - start < 10
        with pytest.raises(StoreUnavailableError):
            open_here(url=own_server.url, embedder=None, startup_check=True)
        own_server.restart()
        assert store.flush(30)
        assert contents(store) == ["tea"]

    @pytest.mark.parametrize(
        "status", ["200 OK", "302 Found", "400 Bad Request", "404 Not Found", "405 Method Not Allowed"]
    )
    def test_a_gateway_in_its_place(
        self, server: QdrantServer, collection: str, open_here: Open, monkeypatch: pytest.MonkeyPatch, status: str
    ) -> None:
        """As while an ingress is exchanged: its pages say nothing about the writes."""
        proxy = TcpProxy(server.port)
        try:
            store = open_here(url=proxy.url, collection=collection, embedder=None, retry_for=0)
            store.add("first")
            assert store.flush()
            proxy.rule = lambda request: NetworkFault("answer", status=status, body=b"<html>")
            for text in ("second", "third"):
                store.add(text)
            until(lambda: store.health()["outbox"]["last_error"], bool)
            assert {entry.content for entry in store.search("second")} == {"second"}
            with pytest.raises(StoreUnavailableError):
                store.count()
            assert store.health()["status"] == "unavailable"
            with pytest.raises(StoreUnavailableError, match=r"Is it the address of a Qdrant \(url=\)\?"):
                open_here(url=proxy.url, collection=collection, embedder=None)
            proxy.rule = lambda request: PASS
            assert store.flush(60)
            assert contents(store) == ["first", "second", "third"]
            assert store.health()["outbox"]["dead_letters"] == 0
            store.close()
        finally:
            proxy.close()

    def test_lost_answers(self, server: QdrantServer, collection: str, open_here: Open) -> None:
        proxy = TcpProxy(server.port)
        try:
            store = open_here(url=proxy.url, collection=collection, embedder=None, retry_for=0)
            store.add("first")
            assert store.flush()
            left = itertools.count(2, -1)
            is_write = _is_write
            proxy.rule = lambda request: NetworkFault("lose") if is_write(request) and next(left) > 0 else PASS
            store.add("second")
            entry = store.add("third")
            store.delete(entry.id)
            assert store.flush(30)
            assert contents(store) == ["first", "second"]
            store.close()
        finally:
            proxy.close()

    def test_a_delivery_that_is_repeated_embeds_nothing_again(
        self, server: QdrantServer, collection: str, open_here: Open
    ) -> None:
        proxy, embedder = TcpProxy(server.port), WordHashEmbedder()
        try:
            store = open_here(url=proxy.url, collection=collection, embedder=embedder, retry_for=0)
            left = itertools.count(2, -1)
            proxy.rule = lambda request: NetworkFault("lose") if _is_write(request) and next(left) > 0 else PASS
            store.add("John likes tea")
            assert store.flush(30)
            assert next(left) < 0, "it was repeated"
            assert sum(texts.count("John likes tea") for texts in embedder.calls) == 1
            store.close()
        finally:
            proxy.close()

    def test_a_save_costs_no_round_trip(self, server: QdrantServer, collection: str, open_here: Open) -> None:
        proxy = TcpProxy(server.port)
        try:
            store = open_here(url=proxy.url, collection=collection, embedder=None)
            proxy.rule = lambda request: NetworkFault(delay=1)
            start = time.monotonic()
            for number in range(10):
                store.add(f"fact {number}")
            assert time.monotonic() - start < 5, "10 if each of them waited"
            assert store.flush(30)
            store.close()
        finally:
            proxy.close()


def _is_write(request: Request) -> bool:
    return "/points" in request.path and (request.method == "PUT" or "/delete" in request.path)


class TestMem0:
    @pytest.fixture
    def store(self, mem0_platform: Mem0Platform, open_here: Open, monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
        monkeypatch.setattr(deliveries, "SETTLING", 0.3)
        monkeypatch.setattr(deliveries, "SETTLING_MESSAGES", 0.6)
        return open_here(mem0={"api_key": DEFAULT_KEY, "host": mem0_platform.url, "retry_for": 0.2})

    def test_away_and_back(self, store: MemoryStore, mem0_platform: Mem0Platform) -> None:
        mem0_platform.faults.append(Fault("", 503, times=10_000))
        for number in range(5):
            store.add(f"fact {number}")
        assert [entry.content for entry in store.search("fact 3", limit=1)] == ["fact 3"]
        mem0_platform.faults.clear()
        assert store.flush(30)
        assert contents(store) == [f"fact {number}" for number in range(5)]

    def test_a_lost_answer_of_a_text(self, store: MemoryStore, mem0_platform: Mem0Platform) -> None:
        mem0_platform.faults.append(Fault("memories/add|v1/memories/$", 502, acts=True))
        store.add("I like tea")
        assert store.flush(30)
        assert contents(store) == ["I like tea"]
        assert len(mem0_platform.adds) == 1

    def test_a_lost_answer_of_messages(self, store: MemoryStore, mem0_platform: Mem0Platform) -> None:
        mem0_platform.faults.append(Fault("memories/add|v1/memories/$", 502, acts=True))
        assert store.add_messages([{"role": "user", "content": "I am allergic to nuts."}]).pending
        assert store.flush(30)
        assert len(mem0_platform.adds) == 1
        [entry] = store.scan()
        assert "nuts" in entry.content
        assert entry.metadata == {}, "what names the delivery is not the caller's"
