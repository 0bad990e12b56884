"""Over every store: when the time of an entry is over, no read finds it, by whatever way it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from crewai_persistent_memory import (
    NEVER,
    EntryNotFoundError,
    InvalidArgumentError,
    InvalidEntryError,
    MemoryEntry,
    MemoryStore,
    MissingScopeError,
    Scope,
)
from crewai_persistent_memory.admin import copy_entries, count_by, entries_of, erase, purge_expired, survey
from crewai_persistent_memory.expiry import clock_set_to, now
from crewai_persistent_memory.io.steps import run
from crewai_persistent_memory.scope import ScopeBinding
from crewai_persistent_memory.store.background_purge import purge

from ..fixtures import OpenStore
from ..support.clock import in_hours

SECRET = "the door code is 4711"
HOUR = timedelta(hours=1)
JOHN = {"user_id": "john"}


def contents(entries: Any) -> list[str]:
    return sorted(entry.content for entry in entries)


def reads_of(store: MemoryStore, id: str) -> Iterator[tuple[str, Any]]:
    """Every way to ask a store, with its answer."""
    yield "get", store.get(id)
    yield "list", store.list()
    yield "list by id", store.list(ids=[id])
    yield "list by metadata", store.list(metadata={"about": "door"})
    yield "page", store.page(limit=10).entries
    yield "scan", list(store.scan())
    yield "scan with vectors", list(store.scan(with_vectors=True))
    yield "search", store.search("what is the door code?")
    yield "search with a filter", store.search("door code", categories=["secret"])
    yield "search for many", [each for found in store.search_many(["door", "code"]) for each in found]
    yield "categories", "secret" in store.categories()
    yield "children", "/house" in store.children()
    yield "info", store.info("/house").count
    yield "count", store.count(path="/house")
    yield "count by id", store.count(ids=[id])
    if store.capabilities.vectors:
        yield "nearest", store.nearest([], text="door code")
    if store.capabilities.counts_scopes:
        yield "entries_of", [each for each in entries_of(store) if each.content == SECRET]
        yield "count_by", count_by(store, "user_id").get("john")
        yield "survey", survey(store).counts["user_id"].get("john")


def keep_secret(store: MemoryStore, **about: Any) -> MemoryEntry:
    return store.add(SECRET, path="/house", categories=["secret"], metadata={"about": "door"}, **about)


class TestNoReadFindsIt:
    def test_by_any_way(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        kept = keep_secret(store, ttl=HOUR)
        assert store.get(kept.id) is not None
        assert kept.expires_at is not None
        assert kept.expires_at.utcoffset() == timedelta(0)
        store.flush()
        with in_hours(1.01):
            found = [way for way, answer in reads_of(store, kept.id) if answer]
            assert found == []
        # The other way round: as long as it lives, every way finds it, so that none of them was empty anyway.
        missed = [way for way, answer in reads_of(store, kept.id) if not answer and way != "nearest"]
        assert missed == []

    def test_others_are_found_as_before(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        keep_secret(store, ttl=60)
        store.add("the door is green", path="/house")
        store.add("the door was red", path="/house", ttl=timedelta(days=2))
        with in_hours(2):
            assert contents(store.list()) == ["the door is green", "the door was red"]
            assert contents(store.search("what colour has the door?")) == ["the door is green", "the door was red"]
            assert store.count() == store.info("/house").count == 2

    def test_at_its_very_time(self, open_any: OpenStore) -> None:
        end = now() + HOUR
        store = open_any(user_id="john")
        id = keep_secret(store, expires_at=end).id
        with clock_set_to(end - timedelta(microseconds=1)):
            assert store.get(id) is not None
            assert store.count() == 1
        with clock_set_to(end):
            assert store.get(id) is None
            assert store.count() == 0

    def test_a_long_text_with_its_passages(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        store.add("\n\n".join(f"Paragraph {n} about gardens and rain. " * 12 for n in range(8)) + SECRET, ttl=HOUR)
        with in_hours(2):
            assert store.search("door code 4711") == store.list() == []

    def test_it_cannot_be_changed_or_brought_back(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        kept = keep_secret(store, ttl=HOUR)
        store.flush()
        with in_hours(2):
            with pytest.raises(EntryNotFoundError):
                store.update(kept.id, ttl=HOUR)
            assert store.replace(replace(kept, expires_at=None), create=False) is False
            with pytest.raises(InvalidEntryError, match="has passed"):
                store.put([kept])
            assert store.list() == []

    def test_said_again_it_is_a_new_memory(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        store.add("old words", id="a", ttl=HOUR, categories=["old"], importance=0.9)
        store.flush()
        with in_hours(2):
            store.add("new words", id="a")
            [found] = store.list()
            assert (found.content, found.categories, found.importance) == ("new words", (), 0.5)
            assert found.expires_at is None
            assert store.count() == 1
            assert store.replace(MemoryEntry("a", "newer words"), create=False) is True
            assert contents(store.list()) == ["newer words"]

    def test_of_another_scope_it_is_another_entry(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        store.add("john's", id="a", ttl=HOUR)
        store.scoped(run_id="r").add("of the run", id="a")
        store.flush()
        with in_hours(2):
            found = store.scoped(run_id="r").get("a")
            assert found is not None
            assert found.content == "of the run"
            assert store.get("a") is None


class TestWhatACallerSays:
    def test_the_end_comes_back_exactly(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        end = datetime(2199, 5, 1, 12, 30, 1, 234567, tzinfo=timezone(timedelta(hours=2)))
        added = store.add("text", expires_at=end)
        found = store.get(added.id)
        assert found is not None
        assert found.expires_at == added.expires_at == end
        assert [each.expires_at for each in store.list()] == [end]

    def test_update_changes_and_removes_it(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        id = store.add("text", ttl=HOUR).id
        store.flush()
        end = store.update(id, ttl=timedelta(days=1)).expires_at
        assert end is not None
        # Neither of these says anything of the end.
        assert store.update(id, importance=0.7).expires_at == end
        assert store.update(id, importance=0.8, expires_at=None, ttl=None).expires_at == end
        with in_hours(2):
            assert store.count() == 1
        assert store.update(id, expires_at=NEVER).expires_at is None
        with in_hours(2_000):
            assert [each.expires_at for each in store.list()] == [None]
        store.update(id, ttl=1)
        with in_hours(2):
            assert store.list() == []

    def test_a_later_save_sets_the_end_anew(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        store.add("text", id="a", ttl=HOUR)
        store.flush()
        store.add("text", id="a", ttl=3 * HOUR)
        with in_hours(2):
            assert store.count() == 1
        store.add("text", id="a")
        with in_hours(200):
            assert store.count() == 1

    @pytest.mark.parametrize(
        ("about", "why"),
        [
            ({"expires_at": datetime(2199, 1, 1)}, r"expires_at .* has no time zone: .*timezone\.utc"),
            ({"expires_at": datetime(2001, 1, 1, tzinfo=timezone.utc)}, "expires_at .* has passed"),
            ({"expires_at": "2199-01-01"}, "expires_at must be a datetime"),
            ({"ttl": 0}, "ttl must be longer than 0"),
            ({"ttl": -5}, "ttl must be longer than 0"),
            ({"ttl": timedelta(days=-1)}, "ttl must be longer than 0"),
            ({"ttl": float("nan")}, "ttl must be a timedelta or seconds"),
            ({"ttl": True}, "ttl must be a timedelta or seconds"),
            ({"ttl": "1h"}, "ttl must be a timedelta or seconds"),
            ({"ttl": 1e300}, "ttl .* ends after the year 9999.*NEVER"),
            ({"ttl": timedelta.max}, "ttl .* ends after the year 9999.*NEVER"),
            ({"ttl": 5, "expires_at": NEVER}, "both given"),
        ],
    )
    def test_bad_input_names_the_field(self, open_any: OpenStore, about: Any, why: str) -> None:
        store = open_any(user_id="john")
        with pytest.raises(InvalidEntryError, match=why):
            store.add("text", **about)
        id = store.add("text").id
        with pytest.raises(InvalidEntryError, match=why):
            store.update(id, **about)
        assert [each.expires_at for each in store.list()] == [None]


class TestRules:
    """An entry's own end goes before that of its kind, that before the run's, and that before the one for all."""

    def test_which_one_wins(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", ttl={"secret": 2 * 3600}, run_ttl=timedelta(hours=3))
        run = store.scoped(run_id="r")
        for where, name in ((store, "user"), (run, "run")):
            where.add(f"{name}, own", kind="secret", ttl=HOUR)
            where.add(f"{name}, kind", kind="secret")
            where.add(f"{name}, other kind")
            where.add(f"{name}, never", kind="secret", expires_at=NEVER)
        left = {"run, never", "user, never", "user, other kind"}
        store.flush()
        with in_hours(0.9):
            assert len(run.list()) == 8
        with in_hours(1.1):
            assert set(contents(run.list())) == left | {"user, kind", "run, kind", "run, other kind"}
        with in_hours(2.1):
            assert set(contents(run.list())) == left | {"run, other kind"}
        with in_hours(3.1):
            assert set(contents(run.list())) == left

    def test_one_for_all_kinds(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", ttl=3 * 3600, run_ttl=3600)
        store.put([MemoryEntry("a", "of the user")])
        store.scoped(run_id="r").put([MemoryEntry("b", "of the run")])
        store.flush()
        with in_hours(2):
            assert contents(store.scoped(run_id="r").list()) == ["of the user"]
        with in_hours(4):
            assert store.list() == []


class TestPurge:
    def test_what_expired_is_deleted(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        keep_secret(store, ttl=HOUR)
        store.add("stays")
        store.add("stays a while", ttl=24 * HOUR)
        store.flush()
        assert purge_expired(store) == 0
        with in_hours(2):
            assert purge_expired(store, dry_run=True) == 1
            assert purge_expired(store) == 1
            assert purge_expired(store, dry_run=True) == purge_expired(store) == 0
        # It is not there any more, and not only hidden.
        assert contents(store.list()) == ["stays", "stays a while"]

    def test_in_the_background(self, open_any: OpenStore) -> None:
        """Also where nobody can list across users: of the users whom this handle has stored something for."""
        store = open_any()
        for user, run_id in (("john", None), ("jane", None), ("jane", "r")):
            owner = store.scoped(user_id=user, run_id=run_id)
            keep_secret(owner, ttl=HOUR)
            owner.add("stays")
            owner.flush()
        nobody = ScopeBinding(project_id=store.binding.project_id)
        with in_hours(0.5):
            assert purge(store.backend, nobody)
        with in_hours(2):
            assert purge(store.backend, nobody)
            for user, run_id in (("john", None), ("jane", "r")):
                owner = store.scoped(user_id=user, run_id=run_id)
                assert purge_expired(owner, dry_run=True) == 0
        assert contents(store.scoped(user_id="jane", run_id="r").list()) == ["stays", "stays"]

    def test_in_the_background_after_a_read(self, open_any: OpenStore) -> None:
        """A process that did not store it deletes what it comes upon."""
        writer = open_any(user_id="john")
        keep_secret(writer, ttl=HOUR)
        writer.add("stays")
        writer.flush()
        reader = open_any()
        with in_hours(2):
            assert contents(reader.scoped(user_id="john").list()) == ["stays"]
            assert purge(reader.backend, ScopeBinding(project_id=reader.binding.project_id))
            assert purge_expired(writer, dry_run=True) == 0

    def test_long_after_its_time(self, open_any: OpenStore) -> None:
        """Mem0 Cloud hides a memory by itself after the day of its end."""
        store = open_any(user_id="john")
        keep_secret(store, ttl=HOUR)
        store.add("stays")
        store.flush()
        with in_hours(72):
            assert purge_expired(store, dry_run=True) == 1
            assert purge_expired(store) == 1
            assert contents(store.list()) == ["stays"]

    def test_what_is_counted_at_one_moment(self, open_any: OpenStore) -> None:
        """What has expired and what has not are two questions, also about the same moment."""
        store = open_any(user_id="john")
        keep_secret(store, ttl=HOUR)
        store.add("stays")
        store.add("stays, too")
        store.flush()
        if store.capabilities.counts_scopes:
            with in_hours(2):
                for _ in range(2):
                    assert purge_expired(store, dry_run=True) == 1
                    assert (survey(store).entries, store.count()) == (2, 2)

    def test_of_chosen_scopes(self, open_any: OpenStore) -> None:
        store = open_any()
        if not store.capabilities.counts_scopes:
            with pytest.raises(InvalidArgumentError, match="user_id"):
                purge_expired(open_any(user_id="john"), user_id="john")
            return
        for user in ("john", "jane"):
            keep_secret(store.scoped(user_id=user), ttl=HOUR)
            store.scoped(user_id=user).flush()
        with in_hours(2):
            assert purge_expired(store, user_id="john") == 1
        assert [store.scoped(user_id=user).count() for user in ("john", "jane")] == [0, 1]
        with pytest.raises(InvalidArgumentError, match="nobody"):
            purge_expired(store, nobody="x")

    def test_delete_and_reset_take_it_too(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        first = keep_secret(store, ttl=HOUR)
        keep_secret(store, id="b", ttl=HOUR)
        keep_secret(store, id="c", ttl=HOUR)
        store.flush()
        with in_hours(2):
            store.delete(first.id)
            store.delete(path="/house", ids=["b"])
            store.reset()
        assert store.list() == []

    def test_an_erasure_leaves_none(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        if not store.capabilities.counts_scopes:
            return
        keep_secret(store, ttl=HOUR)
        store.flush()
        with in_hours(2):
            receipt = erase(store, settle=0, **JOHN)
        assert (receipt.entries, receipt.left) == (1, 0)
        assert store.list() == []


class TestCopies:
    def test_each_keeps_its_end(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        if not store.capabilities.counts_scopes:
            return
        end = keep_secret(store, ttl=2 * HOUR).expires_at
        store.add("gone", ttl=HOUR)
        store.add("stays")
        store.flush()
        target = open_any(project_id="copy", ttl=60)
        with in_hours(1.5):
            done = copy_entries(open_any(), open_any(ttl=60), into={"project_id": "copy"}, user_id="john")
            assert (done.entries, done.new, done.expired) == (2, 2, 0)
            copies = target.scoped(user_id="john")
            copies.flush()
            assert {each.content: each.expires_at for each in copies.list()} == {SECRET: end, "stays": None}


class TestTheEndOfARun:
    def test_what_is_kept_is_the_users(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", run_ttl=3600)
        store.add("of the user", id="u")
        run_of = store.scoped(run_id="r")
        kept = run_of.add("likes tea", categories=["taste"], metadata={"n": 1}, importance=0.9)
        run_of.add("wants the blue one", kind="entity")
        store.scoped(run_id="other").add("of another run")
        done = run_of.end_run(keep=[kept.id])
        assert (done.kept, done.deleted) == (1, 2)
        store.flush()
        assert contents(run_of.list()) == contents(store.list()) == ["likes tea", "of the user"]
        found = store.get(kept.id)
        assert found is not None
        assert found.scope == Scope(user_id="john")
        assert (found.categories, found.metadata, found.importance) == (("taste",), {"n": 1}, 0.9)
        # The end of its run was not its own.
        assert found.expires_at is None
        assert contents(store.scoped(run_id="other").list()) == ["likes tea", "of another run", "of the user"]
        assert run_of.end_run(keep=[kept.id]).deleted == 0

    def test_by_filters_and_by_a_function(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        for run_id, keep in (("a", {"kind": "entity"}), ("b", lambda entry: entry.kind == "entity")):
            run_of = store.scoped(run_id=run_id)
            run_of.add(f"chat {run_id}")
            run_of.add(f"fact {run_id}", kind="entity")
            assert run_of.end_run(keep=keep).kept == 1
        store.scoped(run_id="c").add("gone")
        assert store.scoped(run_id="c").end_run().kept == 0
        assert contents(store.list()) == ["fact a", "fact b"]

    def test_an_end_of_its_own_stays(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", run_ttl=3600)
        end = keep_secret(store.scoped(run_id="r"), ttl=2 * HOUR).expires_at
        store.scoped(run_id="r").end_run(keep=lambda entry: True)
        assert [each.expires_at for each in store.list()] == [end]

    def test_an_id_that_the_user_has(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        store.add("of the user", id="a")
        store.add("the same", id="b")
        run_of = store.scoped(run_id="r")
        run_of.add("of the run", id="a")
        run_of.add("the same", id="b")
        run_of.end_run(keep=["a", "b"])
        assert contents(store.list()) == ["of the run", "of the user", "the same"]
        assert contents(run_of.list()) == ["of the run", "of the user", "the same"]

    def test_a_user_s_entry_with_the_id_of_one_that_is_dropped(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        store.add("of the user", id="a")
        store.scoped(run_id="r").add("of the run", id="a")
        assert store.scoped(run_id="r").end_run().deleted == 1
        assert contents(store.list()) == ["of the user"]

    def test_nobody_else_has_it(self, open_any: OpenStore) -> None:
        for user in ("john", "jane"):
            open_any(user_id=user, run_id="r").add(f"{user}'s")
        open_any(user_id="john", run_id="r").end_run(keep=lambda entry: True)
        assert contents(open_any(user_id="john").list()) == ["john's"]
        assert open_any(user_id="jane").list() == []
        assert contents(open_any(user_id="jane", run_id="r").list()) == ["jane's"]

    def test_what_agents_have_in_the_run(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        store.scoped(run_id="r", agent_id="chef").add("the chef's")
        store.scoped(run_id="r").add("of all")
        store.flush()
        if not store.capabilities.counts_scopes:
            store.scoped(run_id="r", agent_id="chef").end_run(keep=lambda entry: True)
        store.scoped(run_id="r").end_run(keep=lambda entry: True)
        assert contents(store.list()) == ["of all"]
        assert contents(store.scoped(agent_id="chef").list()) == ["of all", "the chef's"]

    def test_cut_short_nothing_is_lost(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        run_of = store.scoped(run_id="r")
        for number in range(3):
            run_of.add(f"fact {number}", id=f"f{number}")
        allowed = 0

        def killed(operation: Any, execute: Any) -> Any:
            nonlocal allowed
            if operation.writes:
                if not allowed:
                    raise KeyboardInterrupt
                allowed -= 1
            return (yield from execute(operation))

        for writes in range(3):
            allowed = writes
            try:
                run_of.wrap(killed).end_run(keep=["f0", "f1", "f2"])
            except KeyboardInterrupt:
                store.flush()
                assert {each.id for each in run_of.list()} == {"f0", "f1", "f2"}
        run_of.end_run(keep=["f0", "f1", "f2"])
        assert contents(store.list()) == ["fact 0", "fact 1", "fact 2"]
        assert all(each.scope == Scope(user_id="john") for each in run_of.list())

    def test_mistakes_delete_nothing(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        run_of = store.scoped(run_id="r")
        run_of.add("fact", id="a")
        with pytest.raises(MissingScopeError, match="run_id"):
            store.end_run()
        for keep, why in (
            (["b"], "no memory with the id 'b'"),
            ("a", "list of ids"),
            ({}, "empty dict"),
            ({"kinds": "x"}, "unknown filter"),
        ):
            with pytest.raises(InvalidArgumentError, match=why):
                run_of.end_run(keep=keep)  # type: ignore[arg-type]
        assert contents(run_of.list()) == ["fact"]


def test_an_expired_entry_of_the_queue_of_imports_is_stored_unseen(open_any: OpenStore) -> None:
    """Between the look at its end and the save, its time may be over."""
    store = open_any(user_id="john")
    end = now() + HOUR
    with in_hours(2):
        run(store.steps.put_as_they_are([MemoryEntry("a", SECRET, expires_at=end)]))
        store.flush()
        assert store.list() == []
        assert store.get("a") is None
