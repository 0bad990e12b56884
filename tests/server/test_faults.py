"""What goes wrong on a network: each with the right error or recovery, and nothing lost or done twice."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    DimensionMismatchError,
    EmbedderMismatchError,
    MemoryEntry,
    StoreBusyError,
    StoreFullError,
    StoreMissingError,
    StoreUnavailableError,
    open_store,
)

from ..support.calling import until
from ..support.embedders import WordHashEmbedder
from ..support.qdrant_server import QdrantServer, newest
from ..support.tcp_proxy import PASS, Fault, Request, TcpProxy
from .conftest import OpenHere

JSON = "Content-Type: application/json\r\n"


def is_write(request: Request) -> bool:
    of_a_write = request.method == "PUT" or "/delete" in request.path or "/points/batch" in request.path
    return "/points" in request.path and of_a_write


def first(count: int, fault: Fault, when: Any = is_write) -> Any:
    """That fault for the first matching requests, then none."""
    left = itertools.count(count, -1)
    return lambda request: fault if when(request) and next(left) > 0 else PASS


def writes(proxy: TcpProxy) -> list[Request]:
    return [request for request in proxy.requests if is_write(request)]


class TestDown:
    def test_during_a_run(self, proxy: TcpProxy, open_here: OpenHere, do: Any) -> None:
        store = open_here(proxy.url, retry_for=0.5)
        do(store, "add", "tea")
        proxy.down()
        for operation in (("add", "lost, and said so"), ("search", "tea"), ("list",), ("count",), ("reset",)):
            with pytest.raises(StoreUnavailableError, match="cannot be reached"):
                do(store, *operation)
        proxy.listen()
        do(store, "add", "coffee")
        assert {entry.content for entry in do(store, "list")} == {"tea", "coffee"}

    def test_a_crash_and_restart_within_the_patience_is_not_noticed(
        self, own_server: QdrantServer, do: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        with open_store(url=own_server.url, user_id="john", embedder=None, retry_for=60) as store:
            do(store, "add", "tea")
            own_server.kill()
            asked = threading.Event()

            def come_back() -> None:
                asked.wait()
                own_server.restart()

            thread = threading.Thread(target=come_back)
            thread.start()
            threading.Thread(target=lambda: until(lambda: "asking again" in caplog.text, bool) and asked.set()).start()
            do(store, "add", "milk")
            thread.join()
            assert {entry.content for entry in do(store, "list")} == {"tea", "milk"}

    @pytest.mark.parametrize("grpc", [False, True])
    def test_frozen_and_thawed(self, own_server: QdrantServer, do: Any, grpc: bool) -> None:
        options: Any = {"prefer_grpc": grpc, "grpc_port": own_server.grpc_port, "timeout": 1, "retry_for": 0.1}
        with open_store(url=own_server.url, user_id="john", embedder=None, **options) as store:
            do(store, "add", "tea")
            own_server.pause()
            with pytest.raises(StoreUnavailableError, match=r"did not answer|timed out"):
                do(store, "search", "tea")
            own_server.resume()
            assert [entry.content for entry in do(store, "search", "tea")] == ["tea"]


class TestBadLines:
    def test_a_flapping_one_loses_and_doubles_nothing(self, proxy: TcpProxy, open_here: OpenHere, do: Any) -> None:
        store = open_here(proxy.url, retry_for=30)
        kinds = itertools.cycle(["drop", "pass", "lose", "pass", "half", "pass"])
        proxy.rule = lambda request: Fault(next(kinds))
        for number in range(20):
            do(store, "add", f"fact {number}")
        proxy.rule = lambda request: PASS
        assert sorted(entry.content for entry in store.list()) == sorted(f"fact {number}" for number in range(20))
        assert len(writes(proxy)) > 20

    def test_a_slow_one(self, proxy: TcpProxy, open_here: OpenHere, do: Any) -> None:
        store = open_here(proxy.url, timeout=1, retry_for=0.1)
        store.add("x")
        proxy.rule = lambda request: Fault(delay=0.3)
        assert len(do(store, "search", "x")) == 1
        proxy.rule = lambda request: Fault(delay=2.5)
        with pytest.raises(StoreUnavailableError, match="did not answer a search"):
            do(store, "search", "x")

    def test_a_save_whose_answer_is_lost_is_done_once(self, proxy: TcpProxy, open_here: OpenHere, do: Any) -> None:
        store = open_here(proxy.url)
        proxy.rule = first(1, Fault("lose"))
        do(store, "add", "once")
        assert len(writes(proxy)) == 2 + 1  # the descriptor, and the same save twice
        assert [entry.content for entry in store.list()] == ["once"]

    @pytest.mark.parametrize("operation", ["update", "replace"])
    def test_a_change_whose_answer_is_lost_is_not_repeated(
        self, server: QdrantServer, proxy: TcpProxy, open_here: OpenHere, do: Any, operation: str
    ) -> None:
        """Repeating it would undo what another process changed, and was told is kept, in between."""
        store, beside = open_here(proxy.url), open_here(server.url)
        store.add("old", id="a")
        before = len(writes(proxy))
        proxy.rule = lambda request: Fault("lose") if is_write(request) else PASS
        arguments = ("a",) if operation == "update" else (MemoryEntry(id="a", content="ours"),)
        changes = {"content": "ours"} if operation == "update" else {}
        with pytest.raises(StoreUnavailableError, match="may have been done all the same; look before"):
            do(store, operation, *arguments, **changes)
        assert len(writes(proxy)) == before + 1
        beside.update("a", content="theirs")
        assert [entry.content for entry in beside.list()] == ["theirs"]

    def test_a_delete_whose_answer_is_lost_is_not_repeated(
        self, server: QdrantServer, proxy: TcpProxy, open_here: OpenHere, do: Any
    ) -> None:
        """Repeating it would also take what was stored, and acknowledged, in between."""
        store, beside = open_here(proxy.url), open_here(server.url)
        store.add("old")

        def lose_then_store(request: Request) -> Fault:
            if "/delete" not in request.path:
                return PASS
            return Fault("lose")

        proxy.rule = lose_then_store
        with pytest.raises(StoreUnavailableError, match="may have been done all the same; look before"):
            do(store, "reset")
        beside.add("stored in between")
        assert sum("/delete" in request.path for request in proxy.requests) == 1
        assert [entry.content for entry in beside.list()] == ["stored in between"]

    def test_a_delete_that_never_arrived_is_repeated(self, own_server: QdrantServer, do: Any) -> None:
        proxy = TcpProxy(own_server.port)
        with open_store(url=proxy.url, user_id="john", embedder=None, retry_for=30) as store:
            store.add("old")
            assert store.count() == 1
            fault = Fault("answer", status="429 Too Many Requests", headers=JSON + "Retry-After: 1\r\n")
            proxy.rule = first(1, fault, lambda request: "/delete" in request.path)
            assert do(store, "reset") == 1
            assert store.count() == 0
        proxy.close()


class TestRefusals:
    def test_retry_after_is_kept_to(self, proxy: TcpProxy, open_here: OpenHere, do: Any) -> None:
        store = open_here(proxy.url)
        body = b'{"status":{"error":"Rate limit exceeded"}}'
        busy = Fault("answer", status="429 Too Many Requests", headers=JSON + "Retry-After: 1\r\n", body=body)
        proxy.rule = first(2, busy)
        do(store, "add", "patience")
        assert store.count() == 1
        assert len(writes(proxy)) == 1 + 3

    def test_a_server_that_stays_busy(self, proxy: TcpProxy, open_here: OpenHere, do: Any) -> None:
        store = open_here(proxy.url, retry_for=2)
        busy = Fault("answer", status="429 Too Many Requests", headers=JSON + "Retry-After: 30\r\n")
        proxy.rule = lambda request: busy
        with pytest.raises(StoreBusyError, match="30 s of patience") as caught:
            do(store, "search", "x")
        assert caught.value.retry_after == 30

    @pytest.mark.parametrize("status", ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable"])
    def test_a_node_that_is_starting_or_gone(self, proxy: TcpProxy, open_here: OpenHere, do: Any, status: str) -> None:
        store = open_here(proxy.url)
        body = b'{"status":{"error":"Service internal error: 2 out of 6 shards failed to apply operation"}}'
        proxy.rule = first(2, Fault("answer", status=status, headers=JSON, body=body))
        do(store, "add", "resent")
        assert [entry.content for entry in store.list()] == ["resent"]

    @pytest.mark.parametrize("answer", [("507 Insufficient Storage", "quota"), ("500 x", "No space left on device")])
    def test_no_room(self, proxy: TcpProxy, open_here: OpenHere, do: Any, answer: tuple[str, str]) -> None:
        store = open_here(proxy.url)
        body = json.dumps({"status": {"error": answer[1]}}).encode()
        proxy.rule = first(1, Fault("answer", status=answer[0], headers=JSON, body=body))
        with pytest.raises(StoreFullError, match=answer[1]):
            do(store, "add", "too much")
        assert len(writes(proxy)) == 1 + 1, "a full disk is not asked again"

    def test_a_request_that_is_wrong_is_not_repeated(self, proxy: TcpProxy, open_here: OpenHere) -> None:
        from crewai_persistent_memory import EngineError

        store = open_here(proxy.url)
        body = b'{"status":{"error":"Wrong input: because"}}'
        proxy.rule = lambda request: Fault("answer", status="400 Bad Request", headers=JSON, body=body)
        before = len(proxy.requests)
        with pytest.raises(EngineError, match="Wrong input: because"):
            store.search("x")
        assert len(proxy.requests) == before + 1


class TestGoneOrOther:
    def test_the_collection_is_deleted_under_us(
        self, server: QdrantServer, collection: str, open_here: OpenHere, do: Any
    ) -> None:
        store = open_here(server.url)
        store.add("x")
        with server.admin() as admin:
            admin.delete(f"/collections/{collection}").raise_for_status()
        for operation in (("add", "y"), ("search", "x"), ("list",), ("get", "a"), ("health",)):
            with pytest.raises(StoreMissingError, match="restore it from a snapshot, or open the memory anew"):
                do(store, *operation)
        with server.admin() as admin:
            assert admin.get(f"/collections/{collection}").status_code == 404, "quietly made anew"
        anew = open_here(server.url)
        anew.add("z")
        assert [entry.content for entry in anew.list()] == ["z"]

    def test_another_length_is_refused_before_anything_is_written(
        self, server: QdrantServer, open_here: OpenHere, do: Any
    ) -> None:
        store = open_here(server.url, embedder=WordHashEmbedder(64))
        entries = [MemoryEntry(id="good", content="x"), MemoryEntry(id="bad", content="y", embedding=(1.0, 2.0))]
        with pytest.raises(DimensionMismatchError) as caught:
            do(store, "put", entries)
        assert (caught.value.stored_dim, caught.value.new_dim) == (64, 2)
        assert store.count() == 0

    def test_made_anew_with_another_length_under_us(
        self, server: QdrantServer, collection: str, open_here: OpenHere, do: Any
    ) -> None:
        store = open_here(server.url, embedder=WordHashEmbedder(64))
        with server.admin() as admin:
            admin.delete(f"/collections/{collection}").raise_for_status()
        with open_store(url=server.url, user_id="j", collection=collection, embedder=WordHashEmbedder(32), timeout=6):
            with pytest.raises(DimensionMismatchError) as caught:
                do(store, "add", "x")
            assert (caught.value.stored_dim, caught.value.new_dim) == (32, 64)
            with pytest.raises((DimensionMismatchError, EmbedderMismatchError)):
                do(store, "search", "x")


class TestFullDisk:
    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Any:
        folder = tmp_path / "small"
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(folder)]
        done = subprocess.run(mount, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
        yield folder
        subprocess.run(["umount", "-l", str(folder)], check=True)

    def test_what_was_acknowledged_stays(self, small_disk: Path) -> None:
        server = QdrantServer(newest(), small_disk).start()
        try:
            with open_store(url=server.url, user_id="john", embedder=None, retry_for=1, timeout=20) as store:
                kept = [store.add(f"fact {number} " + "x" * 1000, id=str(number)).id for number in range(5)]

                def fill() -> None:
                    for number in range(5, 400):
                        # Not what Qdrant can compress: it cuts its log every 5 seconds.
                        store.add(f"fact {number} " + random.Random(number).randbytes(500_000).hex(), id=str(number))
                        kept.append(str(number))

                with pytest.raises(StoreFullError, match="no room for a save"):
                    fill()
                assert len(kept) > 5, "it had room for some of the large ones"
                assert all(store.get(id) is not None for id in kept)
                assert store.search("fact 3 x")
        finally:
            server.stop()


def test_a_frozen_server_does_not_hold_up_the_end(own_server: QdrantServer, caplog: pytest.LogCaptureFixture) -> None:
    store = open_store(url=own_server.url, user_id="john", embedder=None, timeout=1)
    store.add("x", id="a")
    own_server.pause()
    for _ in range(50):
        store.touch(["a"], soon=True)
    start = time.monotonic()
    store.close()
    assert time.monotonic() - start < 10
    assert "were not updated: the server is slow" in caplog.text


def test_access_times_in_the_background_never_fail_a_recall(
    proxy: TcpProxy, open_here: OpenHere, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_here(proxy.url, retry_for=0.1)
    entry = store.add("x")
    proxy.rule = lambda request: Fault("drop") if request.path.startswith("/collections") else PASS
    store.touch([entry.id], soon=True)
    until(lambda: caplog.text, lambda text: "access times were not updated" in text)
