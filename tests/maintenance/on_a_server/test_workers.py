"""Handles that are open while the memories move: what they save, change, delete and erase."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import Any

import pytest

from crewai_persistent_memory import (
    open_store,
)
from crewai_persistent_memory.admin import (
    entries_of,
    erase,
    purge_expired,
    reembed,
    survey,
)
from crewai_persistent_memory.backends.qdrant.server import moves
from crewai_persistent_memory.backends.qdrant.server.carrying import Carrying
from crewai_persistent_memory.backends.qdrant.server.moving import Move
from crewai_persistent_memory.expiry import now
from crewai_persistent_memory.testing import FakeEmbedder

from ...support.programs import Commanded
from ...support.qdrant_server import QdrantServer
from ...support.thorough import IS_THOROUGH
from ..test_reembedding import fill, vectors_agree
from .moving import CANARY, NEW, OLD, OTHER, collections, elsewhere, never_looks, once, points


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
        moves.LEASE, moves.noticed_after = 0.3, lambda timeout: 0.3 + timeout
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
