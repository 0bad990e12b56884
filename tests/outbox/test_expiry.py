"""What expires while it waits: no read finds it, and its text is not sent any more."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from crewai_persistent_memory import (
    NEVER,
    EmbedderUnavailableError,
    EntryNotFoundError,
    MemoryStore,
    StoreBusyError,
    StoreUnavailableError,
    operations,
)
from crewai_persistent_memory.admin import purge_expired
from crewai_persistent_memory.entry import MemoryEntry
from crewai_persistent_memory.entry_filter import EntryFilter
from crewai_persistent_memory.expiry import now
from crewai_persistent_memory.outbox.inspection import QueueFile, queues_in
from crewai_persistent_memory.outbox.lanes import LOOK_AHEAD
from crewai_persistent_memory.outbox.serialised import from_text, kind_of, to_text
from crewai_persistent_memory.scope import Scope

from ..support.calling import until
from ..support.clock import in_hours
from ..support.faulty_store import FaultyStore
from .conftest import OpenOutbox

SECRET = "the door code is 4711"
HOUR = timedelta(hours=1)


def found_by(store: MemoryStore) -> list[str]:
    """By the reads that are answered while the store is away."""
    found = [*store.search("door code"), *store.search_many(["code 4711"])[0]]
    if store.categories():
        found.append(MemoryEntry("c", "a category"))
    if store.children() or store.info().count:
        found.append(MemoryEntry("p", "a path"))
    return sorted({entry.content for entry in found})


def test_a_recall_during_an_outage(behind: FaultyStore, open_outbox: OpenOutbox) -> None:
    behind.away = True
    store = open_outbox()
    id = store.add(SECRET, ttl=HOUR, categories=["secret"], path="/house").id
    assert found_by(store) == sorted([SECRET, "a category", "a path"])
    assert store.get(id) is not None
    with in_hours(2):
        assert found_by(store) == []
        with pytest.raises(StoreUnavailableError):
            store.get(id)


def test_the_text_is_not_delivered_after_its_time(behind: FaultyStore, open_outbox: OpenOutbox) -> None:
    behind.away = True
    store = open_outbox()
    store.add(SECRET, id="code", ttl=HOUR, categories=["secret"], metadata={"note": SECRET})
    store.add("stays", id="stays")
    until(lambda: store.health()["outbox"]["last_error"], bool)  # no attempt is under way
    with in_hours(2):
        behind.away = False
        assert store.flush(10)
        assert [entry.content for entry in store.list()] == ["stays"]
    assert SECRET not in repr(behind.entries)


def test_one_that_the_store_never_had_is_not_stored_at_all(behind: FaultyStore, open_outbox: OpenOutbox) -> None:
    behind.away = True
    store = open_outbox()
    store.add(SECRET, ttl=HOUR)
    store.scoped(run_id="r").add(SECRET, ttl=HOUR)
    store.add("stays")
    until(lambda: store.health()["outbox"]["last_error"], bool)
    with in_hours(2):
        behind.away = False
        assert store.flush(10)
        assert behind.contents() == ["stays"]


def test_nor_is_the_one_that_it_replaced_seen_again(behind: FaultyStore, open_outbox: OpenOutbox) -> None:
    store = open_outbox()
    store.add("an older code", id="code")
    assert store.flush(10)
    behind.away = True
    store.add(SECRET, id="code", ttl=HOUR)
    with in_hours(2):
        assert found_by(store) == []
        behind.away = False
        assert store.flush(10)
        assert store.list() == []
        assert store.search("older code") == []


def test_a_replacement_that_expired(behind: FaultyStore, open_outbox: OpenOutbox) -> None:
    store = open_outbox()
    store.add("an older code", id="code")
    assert store.flush(10)
    behind.away = True
    store.replace(MemoryEntry("code", SECRET, expires_at=now() + HOUR))
    with in_hours(2):
        behind.away = False
        assert store.flush(10)
        assert store.list() == []
    assert SECRET not in repr(behind.entries)


def test_messages_are_not_sent_after_their_time(open_outbox: OpenOutbox) -> None:
    behind = FaultyStore(extracts=True)
    behind.away = True
    store = open_outbox(over=behind)
    store.add_messages([{"role": "user", "content": SECRET}], ttl=HOUR)
    assert [entry.content for entry in store.search("door code")] == [SECRET]
    with in_hours(2):
        assert store.search("door code") == []
        behind.away = False
        assert store.flush(10)
    assert behind.delivered == {}


def test_an_update_that_waits_ends_it(behind: FaultyStore, open_outbox: OpenOutbox) -> None:
    store = open_outbox()
    store.add("the code", id="code")
    assert store.flush(10)
    behind.freeze()
    store.update("code", ttl=HOUR)
    behind.thaw()
    until(store.pending, lambda pending: not pending)
    with in_hours(2):
        assert store.list() == []


def test_a_change_after_its_time_does_not_bring_it_back(behind: FaultyStore, open_outbox: OpenOutbox) -> None:
    behind.away = True
    store = open_outbox()
    store.add(SECRET, id="code", ttl=HOUR, metadata={"note": SECRET})
    with in_hours(2):
        with pytest.raises(EntryNotFoundError):
            store.update("code", ttl=HOUR)
        assert store.replace(MemoryEntry("code", "x"), create=False, keep=["metadata"]) is False
        assert found_by(store) == []
        assert store.replace(MemoryEntry("code", "door opener"), keep=["metadata"]) is True
        assert found_by(store) == ["a path", "door opener"]
        behind.away = False
        assert store.flush(10)
        assert [entry.content for entry in store.list()] == ["door opener"]
    assert SECRET not in repr(behind.entries)


def test_a_change_before_its_time_keeps_it(behind: FaultyStore, open_outbox: OpenOutbox) -> None:
    behind.away = True
    store = open_outbox()
    for id in ("later", "for good"):
        store.add(f"ends {id}", id=id, ttl=HOUR)
    store.update("later", ttl=10 * HOUR)
    store.update("for good", expires_at=NEVER)
    with in_hours(2):
        behind.away = False
        assert store.flush(10)
        assert sorted(entry.content for entry in store.list()) == ["ends for good", "ends later"]
    with in_hours(12):
        assert [entry.content for entry in store.list()] == ["ends for good"]


def test_the_operator_is_not_shown_it(behind: FaultyStore, open_outbox: OpenOutbox, tmp_path: Path) -> None:
    behind.away = True
    store = open_outbox()
    store.add(SECRET, id="code", ttl=HOUR)
    store.replace(MemoryEntry("another", SECRET, expires_at=now() + HOUR))
    [folder] = queues_in(tmp_path / "outbox")

    def shown() -> str:
        with QueueFile(folder) as file:
            return repr(list(file.rows()))

    assert shown().count(SECRET) == 2
    with in_hours(2):
        assert SECRET not in shown()


def test_what_waits_comes_back_exactly() -> None:
    scope, end = Scope(user_id="john", run_id="r"), now()
    for operation in (
        operations.Put(scope, [MemoryEntry("a", "text", scope=scope, expires_at=end)]),
        operations.Replace(scope, MemoryEntry("a", "text", scope=scope, expires_at=end)),
        operations.Update(scope, "a", {"expires_at": end}),
        operations.Update(scope, "a", {"expires_at": None}),
        operations.AddMessages(scope, [{"role": "user", "content": "x"}], {"expires_at": end}),
        operations.Delete(scope, EntryFilter(ids=("a",)), owner_only=True),
    ):
        assert from_text(kind_of(operation), to_text(operation), scope) == operation


def test_a_replacement_whose_end_was_put_off(behind: FaultyStore, open_outbox: OpenOutbox) -> None:
    behind.away = True
    store = open_outbox()
    store.replace(MemoryEntry("later", "ends later", expires_at=now() + HOUR))
    store.update("later", expires_at=NEVER)
    with in_hours(2):
        assert [entry.content for entry in store.search("ends")] == ["ends later"]
        behind.away = False
        assert store.flush(10)
        assert [entry.content for entry in store.list()] == ["ends later"]


def test_a_change_in_time_that_is_delivered_late(behind: FaultyStore, open_outbox: OpenOutbox) -> None:
    store = open_outbox()
    for id in ("put off", "replaced", "left"):
        store.add(id, id=id, ttl=HOUR, metadata={"of": id})
    assert store.flush(10)
    behind.away = True
    store.update("put off", expires_at=NEVER)
    assert store.replace(MemoryEntry("replaced", "anew"), create=False, keep=["metadata"])
    with in_hours(2):
        behind.away = False
        assert store.flush(10)
        found = {entry.content: dict(entry.metadata) for entry in store.list()}
    assert found == {"put off": {"of": "put off"}, "anew": {"of": "replaced"}}


def test_an_end_that_is_put_off_far_behind_in_the_queue(behind: FaultyStore, open_outbox: OpenOutbox) -> None:
    behind.away = True
    store = open_outbox()
    store.add("ends later", id="later", ttl=HOUR)
    for number in range(LOOK_AHEAD):
        store.add(f"in between {number}")
    store.update("later", expires_at=NEVER)
    with in_hours(2):
        behind.away = False
        assert store.flush(30)
        found = store.get("later")
        assert found is not None
        assert found.content == "ends later"


def test_the_end_of_a_run_takes_what_waits_of_its_agents(behind: FaultyStore, open_outbox: OpenOutbox) -> None:
    run = open_outbox(scope={"run_id": "r"})
    chef = run.scoped(agent_id="chef")
    behind.fails_writes = EmbedderUnavailableError("the test's embedder is away")
    chef.add(SECRET)
    wish = chef.add("John likes tea")
    done = run.end_run(keep=[wish.id])
    assert done.kept == 1
    assert chef.search("code") == []
    behind.fails_writes = None
    assert run.flush(10)
    assert [(each.content, owner.run_id, owner.agent_id) for (owner, _), each in behind.entries.items()] == [
        ("John likes tea", None, "chef")
    ]


def test_the_end_of_a_run_does_not_ask_a_store_that_is_away(behind: FaultyStore, open_outbox: OpenOutbox) -> None:
    run = open_outbox(scope={"run_id": "r"})
    behind.away = True
    run.search("anything")
    with pytest.raises(StoreUnavailableError, match="only it can answer"):
        run.end_run()


def test_no_purge_while_a_change_waits(behind: FaultyStore, open_outbox: OpenOutbox) -> None:
    store = open_outbox()
    store.add("put off", id="put off", ttl=HOUR)
    store.add("ends", id="ends", ttl=HOUR)
    assert store.flush(10)
    behind.fails_writes = EmbedderUnavailableError("the test's embedder is away")
    store.update("put off", content="put off, and changed", expires_at=NEVER)
    with in_hours(2):
        with pytest.raises(StoreBusyError, match="purge when crewai-memory outbox status shows none"):
            purge_expired(store)
        behind.fails_writes = None
        assert store.flush(10)
        assert purge_expired(store) == 1
        assert [entry.content for entry in store.list()] == ["put off, and changed"]
