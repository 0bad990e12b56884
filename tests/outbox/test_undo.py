"""What was forgotten while the store is away, and is wanted back: before and after the store has heard of either."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryStore, StoreUnavailableError, open_store, operations
from crewai_persistent_memory.entry import EarlierText, MemoryEntry
from crewai_persistent_memory.entry_filter import EntryFilter
from crewai_persistent_memory.expiry import now
from crewai_persistent_memory.outbox.serialised import from_text, kind_of, to_text
from crewai_persistent_memory.scope import Scope
from crewai_persistent_memory.validation import utcnow

from ..support.clock import in_hours
from ..support.qdrant_server import QdrantServer

HOUR = timedelta(hours=1)
JOHN = Scope("john")


@pytest.fixture
def open_here(tmp_path: Path, own_server: QdrantServer) -> Iterator[Callable[..., MemoryStore]]:
    opened: list[MemoryStore] = []

    def open_one(user_id: str | None = "john", **options: Any) -> MemoryStore:
        given: dict[str, Any] = {"recall_timeout": 0.5, "exit_wait": 0.2, "retry_for": 0.5, "undo_for": HOUR}
        given |= {"durability": "outbox", "outbox_path": tmp_path / "outbox", "embedder": None}
        opened.append(open_store(url=own_server.url, user_id=user_id, **{**given, **options}))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


def contents(store: MemoryStore) -> list[str]:
    return sorted(entry.content for entry in store.scan())


def test_before_it_is_delivered(own_server: QdrantServer, open_here: Callable[..., MemoryStore]) -> None:
    """The delete is taken back, the writes before it are delivered, and others' deletes stay."""
    store, jane = open_here(), open_here("jane")
    for each in (store, jane):
        each.add("tea", id="tea")
        assert each.flush(30)
    own_server.kill()
    store.add("coffee", id="coffee")
    for each in (store, jane):
        each.delete("tea")
    store.delete("coffee")
    assert store.search("tea") == store.search("coffee") == []
    assert sorted(entry.id for entry in store.undo_delete(ids=["tea", "coffee"])) == ["coffee", "tea"]
    assert [entry.content for entry in store.search("coffee")] == ["coffee"]
    own_server.start()
    assert store.flush(60)
    assert jane.flush(60)
    assert contents(store) == ["coffee", "tea"]
    assert contents(jane) == []


@pytest.mark.parametrize(
    "other", [{"run_id": "r2"}, {"run_id": None}, {"agent_id": "chef"}, {"user_id": "jane"}], ids=str
)
def test_a_delete_of_another_scope_that_waits_stays(
    own_server: QdrantServer, open_here: Callable[..., MemoryStore], other: dict[str, Any]
) -> None:
    """Also of the same user: what was deleted in a run is brought back in that run."""
    everyones = open_here(None)
    owner: dict[str, Any] = {"user_id": "john", "run_id": "r1"}
    store, stranger = everyones.scoped(**owner), everyones.scoped(**{**owner, **other})
    store.add("tea", id="tea")
    assert store.flush(30)
    own_server.kill()
    store.add("coffee")  # tried again and again, with the delete behind it
    store.delete("tea")
    for wanted in ({}, {"ids": ["tea"]}):
        with suppress(StoreUnavailableError):  # the store is away; what waits here could be taken back without it
            assert stranger.undo_delete(**wanted) == []
    assert store.search("tea") == []
    assert [entry.id for entry in store.undo_delete(ids=["tea"])] == ["tea"]


def test_a_part_of_a_delete_that_waits(own_server: QdrantServer, open_here: Callable[..., MemoryStore]) -> None:
    """It cannot be taken back in part. Nothing is lost: it is undone as soon as the store has it."""
    store = open_here()
    store.add("tea", id="tea", path="/drink")
    store.add("bread", id="bread", path="/food")
    assert store.flush(30)
    own_server.kill()
    store.reset(for_good=False)
    for wanted in ({"id": "tea"}, {"path": "/drink"}):
        with pytest.raises(StoreUnavailableError, match="try again"):
            store.undo_delete(**wanted)  # type: ignore[arg-type]
    own_server.start()
    assert store.flush(60)
    assert contents(store) == []
    assert [entry.content for entry in store.undo_delete("tea")] == ["tea"]
    assert contents(store) == ["tea"]
    assert store.undo_delete(path="/drink") == []
    assert [entry.content for entry in store.undo_delete(path="/food")] == ["bread"]


def test_what_was_never_sent_is_kept_for_the_undo(
    own_server: QdrantServer, open_here: Callable[..., MemoryStore]
) -> None:
    store = open_here()
    store.flush()
    own_server.kill()
    store.add("tea", id="tea")
    assert store.delete("tea") == 1
    own_server.start()
    assert store.flush(60)
    assert contents(store) == []
    assert [entry.content for entry in store.undo_delete()] == ["tea"]


def test_delivered_after_its_time(own_server: QdrantServer, open_here: Callable[..., MemoryStore]) -> None:
    store = open_here()
    store.add("tea", id="tea")
    assert store.flush(30)
    own_server.kill()
    store.delete("tea")
    with in_hours(2):
        own_server.start()
        assert store.flush(60)
        assert contents(store) == []
        assert store.undo_delete() == []


def test_for_good_takes_it_out_of_the_queue(own_server: QdrantServer, open_here: Callable[..., MemoryStore]) -> None:
    store = open_here()
    store.flush()
    own_server.kill()
    store.add("tea", id="tea")
    assert store.delete("tea", for_good=True) == 1
    own_server.start()
    assert store.flush(60)
    assert store.undo_delete() == []


@pytest.mark.parametrize(
    "operation",
    [
        operations.Delete(JOHN, EntryFilter(ids=("a",)), undo_until=now()),
        operations.Update(JOHN, "a", {"content": "b"}, 3),
        operations.Replace(JOHN, MemoryEntry("a", "b", JOHN), False, frozenset({"path"}), 4),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_an_operation_comes_back(operation: Any) -> None:
    assert from_text(kind_of(operation), to_text(operation), JOHN) == operation


def test_an_entry_keeps_its_history() -> None:
    history = (EarlierText("x", utcnow(), utcnow(), "r"),)
    put = operations.Put(JOHN, [MemoryEntry("a", "b", history=history)])
    again = from_text("put", to_text(put), JOHN)
    assert isinstance(again, operations.Put)
    assert again.entries[0].history == history


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("update", '{"id": "a", "changes": {"content": "b"}}'),
        ("delete", to_text(operations.Delete(JOHN, EntryFilter(ids=("a",)))).replace('"undo_until":null,', "")),
    ],
)
def test_what_an_earlier_version_accepted(kind: str, text: str) -> None:
    found: Any = from_text(kind, text, JOHN)
    assert "undo_until" not in text
    assert getattr(found, "history", 0) == 0
    assert getattr(found, "undo_until", None) is None
