"""Connections are kept alive and bounded, and survive forks and event loops."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from crewai_persistent_memory import MemoryStore, StoreClosedError, StoreUnavailableError, open_store
from crewai_persistent_memory.backends.qdrant.server import engine as server_engine

from ..support.qdrant_server import QdrantServer
from ..support.tcp_proxy import Fault, TcpProxy
from .conftest import OpenHere


@pytest.fixture(params=["rest", "grpc"])
def transport(request: pytest.FixtureRequest, server: QdrantServer) -> dict[str, Any]:
    return {"prefer_grpc": request.param == "grpc", "grpc_port": server.grpc_port}


class TestPool:
    def test_one_connection_serves_many_calls(self, proxy: TcpProxy, open_here: OpenHere) -> None:
        store = open_here(proxy.url)
        for number in range(30):
            store.add(f"fact {number}")
        assert store.count() == 30
        assert proxy.connections == 1

    def test_one_connection_serves_many_awaited_calls(self, proxy: TcpProxy, open_here: OpenHere) -> None:
        store = open_here(proxy.url, startup_check=False)

        async def work() -> None:
            for number in range(30):
                await store.aadd(f"fact {number}")

        asyncio.run(work())
        assert proxy.connections == 1

    def test_there_are_never_more_than_allowed(self, proxy: TcpProxy, open_here: OpenHere) -> None:
        store = open_here(proxy.url, max_connections=4, timeout=30)
        proxy.rule = lambda request: Fault(delay=0.005)  # long enough for more of them to meet
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(lambda number: store.add(f"fact {number}"), range(200)))
        assert store.count() == 200
        # Counted by requests: for a moment a connection that is being closed may stand beside its successor.
        assert proxy.most_at_once == 4

    def test_equal_settings_share_them(self, proxy: TcpProxy, collection: str) -> None:
        options: Any = {"url": proxy.url, "embedder": None, "collection": collection}
        with open_store(user_id="john", **options) as john:
            for number in range(20):
                with open_store(user_id=f"user {number}", **options) as other:
                    other.add("x")
                with pytest.raises(StoreClosedError):
                    other.add("y")
            john.add("still open")
        # One for the requests, and one while it is looked for entries that lack a key, in the background.
        assert proxy.connections <= 2

    def test_closing_the_last_handle_closes_them(self, proxy: TcpProxy, open_here: OpenHere) -> None:
        store = open_here(proxy.url)
        store.add("x")
        store.close()
        store.close()
        assert not any(settings.address == proxy.url for settings in server_engine._engines.keys())  # noqa: SIM118


class TestLoops:
    def test_one_handle_in_many_loops(self, server: QdrantServer, open_here: OpenHere, transport: Any) -> None:
        """A client of an earlier loop is closed with it: nothing is left to be complained about."""
        store = open_here(server.url, **transport)
        gc.collect()  # what earlier tests left is not complained about here
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResourceWarning)
            for number in range(5):
                asyncio.run(store.aadd(f"fact {number}"))
                assert asyncio.run(store.acount()) == number + 1
            gc.collect()
        assert [str(each.message) for each in caught if issubclass(each.category, ResourceWarning)] == []

    def test_loops_in_several_threads_at_once(self, server: QdrantServer, open_here: OpenHere, transport: Any) -> None:
        store = open_here(server.url, **transport)

        async def work(thread: int) -> None:
            await asyncio.gather(*(store.aadd(f"fact {thread}-{number}") for number in range(20)))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda thread: asyncio.run(work(thread)), range(4)))
        assert store.count() == 80

    def test_aclose(self, server: QdrantServer, collection: str, transport: Any) -> None:
        async def work() -> None:
            options: Any = {"url": server.url, "embedder": None, "collection": collection, **transport}
            async with open_store(user_id="john", **options) as store:
                await store.aadd("x")
                await store.atouch(["x"], soon=True)
            with pytest.raises(StoreClosedError):
                await store.acount()

        asyncio.run(work())

    def test_awaiting_does_not_block_the_loop(self, proxy: TcpProxy, open_here: OpenHere) -> None:
        from ..support.tcp_proxy import Fault

        store = open_here(proxy.url, timeout=20)
        ticks = 0

        async def work() -> None:
            nonlocal ticks
            proxy.rule = lambda request: Fault(delay=0.5)
            search = asyncio.create_task(store.asearch("x"))
            while not search.done():
                await asyncio.sleep(0.01)
                ticks += 1
            await search

        asyncio.run(work())
        assert ticks > 10


def use_in_child(store: MemoryStore, number: int) -> None:
    store.add(f"child {number}")
    assert asyncio.run(store.acount()) >= 1
    store.touch(["x"], soon=True)
    os._exit(0 if store.search(f"child {number}") else 1)


class TestFork:
    @pytest.mark.parametrize("checked", [True, False], ids=["used-before", "unused-before"])
    def test_children_of_a_fork_connect_anew(self, server: QdrantServer, open_here: OpenHere, checked: bool) -> None:
        """Gunicorn with --preload, Celery's prefork, multiprocessing: the store is built before the workers."""
        store = open_here(server.url, startup_check=checked)
        if checked:
            store.add("parent")
            store.touch(["x"], soon=True)
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=use_in_child, args=(store, number)) for number in range(4)]
        for child in children:
            child.start()
        if checked:
            for number in range(20):
                store.add(f"parent {number}")
        for child in children:
            child.join(60)
            assert child.exitcode == 0
        assert store.count() == 4 + (21 if checked else 0)

    def test_a_childs_connection_is_its_own(self, proxy: TcpProxy, open_here: OpenHere) -> None:
        store = open_here(proxy.url)
        store.add("parent")
        child = multiprocessing.get_context("fork").Process(target=use_in_child, args=(store, 0))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        before = proxy.connections
        store.add("parent again")
        assert before >= 2
        assert proxy.connections == before, "the child closed the parent's connection"

    def test_spawned_and_forked_with_grpc(self, server: QdrantServer, open_here: OpenHere) -> None:
        store = open_here(server.url, prefer_grpc=True, grpc_port=server.grpc_port, startup_check=False)
        child = multiprocessing.get_context("fork").Process(target=use_in_child, args=(store, 0))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        assert store.count() == 1


class TestProxiesOfTheEnvironment:
    @pytest.fixture(autouse=True)
    def dead_proxy(self, server: QdrantServer, open_here: OpenHere) -> Iterator[None]:
        """Only while the test runs: what starts the server and removes the collection goes directly."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
                patch.setenv(name, "http://127.0.0.1:9")
            for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
                patch.delenv(name, raising=False)
            yield

    def test_are_used(self, server: QdrantServer, transport: dict[str, Any], open_here: OpenHere) -> None:
        with pytest.raises(StoreUnavailableError):
            open_here(server.url, **transport, startup_timeout=2).count()

    def test_are_refused(self, server: QdrantServer, transport: dict[str, Any], open_here: OpenHere) -> None:
        store = open_here(server.url, **transport, trust_env=False)
        store.add("fact")
        assert store.count() == 1
        assert asyncio.run(store.acount()) == 1
