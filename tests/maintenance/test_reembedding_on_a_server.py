"""Another embedder for a store on a server, while other processes use it: nothing is lost, doubled or back."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    EmbedderMismatchError,
    EmbedderUnavailableError,
    FilterField,
    MemoryEntry,
    MemoryStore,
    SchemaVersionError,
    StoreBusyError,
    StoreCorruptedError,
    StorePermissionError,
    open_store,
)
from crewai_persistent_memory.admin import (
    back_up,
    dedicate_project,
    entries_of,
    erase,
    purge_expired,
    reembed,
    restore,
    survey,
)
from crewai_persistent_memory.backends.qdrant import manifest
from crewai_persistent_memory.backends.qdrant.server import moves
from crewai_persistent_memory.backends.qdrant.server.bootstrap import DESCRIPTOR_ID
from crewai_persistent_memory.backends.qdrant.server.carrying import Carrying
from crewai_persistent_memory.backends.qdrant.server.moving import Move
from crewai_persistent_memory.backends.qdrant.server.new_collection import name_of
from crewai_persistent_memory.config.options import MemoryConfig
from crewai_persistent_memory.embedding import Embedder
from crewai_persistent_memory.expiry import now
from crewai_persistent_memory.io.steps import run
from crewai_persistent_memory.store.factory import open_configured
from crewai_persistent_memory.testing import FakeEmbedder

from ..support.engines import NEWEST, OLDER, Servers
from ..support.openai_server import OpenAIServer
from ..support.programs import Commanded, killed_after, run_program
from ..support.qdrant_server import QdrantServer, binaries, newest
from ..support.thorough import IS_THOROUGH, sample
from .test_reembedding import everything, fill, vectors_agree

OLD, NEW, OTHER = FakeEmbedder(64), FakeEmbedder(32, salt="new"), FakeEmbedder(64, salt="other")
CANARY = "zebra-canary"


@pytest.fixture(autouse=True)
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "LEASE", 0.1)


@pytest.fixture
def options(server: QdrantServer, collection: str) -> Iterator[dict[str, Any]]:
    yield {"url": server.url, "collection": collection, "durability": "store", "timeout": 0.5}
    with server.admin() as admin:
        for name in collections(server):
            if name.startswith(collection):
                admin.delete(f"/collections/{name}")


def elsewhere(options: dict[str, Any], **others: Any) -> MemoryStore:
    """A store that shares nothing with the others of this process, as in another process."""
    elsewhere.number += 1  # type: ignore[attr-defined]
    of_its_own = {"url": options["url"].replace("127.0.0.1", "localhost"), "max_connections": 32 + elsewhere.number}  # type: ignore[attr-defined]
    return open_store(**{**options, **of_its_own, **others})


elsewhere.number = 0  # type: ignore[attr-defined]


def never_looks(store: MemoryStore) -> None:
    """From now on it does not notice a change of the embedder by itself."""
    engine = store.backend.connection._engine  # type: ignore[attr-defined]
    for name, target in engine.targets.items():
        engine.targets[name] = target._replace(checked_at=math.inf)


def collections(server: QdrantServer) -> set[str]:
    with server.admin() as admin:
        return {each["name"] for each in admin.get("/collections").json()["result"]["collections"]}


def points(server: QdrantServer, collection: str) -> list[dict[str, Any]]:
    with server.admin() as admin:
        body = {"limit": 10_000, "with_payload": True}
        found = admin.post(f"/collections/{collection}/points/scroll", json=body).json()["result"]["points"]
    return [point for point in found if point["id"] != DESCRIPTOR_ID]


def descriptor(server: QdrantServer, collection: str) -> dict[str, Any]:
    with server.admin() as admin:
        answer = admin.get(f"/collections/{collection}/points/{DESCRIPTOR_ID}").json()
    payload: dict[str, Any] = answer["result"]["payload"]
    return payload


def once(monkeypatch: pytest.MonkeyPatch, of: type, method: str, do: Callable[[Any], Any], *, before: bool) -> None:
    """Do it once, before or after a step of the copying; ``do`` may say that it was not the moment."""
    original, done = getattr(of, method), []

    def act(self: Any) -> None:
        if not done:
            done.append(True)
            if do(self) is False:
                done.clear()

    def wrapped(self: Any, *arguments: Any) -> Any:
        if before:
            act(self)
        answer = yield from original(self, *arguments)
        if not before:
            act(self)
        return answer

    monkeypatch.setattr(of, method, wrapped)


class TestInPlace:
    @pytest.fixture(params=[(NEWEST, "rest"), (OLDER, "grpc")], ids="-".join)
    def options(self, request: pytest.FixtureRequest, qdrant_servers: Servers, collection: str) -> Any:
        version, transport = request.param
        server = qdrant_servers(version)
        yield {
            "url": server.url,
            "collection": collection,
            "durability": "store",
            "timeout": 0.5,
            "prefer_grpc": transport == "grpc",
            "grpc_port": server.grpc_port,
        }
        with server.admin() as admin:
            for name in collections(server):
                if name.startswith(collection):
                    admin.delete(f"/collections/{name}")

    def test_from_words_to_an_embedder_to_another_and_back(self, options: dict[str, Any]) -> None:
        with open_store(**options, embedder=None) as store, elsewhere(options, user_id="jane") as worker:
            fill(store)
            store.scoped(user_id="john").update("e5", importance=0.9, metadata={"n": 5})
            before = everything(store)
            for new, found_by in ((NEW, ("semantic", "keywords")), (OTHER, ("semantic", "keywords"))):
                done = reembed(store, new)
                assert (done.entries, done.embedded, done.without, done.changed) == (201, 201, 0, True)
                assert everything(store) == before
                assert vectors_agree(store, new)
                john = store.scoped(user_id="john")
                found = john.search("thing7")
                assert (found[0].id, found[0].found_by) == ("e7", found_by)
                assert {str(each.scope) for each in found} == {str(john.get("e7").scope)}  # type: ignore[union-attr]
                assert john.search("chapter 5")[0].id == "book"
                # A worker that had it open cannot build a function: it goes on by words.
                assert worker.search("thing7")[0].found_by == ("keywords",)
                assert all(each.content.startswith("jane") for each in worker.search("thing7", limit=50))
                assert worker.count() == 100
                with elsewhere(options, user_id="john", embedder=new) as later:
                    assert later.search("thing9")[0].found_by == found_by
                    assert later.count() == 101
            done = reembed(store, "keywords")
            assert (done.entries, done.embedded, done.changed) == (201, 0, True)
            assert everything(store) == before
            assert not any(entry.embedding for entry in entries_of(store, with_vectors=True))
        with open_store(**options, embedder=None, user_id="john") as store:
            assert store.search("thing7")[0].found_by == ("keywords",)
            assert store.embedder is None
            # Nothing is left of the collections in between, and nothing of anybody in the first one.
            server = QdrantServer.__new__(QdrantServer)
            server.url, server.key = options["url"], None
            ours = {name for name in collections(server) if name.startswith(options["collection"])}
            assert len(ours) == 2
            assert points(server, options["collection"]) == []

    def test_a_worker_sees_the_switch(self, options: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
        with (
            open_store(**options, embedder=OLD) as store,
            elsewhere(options, embedder=OLD, user_id="john") as worker,
            elsewhere(options, user_id="john", embedder=OLD) as other,
        ):
            fill(store)
            assert worker.search("thing7")[0].found_by == ("semantic", "keywords")
            seen: list[Any] = []
            reembed(store, NEW, progress=lambda count: seen.append(other.search("thing90")[0].found_by))
            assert set(seen) == {("semantic", "keywords")}
            worker.add("said by a worker", id="w")
            worker.update("e3", content="changed by a worker")
            worker.delete("e4")
            assert [each.message for each in caplog.records].count(caplog.messages[-1]) == 1
            assert "cannot use the new one" in caplog.text
            john = store.scoped(user_id="john")
            assert [john.get(id).content for id in ("w", "e3")] == ["said by a worker", "changed by a worker"]  # type: ignore[union-attr]
            assert john.get("e4") is None
            assert worker.health()["collection"] == store.health()["collection"] != options["collection"]
            # What it saved without a vector gets one.
            assert reembed(store, NEW).embedded == 2
            assert vectors_agree(store, NEW)

    def test_a_worker_builds_the_new_embedder(
        self, options: dict[str, Any], openai_server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{openai_server.url}/v1")
        monkeypatch.setenv("OPENAI_API_BASE", f"{openai_server.url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        with (
            open_store(**options, embedder=None) as store,
            elsewhere(options, user_id="john", embedder=None) as worker,
        ):
            store.scoped(user_id="john").add("tea", id="a")
            assert worker.search("tea")[0].found_by == ("keywords",)
            reembed(store, "openai/text-embedding-3-small")
            assert worker.search("tea")[0].found_by == ("semantic", "keywords")
            worker.add("coffee", id="b")
            assert worker.get("b").embedding  # type: ignore[union-attr]


class TestOpening:
    def test_before_and_after_the_switch(self, options: dict[str, Any], collection: str, server: QdrantServer) -> None:
        opened: list[Any] = []

        def open_now(count: int) -> None:
            with elsewhere(options, user_id="john", embedder=OLD) as store:
                opened.append(store.search("thing7")[0].found_by)

        with open_store(**options, embedder=OLD) as store:
            fill(store, 40)
            reembed(store, NEW, progress=open_now)
        assert set(opened) == {("semantic", "keywords")}
        with pytest.raises(EmbedderMismatchError, match="leave embedder out"):
            elsewhere(options, embedder=OLD)
        with pytest.raises(EmbedderUnavailableError):
            elsewhere(options)
        with elsewhere(options, embedder=NEW, user_id="john") as again:
            assert again.count() == 41
        assert descriptor(server, collection)["moved_to"] == again_name(server, collection)

    def test_an_earlier_version_refuses_the_pointer(
        self, options: dict[str, Any], collection: str, server: QdrantServer
    ) -> None:
        with open_store(**options, embedder=None) as store:
            fill(store, 3)
            reembed(store, NEW)
        told = {key: value for key, value in descriptor(server, collection).items() if key != "moved_to"}
        with pytest.raises(SchemaVersionError, match="upgrade crewai-persistent-memory"):
            manifest.Descriptor.from_json(told, "it")  # as code reads it that knows no pointer

    def test_its_reads_and_writes_fail_aloud(
        self, options: dict[str, Any], collection: str, server: QdrantServer
    ) -> None:
        """A worker of an earlier version has the collection open, and knows nothing."""
        with open_store(**options, embedder=None) as store:
            fill(store, 3)
            reembed(store, NEW)
        with server.admin() as admin:
            at = f"/collections/{collection}/points"
            tenant = {"must": [{"key": "tenant", "match": {"value": "x"}}]}
            assert admin.post(f"{at}/scroll", json={"filter": tenant}).status_code == 400
            assert admin.post(f"{at}/delete?wait=true", json={"filter": tenant}).status_code == 400
            point = {"points": [{"id": 1, "vector": {}, "payload": {"tenant": "x"}}]}
            assert admin.put(f"{at}?wait=true", json=point).status_code == 400


def again_name(server: QdrantServer, collection: str) -> str:
    [name] = [each for each in collections(server) if each.startswith(f"{collection}--")]
    return name


class TestStaleHandles:
    """A handle that has not noticed the switch. ``never_looks`` makes it so; the server has to make it notice."""

    def test_a_save(self, options: dict[str, Any]) -> None:
        with open_store(**options, embedder=OLD) as store, elsewhere(options, embedder=OLD, user_id="john") as stale:
            fill(store, 10)
            stale.count()
            never_looks(stale)
            reembed(store, NEW)
            stale.add("said late", id="late")
            assert stale.count() == 12
            assert store.scoped(user_id="john").get("late").content == "said late"  # type: ignore[union-attr]

    @pytest.mark.parametrize("at", ["switch", "settle"])
    def test_everything_in_between(self, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, at: str) -> None:
        """After the switch, and before what was written last is carried over."""
        with open_store(**options, embedder=OLD) as store, elsewhere(options, embedder=OLD, user_id="john") as stale:
            fill(store, 20)
            stale.delete("e19")
            stale.count()

            def act(move: Any) -> None:
                never_looks(stale)
                stale.update("e1", importance=0.9)
                stale.update("e2", content="changed late")
                stale.delete("e3")
                stale.add("said late", id="late")
                stale.touch(["e4"])
                john = fresh.scoped(user_id="john")
                john.update("e5", content="changed in the new one")
                john.add("added in the new one", id="e19")
                john.delete("e6")

            with elsewhere(options, embedder=OLD) as fresh:
                once(monkeypatch, Move, "_switch" if at == "switch" else "_settle", act, before=at == "settle")
                reembed(store, NEW)
            john = store.scoped(user_id="john")
            assert john.get("e1").importance == 0.9  # type: ignore[union-attr]
            contents = {id: john.get(id).content for id in ("e2", "e5", "late", "e19")}  # type: ignore[union-attr]
            assert contents == {
                "e2": "changed late",
                "e5": "changed in the new one",
                "late": "said late",
                "e19": "added in the new one",
            }
            assert john.get("e3") is john.get("e6") is None
            assert john.count() == 20
            reembed(store, NEW)
            assert vectors_agree(store, NEW)

    @pytest.mark.parametrize("grpc", [False, True])
    def test_two_fields_of_one_entry(
        self, options: dict[str, Any], server: QdrantServer, monkeypatch: pytest.MonkeyPatch, grpc: bool
    ) -> None:
        """One is changed in the new collection, and after that the other one by a worker that has not looked since."""
        transport = {"prefer_grpc": grpc, "grpc_port": server.grpc_port}
        with (
            open_store(**options, embedder=OLD) as store,
            elsewhere(options, embedder=OLD, user_id="john", **transport) as stale,
            elsewhere(options, embedder=OLD, user_id="john") as fresh,
        ):
            fill(store, 10)

            def last_look(move: Any) -> None:
                stale.count()
                never_looks(stale)

            def act(move: Any) -> None:
                fresh.update("e7", importance=0.9)
                assert stale.update("e7", metadata={"n": 7}) is not None
                assert fresh.get("e7").metadata == {"n": 7}  # type: ignore[union-attr]

            once(monkeypatch, Move, "_copy", last_look, before=False)
            once(monkeypatch, Move, "_settle", act, before=True)
            reembed(store, NEW)
            changed = store.scoped(user_id="john").get("e7")
            assert changed is not None
            assert (changed.importance, changed.metadata) == (0.9, {"n": 7})

    def test_a_write_that_has_embedded_with_the_old_one(self, options: dict[str, Any]) -> None:
        """Whichever of its steps was done at the switch: no vector of the old embedder is kept."""
        for number in range(8 if IS_THOROUGH else 5):
            at = {**options, "collection": f"{options['collection']}-{number}"}
            with open_store(**at, embedder=OLD, user_id="john") as store:
                store.add("tea", id="tea")
                steps = store.steps.update("tea", content="coffee")
                answer: Any = None
                ended = False
                for _ in range(number):
                    try:
                        answer = steps.send(answer).wait()
                    except StopIteration:
                        ended = True
                        break
                reembed(store, OTHER)  # of the same length
                while not ended:
                    try:
                        answer = steps.send(answer).wait()
                    except StopIteration:
                        break
                assert store.get("tea").content == "coffee"  # type: ignore[union-attr]
                assert reembed(store, OTHER).embedded <= 1
                assert vectors_agree(store, OTHER)


class TestDeleting:
    """What is deleted while it is copied does not come back, whatever the moment."""

    @pytest.mark.parametrize("switched", [False, True], ids=["before the switch", "after it"])
    @pytest.mark.parametrize("how", ["delete", "erase", "undo_for", "saved again"])
    def test_between_reading_and_writing(
        self, options: dict[str, Any], server: QdrantServer, monkeypatch: pytest.MonkeyPatch, how: str, switched: bool
    ) -> None:
        with (
            open_store(**options, embedder=OLD) as store,
            elsewhere(options, embedder=OLD, undo_for=3600 if how == "undo_for" else None) as worker,
        ):
            fill(store, 10)
            john = worker.scoped(user_id="john")
            john.add(CANARY, id="canary")
            stale = elsewhere(options, embedder=OLD, user_id="john")
            stale.count()

            def change_late(move: Any) -> None:
                never_looks(stale)
                stale.update("canary", importance=0.7)  # so that it is copied after the switch as well

            def act(carrying: Any) -> bool:
                if carrying.switched != switched:
                    return False
                if how == "erase":
                    erase(worker, user_id="john", settle=0.01)
                elif how == "saved again":
                    john.delete("canary")
                    john.add("said again", id="canary")
                else:
                    john.delete("canary")
                return True

            if switched:
                once(monkeypatch, Move, "_settle", change_late, before=True)
            once(monkeypatch, Carrying, "_vectors", act, before=True)
            reembed(store, NEW)
            stale.close()
            found = store.scoped(user_id="john").get("canary")
            assert found is None if how != "saved again" else found is not None and found.content == "said again"
            left = [point for name in collections(server) for point in points(server, name)]
            kept = [point for point in left if CANARY in json.dumps(point)]
            assert len(kept) == (1 if how == "undo_for" else 0)
            if how == "undo_for":
                assert [each.content for each in worker.scoped(user_id="john").undo_delete()] == [CANARY]
            assert survey(store).entries == {"erase": 10, "saved again": 22}.get(how, 21 + (how == "undo_for"))

    def test_a_person_who_is_erased_is_nowhere(
        self, options: dict[str, Any], server: QdrantServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """At each step of the move, by a worker that has not looked since it began."""
        steps = ["_claim", "_copy", "_switch", "_settle", "_drain"]
        with open_store(**options, embedder=None) as store, elsewhere(options, embedder=None) as worker:
            fill(store, 5)
            for step in steps:
                worker.scoped(user_id=step).add(f"{CANARY} {step}")

                def act(move: Any, step: str = step) -> None:
                    assert erase(worker, user_id=step, settle=0.01).left == 0

                once(monkeypatch, Move, step, act, before=False)
            reembed(store, NEW)
            for name in collections(server):
                assert CANARY not in json.dumps(points(server, name))
            assert survey(store).entries == 11

    def test_an_erasure_looks_at_once(
        self, options: dict[str, Any], server: QdrantServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also if the process that copies is killed before its next pass."""
        with open_store(**options, embedder=None) as store, elsewhere(options, embedder=None) as worker:
            fill(store, 5)
            worker.scoped(user_id="gone").add(CANARY)
            never_looks(worker)

            def act(carrying: Any) -> None:
                assert any(CANARY in json.dumps(points(server, name)) for name in collections(server) if "--" in name)
                assert erase(worker, user_id="gone", settle=0.01).left == 0
                raise KeyboardInterrupt

            once(monkeypatch, Carrying, "_carry", act, before=False)
            with pytest.raises(KeyboardInterrupt):
                reembed(store, NEW)
            for name in collections(server):
                assert CANARY not in json.dumps(points(server, name))

    def test_what_a_worker_of_an_earlier_version_deletes(
        self, options: dict[str, Any], server: QdrantServer, collection: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It deletes in the old collection only. What it deletes before the last pass is deleted in the new one."""

        def act(carrying: Any) -> None:
            gone = [point["id"] for point in points(server, collection) if point["payload"]["user_id"] == "john"]
            with server.admin() as admin:
                body = {"points": gone}
                admin.post(f"/collections/{collection}/points/delete?wait=true", json=body).raise_for_status()

        once(monkeypatch, Carrying, "everything", act, before=False)
        with open_store(**options, embedder=None) as store:
            fill(store, 5)
            reembed(store, NEW)
            assert survey(store).entries == 5

    def test_what_has_expired_stays_behind(self, options: dict[str, Any], server: QdrantServer) -> None:
        with open_store(**options, embedder=None, user_id="john", undo_for=3600, history=3) as store:
            store.add("for ever", id="a")
            store.add("for a while", id="b", expires_at=now() + timedelta(hours=1))
            store.add(CANARY, id="c", expires_at=now() + timedelta(seconds=0.2))
            store.add("deleted", id="d")
            store.update("a", content="for ever and a day")
            store.delete("d")
            while store.get("c") is not None:
                pass
            new = FakeEmbedder(32, salt="new")
            reembed(store, new)
            assert not any(text in (CANARY, "deleted") for texts in new.calls for text in texts)
            for name in collections(server):
                assert CANARY not in json.dumps(points(server, name))
            assert {entry.id for entry in store.scan()} == {"a", "b"}
            assert [each.content for each in store.get("a").history] == ["for ever"]  # type: ignore[union-attr]
            assert [entry.content for entry in store.undo_delete()] == ["deleted"]
            assert vectors_agree(store, new)
            assert purge_expired(store) == 0


WRITING = """
import sys, time
from crewai_persistent_memory import open_store
from crewai_persistent_memory.backends.qdrant.server import moves
moves.LEASE = 0.3
url, collection, me = sys.argv[1:]
store = open_store(url=url, collection=collection, durability="store", timeout=2)
john, jane = (store.scoped(user_id=user) for user in ("john", "jane"))
number = 0
print("ready", flush=True)
while True:
    number += 1
    john.add(f"{me} said {number}", id=f"{me}{number}")
    if number % 2 == 0:
        assert john.update(f"{me}{number}", content=f"{me} changed {number}") is not None, number
    if number % 3 == 0:
        assert john.update(f"{me}{number - 1}", importance=0.9) is not None, number
    if number % 5 == 0:
        assert john.delete(f"{me}{number - 4}") == 1, number
    if number % 7 == 0:
        jane.add(f"{me} told jane {number}", id=f"{me}{number}")
    text = f"{me} changed {number}" if number % 2 == 0 else f"{me} said {number}"
    assert john.get(f"{me}{number}").content == text, number
    # Two fields of one entry, by both processes.
    assert john.update("shared", **({"importance": number % 100 / 100} if me == "a" else {"path": f"/{number}"}))
    shared = john.get("shared")
    assert (shared.importance == number % 100 / 100) if me == "a" else (shared.path == f"/{number}"), (number, shared)
    assert all(entry.scope.user_id == "john" for entry in john.search(f"said {number}"))
    store.scoped(user_id=f"gone-{me}-{number}").add("zebra-canary")
    from crewai_persistent_memory.admin import erase
    if number % 10 == 0:
        assert erase(store, user_id=f"gone-{me}-{number}", settle=0.01).left == 0
    else:
        assert store.scoped(user_id=f"gone-{me}-{number}").reset() == 1
    print(number, flush=True)
    if sys.stdin in __import__("select").select([sys.stdin], [], [], 0)[0]:
        break
store.close()
print("end", number, flush=True)
"""


def test_writers_deleters_and_erasers_meanwhile(options: dict[str, Any], server: QdrantServer) -> None:
    """In two processes, from before the first step until after the last one."""
    collection = options["collection"]
    with open_store(**options, embedder=None) as store:
        fill(store, 150)
        store.scoped(user_id="john").add("of both", id="shared")
    workers = {me: Commanded([sys.executable, "-c", WRITING, server.url, collection, me]) for me in ("a", "b")}
    for each in workers.values():
        assert each.line() == "ready"
    with open_store(**{**options, "timeout": 2}, embedder=None) as store:
        moves.LEASE = 0.3
        done = [reembed(store, new) for new in (NEW, OTHER)]
        assert all(each.changed for each in done)
        last = {}
        for me, each in workers.items():
            each.tell("stop")
            lines = []
            while (line := each.line()) and not line.startswith("end"):
                lines.append(line)
            ended = each.close()
            assert ended.returncode == 0, ended.stderr
            last[me] = int(line.split()[1])
        expected: dict[tuple[str, str], tuple[str, float]] = {}
        for me, most in last.items():
            assert most > 5
            for number in range(1, most + 1):
                changed = number % 2 == 0
                text = f"{me} changed {number}" if changed else f"{me} said {number}"
                important = (number + 1) % 3 == 0 and number + 1 <= most
                if not ((number + 4) % 5 == 0 and number + 4 <= most):
                    expected["john", f"{me}{number}"] = text, 0.9 if important else 0.5
                if number % 7 == 0:
                    expected["jane", f"{me}{number}"] = f"{me} told jane {number}", 0.5
        found = {
            (str(entry.scope.user_id), entry.id): (entry.content, entry.importance)
            for entry in entries_of(store)
            if entry.id[0] in "ab" and entry.id != "book"
        }
        assert found == expected
        assert survey(store).entries == 302 + len(expected)
        shared = store.scoped(user_id="john").get("shared")
        assert shared is not None
        assert (shared.importance, shared.path) == (last["a"] % 100 / 100, f"/{last['b']}")
        reembed(store, OTHER)
        assert vectors_agree(store, OTHER)
    for name in collections(server):
        assert CANARY not in json.dumps(points(server, name))


DYING = """
import os, sys
from crewai_persistent_memory import open_store
from crewai_persistent_memory.admin import reembed
from crewai_persistent_memory.backends.qdrant.server import moves, moving, carrying
from crewai_persistent_memory.testing import FakeEmbedder
moves.LEASE = 0.1
url, collection, at = sys.argv[1:]
name, number = at.split()
of = carrying.Carrying if hasattr(carrying.Carrying, name) else moving.Move
original, left = getattr(of, name), int(number)

def dying(self, *arguments, **options):
    global left
    left -= 1
    if left < 0:
        os._exit(9)
    return (yield from original(self, *arguments, **options))

setattr(of, name, dying)
with open_store(url=url, collection=collection, embedder=FakeEmbedder(64), durability="store", timeout=0.5) as store:
    reembed(store, FakeEmbedder(32, salt="new"))
"""
MOMENTS = [
    "_claim 0",
    "_carrying 0",
    "_mark 0",
    "_vectors 1",
    "_bury_missing 0",
    "_bury_missing 1",
    "_deleted 0",
    "changes 0",
    "_switch 0",
    "_close_to_writes 0",
    "changes 1",
    "_settle 0",
    "changes 4",
    "_drain 0",
    "_empty 0",
]


@pytest.mark.parametrize("at", sample(MOMENTS, 9))
def test_killed_at_any_moment(options: dict[str, Any], server: QdrantServer, at: str) -> None:
    collection = options["collection"]
    with open_store(**options, embedder=OLD) as store:
        fill(store, 50)
        store.scoped(user_id="john").add(CANARY, id="canary")
        before = everything(store)
    ended = run_program([sys.executable, "-c", DYING, server.url, collection, at])
    assert ended.returncode == 9, ended.stderr
    is_switched = "moved_to" in descriptor(server, collection)
    with open_store(**options, embedder=NEW if is_switched else OLD) as store:
        assert everything(store) == before
        john = store.scoped(user_id="john")
        john.add("said meanwhile", id="new")
        john.update("e1", content="changed meanwhile")
        assert erase(store, user_id="nobody", settle=0.01).entries == 0
        john.delete("canary")
        for name in collections(server):
            assert CANARY not in json.dumps(points(server, name))
        new = FakeEmbedder(32, salt="new")
        reembed(store, new)
        texts = [text for call in new.calls for text in call]
        if at in ("_vectors 1", "_bury_missing 1", "_deleted 0", "changes 0", "_switch 0"):
            assert len(texts) < 90, "what was embedded is not embedded again"
        after = everything(store)
        changed = [key for key in before if after.get(key) != before[key]]
        assert sorted(id for _, id in changed) == ["canary", "e1"]
        assert len(after) == len(before)
        assert [john.get(id).content for id in ("new", "e1")] == ["said meanwhile", "changed meanwhile"]  # type: ignore[union-attr]
        assert vectors_agree(store, new)
        assert points(server, collection) == []
        assert descriptor(server, collection)["drained"]
        assert "copy_of" not in descriptor(server, again_name(server, collection))


REEMBEDDING = """
import sys
from crewai_persistent_memory import open_store
from crewai_persistent_memory.admin import reembed
from crewai_persistent_memory.backends.qdrant.server import moves
from crewai_persistent_memory.testing import FakeEmbedder
moves.LEASE = 0.1
url, collection = sys.argv[1:]
with open_store(url=url, collection=collection, embedder=FakeEmbedder(64), durability="store", timeout=0.5) as store:
    reembed(store, FakeEmbedder(32, salt="new"), progress=lambda count: print(count, flush=True))
"""


def test_what_was_killed_is_finished_by_the_next(options: dict[str, Any], server: QdrantServer) -> None:
    with open_store(**options, embedder=OLD) as store:
        fill(store, 200)
        before = everything(store)
    for pages in (2, 4):
        killed_after([sys.executable, "-c", REEMBEDDING, server.url, options["collection"]], pages)
    with open_store(**options, embedder=OLD) as store:
        done = reembed(store, NEW)
        assert done.there >= 3 * 64 - 1, "the second one went on"
        assert done.embedded + done.there == done.entries == len(before)
        assert everything(store) == before
        assert vectors_agree(store, NEW)


@pytest.mark.parametrize("version", [NEWEST, OLDER])
def test_the_server_is_killed(tmp_path: Path, version: str) -> None:
    """In the midst of the copying, and after the move: it starts again with both collections."""
    server = QdrantServer(binaries()[version], tmp_path / "q").start()
    at: dict[str, Any] = {"url": server.url, "collection": "c", "durability": "store", "timeout": 2}
    killed: list[int] = []

    def kill(count: int) -> None:
        if not killed and count > 64:
            killed.append(count)
            server.kill()
            server.restart()

    try:
        with open_store(**at, embedder=OLD) as store:
            fill(store, 100)
            before = everything(store)
            reembed(store, NEW, progress=kill)
            assert killed
            assert everything(store) == before
            server.kill()
            server.restart()
            assert everything(store) == before
            assert points(server, "c") == []
            store.scoped(user_id="john").add("one more")
            reembed(store, OTHER)
            assert survey(store).entries == 202
            assert vectors_agree(store, OTHER)
    finally:
        server.stop()


class TestTogether:
    def test_a_second_call_takes_over(self, options: dict[str, Any]) -> None:
        with open_store(**options, embedder=OLD) as store, elsewhere(options, embedder=OLD) as other:
            fill(store, 100)
            with ThreadPoolExecutor(1) as pool:
                running: list[Any] = []

                def second(count: int) -> None:
                    if not running:
                        running.append(pool.submit(reembed, other, NEW))
                        while not any(call for call in begun):
                            pass

                begun: list[bool] = []
                original = Move._claim

                def claiming(self: Any, *arguments: Any) -> Any:
                    answer = yield from original(self, *arguments)
                    if running:
                        begun.append(True)
                    return answer

                Move._claim = claiming  # type: ignore[method-assign]
                try:
                    with pytest.raises(StoreBusyError, match="goes on"):
                        reembed(store, NEW, progress=second)
                finally:
                    Move._claim = original  # type: ignore[method-assign]
                assert running[0].result().entries == 201
            assert vectors_agree(other, NEW)

    def test_one_that_stood_still_for_long(
        self, options: dict[str, Any], server: QdrantServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It looks for what was deleted, and finds the old collection empty, because another one has emptied it."""
        with open_store(**options, embedder=OLD) as store, elsewhere(options, embedder=OLD) as other:
            fill(store, 10)
            once(monkeypatch, Carrying, "_bury_missing", lambda _: reembed(other, NEW), before=True)
            with pytest.raises(StoreBusyError, match="goes on"):
                reembed(store, NEW)
            assert survey(other).entries == 21
            assert vectors_agree(other, NEW)

    def test_a_pointer_to_nothing(self, options: dict[str, Any], server: QdrantServer) -> None:
        with open_store(**options, embedder=None) as store:
            fill(store, 3)
            reembed(store, NEW)
        with server.admin() as admin:
            admin.delete(f"/collections/{again_name(server, options['collection'])}").raise_for_status()
        with pytest.raises(StoreCorruptedError, match="restore"):
            elsewhere(options, embedder=None)

    def test_what_was_begun_with_another_is_removed(self, options: dict[str, Any], server: QdrantServer) -> None:
        def stop(count: int) -> None:
            raise KeyboardInterrupt

        with open_store(**options, embedder=OLD) as store:
            fill(store, 20)
            store.scoped(user_id="john").add(CANARY)
            with pytest.raises(KeyboardInterrupt):
                reembed(store, OTHER, progress=stop)
            assert len(collections(server) & {again_name(server, options["collection"])}) == 1
            reembed(store, NEW)
            assert vectors_agree(store, NEW)
            again_name(server, options["collection"])

    def test_it_is_given_up(self, options: dict[str, Any], server: QdrantServer) -> None:
        def stop(count: int) -> None:
            raise KeyboardInterrupt

        collection = options["collection"]
        with open_store(**options, embedder=OLD) as store:
            fill(store, 20)
            with pytest.raises(KeyboardInterrupt):
                reembed(store, NEW, progress=stop)
            assert not reembed(store, OLD).changed
            assert {name for name in collections(server) if name.startswith(collection)} == {collection}
            assert "moving_to" not in descriptor(server, collection)
            assert vectors_agree(store, OLD)
            reembed(store, NEW)
            assert vectors_agree(store, NEW)

    @pytest.mark.parametrize("new", [OLD, OTHER], ids=["given up", "another one"])
    def test_after_a_kill_in_the_midst_of_the_switch(
        self, options: dict[str, Any], server: QdrantServer, new: FakeEmbedder
    ) -> None:
        """The old collection takes no writes then. It takes them again."""
        with open_store(**options, embedder=OLD) as store:
            fill(store, 20)
        ended = run_program([sys.executable, "-c", DYING, server.url, options["collection"], "changes 1"])
        assert ended.returncode == 9, ended.stderr
        with elsewhere(options, embedder=OLD) as reader, open_store(**options, embedder=OLD) as store:
            assert reader.scoped(user_id="john").count() == 21
            reembed(store, new)
            john = reader.scoped(user_id="john")
            john.add("one more", id="more")
            assert john.update("more", content="and one more") is not None
            john.put([MemoryEntry(f"p{number}", f"page {number}") for number in range(300)])
            assert survey(store).entries == 342
            reembed(store, new)
            assert vectors_agree(store, new)

    def test_there_and_back_again(self, options: dict[str, Any], server: QdrantServer) -> None:
        with open_store(**options, embedder=OLD) as store:
            fill(store, 10)
            for new in (NEW, OLD, NEW):
                reembed(store, new)
                assert vectors_agree(store, new)
                assert survey(store).entries == 21
                assert len([name for name in collections(server) if name.startswith(options["collection"])]) == 2


class TestEmbedders:
    def test_one_that_is_away_is_waited_for(self, options: dict[str, Any]) -> None:
        class Away(FakeEmbedder):
            left = 3

            def __call__(self, texts: Any) -> list[list[float]]:
                self.left -= 1
                if self.left < 0:
                    raise ConnectionError("away")
                return super().__call__(texts)

        with open_store(**options, embedder=OLD) as store:
            fill(store)
            with pytest.raises(EmbedderUnavailableError):
                reembed(store, Away(32, salt="new"))
            assert vectors_agree(store, OLD)
        with open_store(**options, embedder=OLD) as store:
            done = reembed(store, NEW)
            assert 0 < done.there < 201
            assert done.embedded + done.there == 201
            assert vectors_agree(store, NEW)

    def test_one_that_refuses_a_text(self, options: dict[str, Any]) -> None:
        class Picky(FakeEmbedder):
            def __call__(self, texts: Any) -> list[list[float]]:
                if any("thing13" in text.split() for text in texts):
                    raise ValueError("refused")
                return super().__call__(texts)

        with open_store(**options, embedder=OLD) as store:
            fill(store, 20)
            done = reembed(store, Picky(32, salt="new"))
            assert (done.entries, done.embedded, done.without) == (41, 39, 2)
            assert store.scoped(user_id="john").search("thing13")[0].id == "e13"
            assert len(everything(store)) == 41

    def test_a_dry_run_changes_nothing(self, options: dict[str, Any], server: QdrantServer) -> None:
        with open_store(**options, embedder=OLD) as store:
            fill(store, 20)
            was = descriptor(server, options["collection"])
            done = reembed(store, NEW, dry_run=True)
            assert (done.entries, done.embedded, done.changed) == (41, 0, True)
            assert done.characters == sum(len(entry.content) for entry in entries_of(store))
            assert reembed(store, None, dry_run=True).changed
            assert descriptor(server, options["collection"]) == was
            assert not any(name.startswith(f"{options['collection']}--") for name in collections(server))

    def test_a_handle_by_words_stays_so(self, options: dict[str, Any]) -> None:
        with open_store(**options, embedder=OLD, user_id="john") as store:
            store.add("tea")
            config = MemoryConfig.build(**options, user_id="john")
            with open_configured(config, by_words=True, existing=True) as words:
                reembed(words, NEW)
                assert words.embedder is None
                assert words.search("tea")[0].found_by == ("keywords",)
                assert store.search("tea")[0].found_by == ("semantic", "keywords")


class TestCollections:
    def test_one_for_each_project(self, options: dict[str, Any], server: QdrantServer) -> None:
        of_each = {**options, "collection_per_project": True}
        with open_store(**of_each, embedder=OLD) as store, elsewhere(of_each, embedder=OLD) as worker:
            for project in ("north", "south"):
                fill(store.scoped(project_id=project), 5)
                worker.scoped(project_id=project, user_id="john").count()
            assert reembed(store, NEW).entries == 22
            for project in ("north", "south"):
                own = store.scoped(project_id=project)
                assert vectors_agree(own, NEW)
                assert worker.scoped(project_id=project, user_id="john").count() == 6
            assert reembed(store, "keywords").entries == 22
            assert sorted(each.project_id for each in run(store.steps.list_projects())) == ["north", "south"]

    def test_shards_by_project(self, tmp_path: Path) -> None:
        server = QdrantServer(newest(), tmp_path / "q", settings={"CLUSTER__ENABLED": "true"})
        server.start("--uri", f"http://127.0.0.1:{server.p2p_port}")
        settings = {"shard_by_project": True, "shard_number": 1, "replication_factor": 1}
        at: dict[str, Any] = {"url": server.url, "collection": "c", "durability": "store", "timeout": 5}
        try:
            with open_store(**at, embedder=OLD, collection_settings=settings) as store:
                for project in ("north", "south"):
                    fill(store.scoped(project_id=project), 5)
                dedicate_project("north", url=server.url, collection="c")
                for new in (NEW, OTHER):
                    done = reembed(store, new)
                    assert (done.entries, done.embedded, done.there, done.without) == (22, 22, 0, 0)
                    assert survey(store).entries == 22
                    assert vectors_agree(store, new)
                    with elsewhere(at, embedder=new) as again:
                        for project in ("north", "south"):
                            john = again.scoped(project_id=project, user_id="john")
                            assert john.count() == 6
                            assert john.search("thing3")[0].id == "e3"
                            assert john.delete("e4") == 1
                            john.add("again", id="e4")
                with server.admin() as admin:
                    name = again_name(server, "c")
                    shards = admin.get(f"/collections/{name}/cluster").json()["result"]["local_shards"]
                assert len({each["shard_key"] for each in shards}) == 2
                assert dedicate_project("south", url=server.url, collection="c") == 11
                for project in ("north", "south"):
                    assert store.scoped(project_id=project, user_id="john").count() == 6
                store.scoped(user_id="john").add("of no project")
                done = erase(store, user_id="john", settle=0.01)
                assert (done.entries, done.left) == (13, 0)
                assert {point["payload"]["user_id"] for point in points(server, again_name(server, "c"))} == {"jane"}
        finally:
            server.stop()

    def test_filter_fields_and_the_layout(self, options: dict[str, Any], server: QdrantServer) -> None:
        priority = FilterField("priority", "integer", lambda entry: entry.metadata.get("priority"))
        laid_out = {"shard_number": 2, "on_disk_vectors": True, "quantization": "scalar"}
        with open_store(
            **options, embedder=OLD, user_id="john", filter_fields=[priority], collection_settings=laid_out
        ) as store:
            store.add("the roof leaks", id="a", metadata={"priority": 1})
            limits = {"strict_mode_config": {"max_query_limit": 20, "upsert_max_batchsize": 7, "condition_max_size": 9}}
            with server.admin() as admin:
                admin.patch(f"/collections/{options['collection']}", json=limits).raise_for_status()
            store.put([MemoryEntry(f"n{number}", f"note {number}") for number in range(30)])
            with open_store(**options, embedder=OLD) as mover:
                reembed(mover, NEW)
            assert [entry.id for entry in store.list(fields={"priority": 1})] == ["a"]
            assert store.count() == 31
            with server.admin() as admin:
                name = again_name(server, options["collection"])
                found = admin.get(f"/collections/{name}").json()["result"]
            assert found["config"]["params"]["shard_number"] == 2
            assert found["config"]["params"]["vectors"]["dense"]["on_disk"] is True
            assert "scalar" in found["config"]["params"]["vectors"]["dense"]["quantization_config"]
            strict = found["config"]["strict_mode_config"]
            assert (strict["max_query_limit"], strict["upsert_max_batchsize"]) == (20, 7)
            assert "field_priority" in found["payload_schema"]

    def test_something_else_has_the_name(self, options: dict[str, Any], server: QdrantServer) -> None:
        with open_store(**options, embedder=OLD, user_id="john") as store:
            store.add("tea")
            name = name_of(
                options["collection"], manifest.Descriptor("embedder", fingerprint=Embedder.build(NEW).fingerprint)
            )
            with open_store(**{**options, "collection": name}, embedder=NEW, user_id="john") as other:
                other.add("coffee")
                with pytest.raises(ConfigurationError, match="exists already"):
                    reembed(store, NEW)
                assert other.count() == 1
            assert "moving_to" not in descriptor(server, options["collection"])
            assert vectors_agree(store, OLD)


class TestKeys:
    KEY = "an-admin-key-of-the-test-0123456789"

    @pytest.fixture(scope="class")
    def guarded(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantServer]:
        folder = tmp_path_factory.mktemp("guarded")
        started = QdrantServer(newest(), folder, settings={"SERVICE__JWT_RBAC": "true"}, key=self.KEY).start()
        yield started
        started.stop()

    def token(self, access: Any) -> str:
        return jwt.encode({"access": access}, self.KEY, algorithm="HS256")

    @pytest.mark.parametrize("access", ["r", "rw"])
    def test_one_that_may_not_create_collections(self, guarded: QdrantServer, access: str) -> None:
        at: dict[str, Any] = {"url": guarded.url, "collection": f"c-{access}", "durability": "store", "timeout": 0.5}
        key = self.token([{"collection": at["collection"], "access": access}])
        with open_store(**at, api_key=self.KEY, embedder=OLD, user_id="john") as store:
            store.add("tea")
            was = descriptor(guarded, at["collection"])
            with open_store(**at, api_key=key, embedder=OLD, user_id="john") as other:
                assert reembed(other, NEW, dry_run=True).entries == 1
                with pytest.raises(StorePermissionError, match="may create and delete collections"):
                    reembed(other, NEW)
            assert descriptor(guarded, at["collection"]) == was
            assert not any(name.startswith(f"c-{access}--") for name in collections(guarded))
            store.add("coffee")
            assert vectors_agree(store, OLD)

    def test_a_worker_whose_key_is_for_the_old_collection(self, guarded: QdrantServer) -> None:
        at: dict[str, Any] = {"url": guarded.url, "collection": "narrow", "durability": "store", "timeout": 0.5}
        key = self.token([{"collection": "narrow", "access": "rw"}])
        with (
            open_store(**at, api_key=self.KEY, embedder=OLD, user_id="john") as store,
            open_store(**at, api_key=key, embedder=OLD, user_id="john") as worker,
        ):
            worker.add("tea")
            reembed(store, NEW)
            for do in (worker.count, lambda: worker.add("coffee"), lambda: worker.search("tea")):
                with pytest.raises(StorePermissionError, match=r"moved to collection 'narrow--[0-9a-f]+'"):
                    do()
            assert store.count() == 1

    def test_a_worker_that_may_only_read(self, guarded: QdrantServer) -> None:
        at: dict[str, Any] = {"url": guarded.url, "collection": "readers", "durability": "store", "timeout": 0.5}
        with (
            open_store(**at, api_key=self.KEY, embedder=OLD, user_id="john") as store,
            open_store(**at, api_key=self.token("r"), embedder=OLD, user_id="john") as reader,
        ):
            store.add("tea")
            assert reader.search("tea")
            reembed(store, NEW)
            assert [entry.content for entry in reader.search("tea")] == ["tea"]


class TestAround:
    """What else looks at a store."""

    def test_backup_and_restore(self, options: dict[str, Any], server: QdrantServer, tmp_path: Path) -> None:
        with open_store(**options, embedder=OLD) as store:
            fill(store, 5)
            back_up(store, tmp_path / "before")
            reembed(store, NEW)
            store.scoped(user_id="john").add(CANARY, id="later")
            back_up(store, tmp_path / "after")
            store.scoped(user_id="john").delete("later")
        at = {"url": options["url"], "collection": options["collection"]}
        restore(tmp_path / "after", replace=True, **at)
        with open_store(**options, embedder=NEW) as store:
            assert survey(store).entries == 12
            assert vectors_agree(store, NEW)
            store.scoped(user_id="john").delete("later")
        with pytest.raises(ConfigurationError, match="another embedder since this backup"):
            restore(tmp_path / "before", replace=True, **at)
        with open_store(**options, embedder=NEW) as store:
            assert survey(store).entries == 11
        for backup, embedder, count in (("before", OLD, 11), ("after", NEW, 12)):
            other = f"{options['collection']}-{backup}"
            restore(tmp_path / backup, url=options["url"], collection=other)
            with open_store(**{**options, "collection": other}, embedder=embedder) as store:
                assert survey(store).entries == count
                assert vectors_agree(store, embedder)
                reembed(store, OTHER)
                assert survey(store).entries == count

    def test_a_backup_in_between(self, options: dict[str, Any], server: QdrantServer, tmp_path: Path) -> None:
        def progress(count: int) -> None:
            if not (tmp_path / "backup").exists():
                back_up(store, tmp_path / "backup")

        with open_store(**options, embedder=OLD) as store:
            fill(store, 5)
            reembed(store, NEW, progress=progress)
        for how in ("with restore", "with the server's own means"):
            other = f"{options['collection']}-{how[-1]}"
            restore(tmp_path / "backup", url=options["url"], collection=other)
            if how != "with restore":
                with server.admin() as admin:
                    told = {"moving_to": again_name(server, options["collection"]), "mover": "x"}
                    body = {"payload": told, "points": [DESCRIPTOR_ID]}
                    admin.post(f"/collections/{other}/points/payload?wait=true", json=body).raise_for_status()
            with open_store(**{**options, "collection": other}, embedder=OLD) as store:
                assert vectors_agree(store, OLD)
                store.scoped(user_id="john").delete("e1")
                assert survey(store).entries == 10
                reembed(store, OLD)
                reembed(store, NEW)
                assert survey(store).entries == 10
            with open_store(**options, embedder=NEW) as store:
                assert survey(store).entries == 11

    def test_an_alias(self, options: dict[str, Any], server: QdrantServer) -> None:
        """Some workers name the collection by an alias, and others by its name."""
        alias = f"{options['collection']}-alias"
        by_alias = {**options, "collection": alias}
        with open_store(**options, embedder=OLD) as store:
            fill(store, 5)
            with server.admin() as admin:
                create = {"create_alias": {"collection_name": options["collection"], "alias_name": alias}}
                admin.post("/collections/aliases", json={"actions": [create]}).raise_for_status()
            with elsewhere(by_alias, embedder=OLD) as worker, open_store(**by_alias, embedder=OLD) as mover:

                def progress(count: int) -> None:
                    if count and (john := worker.scoped(user_id="john")).get("e1"):
                        john.delete("e1")
                        store.scoped(user_id="jane").delete("e1")

                reembed(mover, NEW, progress=progress)
                for each in (store, worker, mover):
                    assert survey(each).entries == 9
                assert points(server, options["collection"]) == []

    def test_an_outbox(self, options: dict[str, Any], tmp_path: Path) -> None:
        """What waits is delivered to the new collection."""
        with_outbox = {**options, "durability": "outbox", "outbox_path": tmp_path / "outbox", "recall_timeout": 60}
        with open_store(**options, embedder=OLD) as store, open_store(**with_outbox, embedder=OLD) as worker:
            john = worker.scoped(user_id="john")
            john.add("tea", id="tea")
            assert john.flush()
            reembed(store, NEW, progress=lambda count: john.add(f"meanwhile {count}", id=f"m{count}"))
            john.add("coffee", id="coffee")
            assert john.flush()
            assert john.count() == store.scoped(user_id="john").count() >= 3
            assert john.health()["outbox"]["dead_letters"] == 0
