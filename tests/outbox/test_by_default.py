"""What users meet who say nothing of durability: an outbox for each store that is not in their process."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    MemoryConfig,
    MemoryStore,
    PersistentMemory,
    StorePermissionError,
    StoreUnavailableError,
    open_store,
)
from crewai_persistent_memory.adapters.checkpoint_recipe import described

from ..support.calling import until
from ..support.mem0_platform import DEFAULT_KEY, Fault, Mem0Platform
from ..support.programs import run_program
from ..support.qdrant_server import QdrantServer

Open = Callable[..., MemoryStore]
NOWHERE = "http://127.0.0.1:9"
QUICK: dict[str, Any] = {"exit_wait": 0.1, "recall_timeout": 0.1}
OSS: dict[str, Any] = {"local_mem0_config": {"vector_store": {"provider": "qdrant", "config": {"path": "/here"}}}}


@pytest.fixture
def open_here(tmp_path: Path) -> Iterator[Open]:
    """``open_store`` for John, with keywords alone if it is Qdrant; closes what it opened."""
    opened: list[MemoryStore] = []

    def open_one(**options: Any) -> MemoryStore:
        about = {} if "mem0" in options else {"embedder": None}
        opened.append(open_store(**{"user_id": "john", **about, **options}))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.mark.newest
class TestOptions:
    @pytest.mark.parametrize(
        ("options", "has_outbox"),
        [
            ({}, False),
            ({"path": "/here"}, False),
            ({"path": "/here", "durability": "outbox"}, True),
            ({"url": NOWHERE}, True),
            ({"url": [NOWHERE, "http://127.0.0.1:8"]}, True),
            ({"url": "https://x.cloud.qdrant.io", "api_key": "k"}, True),
            ({"host": "127.0.0.1"}, True),
            ({"url": NOWHERE, "durability": "store"}, False),
            ({"mem0": {"api_key": "k"}}, True),
            ({"mem0": OSS}, True),
            ({"mem0": OSS, "durability": "store"}, False),
        ],
    )
    def test_which_store_has_one(self, options: Any, has_outbox: bool) -> None:
        assert MemoryConfig.build(**options).has_outbox is has_outbox

    def test_by_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("QDRANT_URL", NOWHERE)
        config = MemoryConfig.build()
        assert (config.has_outbox, config.source_of("durability")) == (True, "default")
        assert not MemoryConfig.build(path="/here").has_outbox
        monkeypatch.setenv("CREWAI_MEMORY_DURABILITY", "store")
        config = MemoryConfig.build()
        assert (config.has_outbox, config.source_of("durability")) == (False, "CREWAI_MEMORY_DURABILITY")
        config = MemoryConfig.build(durability="outbox")
        assert (config.has_outbox, config.source_of("durability")) == (True, "argument")
        assert not MemoryConfig.build(durability=None).has_outbox

    @pytest.mark.parametrize("store", [{"url": NOWHERE}, {"mem0": {"api_key": "k"}}])
    def test_its_own_options_need_nothing_else(self, store: Any, tmp_path: Path) -> None:
        about: Any = {"outbox_path": tmp_path, "outbox_max_mb": 1, "recall_timeout": 1, "exit_wait": 0}
        assert MemoryConfig.build(**store, **about, fsync="always").outbox_folder == tmp_path
        for option, value in {**about, "fsync": "always"}.items():
            with pytest.raises(ConfigurationError, match=rf"^{option} is of "):
                MemoryConfig.build(**store, **{option: value}, durability="store")
        with pytest.raises(ConfigurationError, match=r'^exit_wait is of an outbox: give durability="outbox" as well'):
            MemoryConfig.build(path="/here", exit_wait=1)

    def test_the_error_names_the_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREWAI_MEMORY_DURABILITY", "store")
        with pytest.raises(ConfigurationError, match='CREWAI_MEMORY_DURABILITY is "store"'):
            MemoryConfig.build(url=NOWHERE, exit_wait=1)

    def test_options_of_the_environment_may_be_those_of_another_store(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREWAI_MEMORY_EXIT_WAIT", "5")
        assert not MemoryConfig.build(path="/here").has_outbox
        assert MemoryConfig.build(url=NOWHERE).exit_wait == 5


@pytest.mark.newest
class TestNoDisk:
    @pytest.fixture
    def unusable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The folder of default paths is a file."""
        (tmp_path / "data").write_text("")
        monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "data"))
        return tmp_path

    def test_opening_says_what_to_do(self, unusable: Path, server: QdrantServer, collection: str) -> None:
        about: Any = {"url": server.url, "collection": collection, "user_id": "john", "embedder": None}
        with pytest.raises(ConfigurationError, match=r'outbox_path= a folder .*, or durability="store"'):
            open_store(**about)
        for given in ({"durability": "store"}, {"outbox_path": unusable / "outbox"}):
            with open_store(**about, **given) as store:
                store.add("tea")
                assert store.count() > 0


class TestQdrant:
    @pytest.fixture
    def about(self, server: QdrantServer, collection: str) -> dict[str, Any]:
        key = {"api_key": server.key} if server.key else {}
        return {"url": server.url, "collection": collection, **key}

    @pytest.mark.newest
    def test_what_was_written_is_read(self, open_here: Open, about: dict[str, Any]) -> None:
        store = open_here(**about)
        for number in range(20):
            entry = store.add(f"tea number {number}")
            assert store.get(entry.id) is not None
            assert store.count() == number + 1
            assert [each.content for each in store.list(limit=1)] == [entry.content]
            assert entry.content in [each.content for each in store.search(entry.content, limit=1)]
        assert store.delete(entry.id) == 1
        assert store.count() == 19
        assert store.reset() == 19
        assert store.list() == store.search("tea") == []

    @pytest.mark.newest
    def test_another_host(self, open_here: Open, about: dict[str, Any], tmp_path: Path) -> None:
        store = open_here(**about)
        store.add("John likes tea")
        other = open_here(**about, timeout=7, outbox_path=tmp_path / "of-another-host")
        found = until(lambda: other.search("tea"), bool, 10)
        assert [entry.content for entry in found] == ["John likes tea"]

    @pytest.mark.newest
    def test_another_process_of_the_host_sees_it_before_it_is_delivered(
        self, open_here: Open, own_server: QdrantServer
    ) -> None:
        about: Any = {"url": own_server.url, "retry_for": 0, "timeout": 1, "exit_wait": 0}
        store = open_here(**about)
        assert store.count() == 0
        own_server.kill()
        store.add("John likes tea")
        looks = "print([entry.content for entry in store.search('tea')])"
        assert "['John likes tea']" in self.program(looks, about)
        own_server.restart()
        assert store.flush(30)
        assert store.count() == 1

    @pytest.mark.newest
    def test_a_process_that_ends_after_a_save(self, open_here: Open, about: dict[str, Any]) -> None:
        self.program("store.add('John likes tea')", about)
        assert open_here(**about, durability="store").count() == 1

    @pytest.mark.newest
    def test_the_next_process_delivers(self, open_here: Open, own_server: QdrantServer) -> None:
        about: Any = {"url": own_server.url, "retry_for": 0, "timeout": 1}
        open_here(**about).close()
        own_server.kill()
        start = time.monotonic()
        self.program("store.add('John likes tea')", {**about, "exit_wait": 0.2})
        assert time.monotonic() - start < 60
        own_server.restart()
        open_here(**about)
        direct = open_here(**about, durability="store")
        until(direct.count, bool, 30)

    @staticmethod
    def program(what: str, options: dict[str, Any]) -> str:
        """What a process prints that opens the store, does something, and ends without closing it."""
        opening = f"open_store(user_id='john', embedder=None, **json.loads({json.dumps(options)!r}))"
        code = f"import json\nfrom crewai_persistent_memory import open_store\nstore = {opening}\n{what}"
        done = run_program([sys.executable, "-c", code])
        assert done.returncode == 0, done.stderr
        return done.stdout

    @pytest.mark.parametrize("on_error", ["warn", "raise"])
    def test_a_recall_of_one_who_wants_errors(self, own_server: QdrantServer, on_error: Any) -> None:
        """A crew that shall fail rather than work without its memory shall not work with a part of it."""
        about: Any = {"url": own_server.url, "embedder": None, "retry_for": 0, "timeout": 1, "exit_wait": 0}
        with PersistentMemory(user_id="john", on_error=on_error, **about) as memory:
            memory.remember("I am allergic to nuts")
            assert memory.flush(10)
            own_server.kill()
            memory.remember("I like tea")
            assert memory.flush(0) is False
            if on_error == "warn":
                assert [match.record.content for match in memory.recall("tea and nuts")] == ["I like tea"]
            else:
                with pytest.raises(StoreUnavailableError):
                    memory.recall("tea and nuts")

    def test_who_asks_for_a_change_is_told_that_the_key_may_not(
        self, open_here: Open, about: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store: Any = open_here(**about)
        entry = store.add("tea")
        assert store.flush()
        execute = store.backend.backend.execute

        def refused(operation: Any) -> Any:
            if operation.writes:
                raise StorePermissionError("not with this key")
            return execute(operation)

        monkeypatch.setattr(store.backend.backend, "execute", refused)
        for change in (store.reset, lambda: store.delete(entry.id), lambda: store.update(entry.id, importance=1.0)):
            with pytest.raises(StorePermissionError, match="not with this key"):
                change()
        assert store.pending() == store.health()["outbox"]["dead_letters"] == 0
        assert store.count() == 1

    def test_a_checkpoint_says_it_only_if_it_was_said(self, open_here: Open, about: dict[str, Any]) -> None:
        assert "durability" not in described(open_here(**about))["options"]
        assert described(open_here(**about, durability="store"))["options"]["durability"] == "store"


MESSAGES: Any = [{"role": "user", "content": "I am allergic to nuts."}]


class TestMem0:
    @pytest.fixture
    def about(self, mem0_platform: Mem0Platform) -> dict[str, Any]:
        return {"api_key": DEFAULT_KEY, "host": mem0_platform.url, "retry_for": 0.2}

    def test_what_was_written_is_read(self, open_here: Open, about: dict[str, Any]) -> None:
        store = open_here(mem0=about)
        store.add("I like tea")
        assert store.count() == 1
        store.add("I like coffee")
        assert sorted(entry.content for entry in store.list()) == ["I like coffee", "I like tea"]
        assert store.reset() == 2
        assert store.count() == 0

    def test_messages(self, open_here: Open, about: dict[str, Any]) -> None:
        store = open_here(mem0=about)
        assert store.add_messages(MESSAGES).pending
        assert "nuts" in store.search("allergic to nuts")[0].content
        assert store.flush(10)

    @pytest.mark.parametrize("said", ["when opened", "in the call"])
    def test_waiting_for_what_is_remembered(self, open_here: Open, about: dict[str, Any], said: str) -> None:
        if said == "when opened":
            added = open_here(mem0={**about, "wait": True}).add_messages(MESSAGES)
        else:
            added = open_here(mem0=about).add_messages(MESSAGES, wait=True)
        assert not added.pending
        assert "nuts" in added.entries[0].content

    def test_nobody_waits_for_mem0_while_it_is_away(
        self, open_here: Open, about: dict[str, Any], mem0_platform: Mem0Platform
    ) -> None:
        store = open_here(mem0={**about, "wait": True})
        mem0_platform.faults.append(Fault("", 503, times=10_000))
        start = time.monotonic()
        assert store.add_messages(MESSAGES).pending
        assert time.monotonic() - start < 10
        mem0_platform.faults.clear()
        assert store.flush(30)
        assert "nuts" in until(store.list, bool)[0].content


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"url": NOWHERE}, {"url": "http://localhost:9/"}),
        ({"url": NOWHERE}, {"host": "LOCALHOST", "port": 9}),
        ({"url": [NOWHERE, "http://127.0.0.1:8"]}, {"url": ["http://localhost:8", "http://LocalHost:9"]}),
        (
            {"mem0": {"api_key": "k", "host": NOWHERE}},
            {"mem0": {"api_key": "k", "host": "http://localhost:9/"}},
        ),
    ],
)
def test_two_spellings_of_an_address_are_one_queue(open_here: Open, one: dict[str, Any], same: dict[str, Any]) -> None:
    """An erasure by one of them reaches what waits by the other."""
    first, second = open_here(**one, **QUICK), open_here(**same, **QUICK)
    first.add("John's secret")
    assert second.pending() == 1
    second.reset()
    assert first.pending() == 1, "the reset alone, which waits for the store"
    assert first.search("secret") == []


def test_other_addresses_are_other_queues(open_here: Open) -> None:
    first = open_here(url=NOWHERE, **QUICK)
    first.add("John's secret")
    for url in ("http://127.0.0.1:8", "http://127.0.0.2:9", f"{NOWHERE}/path", "https://127.0.0.1:9"):
        assert open_here(url=url, **QUICK).pending() == 0, url
