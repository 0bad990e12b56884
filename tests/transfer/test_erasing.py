"""An erasure: nothing of a person is left, in any scope, file or queue, and nothing of anybody else is touched."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    InvalidArgumentError,
    MemoryStore,
    Scope,
    ScopeError,
    StorePermissionError,
    StoreUnavailableError,
    open_store,
    use_scope,
)
from crewai_persistent_memory.admin import entries_of, erase, is_signed_with, survey

from ..support.embedders import WordHashEmbedder
from ..support.qdrant_server import QdrantServer, newest

CANARY = "canary-7d1f"
KEY = b"0123456789abcdef"
OF_JOHN = [
    Scope("john"),
    Scope("john", run_id="r1"),
    Scope("john", "staging", agent_id="chef"),
    Scope("john", org_id="acme"),
]
OF_OTHERS = [Scope("jane"), Scope("johnny"), Scope("john2"), Scope.shared(), Scope.shared("staging")]


def fill(store: MemoryStore) -> None:
    for scope in (*OF_JOHN, *OF_OTHERS):
        for number in range(3):
            whose = CANARY if scope in OF_JOHN else "another"
            store.scoped(scope).add(f"{whose} {number}: likes tea of {scope}", metadata={"said": whose})


def has(folder: Path, text: str) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]


@pytest.fixture
def embedded(kept_store: Path) -> Iterator[MemoryStore]:
    with open_store(path=kept_store, embedder=None) as store:
        yield store


@pytest.fixture
def with_vectors(tmp_path: Path) -> Iterator[MemoryStore]:
    """An erasure writes the files anew, those of vectors as well: for the tests that look at them."""
    with open_store(path=tmp_path / "store", embedder=WordHashEmbedder()) as store:
        yield store


@pytest.fixture
def on_server(server: QdrantServer, collection: str, tmp_path: Path) -> Iterator[MemoryStore]:
    about: dict[str, Any] = {"url": server.url, "collection": collection, "outbox_path": tmp_path / "outbox"}
    with open_store(**about, embedder=WordHashEmbedder()) as store:
        yield store


@pytest.fixture(params=["with_vectors", "on_server"])
def store(request: pytest.FixtureRequest) -> MemoryStore:
    found: MemoryStore = request.getfixturevalue(request.param)
    return found


class TestPerson:
    def test_in_all_scopes_and_nobody_else(self, store: MemoryStore) -> None:
        fill(store)
        for scope in (*OF_JOHN, *OF_OTHERS):
            assert store.scoped(scope).flush(30)
        done = erase(store, user_id="john", settle=0.1)
        assert (done.entries, done.left, done.rounds) == (12, 0, 1)
        assert done.projects == {"default": 9, "staging": 3}
        for scope in OF_JOHN:
            assert store.scoped(scope).list() == []
        for scope in OF_OTHERS:
            assert len(store.scoped(scope).list()) >= 3
        assert survey(store).entries == 3 * len(OF_OTHERS)

    def test_no_file_has_a_word_of_it(self, with_vectors: MemoryStore, tmp_path: Path) -> None:
        fill(with_vectors)
        john = with_vectors.scoped(OF_JOHN[0])
        john.search("tea")
        [entry, *_] = john.list()
        john.update(entry.id, content=f"{CANARY} has changed")
        done = erase(with_vectors, user_id="john", settle=0)
        with_vectors.close()
        assert has(tmp_path, "another"), "texts are found like this"
        assert has(tmp_path, CANARY) == []
        assert not any("server" in each for each in done.remains)

    def test_nor_of_what_was_forgotten_or_said_before(self, tmp_path: Path) -> None:
        with open_store(path=tmp_path / "kept", embedder=None, undo_for=3600, history=5) as store:
            fill(store)
            john = store.scoped(OF_JOHN[0])
            first, second, *_ = john.list()
            john.update(first.id, content="nothing of it")
            john.delete(second.id)
            john.delete(first.id)
            assert len(john.undo_delete(dry_run=True)) == 2
            assert erase(store, user_id="john", settle=0).left == 0
            assert john.undo_delete() == []
        assert has(tmp_path / "kept", "another")
        assert has(tmp_path / "kept", CANARY) == []

    def test_once_more_changes_nothing(self, store: MemoryStore) -> None:
        fill(store)
        erase(store, user_id="john", settle=0.1)
        again = erase(store, user_id="john", settle=0)
        assert (again.entries, again.projects, again.left) == (0, {}, 0)

    def test_a_dry_run_counts_only(self, embedded: MemoryStore) -> None:
        fill(embedded)
        planned = erase(embedded, user_id="john", dry_run=True)
        assert (planned.entries, sum(planned.projects.values()), planned.left) == (0, 12, 12)
        assert survey(embedded).entries == 27

    def test_of_one_project_or_run(self, embedded: MemoryStore) -> None:
        fill(embedded)
        assert erase(embedded, user_id="john", project_id="staging", settle=0).entries == 3
        assert erase(embedded, run_id="r1", settle=0).entries == 3
        assert erase(embedded, project_id="staging", settle=0).entries == 3, "what is shared in it"

    def test_a_save_that_is_under_way_does_not_bring_it_back(self, embedded: MemoryStore) -> None:
        fill(embedded)
        arrived = threading.Event()

        def late() -> None:
            embedded.scoped(OF_JOHN[0]).add(f"{CANARY} of a crew that was running")
            arrived.set()

        timer = threading.Timer(0.3, late)
        timer.start()
        done = erase(embedded, user_id="john", settle=1.0)
        assert arrived.is_set()
        assert (done.rounds, done.entries, done.left) == (2, 13, 0)

    def test_one_who_goes_on_saving_is_told(self, embedded: MemoryStore) -> None:
        john, stop = embedded.scoped(OF_JOHN[0]), threading.Event()

        def save() -> None:
            while not stop.is_set():
                john.add(CANARY)

        saving = threading.Thread(target=save)
        saving.start()
        try:
            done = erase(embedded, user_id="john", settle=0.05)
        finally:
            stop.set()
            saving.join()
        assert done.rounds == 10
        assert done.left > 0


class TestOutbox:
    @pytest.fixture
    def away(self, tmp_path: Path) -> Iterator[tuple[QdrantServer, MemoryStore]]:
        server = QdrantServer(newest(), tmp_path / "qdrant").start()
        about: dict[str, Any] = {"url": server.url, "outbox_path": tmp_path / "outbox", "recall_timeout": 0.5}
        with open_store(**about, embedder=None, exit_wait=0.1) as store:
            yield server, store
        server.stop()

    def test_what_waits_goes_and_does_not_arrive_later(
        self, away: tuple[QdrantServer, MemoryStore], tmp_path: Path
    ) -> None:
        server, store = away
        fill(store)
        assert store.scoped(OF_JOHN[0]).flush(30)
        server.kill()
        for scope in OF_JOHN:
            store.scoped(scope).add(f"{CANARY} waits")
        store.scoped(Scope("jane")).add("another waits")
        with pytest.raises(StoreUnavailableError):
            erase(store, user_id="john", settle=0)
        server.restart()
        done = erase_when_it_answers(store)
        assert store.scoped(Scope("jane")).flush(30)
        assert done.left == 0
        assert survey(store).counts["user_id"].get("john") is None
        assert len(store.scoped(Scope("jane")).list()) == 4
        assert has(tmp_path / "outbox", CANARY) == []

    def test_dead_letters_go(self, away: tuple[QdrantServer, MemoryStore], tmp_path: Path) -> None:
        _, store = away
        queue = store.backend.outbox.queue  # type: ignore[attr-defined]
        store.backend.outbox.sender.stop(10)  # type: ignore[attr-defined]
        for user in ("john", "jane"):
            store.scoped(Scope(user)).add(f"{CANARY if user == 'john' else 'another'} refused")
            queue.refused(queue.next_writes(1)[0], ValueError("no"))
        assert has(tmp_path / "outbox", CANARY)
        done = erase(store, user_id="john", settle=0)
        assert (done.waiting, done.dead_letters) == (0, 1)
        assert queue.depth().dead == 1
        assert has(tmp_path / "outbox", CANARY) == []


def erase_when_it_answers(store: MemoryStore, **scope: str) -> Any:
    for _ in range(100):
        try:
            return erase(store, settle=0.1, **(scope or {"user_id": "john"}))
        except StoreUnavailableError:
            threading.Event().wait(0.1)
    raise AssertionError("the server did not come back")


class TestWhatIsUnderWay:
    @pytest.fixture
    def about(self, server: QdrantServer, collection: str, tmp_path: Path) -> dict[str, Any]:
        return {"url": server.url, "collection": collection, "outbox_path": tmp_path / "outbox"}

    def test_a_write_that_is_being_delivered_is_waited_for(self, about: dict[str, Any]) -> None:
        """Its embedder is slow. An erased text would be there after the receipt."""
        begun, go_on = threading.Event(), threading.Event()

        class SlowEmbedder(WordHashEmbedder):
            def __call__(self, texts: list[str]) -> Any:
                if any(CANARY in text for text in texts):
                    begun.set()
                    go_on.wait(30)
                return super().__call__(texts)

        with open_store(**about, embedder=SlowEmbedder()) as store:
            john = store.scoped(user_id="john")
            john.add("delivered")
            assert john.flush(30)
            john.add(f"{CANARY} is being delivered")
            assert begun.wait(30)
            timer = threading.Timer(1.0, go_on.set)
            timer.start()
            done = erase(store, user_id="john", settle=0.1)
            assert go_on.is_set(), "it was waited for"
            assert (done.entries, done.left) == (2, 0)
            assert john.flush(30)
            assert john.list() == []

    def test_an_erasure_that_the_key_forbids_loses_nothing(self, tmp_path: Path) -> None:
        settings = {"SERVICE__READ_ONLY_API_KEY": "reads"}
        keyed = QdrantServer(newest(), tmp_path / "keyed", key="writes", settings=settings).start()
        try:
            about: dict[str, Any] = {"url": keyed.url, "outbox_path": tmp_path / "outbox", "embedder": None}
            with open_store(**about, api_key="writes", exit_wait=0.1) as store:
                store.scoped(user_id="john").add("delivered")
                assert store.scoped(user_id="john").flush(30)
            with open_store(**about, api_key="reads", exit_wait=0.1) as store:
                store.scoped(user_id="john").add("waits for a process that may")
                with pytest.raises(StorePermissionError):
                    erase(store, user_id="john", settle=0)
                assert store.scoped(user_id="john").pending() == 1
            with open_store(**about, api_key="writes") as store:
                assert store.scoped(user_id="john").flush(30)
                assert len(store.scoped(user_id="john").list()) == 2
        finally:
            keyed.stop()

    def test_of_a_run_keeps_a_change_of_what_is_not_the_runs(self, tmp_path: Path) -> None:
        server = QdrantServer(newest(), tmp_path / "qdrant").start()
        try:
            about: dict[str, Any] = {"url": server.url, "outbox_path": tmp_path / "outbox", "embedder": None}
            with open_store(**about, recall_timeout=0.5, exit_wait=0.1) as store:
                john, order = store.scoped(user_id="john"), store.scoped(user_id="john", run_id="order")
                john.add("eats meat", id="diet")
                assert john.flush(30)
                server.kill()
                order.update("diet", content="is allergic to nuts")
                order.add(f"{CANARY} of the run")
                server.restart()
                done = erase_when_it_answers(store, run_id="order")
                assert done.left == 0
                assert john.flush(30)
                assert [entry.content for entry in order.list()] == ["is allergic to nuts"]
        finally:
            server.stop()


class TestArguments:
    def test_somebody_has_to_be_named(self, embedded: MemoryStore) -> None:
        for scope in ({}, {"agent_id": "chef"}):
            with pytest.raises(InvalidArgumentError, match="whose memories"):
                erase(embedded, **scope)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgumentError, match="user: a scope has user_id"):
            erase(embedded, user="john")
        with pytest.raises(ScopeError, match="user_id"):
            erase(embedded, user_id="")
        with pytest.raises(ScopeError, match="user_id"):
            erase(embedded, user_id=None)  # type: ignore[arg-type]

    @pytest.mark.parametrize("settle", [float("inf"), float("nan"), 1e12, -1, True, None, "2"])
    def test_a_wait_that_cannot_be_is_refused_before_anything_is_erased(
        self, embedded: MemoryStore, settle: Any
    ) -> None:
        fill(embedded)
        with pytest.raises(InvalidArgumentError, match="settle must be seconds from 0 to 3,600"):
            erase(embedded, user_id="john", settle=settle)
        assert survey(embedded).entries == 27


class TestReceipt:
    def test_is_signed(self, embedded: MemoryStore) -> None:
        fill(embedded)
        done = erase(embedded, user_id="john", settle=0)
        text = done.to_json(KEY)
        assert is_signed_with(text, KEY)
        assert not is_signed_with(text, KEY[::-1])
        assert not is_signed_with(done.to_json(), KEY)
        about = json.loads(text)
        for name, value in [("entries", 11), ("left", 1), ("scope", {"user_id": "jane"}), ("signature", "0" * 64)]:
            assert not is_signed_with(json.dumps({**about, name: value}), KEY), name
        assert is_signed_with(json.dumps(about, indent=2), KEY), "its form may change"

    def test_says_what_when_and_what_remains(self, embedded: MemoryStore) -> None:
        fill(embedded)
        about = json.loads(erase(embedded, user_id="john", settle=0).to_json())
        assert about["format"] == "crewai-memory-erasure-1"
        assert about["scope"] == {"user_id": "john"}
        assert (about["entries"], about["left"]) == (12, 0)
        began, ended = (datetime.fromisoformat(about[name].rstrip("Z")) for name in ("began_at", "ended_at"))
        assert began <= ended
        assert any("backups" in each for each in about["remains"])
        assert CANARY not in json.dumps(about)

    def test_bad_keys_and_texts_are_named(self) -> None:
        for text in ("", "[]", "{}", "1", "null", '{"format": 3}'):
            with pytest.raises(InvalidArgumentError, match="receipt"):
                is_signed_with(text, KEY)
        with pytest.raises(InvalidArgumentError, match="at least 16 bytes"):
            is_signed_with('{"format": "crewai-memory-erasure-1"}', b"short")


class TestACollectionForEachProject:
    """What concerns a person concerns all their projects, wherever those are."""

    @pytest.fixture
    def about(self, server: QdrantServer, collection: str, tmp_path: Path) -> Iterator[dict[str, Any]]:
        """A server that also has collections of somebody else whose names begin in the same way."""
        options: dict[str, Any] = {"url": server.url, "embedder": None, "outbox_path": tmp_path / "outbox"}
        yield {**options, "collection": collection, "collection_per_project": True}
        with server.admin() as admin:
            for each in admin.get("/collections").json()["result"]["collections"]:
                if each["name"].startswith(collection):
                    admin.delete(f"/collections/{each['name']}")

    def filled(self, about: dict[str, Any]) -> None:
        with open_store(**about) as store:
            fill(store)
            for scope in (*OF_JOHN, *OF_OTHERS):
                assert store.scoped(scope).flush(30)

    def test_of_one_person(self, about: dict[str, Any]) -> None:
        self.filled(about)
        theirs = {**about, "collection": f"{about['collection']}_2", "collection_per_project": False}
        with open_store(**theirs, user_id="john") as other:
            other.add("of another application")
            assert other.flush(30)
        with open_store(**about) as store:
            assert survey(store).entries == 27
            assert survey(store, user_id="john").counts["project_id"] == {"default": 9, "staging": 3}
            assert len(list(entries_of(store, user_id="john"))) == 12
            done = erase(store, user_id="john", settle=0.1)
            assert (done.entries, done.projects, done.left) == (12, {"default": 9, "staging": 3}, 0)
            assert survey(store).entries == 15
            for scope in OF_OTHERS:
                assert len(store.scoped(scope).list()) >= 3
        with open_store(**theirs, user_id="john") as other:
            assert [entry.content for entry in other.list()] == ["of another application"]

    def test_use_scope_changes_nothing(self, about: dict[str, Any]) -> None:
        self.filled(about)
        with open_store(**about) as store, use_scope(user_id="jane", org_id="acme", project_id="staging"):
            assert erase(store, user_id="john", settle=0.1).entries == 12
            assert erase(store, user_id="john", settle=0.1).left == 0

    def test_of_a_project_or_from_a_store_that_is_fixed_to_one(self, about: dict[str, Any]) -> None:
        self.filled(about)
        with open_store(**about) as store:
            assert erase(store, user_id="john", project_id="staging", settle=0.1).entries == 3
        with open_store(**about, project_id="default") as store:
            assert erase(store, user_id="john", settle=0.1).entries == 6, "not those of the organisation"
        with open_store(**about) as store:
            assert survey(store, user_id="john").entries == 3

    def test_what_waits_for_a_project_without_a_collection(self, tmp_path: Path) -> None:
        server = QdrantServer(newest(), tmp_path / "qdrant").start()
        try:
            about: dict[str, Any] = {"url": server.url, "outbox_path": tmp_path / "outbox", "embedder": None}
            with open_store(**about, collection_per_project=True, recall_timeout=0.5, exit_wait=0.1) as store:
                server.kill()
                store.scoped(user_id="john", project_id="new").add(f"{CANARY} waits")
                server.restart()
                assert erase_when_it_answers(store).left == 0
                assert store.scoped(user_id="john", project_id="new").flush(30)
                assert store.scoped(user_id="john", project_id="new").list() == []
        finally:
            server.stop()
