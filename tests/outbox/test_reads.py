"""A reader sees what was accepted, before the store has it; and nobody else's."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from crewai_persistent_memory import EntryNotFoundError, MemoryEntry, StoreUnavailableError
from crewai_persistent_memory.outbox.lanes import Lanes

from ..support.calling import CALLS, until
from ..support.faulty_store import FaultyStore
from .conftest import OpenOutbox


@pytest.fixture(params=["sync", "async"])
def do(request: pytest.FixtureRequest) -> Any:
    return CALLS[request.param]


def texts(entries: list[MemoryEntry]) -> list[str]:
    return sorted(entry.content for entry in entries)


class TestWhileTheStoreIsAway:
    def test_a_save_returns_at_once_and_is_found(self, open_outbox: OpenOutbox, behind: FaultyStore, do: Any) -> None:
        store = open_outbox(recall_timeout=60)
        behind.away = True
        start = time.monotonic()
        added = do(store, "add", "John likes green tea")
        assert time.monotonic() - start < 30
        [found] = do(store, "search", "tea")
        assert found.id == added.id
        assert 0 < (found.score or 0) <= 1
        assert do(store, "get", added.id).content == "John likes green tea"
        assert do(store, "pending") == 1

    def test_everything_is_delivered_once_when_it_is_back(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        store = open_outbox()
        behind.away = True
        for number in range(20):
            store.add(f"fact {number}")
        assert behind.entries == {}
        behind.away = False
        assert store.flush(10)
        assert texts(store.list()) == sorted(f"fact {number}" for number in range(20))
        assert sum(len(put.entries) for put in behind.seen if hasattr(put, "entries")) == 20

    def test_an_exact_read_says_that_it_cannot_be_answered(
        self, open_outbox: OpenOutbox, behind: FaultyStore, do: Any
    ) -> None:
        """A count of what the queue has would look like a loss of all the rest."""
        store = open_outbox()
        store.add("there before")
        assert store.flush()
        behind.away = True
        for method, arguments in [("count", ()), ("list", ()), ("page", ()), ("get", ("unknown",))]:
            with pytest.raises(StoreUnavailableError):
                do(store, method, *arguments)

    def test_what_was_deleted_is_not_there(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        store = open_outbox()
        entry = store.add("tea")
        assert store.flush()
        behind.away = True
        store.delete(entry.id)
        assert store.get(entry.id) is None
        assert store.search("tea") == []

    def test_a_change_of_what_waits(self, open_outbox: OpenOutbox, behind: FaultyStore, do: Any) -> None:
        store = open_outbox()
        behind.away = True
        entry = store.add("tea")
        changed = do(store, "update", entry.id, content="coffee", importance=0.9)
        assert (changed.content, changed.importance, changed.created_at) == ("coffee", 0.9, entry.created_at)
        assert store.search("tea") == []
        assert texts(store.search("coffee")) == ["coffee"]
        behind.away = False
        assert store.flush(10)
        assert behind.contents() == ["coffee"]

    def test_nobody_waits_twice(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        store = open_outbox(recall_timeout=0.4)
        behind.freeze()
        start = time.monotonic()
        assert store.search("tea") == []
        first = time.monotonic() - start
        start = time.monotonic()
        for _ in range(20):
            assert store.search("tea") == []
        assert first < 4
        assert time.monotonic() - start < 4, "8 if each of them waited"

    def test_one_line_for_an_outage(
        self, open_outbox: OpenOutbox, behind: FaultyStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = open_outbox()
        behind.away = True
        with caplog.at_level(logging.WARNING):
            for number in range(5):
                store.add(f"fact {number}")
                store.search("fact")
            behind.away = False
            assert store.flush(10)
            until(lambda: "has got the 5 writes" in caplog.text, bool)
        said = [record.message for record in caplog.records]
        assert sum("is away" in line for line in said) == 1
        assert sum("answers again" in line for line in said) == 1


class TestWhileTheStoreAnswers:
    """Deliveries are held up here, and reads are not."""

    @pytest.fixture(autouse=True)
    def held(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Lanes, "deliver", lambda self: 0.01)
        monkeypatch.setattr("crewai_persistent_memory.outbox.reading.EXACT_WAIT", 0.05)

    def fill(self, open_outbox: OpenOutbox, behind: FaultyStore) -> Any:
        store = open_outbox(recall_timeout=0.1)
        for id, content in [("a", "stored tea"), ("b", "stored coffee"), ("c", "stored milk")]:
            behind.entries[store.scope, id] = MemoryEntry(id, content, scope=store.scope, categories=("drink",))
        store.put([MemoryEntry("d", "new tea", path="/new", categories=("drink",)), MemoryEntry("a", "other tea")])
        store.update("b", content="changed coffee")
        store.delete("c")
        return store

    def test_all_reads_agree(self, open_outbox: OpenOutbox, behind: FaultyStore, do: Any) -> None:
        store = self.fill(open_outbox, behind)
        expected = ["changed coffee", "new tea", "other tea"]
        assert texts(do(store, "list")) == expected
        assert texts(list(store.scan())) == expected
        assert do(store, "count") == 3
        assert texts(do(store, "search", "tea")) == ["new tea", "other tea"]
        assert do(store, "search", "milk") == []
        assert texts(do(store, "search", "stored coffee")) == ["changed coffee"]
        assert do(store, "categories") == {"drink": 2}
        assert do(store, "children") == ("/new",)
        assert do(store, "info").count == 3
        assert do(store, "get", "c") is None
        assert do(store, "get", "b").content == "changed coffee"
        assert do(store, "get", "a").content == "other tea"

    def test_filters_hold_for_what_waits(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        store = self.fill(open_outbox, behind)
        assert texts(store.list(path="/new")) == ["new tea"]
        assert store.count(categories=["drink"]) == 2
        assert texts(store.search("tea", path="/new")) == ["new tea"]

    def test_pages(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        store = self.fill(open_outbox, behind)
        page, found = store.page(limit=1), []
        while True:
            found += page.entries
            if page.cursor is None:
                break
            page = store.page(limit=1, cursor=page.cursor)
        assert texts(found) == ["changed coffee", "new tea", "other tea"]

    def test_messages_are_recalled(self, open_outbox: OpenOutbox) -> None:
        store = open_outbox(over=FaultyStore(extracts=True))
        assert store.add_messages([{"role": "user", "content": "I am allergic to nuts"}]).pending
        assert texts(store.search("allergic")) == ["I am allergic to nuts"]
        assert store.count() == 0


class TestWhoSeesIt:
    """User B sees nothing of what user A has in the queue, by no read."""

    READS: tuple[tuple[str, tuple[Any, ...]], ...] = (
        ("search", ("secret",)),
        ("list", ()),
        ("count", ()),
        ("get", ("s",)),
        ("categories", ()),
        ("children", ()),
        ("page", ()),
    )

    @pytest.fixture(autouse=True)
    def held(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Lanes, "deliver", lambda self: 0.01)
        monkeypatch.setattr("crewai_persistent_memory.outbox.reading.EXACT_WAIT", 0.01)

    @pytest.mark.parametrize(
        ("owner", "reader", "sees"),
        [
            ({}, {}, True),
            ({}, {"user_id": "mary"}, False),
            ({}, {"user_id": "John"}, False),
            ({}, {"org_id": "other"}, False),
            ({}, {"project_id": "staging"}, False),
            ({}, {"run_id": "r", "agent_id": "chef"}, True),
            ({"run_id": "r"}, {"run_id": "r"}, True),
            ({"run_id": "r"}, {}, False),
            ({"run_id": "r"}, {"run_id": "s"}, False),
            ({"agent_id": "chef"}, {"agent_id": "waiter"}, False),
            ({"agent_id": "chef"}, {"agent_id": "chef", "run_id": "r"}, True),
        ],
    )
    def test_by_the_rule(self, open_outbox: OpenOutbox, owner: Any, reader: Any, sees: bool) -> None:
        theirs = {"scope": owner, "recall_timeout": 0.05}
        open_outbox(**theirs).put([MemoryEntry("s", "a secret", path="/p", categories=("c",))])
        store = open_outbox(scope=reader, recall_timeout=0.05)
        for method, arguments in self.READS:
            answer = getattr(store, method)(*arguments)
            seen = bool(answer.entries if hasattr(answer, "entries") else answer)
            assert seen is sees, method

    def test_a_write_of_another_user_changes_nothing(self, open_outbox: OpenOutbox, behind: FaultyStore) -> None:
        john, mary = open_outbox(recall_timeout=0.05), open_outbox("mary", recall_timeout=0.05)
        behind.entries[john.scope, "a"] = MemoryEntry("a", "tea", scope=john.scope)
        mary.update("a", content="poison")
        mary.replace(MemoryEntry("a", "poison"))
        mary.delete("a")
        mary.reset()
        assert texts(john.list()) == texts(john.search("tea")) == ["tea"]
        assert john.search("poison") == []

    def test_how_much_waits_is_told_to_its_user_only(self, open_outbox: OpenOutbox) -> None:
        john = open_outbox()
        others = [{"user_id": "mary"}, {"project_id": "staging"}, {"org_id": "other"}]
        john.add("tea")
        assert john.pending() == 1
        assert [open_outbox(scope=each).pending() for each in others] == [0, 0, 0]


def test_an_answer_is_that_of_the_store(open_outbox: OpenOutbox, do: Any) -> None:
    store = open_outbox()
    entry = store.add("tea")
    assert do(store, "update", entry.id, content="coffee").content == "coffee"
    assert do(store, "replace", MemoryEntry("unknown", "x"), create=False) is False
    with pytest.raises(EntryNotFoundError):
        do(store, "update", "unknown", content="x")
    assert do(store, "delete", entry.id) == 1
    assert do(store, "delete", entry.id) == 0


def test_health_tells_how_much_waits(open_outbox: OpenOutbox, behind: FaultyStore, do: Any) -> None:
    store = open_outbox()
    assert do(store, "health")["outbox"]["writes"] == 0
    behind.away = True
    store.add("tea")
    until(lambda: store.health()["outbox"]["last_error"], lambda error: "away" in (error or ""))
    health = do(store, "health")
    assert health["status"] == "unavailable"
    assert health["outbox"]["writes"] == 1
    assert 0 <= health["outbox"]["oldest_seconds"] < 30
