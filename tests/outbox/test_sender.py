"""Who delivers, in which order, and what becomes of a write that the store does not take."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    InvalidEntryError,
    MemoryEntry,
    StoreBusyError,
    StoreFullError,
    StorePermissionError,
    operations,
)
from crewai_persistent_memory.outbox import access_times, deliveries, lanes
from crewai_persistent_memory.outbox.deliveries import FRESH
from crewai_persistent_memory.outbox.shared import OUTBOXES
from crewai_persistent_memory.validation import utcnow

from ..support.calling import until
from ..support.faulty_store import FaultyStore
from .conftest import OpenOutbox


def outbox_of(store: Any) -> Any:
    return store.backend.outbox


def files_of(store: Any) -> list[Path]:
    return [file for file in outbox_of(store).queue.folder.iterdir() if file.is_file()]


class TestOrder:
    def test_of_one_user(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        store = open_outbox()
        behind.away = True
        store.put([MemoryEntry("a", "first")])
        store.delete("a")
        store.put([MemoryEntry("a", "second")])
        store.update("a", content="third")
        store.put([MemoryEntry("b", "one")])
        store.put([MemoryEntry("b", "two")])
        behind.away = False
        assert store.flush(10)
        assert sorted(behind.contents()) == ["third", "two"]
        kinds = [type(each).__name__ for each in behind.seen if each.writes]
        assert kinds == ["Delete", "Put", "Update", "Put"], "neighbours of one scope are delivered together"

    def test_neighbours_of_another_run_are_not_put_into_it(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        behind.away = True
        runs = [open_outbox(scope={"run_id": run}) for run in "rst"]
        for store in runs:
            store.put([MemoryEntry("a", f"of {store.scope.run_id}")])
        behind.away = False
        assert runs[0].flush(10)
        assert {owner.run_id: each.content for (owner, _), each in behind.entries.items()} == {
            "r": "of r",
            "s": "of s",
            "t": "of t",
        }

    def test_what_was_overwritten_and_then_deleted_does_not_come_back(
        self, open_outbox: OpenOutbox, behind: FaultyStore
    ) -> None:
        """The delete matches the entry as it waits, and not as the store has it."""
        store = open_outbox()
        store.put([MemoryEntry("a", "the earlier text", path="/"), MemoryEntry("b", "of another path", path="/")])
        assert store.flush(10)
        behind.away = True
        store.search("so that nothing is sent")
        store.put([MemoryEntry("a", "the later text", path="/home"), MemoryEntry("c", "in between", path="/")])
        assert store.delete(path="/home") == 1
        assert all(b"later text" not in file.read_bytes() for file in files_of(store))
        assert [entry.content for entry in store.search("text deleted")] == []
        store.put([MemoryEntry("b", "said after it", path="/home")])
        behind.away = False
        assert store.flush(10)
        assert sorted(behind.contents()) == ["in between", "said after it"]

    def test_one_user_waits_and_others_do_not(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        john, mary = open_outbox("john"), open_outbox("mary")
        behind.refuses = lambda entry: _raise(StorePermissionError("not with this key"), entry.content == "tea")
        john.put([MemoryEntry("a", "tea")])
        mary.put([MemoryEntry("a", "coffee")])
        assert mary.flush(5)
        assert behind.contents() == ["coffee"]
        assert john.pending() == 1
        behind.refuses = lambda entry: False
        assert john.flush(10)
        assert sorted(behind.contents()) == ["coffee", "tea"]


def _raise(error: Exception, when: bool) -> bool:
    if when:
        raise error
    return False


class TestRefusals:
    def test_a_wrong_one_is_a_dead_letter_and_the_others_arrive(
        self, open_outbox: OpenOutbox, behind: FaultyStore
    ) -> None:
        store = open_outbox()
        behind.refuses = lambda entry: entry.content == "wrong"
        behind.away = True
        for content in ["one", "wrong", "two"]:
            store.add(content)
        behind.away = False
        assert store.flush(10)
        assert sorted(behind.contents()) == ["one", "two"]
        assert store.health()["outbox"]["dead_letters"] == 1
        assert [each.content for each in store.search("wrong")] == []

    def test_what_can_be_known_before_is_refused_before(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        store = open_outbox()
        for wrong in [
            MemoryEntry("", "no id"),
            MemoryEntry("a", "x", importance=2),
            MemoryEntry("a", "x", metadata={"n": float("nan")}),
            MemoryEntry("a", "\ud800"),
        ]:
            with pytest.raises(InvalidEntryError):
                store.put([wrong])
        assert store.pending() == 0

    def test_an_error_that_means_nothing_is_tried_a_few_times(
        self, open_outbox: OpenOutbox, behind: FaultyStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lanes, "FIRST_PAUSE", 0.01)
        store = open_outbox()
        behind.fails = ZeroDivisionError("a fault of the backend")
        store.add("tea")
        until(lambda: outbox_of(store).queue.depth().dead, bool, 10)
        behind.fails = None
        assert behind.entries == {}

    def test_a_busy_store_is_left_alone_for_as_long_as_it_asks(
        self, open_outbox: OpenOutbox, behind: FaultyStore
    ) -> None:
        store = open_outbox()
        behind.fails = StoreBusyError("too many requests", retry_after=0.3)
        start = time.monotonic()
        store.add("tea")
        until(lambda: outbox_of(store).queue.depth().error, bool)
        behind.fails = None
        assert store.flush(10)
        assert time.monotonic() - start >= 0.3

    def test_why_users_wait_is_logged_once(
        self, open_outbox: OpenOutbox, behind: FaultyStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        stores = [open_outbox(f"user{number}") for number in range(5)]
        tried: set[str] = set()

        def is_full(entry: MemoryEntry) -> bool:
            tried.add(entry.content)
            raise StoreFullError("no space left")

        behind.refuses = is_full
        for number, store in enumerate(stores):
            store.add(f"fact {number}")
        until(lambda: tried, lambda tried: len(tried) == len(stores))
        assert caplog.text.count("cannot take") == 1
        behind.refuses = lambda entry: False
        assert all(store.flush(10) for store in stores)
        behind.refuses = is_full
        stores[0].add("coffee")
        until(lambda: caplog.text.count("cannot take"), lambda count: count == 2)
        behind.refuses = lambda entry: False
        assert stores[0].flush(10)


class TestExactlyOnce:
    def test_a_lost_answer(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        store = open_outbox()
        behind.loses_answers = 2
        store.add("tea")
        assert store.flush(10)
        assert behind.contents() == ["tea"]

    def test_where_a_second_add_would_be_a_second_copy(
        self, open_outbox: OpenOutbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deliveries, "SETTLING", 0.1)
        over = FaultyStore(repeatable=False)
        store = open_outbox(over=over)
        over.loses_answers = 1
        store.add("tea")
        assert store.flush(10)
        assert over.contents() == ["tea"]
        assert [put.new for put in over.of(operations.Put)] == [True, False], "it is looked for first"

    def test_messages(self, open_outbox: OpenOutbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deliveries, "SETTLING_MESSAGES", 0.1)
        over = FaultyStore(repeatable=False, extracts=True)
        store = open_outbox(over=over)
        over.loses_answers = 1
        store.add_messages([{"role": "user", "content": "I like tea"}])
        assert store.flush(10)
        assert list(over.delivered.values()) == [["I like tea"]]

    def test_a_late_delete_spares_what_came_after_it(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        """Another host has saved something, between this host's reset and its delivery."""
        store = open_outbox()
        behind.entries[store.scope, "old"] = MemoryEntry("old", "old", scope=store.scope)
        behind.loses_answers = 1
        store.delete(created_after=utcnow() - timedelta(days=1))
        until(lambda: behind.entries, lambda entries: not entries)
        behind.entries[store.scope, "new"] = MemoryEntry("new", "new", scope=store.scope)
        assert store.flush(10)
        assert behind.contents() == ["new"]
        first, second = behind.of(operations.Delete)
        assert first.filter.created_before is None, "one that is fresh is delivered as it was given"
        assert second.filter.created_before is not None
        assert timedelta(0) < FRESH


class TestThread:
    def test_touches_are_collected(
        self, open_outbox: OpenOutbox, behind: FaultyStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(access_times, "EVERY", 0.2)
        store = open_outbox()
        entry = store.add("tea")
        assert store.flush()
        for _ in range(10):
            store.touch([entry.id])
        until(lambda: behind.of(operations.Touch), bool)
        assert [each.ids for each in behind.of(operations.Touch)] == [(entry.id,)]

    def test_a_closed_store_leaves_nothing_behind(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        open_outbox().close()
        gc.collect()
        threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
        for number in range(5):
            store = open_outbox()
            store.add(f"fact {number}")
            store.close()
        gc.collect()
        assert threading.active_count() == threads
        assert len(os.listdir("/proc/self/fd")) == files
        assert len(behind.entries) == 5

    def test_closing_does_not_wait_for_a_store_that_is_away(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        store = open_outbox(exit_wait=0.3)
        behind.freeze()
        store.add("tea")
        start = time.monotonic()
        store.close()
        assert time.monotonic() - start < 3
        behind.thaw()
        again = open_outbox()
        assert again.flush(10)
        assert behind.contents() == ["tea"]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    def test_a_fork_waits_for_a_delivery_that_is_under_way(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        """A module that the thread is importing then, or a lock of a client, would be locked in the child for ever."""
        store = open_outbox()
        behind.freeze()
        store.add("tea")
        until(lambda: outbox_of(store).queue.next_writes(1)[0].attempts, bool)
        timer = threading.Timer(0.3, behind.thaw)
        timer.start()
        pid = os.fork()
        if not pid:
            os._exit(0 if behind.contents() == ["tea"] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        timer.join()
        assert store.flush(10)

    def test_closing_leaves_time_to_a_delivery_that_is_under_way(
        self, open_outbox: OpenOutbox, behind: FaultyStore
    ) -> None:
        store = open_outbox(exit_wait=0, stopping=30)
        behind.freeze()
        store.add("tea")
        until(lambda: outbox_of(store).queue.next_writes(1)[0].attempts, bool)
        store.add("coffee")
        timer = threading.Timer(0.3, behind.thaw)
        timer.start()
        store.close()
        timer.join()
        assert behind.contents() == ["tea"], "nothing else is begun"
        assert open_outbox().flush(10)
        assert sorted(behind.contents()) == ["coffee", "tea"]

    def test_one_handle_closes_and_another_delivers(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        one, other = open_outbox(), open_outbox("mary")
        one.add("tea")
        one.close()
        other.add("coffee")
        assert other.flush(5)
        until(behind.contents, lambda contents: sorted(contents) == ["coffee", "tea"])

    def test_awaited_from_many_tasks(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        store = open_outbox()

        async def many() -> None:
            await asyncio.gather(*(store.aadd(f"fact {number}") for number in range(50)))
            assert await store.aflush(10)
            await store.aclose()

        asyncio.run(many())
        assert len(behind.entries) == 50

    def test_many_threads(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        stores = [open_outbox(f"user {number}") for number in range(8)]

        def save(store: Any) -> None:
            for number in range(25):
                store.add(f"fact {number}")

        threads = [threading.Thread(target=save, args=(store,)) for store in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(store.flush(20) for store in stores)
        assert len(behind.entries) == 200

    def test_a_forked_child_accepts_and_the_parent_delivers(
        self, open_outbox: OpenOutbox, behind: FaultyStore, tmp_path: Path
    ) -> None:
        store = open_outbox()
        store.add("of the parent")
        assert store.flush(5)
        behind.freeze()  # nothing is delivered while it is looked at
        child = os.fork()
        if not child:
            try:
                store.add("of the child")
                found = store.pending()
                os._exit(0 if found == 1 else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert outbox_of(store).sender.is_sender, "the child's end has not freed the parent's lock"
        behind.thaw()
        assert store.flush(10)
        assert sorted(behind.contents()) == ["of the child", "of the parent"]
        assert len(OUTBOXES.keys()) == 1
