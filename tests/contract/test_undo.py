"""Over every store in Qdrant: what was deleted comes back for a while, to whom it belongs, and is gone afterwards."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import InvalidArgumentError, MemoryEntry, MemoryStore, Scope
from crewai_persistent_memory.admin import count_by, entries_of, erase, purge_expired
from crewai_persistent_memory.backends.qdrant.forgotten import PAGE
from crewai_persistent_memory.backends.qdrant.server import place, reads
from crewai_persistent_memory.expiry import now
from crewai_persistent_memory.io.steps import run
from crewai_persistent_memory.store.operations import UndoDelete

from ..fixtures import OpenStore
from ..support.clock import in_hours
from ..support.embedders import WordHashEmbedder
from ..support.engines import STORES
from ..support.thorough import IS_THOROUGH
from .test_expiry import contents, keep_secret, reads_of

HOUR = timedelta(hours=1)
OF_QDRANT = [name for name in STORES if not name.startswith("mem0-")]

pytestmark = pytest.mark.parametrize("open_any", OF_QDRANT, indirect=True)


def there(store: MemoryStore) -> int:
    """How many points of entries are in the store, whatever they are."""
    return sum(count_of(store).values())


def count_of(store: MemoryStore) -> dict[str, int]:
    store.flush()
    return run(store.steps.count_scopes("project_id", {}, with_expired=True))


class TestItIsDeleted:
    def test_no_read_finds_it(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", undo_for=HOUR)
        kept = keep_secret(store)
        missed = [way for way, answer in reads_of(store, kept.id) if not answer and way != "nearest"]
        assert missed == []
        assert store.delete(kept.id) == 1
        store.flush()
        assert [way for way, answer in reads_of(store, kept.id) if answer] == []

    def test_again_finds_nothing(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", undo_for=HOUR)
        store.add("tea", id="tea")
        assert (store.delete("tea"), store.delete("tea")) == (1, 0)
        assert contents(store.undo_delete("tea")) == ["tea"]

    def test_it_cannot_be_changed(self, open_any: OpenStore) -> None:
        """What was read before the delete, and is written after it, does not bring it back."""
        store = open_any(user_id="john", undo_for=HOUR)
        store.add("tea", id="tea")
        read = store.get("tea")
        assert read is not None
        store.delete("tea")
        assert store.replace(replace(read, content="green tea"), create=False) is False
        store.touch(["tea"])
        assert store.count() == 0
        assert contents(store.undo_delete()) == ["tea"]

    def test_without_the_option_it_is_gone(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        store.add("tea", id="tea")
        store.delete("tea")
        assert there(store) == 0
        assert store.undo_delete() == []


class TestItComesBack:
    def test_as_it_was(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", embedder=WordHashEmbedder(), undo_for=HOUR, history=3)
        about: dict[str, Any] = {"path": "/taste", "categories": ["drink"], "metadata": {"n": [1, "2"]}}
        store.add("he likes coffee", id="taste", ttl=HOUR, **about)
        store.update("taste", content="he likes tea")
        before = store.get("taste")
        assert before is not None
        store.delete("taste")
        [back] = store.undo_delete("taste")
        assert back.content == "he likes tea"
        store.flush()
        after = store.get("taste")
        assert after is not None
        assert replace(after, embedding=None) == replace(before, embedding=None)
        assert after.history == before.history
        assert len(before.history) == 1
        assert list(after.embedding or ()) == pytest.approx(list(before.embedding or ()), abs=1e-6)
        assert [each.content for each in store.search("tea")] == ["he likes tea"]

    def test_a_long_text_gets_the_vectors_of_its_passages_again(self, open_any: OpenStore) -> None:
        embedded: list[str] = []

        class Counting(WordHashEmbedder):
            def __call__(self, texts: list[str]) -> list[list[float]]:
                embedded.extend(texts)
                return super().__call__(texts)

        store = open_any(user_id="john", embedder=Counting(), undo_for=HOUR)
        text = "\n\n".join(f"Chapter {n}. " + f"Of the {n}th thing it says little. " * 12 for n in range(8))
        store.add(text, id="book")
        store.flush()
        passages = {each for each in embedded if each in text}
        assert len(passages) > 1
        store.delete("book")
        embedded.clear()
        store.undo_delete("book")
        store.flush()
        assert passages <= set(embedded)
        assert [each.id for each in store.search("chapter 5")] == ["book"]

    def test_many_and_all_of_them(self, open_any: OpenStore) -> None:
        store, count = open_any(user_id="john", undo_for=HOUR), PAGE + 10
        store.put([MemoryEntry(str(number), f"thing {number}") for number in range(count)])
        assert store.reset(for_good=False) == count
        assert store.count() == 0
        assert len(store.undo_delete(dry_run=True)) == count
        assert store.count() == 0
        assert len(store.undo_delete()) == count
        assert store.count() == count
        assert there(store) == count

    def test_more_ids_than_one_request_has(self, open_any: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """A request to a server has 1,000. The ordinary run lets it have 100, and writes fewer entries."""
        count = 1_050 if IS_THOROUGH else 210
        if not IS_THOROUGH:
            for module in (place, reads):
                monkeypatch.setattr(module, "PAGE", 100)
        store = open_any(user_id="john", undo_for=HOUR)
        ids = [str(number) for number in range(count)]
        store.put([MemoryEntry(id, f"thing {id}") for id in ids])
        assert store.delete(ids=ids) == count
        store.flush()
        assert there(store) == count
        assert len(store.undo_delete()) == count

    def test_some_by_ids_and_path(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", undo_for=HOUR)
        for id, path in (("a", "/x"), ("b", "/x/y"), ("c", "/z")):
            store.add(id, id=id, path=path)
        store.delete(ids=["a", "b", "c"])
        assert contents(store.undo_delete(ids=["a", "c"], path="/x")) == ["a"]
        assert contents(store.undo_delete(path="/x")) == ["b"]
        assert store.undo_delete(ids=[]) == []
        assert contents(store.undo_delete()) == ["c"]

    def test_twice_brings_it_back_once(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", undo_for=HOUR)
        store.add("tea", id="tea")
        store.delete("tea")
        assert [len(store.undo_delete()) for _ in range(2)] == [1, 0]
        assert there(store) == 1

    def test_to_its_own_run_and_agent(self, open_any: OpenStore) -> None:
        user = open_any(user_id="john", undo_for=HOUR)
        run_of = user.scoped(run_id="r", agent_id="chef")
        run_of.add("of the run", id="one")
        user.add("of the user", id="one")
        run_of.delete("one")
        assert contents(user.undo_delete()) == ["of the user"]
        assert contents(run_of.undo_delete()) == ["of the run"]
        assert contents(user.list()) == ["of the user"]

    def test_unless_its_own_end_has_come(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", undo_for=10 * HOUR)
        store.add("tea", id="tea", ttl=HOUR)
        store.delete("tea")
        with in_hours(2):
            assert store.undo_delete() == []
            assert store.count() == 0


class TestSaidAgain:
    def test_it_is_there_again(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", undo_for=HOUR)
        store.add("tea", id="tea")
        store.delete("tea")
        store.add("green tea", id="tea")
        assert contents(store.list()) == ["green tea"]
        assert store.undo_delete() == []
        assert contents(store.list()) == ["green tea"]
        # And forgotten again: the last one comes back.
        store.delete("tea")
        assert contents(store.undo_delete()) == ["green tea"]


class TestOthers:
    """The attacks: nobody brings back, sees or keeps what is not theirs."""

    @pytest.fixture
    def john(self, open_any: OpenStore) -> MemoryStore:
        store = open_any(undo_for=HOUR).scoped(user_id="john", project_id="live")
        for number in range(3):
            store.add(f"secret {number}", id=str(number), path="/x")
        store.delete(ids=["0", "1", "2"])
        store.flush()
        return store

    @pytest.mark.parametrize(
        "fields",
        [
            {"user_id": "jane", "project_id": "live"},
            {"user_id": "john", "project_id": "staging"},
            {"user_id": "john", "project_id": "live", "org_id": "acme"},
        ],
        ids=str,
    )
    def test_another_scope_gets_nothing(self, open_any: OpenStore, john: MemoryStore, fields: dict[str, str]) -> None:
        other = open_any(undo_for=HOUR).scoped(**fields)  # type: ignore[arg-type]
        assert other.undo_delete() == []
        assert other.undo_delete(ids=["0", "1", "2"]) == []
        assert other.undo_delete(path="/x", dry_run=True) == []
        assert other.reset() == 0
        assert other.delete(ids=["0", "1", "2"], for_good=True) == 0
        assert len(john.undo_delete()) == 3

    def test_shared_memory_is_not_a_users(self, open_any: OpenStore) -> None:
        store = open_any(undo_for=HOUR, include_shared=True)
        shared, john = store.scoped(Scope.shared("live")), store.scoped(user_id="john", project_id="live")
        shared.add("of the team", id="one")
        shared.delete("one")
        assert john.undo_delete() == []
        assert contents(shared.undo_delete()) == ["of the team"]

    def test_a_user_deletes_nothing_of_the_team(self, open_any: OpenStore) -> None:
        """By no kind of delete, though the user reads it."""
        store = open_any(undo_for=HOUR, include_shared=True)
        shared, john = store.scoped(Scope.shared("live")), store.scoped(user_id="john", project_id="live")
        shared.add("of the team", id="one", path="/x")
        shared.flush()
        assert contents(john.list()) == ["of the team"]
        for how in ({"ids": ["one"]}, {"path": "/x"}):
            assert john.delete(**how) == 0  # type: ignore[arg-type]
            assert john.delete(**how, for_good=True) == 0  # type: ignore[arg-type]
        assert (john.reset(for_good=False), john.reset()) == (0, 0)
        assert contents(shared.list()) == ["of the team"]

    def test_an_agents_memory_is_not_another_agents(self, open_any: OpenStore) -> None:
        store = open_any(undo_for=HOUR).scoped(user_id="john")
        store.scoped(agent_id="chef").add("of the chef", id="one")
        store.scoped(agent_id="chef").delete("one")
        assert store.scoped(agent_id="waiter").undo_delete() == []
        assert store.undo_delete() == []
        assert len(store.scoped(agent_id="chef").undo_delete()) == 1

    def test_a_forged_answer_is_dropped(self, open_any: OpenStore, john: MemoryStore) -> None:
        def forging(operation: Any, execute: Callable[[Any], Any], /) -> Any:
            if isinstance(operation, UndoDelete):
                return [MemoryEntry("0", "secret", Scope("john", "live"))]
            return (yield from execute(operation))

        jane = open_any(undo_for=HOUR).scoped(user_id="jane", project_id="live").wrap(forging)
        assert jane.undo_delete() == []


class TestGone:
    def test_after_its_time(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", undo_for=HOUR)
        store.add("tea", id="tea")
        store.add("expired", ttl=HOUR)
        store.delete("tea")
        store.flush()
        with in_hours(0.99):
            assert purge_expired(store, dry_run=True) == 0
            assert purge_expired(store) == 0
            assert len(store.undo_delete(dry_run=True)) == 1
        with in_hours(1.01):
            assert store.undo_delete() == []
            assert purge_expired(store, dry_run=True) == 2
            assert purge_expired(store) == 2
        assert there(store) == 0

    def test_at_once_by_a_reset(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", undo_for=HOUR)
        store.add("tea", path="/x")
        store.delete(path="/x")
        store.flush()
        assert there(store) == 1
        assert store.reset() == 1
        assert there(store) == 0

    def test_at_once_by_an_erasure(self, open_any: OpenStore) -> None:
        store = open_any(undo_for=HOUR)
        john = store.scoped(user_id="john")
        john.add("tea", id="tea")
        john.delete("tea")
        store.scoped(user_id="jane").add("coffee")
        store.scoped(user_id="jane").flush()
        john.flush()
        erase(store, user_id="john")
        assert john.undo_delete() == []
        assert [entry.content for entry in entries_of(store)] == ["coffee"]

    def test_at_once_for_good(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", undo_for=HOUR)
        store.add("tea", id="tea")
        store.add("coffee", id="coffee")
        store.delete("tea", for_good=True)
        store.delete("coffee")
        assert store.delete("coffee", for_good=True) == 1
        assert store.undo_delete() == []
        assert there(store) == 0

    def test_nothing_of_it_is_counted_or_exported(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", undo_for=HOUR)
        store.add("tea", id="tea")
        store.delete("tea")
        store.flush()
        assert count_by(store, "user_id") == {}
        assert list(entries_of(store, with_vectors=True)) == []

    def test_its_words_are_in_no_other_entry(self, open_any: OpenStore) -> None:
        """A short text holds the words of what was said before it; see ``backends.qdrant.context``."""
        store = open_any(user_id="john", undo_for=HOUR)
        store.add("we were in Iceland", id="first", metadata={"chat_id": "1"})
        store.add("it was great", id="then", metadata={"chat_id": "1"})
        store.flush()
        assert len(store.search("Iceland")) == 2
        store.delete("first")
        assert store.search("Iceland") == []


class TestAtOnce:
    def test_a_forget_and_updates(self, open_any: OpenStore) -> None:
        """Whoever comes last: it is deleted when the delete has returned and the updates are done."""
        store = open_any(user_id="john", undo_for=HOUR)
        store.add("tea 0", id="tea")
        begun = threading.Event()

        def change() -> None:
            for number in range(1, 30):
                entry = store.get("tea")
                if entry is not None:
                    store.replace(replace(entry, content=f"tea {number}", expires_at=now() + HOUR), create=False)
                begun.set()

        with ThreadPoolExecutor(1) as pool:
            changing = pool.submit(change)
            assert begun.wait(30)
            assert store.delete("tea") == 1
            changing.result()
        assert store.get("tea") is None
        assert store.count() == 0
        [back] = store.undo_delete()
        assert back.content.startswith("tea ")
        assert contents(store.list()) == [back.content]

    def test_a_delete_while_all_of_it_is_deleted_for_good(self, open_any: OpenStore) -> None:
        """Whichever of its requests was answered last: what is about to be kept does not stay."""
        store = open_any(undo_for=HOUR)
        john, number, done = store.scoped(user_id="john"), 0, False
        while not done:
            john.add("tea", id="tea")
            john.flush()
            done = _stopped_after(john.steps.delete("tea"), number, john.reset)
            assert there(john) == 0, f"after request {number}"
            number += 1
        assert number > 1

    def test_two_deletes(self, open_any: OpenStore) -> None:
        """It can be undone, but where one begins and ends between two requests of the other, one after the other."""
        store = open_any(user_id="john", undo_for=HOUR)
        lost, number, done = [], 0, False
        while not done:
            store.add("tea", id="tea")
            store.flush()
            done = _stopped_after(store.steps.delete("tea"), number, lambda: store.delete("tea"))
            store.flush()
            assert store.count() == 0
            if contents(store.undo_delete()) != ["tea"]:
                lost.append(number)
            number += 1
        assert len(lost) <= 1


def _stopped_after(steps: Any, number: int, meanwhile: Callable[[], object]) -> bool:
    """Do an operation, and something else when so many of its steps are done. Returns whether it was done before."""
    answer: Any = None
    for done in itertools.count():
        try:
            step = steps.send(answer)
        except StopIteration:
            if done <= number:
                meanwhile()
            return done <= number
        answer = step.wait()
        if done == number:
            meanwhile()
    raise AssertionError


def test_wrong_arguments(open_any: OpenStore, tmp_path: Path) -> None:
    store = open_any(user_id="john", undo_for=HOUR)
    with pytest.raises(InvalidArgumentError, match="both given"):
        store.undo_delete("a", ids=["b"])


class TestItIsKeptNoLongerThanItself:
    def test_its_own_end_comes_before_that_of_the_undo(self, open_any: OpenStore) -> None:
        """A secret with an hour to live is not kept for a day because it was forgotten."""
        store = open_any(user_id="john", undo_for=24 * HOUR)
        store.add("the code is 4711", id="code", ttl=HOUR)
        store.add("tea", id="tea")
        assert store.delete(ids=["code", "tea"]) == 2
        assert contents(store.undo_delete(dry_run=True)) == ["tea", "the code is 4711"]
        with in_hours(2):
            assert contents(store.undo_delete(dry_run=True)) == ["tea"]
            assert purge_expired(store, dry_run=True) == 1
            assert purge_expired(store) == 1
            assert there(store) == 1
            assert contents(store.undo_delete()) == ["tea"]

    def test_the_end_of_the_undo_comes_before_its_own(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", undo_for=HOUR)
        store.add("the code is 4711", id="code", ttl=24 * HOUR)
        end = store.list()[0].expires_at
        store.delete("code")
        with in_hours(2):
            assert purge_expired(store) == 1
        store.add("the code is 4712", id="code", expires_at=end)
        store.delete("code")
        [back] = store.undo_delete()
        assert (back.content, back.expires_at) == ("the code is 4712", end)

    @pytest.mark.parametrize("keep", [[], ["kept"]])
    def test_the_end_of_its_run(self, open_any: OpenStore, keep: list[str]) -> None:
        store = open_any(undo_for=HOUR)
        john = store.scoped(user_id="john")
        in_run = john.scoped(run_id="r1")
        owners = {"run": in_run, "agent": in_run.scoped(agent_id="chef"), "user": john}
        owners |= {"other run": john.scoped(run_id="r2"), "jane": store.scoped(user_id="jane", run_id="r1")}
        for name, owner in owners.items():
            owner.add(f"forgotten of {name}", id=f"of {name}")
            assert owner.delete(f"of {name}") == 1
        in_run.add("kept", id="kept")
        in_run.add("not kept", id="not kept")
        assert in_run.end_run(keep=keep).kept == len(keep)
        assert contents(in_run.undo_delete(dry_run=True)) == ["forgotten of user"]
        assert contents(owners["agent"].undo_delete(dry_run=True)) == ["forgotten of user"]
        for owner in owners.values():
            owner.flush()
        assert there(john) == 3 + len(keep)
        for name in ("user", "other run", "jane"):
            assert f"forgotten of {name}" in contents(owners[name].undo_delete())
