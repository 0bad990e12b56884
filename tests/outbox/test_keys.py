"""Processes and handles whose keys differ share a queue: what one may not do does not keep the others from it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryStore, StorePermissionError, open_store

from ..support.calling import until
from ..support.programs import started
from ..support.qdrant_server import QdrantServer, newest

READER = """
import json, sys
from crewai_persistent_memory import open_store
with open_store(**json.loads(sys.argv[1])) as store:
    print(store.health()["outbox"]["is_sender"], flush=True)
    sys.stdin.readline()
"""

Open = Callable[..., MemoryStore]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantServer]:
    settings = {"SERVICE__READ_ONLY_API_KEY": "reads"}
    server = QdrantServer(newest(), tmp_path_factory.mktemp("keyed"), key="writes", settings=settings).start()
    yield server
    server.stop()


@pytest.fixture
def options(keyed: QdrantServer, tmp_path: Path) -> dict[str, Any]:
    about = {"url": keyed.url, "collection": tmp_path.name[-40:], "embedder": None, "user_id": "john"}
    options: dict[str, Any] = {**about, "outbox_path": str(tmp_path / "outbox"), "exit_wait": 0.1}
    with open_store(**options, api_key="writes") as store:
        store.add("John likes tea", id="tea")
        assert store.flush()
    return options


def test_a_process_that_may_only_read_lets_another_one_deliver(options: dict[str, Any]) -> None:
    reading, writing = {**options, "api_key": "reads"}, {**options, "api_key": "writes"}
    with started([sys.executable, "-c", READER, json.dumps(reading)]) as (program, told):
        try:
            assert told.readline() == "True\n", "it is the one that delivers"
            with open_store(**writing) as store:
                store.add("John likes coffee", id="coffee")
                assert store.flush(30)
                assert store.update("coffee", importance=0.9) is not None
                assert store.reset() == 2
                assert store.flush(30)
                assert store.count() == 0
        finally:
            program.kill()
            program.wait()


@pytest.mark.parametrize("first", ["reads", "writes"])
def test_handles_of_one_process(options: dict[str, Any], first: str) -> None:
    second = "writes" if first == "reads" else "reads"
    with open_store(**options, api_key=first) as one, open_store(**options, api_key=second) as other:
        (one if first == "writes" else other).add("John likes coffee", id="coffee")
        assert one.flush(30)
        assert one.count() == 2


def test_a_change_that_no_key_of_the_process_permits_is_an_error(options: dict[str, Any]) -> None:
    with open_store(**options, api_key="reads") as store:
        until(lambda: store.health()["outbox"]["is_sender"], bool)
        with pytest.raises(StorePermissionError):
            store.update("tea", importance=0.9)
        assert store.pending() == 0
        assert store.count() == 1


@pytest.mark.parametrize("waits_before", [False, True])
def test_a_reset_that_the_key_forbids_leaves_what_waits(options: dict[str, Any], waits_before: bool) -> None:
    with open_store(**options, api_key="reads") as store:
        until(lambda: store.health()["outbox"]["is_sender"], bool)
        if waits_before:
            store.add("John likes coffee", id="coffee")
        with pytest.raises(StorePermissionError):
            store.reset()
        assert store.pending() == waits_before
    with open_store(**options, api_key="writes") as store:
        assert store.flush(30)
        assert {entry.id for entry in store.list()} == ({"tea", "coffee"} if waits_before else {"tea"})
