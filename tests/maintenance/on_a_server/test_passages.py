"""A collection of an earlier version gets vectors of passages: by the embedder that it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import ConfigurationError, MemoryEntry, MemoryStore, open_store
from crewai_persistent_memory.admin import reembed
from crewai_persistent_memory.backends.qdrant.server.carrying import Carrying
from crewai_persistent_memory.backends.qdrant.server.moving import Move
from crewai_persistent_memory.testing import FakeEmbedder
from crewai_persistent_memory.text.passages import is_one_passage

from ...layouts.embedder import letters
from ...layouts.kept import assert_holds, expected, restore
from ...support.calling import until
from ...support.qdrant_server import QdrantServer
from .moving import collections, descriptor, elsewhere, once, second_of

QUERY = "they were there before and then they were not"
"""Words that are no keywords: what has them is found by vectors alone."""
LONG = " ".join(["Nothing of interest was said about the garden today."] * 30)
REPORT = f"{LONG}\n\n{' '.join([QUERY] * 9)}\n\n{LONG}"


@pytest.fixture
def kept(server_version: str) -> str:
    """The name of a collection of layout 2 with vectors."""
    return f"server-{server_version}-dense"


@pytest.fixture
def earlier(options: dict[str, Any], collection: str, server: QdrantServer, kept: str) -> dict[str, Any]:
    restore(2, kept, server, collection)
    return options


def relevance(store: MemoryStore) -> float:
    """Of the report, for what one of its passages says."""
    [score] = [entry.score for entry in store.search(QUERY, limit=100) if entry.id == "report"]
    return score or 0.0


class TestPassages:
    def test_they_get_vectors(self, earlier: dict[str, Any], collection: str, server: QdrantServer, kept: str) -> None:
        sent: list[str] = []

        def counting(texts: list[str]) -> list[list[float]]:
            sent.extend(texts)
            return letters(texts)

        with open_store(**earlier, embedder=counting) as store:
            john = store.scoped(user_id="passages")
            john.put([MemoryEntry(id="report", content=REPORT), MemoryEntry(id="note", content="John likes tea")])
            assert not descriptor(server, collection).get("passages")
            contents = [REPORT, *(entry["content"] for entry in expected(2, kept).values())]
            long = [content for content in contents if not is_one_passage(content)]
            before = relevance(john)
            planned = reembed(store, counting, dry_run=True, passages=True)
            assert (planned.characters, planned.changed) == (sum(map(len, long)), True)
            assert len(collections(server) & {collection}) == 1
            sent.clear()
            done = reembed(store, counting, passages=True)
            assert (done.embedded, done.without, done.changed) == (len(long), 0, True)
            # Short texts keep their vectors: none of them is sent again.
            assert len(sent) > len(long)
            assert not {"John likes tea", *contents}.difference(long) & set(sent)
            assert descriptor(server, second_of(server, collection))["passages"]
            assert relevance(john) > before + 0.05
            john.delete(ids=["report", "note"])
            assert_holds(store, expected(2, kept))
            # Done once, there is nothing left to do.
            again = reembed(store, counting, passages=True)
            assert (again.embedded, again.changed) == (0, False)
        assert descriptor(server, collection)["moved_to"] == second_of(server, collection)

    def test_a_collection_with_passages_in_which_a_text_lacks_them(
        self, options: dict[str, Any], collection: str, server: QdrantServer
    ) -> None:
        """An older worker has saved it."""
        with open_store(**options, embedder=letters) as store:
            john = store.scoped(user_id="passages")
            john.put([MemoryEntry(id="report", content=REPORT), MemoryEntry(id="note", content="John likes tea")])
            before = relevance(john)
            with server.admin() as admin:
                where = f"/collections/{collection}/points"
                points = admin.post(f"{where}/scroll", json={"limit": 100}).json()["result"]["points"]
                bare = {"vector": ["passages"], "points": [point["id"] for point in points]}
                admin.post(f"{where}/vectors/delete?wait=true", json=bare).raise_for_status()
            assert relevance(john) < before - 0.05
            assert reembed(store, letters, passages=True, dry_run=True).characters == len(REPORT)
            done = reembed(store, letters, passages=True)
            assert (done.embedded, done.changed) == (1, False)
            assert relevance(john) == pytest.approx(before, abs=1e-4)
            assert reembed(store, letters, passages=True).embedded == 0

    def test_what_is_saved_meanwhile(self, earlier: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        with open_store(**earlier, embedder=letters) as store, elsewhere(earlier, embedder=letters) as worker:
            john = worker.scoped(user_id="passages")
            john.add("John likes tea", id="note")

            def meanwhile(carrying: Carrying) -> None:
                john.put([MemoryEntry(id="report", content=REPORT)])
                john.update("note", content="John likes coffee")

            once(monkeypatch, Carrying, "everything", meanwhile, before=False)
            reembed(store, letters, passages=True)
            ours = store.scoped(user_id="passages")
            assert {each.id: each.content for each in ours.list()} == {"report": REPORT, "note": "John likes coffee"}
            note = ours.get("note")
            assert note is not None
            assert note.embedding == pytest.approx(letters(["John likes coffee"])[0], abs=1e-3)
            assert relevance(ours) > 0.33  # 0.28 by the mean of all its parts
            assert until(lambda: {each.id for each in john.list()}, lambda ids: ids == {"report", "note"})

    def test_a_worker_that_has_the_embedder_goes_on_with_it(
        self, earlier: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Also if it is a function, which no other process can build from a name."""
        with open_store(**earlier, embedder=letters) as store, elsewhere(earlier, embedder=letters) as worker:
            john = worker.scoped(user_id="passages")
            john.add("John likes tea", id="note")
            reembed(store, letters, passages=True)
            assert until(lambda: ids_of(john), lambda ids: ids == {"note"})
            john.put([MemoryEntry(id="report", content=REPORT)])
            report = john.get("report")
            assert report is not None
            assert report.embedding is not None
            assert relevance(john) > 0.33
            assert "cannot use the new one" not in caplog.text

    def test_it_is_given_up_and_done_again(
        self,
        earlier: dict[str, Any],
        collection: str,
        server: QdrantServer,
        kept: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        with open_store(**earlier, embedder=letters) as store:
            with monkeypatch.context() as patched:
                patched.setattr(Move, "_switch", _fails)
                with pytest.raises(RuntimeError):
                    reembed(store, letters, passages=True)
            second = second_of(server, collection)
            assert reembed(store, letters).changed is False
            assert second not in collections(server)
            assert reembed(store, letters, passages=True).changed is True
            assert_holds(store, expected(2, kept))

    @pytest.mark.parametrize("dry_run", [True, False])
    def test_with_another_embedder_nothing_is_changed(
        self, earlier: dict[str, Any], collection: str, server: QdrantServer, dry_run: bool
    ) -> None:
        """A wrong name in the command must cost neither the vectors nor a bill."""
        with open_store(**earlier, embedder=letters) as store:
            for other in (FakeEmbedder(), None, "keywords"):
                with pytest.raises(ConfigurationError, match=r"passages: .* that the store has, .* is another one"):
                    reembed(store, other, passages=True, dry_run=dry_run)
            assert {each for each in collections(server) if each.startswith(collection)} == {collection}
            assert "moved_to" not in descriptor(server, collection)

    def test_without_an_embedder(self, tmp_path: Path) -> None:
        with open_store(path=tmp_path / "s", embedder=None, user_id="john") as store:
            store.add(REPORT)
            with pytest.raises(ConfigurationError, match="passages: the store has no embedder"):
                reembed(store, letters, passages=True)
            assert reembed(store, letters).embedded == 1

    def test_an_embedded_store_has_them(self, tmp_path: Path) -> None:
        with open_store(path=tmp_path / "s", embedder=letters, user_id="john") as store:
            store.add(REPORT)
            done = reembed(store, letters, passages=True)
            assert (done.embedded, done.changed) == (0, False)


def ids_of(store: MemoryStore) -> set[str]:
    return {each.id for each in store.list()}


def _fails(self: Any, *arguments: Any) -> Any:
    raise RuntimeError("killed")
    yield
