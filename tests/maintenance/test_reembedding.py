"""Another embedder for a store in use: nothing is missing or twice, and nobody gets a vector of the other one."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    EmbedderMismatchError,
    EmbedderUnavailableError,
    MemoryEntry,
    MemoryStore,
    PersistentMemory,
    StoreBusyError,
    StoreClosedError,
    open_store,
)
from crewai_persistent_memory.admin import (
    back_up,
    check,
    entries_of,
    erase,
    purge_expired,
    reembed,
    restore,
)
from crewai_persistent_memory.backends.qdrant.embedded import connection as embedded
from crewai_persistent_memory.backends.qdrant.embedded import exchange
from crewai_persistent_memory.config.options import MemoryConfig
from crewai_persistent_memory.store.factory import open_configured
from crewai_persistent_memory.testing import FakeEmbedder

from ..support.crews import needs_unified
from ..support.engines import Places
from ..support.programs import killed_after, run_program
from ..support.qdrant_server import QdrantServer
from ..support.thorough import IS_THOROUGH, sample

OLD, NEW = FakeEmbedder(64), FakeEmbedder(32, salt="new")
SAME_LENGTH = FakeEmbedder(64, salt="another")
LONG = "\n\n".join(f"Chapter {n}. " + f"Of the {n}th thing it says little. " * 12 for n in range(8))


def fill(store: MemoryStore, count: int = 100) -> None:
    for user in ("john", "jane"):
        store.scoped(user_id=user).put([MemoryEntry(f"e{n}", f"{user} said thing{n}") for n in range(count)])
    store.scoped(user_id="john").add(LONG, id="book", path="/x", categories=["a"], metadata={"n": [1]})


def everything(store: MemoryStore) -> dict[tuple[str, str], MemoryEntry]:
    return {(str(entry.scope), entry.id): entry for entry in entries_of(store)}


def vectors_agree(store: MemoryStore, embedder: FakeEmbedder) -> bool:
    """Whether each entry has the new embedder's vector of its text."""
    for entry in entries_of(store, with_vectors=True):
        if not entry.embedding or len(entry.embedding) != embedder.dimensions:
            return False
        if entry.id != "book":
            product = sum(x * y for x, y in zip(entry.embedding, embedder.vector(entry.content), strict=True))
            if product < 0.98:
                return False
    return True


@pytest.fixture
def path(stores_stay_open: None, tmp_path: Path) -> Path:
    """A filled store. It is held open: the engine reads the room for vectors when it opens, 130 MB of zeros."""
    return filled(tmp_path / "s")


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A filled store, for a test about closing it, or about what another process finds in it."""
    return filled(tmp_path / "s")


def filled(path: Path) -> Path:
    with open_store(path=path, embedder=OLD) as store:
        fill(store)
    return path


@pytest.mark.parametrize("new", [NEW, SAME_LENGTH], ids=["other length", "same length"])
def test_everything_is_there_with_the_new_vectors(closed: Path, new: FakeEmbedder) -> None:
    with open_store(path=closed, embedder=OLD) as store:
        before = everything(store)
        done = reembed(store, new)
        assert (done.entries, done.embedded, done.without, done.changed) == (201, 201, 0, True)
        assert everything(store) == before
        assert vectors_agree(store, new)
        assert json.loads((closed / "store.json").read_text())["spread"] is not None
        john = store.scoped(user_id="john")
        assert john.search("thing7")[0].id == "e7"
        assert john.search("chapter 5")[0].id == "book"
        assert "semantic" in john.search("thing7")[0].found_by
        john.add("something newer", id="newer")
        assert len(john.get("newer").embedding or ()) == new.dimensions  # type: ignore[union-attr]
    with pytest.raises(EmbedderMismatchError, match="leave embedder out"):
        open_store(path=closed, embedder=OLD)
    with pytest.raises(EmbedderUnavailableError):
        open_store(path=closed)
    with open_store(path=closed, embedder=new) as store:
        assert len(everything(store)) == 202
        assert vectors_agree(store, new)
        assert store.health()["lost"] is None
    assert check(path=closed).is_whole
    assert {file.name for file in closed.iterdir()} <= {
        "store.json", "store.lock", "store.ledger", "store.seal", "store.spare", "shard"
    }  # fmt: skip


def test_keywords_to_an_embedder_and_back(tmp_path: Path) -> None:
    with open_store(path=tmp_path / "s", embedder=None) as store:
        fill(store, 20)
        before = everything(store)
        assert reembed(store, NEW).embedded == 41
        assert vectors_agree(store, NEW)
        assert store.scoped(user_id="john").search("thing7")[0].found_by == ("semantic", "keywords")
        done = reembed(store, "keywords")
        assert (done.entries, done.embedded, done.changed) == (41, 0, True)
        assert everything(store) == before
        assert all(not entry.embedding for entry in entries_of(store, with_vectors=True))
        assert store.scoped(user_id="john").search("thing7")[0].found_by == ("keywords",)
        assert store.embedder is None
    with open_store(path=tmp_path / "s", embedder=None) as store:
        assert everything(store) == before


def test_an_empty_store(tmp_path: Path) -> None:
    with open_store(path=tmp_path / "s", user_id="john", embedder=OLD) as store:
        assert reembed(store, NEW).entries == 0
        store.add("tea")
        assert vectors_agree(store, NEW)


def test_others_go_on_meanwhile(path: Path) -> None:
    """They find by the old vectors until it is done. What they save, change and delete counts."""
    seen: list[int] = []
    with open_store(path=path, embedder=OLD) as store, open_store(path=path, user_id="john", embedder=OLD) as other:

        def progress(count: int) -> None:
            seen.append(count)
            assert other.search("thing90")[0].id == "e90"
            assert len(other.get("e90").embedding or ()) == 64  # type: ignore[union-attr]
            number = len(seen)
            other.add(f"meanwhile{number}", id=f"m{number}")
            other.update(f"e{number}", content=f"changed{number}")
            other.delete(f"e{number + 50}")

        done = reembed(store, NEW, progress=progress)
        assert len(seen) > 3
        assert done.entries == 201
        assert vectors_agree(store, NEW)
        for number in range(1, len(seen) + 1):
            assert other.search(f"meanwhile{number}")[0].id == f"m{number}"
            assert other.search(f"changed{number}")[0].id == f"e{number}"
            assert other.get(f"e{number + 50}") is None
        assert other.count() == 101


@pytest.mark.parametrize("step", ["add", "sync"])
def test_what_is_written_while_the_new_files_are_made(closed: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    original, begun = getattr(exchange.NextShard, step), []

    def meanwhile(self: Any, *arguments: Any) -> Any:
        answer = original(self, *arguments)
        if not begun:
            begun.append(step)
            other.add("meanwhile", id="m")
            other.update("e1", content="changed", importance=0.9)
            other.update("e2", categories=["new"])
            other.delete("e3")
            other.touch(["e4"])
            other.delete("e99")
            other.add("again", id="e3")
            store.compact()
            back_up(store, closed.with_name("backup"))
        return answer

    monkeypatch.setattr(exchange.NextShard, step, meanwhile)
    with open_store(path=closed, embedder=OLD) as store, open_store(path=closed, user_id="john", embedder=OLD) as other:
        assert reembed(store, NEW).changed
        assert begun
        assert [other.get(id).content for id in ("m", "e1", "e3")] == ["meanwhile", "changed", "again"]  # type: ignore[union-attr]
        assert (other.get("e1").importance, other.get("e2").categories) == (0.9, ("new",))  # type: ignore[union-attr]
        assert other.get("e99") is None
        assert other.count() == 101
        assert vectors_agree(store, NEW)
    assert check(path=closed).is_whole
    assert not (closed / "shard.next").exists()
    restore(closed.with_name("backup"), path=closed.with_name("restored"))


def test_a_store_that_is_closed_meanwhile(closed: Path, monkeypatch: pytest.MonkeyPatch, places: Places) -> None:
    original = exchange.NextShard.sync

    def closing(self: Any) -> None:
        original(self)
        embedded._engines._close_all()
        places.drop_all()  # it closes the stores that other tests hold open, too

    monkeypatch.setattr(exchange.NextShard, "sync", closing)
    store = open_store(path=closed, embedder=OLD)
    with pytest.raises(StoreClosedError):
        reembed(store, NEW)
    monkeypatch.undo()
    assert not (closed / "shard.next").exists()
    with open_store(path=closed, embedder=OLD) as store:
        assert vectors_agree(store, OLD)
        assert reembed(store, NEW).embedded == 0
        assert vectors_agree(store, NEW)


def test_from_several_threads(path: Path) -> None:
    with open_store(path=path, embedder=OLD) as store, ThreadPoolExecutor(3) as pool:
        done: list[Any] = []

        def work(thread: int) -> list[str]:
            john, saved, number = store.scoped(user_id="john"), [], 0
            while not done or number < 3:
                saved.append(john.add(f"thread{thread} number{number}", id=f"t{thread}-{number}").id)
                assert john.search(f"number{number} thread{thread}")
                number += 1
            return saved

        working = [pool.submit(work, thread) for thread in range(2)]
        for new in (SAME_LENGTH, NEW):
            reembed(store, new)
        done.append(True)
        saved = [id for each in working for id in each.result()]
        reembed(store, NEW)  # what was under way has no vector
        assert {entry.id for entry in store.scoped(user_id="john").scan()} >= set(saved)
        assert vectors_agree(store, NEW)


@pytest.mark.parametrize(
    ("write", "new"),
    [
        pytest.param(write, new, id=f"{write}, {length}")
        for length, new in (("same length", SAME_LENGTH), ("other length", NEW))
        for write in ("add", "update", "replace", "embed_missing")
        # A vector of another length the engine would refuse by itself.
        if new is SAME_LENGTH or write == "update" or IS_THOROUGH
    ],
)
def test_a_write_that_has_embedded_with_the_old_one(tmp_path: Path, write: str, new: FakeEmbedder) -> None:
    """Whichever of its steps was done when the embedder was changed: no vector of the old one is kept.

    One store, from the one embedder to the other and back: each change makes the files anew.
    """
    with open_store(path=tmp_path / "s", user_id="john", embedder=OLD) as store:
        for number in range(30):
            before, after = (OLD, new) if number % 2 == 0 else (new, OLD)
            store.reset()
            store.add("tea", id="tea")
            assert vectors_agree(store, before)
            steps: Any = {
                "add": lambda: store.steps.add("coffee", id="coffee"),
                "update": lambda: store.steps.update("tea", content="coffee"),
                "replace": lambda: store.steps.replace(MemoryEntry("tea", "coffee")),
                "embed_missing": lambda: store.steps.embed_missing(),
            }[write]()
            done = stopped_after(steps, number, lambda after=after: reembed(store, after))
            for entry in store.scan(with_vectors=True):
                if entry.embedding:
                    product = sum(x * y for x, y in zip(entry.embedding, after.vector(entry.content), strict=True))
                    assert product > 0.98
            reembed(store, after)
            assert vectors_agree(store, after)
            wanted = {"add": ["coffee", "tea"], "embed_missing": ["tea"]}.get(write, ["coffee"])
            assert sorted(entry.content for entry in store.scan()) == wanted
            if done:
                return
    raise AssertionError("it never came to an end")


def stopped_after(steps: Any, number: int, meanwhile: Callable[[], object]) -> bool:
    """Do an operation, and something else after so many of its steps. Returns whether it was done before."""
    answer: Any = None
    done = 0
    while True:
        try:
            step = steps.send(answer)
        except StopIteration:
            if done <= number:
                meanwhile()
            return done <= number
        answer = step.wait()
        if done == number:
            meanwhile()
        done += 1


def test_a_search_that_has_embedded_with_the_old_one(path: Path) -> None:
    with open_store(path=path, user_id="john", embedder=OLD) as store:
        for number, new in enumerate([NEW, OLD, NEW, OLD]):
            found: Any = None

            def searching(number: int = number, new: FakeEmbedder = new) -> None:
                nonlocal found
                steps = store.steps.search("thing7")
                answer: Any = None
                done = 0
                while True:
                    try:
                        step = steps.send(answer)
                    except StopIteration as stop:
                        found = stop.value
                        return
                    if done == min(number, 1):
                        reembed(store, new)
                    answer = step.wait()
                    done += 1

            searching()
            assert found[0].id == "e7"


def test_another_handle_by_words_stays_so(path: Path) -> None:
    config = MemoryConfig.build(path=str(path), user_id="john")
    with open_store(path=path, embedder=OLD) as store, open_configured(config, by_words=True, existing=True) as words:
        assert words.embedder is None
        reembed(words, NEW)
        assert words.embedder is None
        assert words.search("thing7")[0].found_by == ("keywords",)
        assert store.embedder is not None
        assert vectors_agree(store, NEW)


class GoesAway(FakeEmbedder):
    """An embedder that is away after three calls."""

    left = 3

    def __call__(self, texts: Any) -> list[list[float]]:
        self.left -= 1
        if self.left < 0:
            raise ConnectionError("away")
        return super().__call__(texts)


def test_an_embedder_that_is_away_is_waited_for(closed: Path) -> None:
    new = GoesAway(32, salt="new")
    with open_store(path=closed, embedder=OLD) as store:
        with pytest.raises(EmbedderUnavailableError):
            reembed(store, new)
        assert vectors_agree(store, OLD)
        assert (closed / "store.vectors").stat().st_mode & 0o077 == 0
    with open_store(path=closed, embedder=OLD) as store:
        done = reembed(store, NEW)
        assert 0 < done.there < 201
        assert done.embedded + done.there == 201
        assert vectors_agree(store, NEW)


def test_what_was_begun_with_another_is_not_used(path: Path) -> None:
    def begin(store: MemoryStore, new: FakeEmbedder) -> None:
        def stop(count: int) -> None:
            if count > 100:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            reembed(store, new, progress=stop)

    with open_store(path=path, embedder=OLD) as store:
        begin(store, SAME_LENGTH)
        assert reembed(store, NEW).there == 0
        assert vectors_agree(store, NEW)
        begin(store, OLD)
        assert (path / "store.vectors").exists()
        store.compact()
        assert not (path / "store.vectors").exists()


def test_what_is_deleted_meanwhile_leaves_no_vector(path: Path) -> None:
    def stop(count: int) -> None:
        if count > 100:
            raise KeyboardInterrupt

    with open_store(path=path, embedder=OLD) as store:
        with pytest.raises(KeyboardInterrupt):
            reembed(store, NEW, progress=stop)
        assert vectors_in(path) > 100
        store.scoped(user_id="john").reset()
        store.scoped(user_id="jane").reset()
        assert vectors_in(path) == 0


def test_what_is_erased_while_it_is_embedded_leaves_no_vector(path: Path) -> None:
    class Erasing(FakeEmbedder):
        erased = False

        def __call__(self, texts: Any) -> list[list[float]]:
            if len(texts) > 10 and not self.erased:
                self.erased = True
                erase(store, user_id="john")
                erase(store, user_id="jane")
            return super().__call__(texts)

    new, kept = Erasing(32, salt="new"), []
    with open_store(path=path, embedder=OLD) as store:
        assert reembed(store, new, progress=lambda count: kept.append(vectors_in(path))).entries == 0
        assert new.erased
        assert set(kept) == {0}
        assert everything(store) == {}


def vectors_in(path: Path) -> int:
    """How many vectors of a new embedder are collected."""
    with sqlite3.connect(path / "store.vectors") as connection:
        return int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])


def test_twice_at_once_is_refused(path: Path) -> None:
    with open_store(path=path, embedder=OLD) as store:

        def again(count: int) -> None:
            with pytest.raises(StoreBusyError, match="already"):
                reembed(store, NEW)

        reembed(store, NEW, progress=again)
        assert vectors_agree(store, NEW)


def test_a_dry_run_changes_nothing(path: Path) -> None:
    with open_store(path=path, embedder=OLD) as store:
        done = reembed(store, NEW, dry_run=True)
        assert (done.entries, done.embedded, done.changed) == (201, 0, True)
        assert done.characters == sum(len(entry.content) for entry in entries_of(store))
        assert reembed(store, None, dry_run=True).changed
        assert vectors_agree(store, OLD)
        assert not (path / "store.vectors").exists()


def test_a_text_that_the_new_one_refuses(path: Path) -> None:
    class Picky(FakeEmbedder):
        def __call__(self, texts: Any) -> list[list[float]]:
            if any("thing13" in text.split() for text in texts):
                raise ValueError("refused")
            return super().__call__(texts)

    with open_store(path=path, embedder=OLD) as store:
        done = reembed(store, Picky(32, salt="new"))
        assert (done.entries, done.without) == (201, 2)
        assert store.scoped(user_id="john").search("thing13")[0].id == "e13"
        assert len(everything(store)) == 201


def test_what_was_forgotten_is_not_embedded_and_comes_back(tmp_path: Path) -> None:
    new = FakeEmbedder(32, salt="new")
    with open_store(path=tmp_path / "s", user_id="john", embedder=OLD, undo_for=3600, history=3) as store:
        store.add("secret tea", id="tea")
        store.add("coffee", id="coffee")
        store.update("coffee", content="milk")
        store.delete("tea")
        reembed(store, new)
        assert not any("secret" in text for texts in new.calls for text in texts)
        assert [entry.content for entry in store.undo_delete()] == ["secret tea"]
        assert vectors_agree(store, new)
        assert [each.content for each in store.get("coffee").history] == ["coffee"]  # type: ignore[union-attr]
        assert purge_expired(store) == 0


def test_a_memory_goes_on(tmp_path: Path) -> None:
    with PersistentMemory(path=tmp_path / "s", user_id="john", embedder=None) as memory:
        memory.remember("John likes tea")
        reembed(memory.store, NEW)
        memory.remember("John lives in Rome")
        assert "likes tea" in str(memory.recall("tea", limit=1)[0])
        assert vectors_agree(memory.store, NEW)


def test_a_backup_in_between(closed: Path, tmp_path: Path) -> None:
    with open_store(path=closed, embedder=OLD) as store:
        taken: list[Path] = []

        def progress(count: int) -> None:
            if not taken:
                taken.append(tmp_path / "backup")
                back_up(store, taken[0])

        reembed(store, NEW, progress=progress)
    restore(tmp_path / "backup", path=tmp_path / "restored")
    with open_store(path=tmp_path / "restored", embedder=OLD) as store:
        assert vectors_agree(store, OLD)


EXCHANGING = ["decided", "broken seal", "rename 1", "rename 2", "written descriptor", "unlink", "load"]

DYING = """
import os, sys
from pathlib import Path
from crewai_persistent_memory import open_store
from crewai_persistent_memory.admin import reembed
from crewai_persistent_memory.backends.qdrant.embedded import exchange, renewal
from crewai_persistent_memory.testing import FakeEmbedder

folder, (name, _, number) = Path(sys.argv[1]), sys.argv[2].partition(" ")
module, function = {
    "decided": (exchange, "decide"),
    "broken": (exchange, "break_seal"),
    "rename": (Path, "rename"),
    "written": (exchange.StoreDirectory, "write_descriptor"),
    "unlink": (Path, "unlink"),
    "load": (renewal, "load_shard"),
}[name]
original, calls = getattr(module, function), 0

def dying(*arguments, **options):
    global calls
    parts = ("shard", "shard.new", "store.exchange")
    if module is not Path or (arguments[0].parent == folder and arguments[0].name in parts):
        calls += 1
        if calls == int(number if number.isdigit() else 1):
            os._exit(9)
    return original(*arguments, **options)

store = open_store(path=folder, embedder=FakeEmbedder(64))
setattr(module, function, dying)
reembed(store, FakeEmbedder(32, salt="new"))
"""


@pytest.mark.parametrize("at", sample(EXCHANGING, 4))
def test_killed_while_the_vectors_are_exchanged(closed: Path, at: str) -> None:
    """Before each step in turn: the store opens whole, with one embedder or the other."""
    ended = run_program([sys.executable, "-c", DYING, str(closed), at])
    assert ended.returncode == 9
    embedder = OLD if at == "decided" else NEW
    with open_store(path=closed, embedder=embedder) as store:
        assert len(everything(store)) == 201
        assert vectors_agree(store, embedder)
        assert store.health()["lost"] is None
        reembed(store, NEW)
        assert vectors_agree(store, NEW)
    assert check(path=closed).is_whole


REEMBEDDING = """
import sys
from crewai_persistent_memory import open_store
from crewai_persistent_memory.admin import reembed
from crewai_persistent_memory.testing import FakeEmbedder
with open_store(path=sys.argv[1], embedder=FakeEmbedder(64)) as store:
    reembed(store, FakeEmbedder(32, salt="new"), progress=lambda count: print(count, flush=True))
    print("exchanged", flush=True)
"""
KILLS = int(os.environ.get("TRANSFER_KILLS", "2"))


def test_what_was_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    """Each process is killed when it has embedded a page or two more than the one before."""
    path = tmp_path / "s"
    with open_store(path=path, embedder=OLD) as store:
        fill(store, 50 * KILLS + 50)
        before = everything(store)
    chance = random.Random(5)
    for number in range(KILLS):
        killed_after([sys.executable, "-c", REEMBEDDING, str(path)], number + chance.randrange(1, 3))
    try:
        opened = open_store(path=path, embedder=OLD)
    except EmbedderMismatchError:
        opened = open_store(path=path, embedder=NEW)  # it was exchanged already
    with opened as store:
        done = reembed(store, NEW)
        assert done.embedded <= len(before) - 64 * KILLS, "a page each, at least"
        assert everything(store) == before
        assert vectors_agree(store, NEW)


class TestElsewhere:
    """Another embedder on a server: the folder ``on_a_server``."""

    def test_what_has_no_vector_gets_one(self, server: QdrantServer) -> None:
        class Away(FakeEmbedder):
            away = True

            def __call__(self, texts: Any) -> list[list[float]]:
                if self.away:
                    raise ConnectionError("away")
                return super().__call__(texts)

        embedder = Away(64)
        embedder.away = False
        with open_store(url=server.url, collection="missing", durability="store", embedder=embedder) as store:
            embedder.away = True
            for user in ("john", "jane"):
                store.scoped(user_id=user).add("tea")
            embedder.away = False
            assert reembed(store, OLD, dry_run=True).characters == 6
            done = reembed(store, OLD)
            assert (done.entries, done.embedded, done.changed) == (2, 2, False)
            assert vectors_agree(store, OLD)

    @needs_unified
    def test_vectors_from_outside(self, tmp_path: Path) -> None:
        from crewai_persistent_memory import QdrantStorageBackend

        backend = QdrantStorageBackend(path=tmp_path / "s", user_id="john")
        with pytest.raises(ConfigurationError, match="from outside"):
            reembed(backend.store, NEW)
        backend.close()
