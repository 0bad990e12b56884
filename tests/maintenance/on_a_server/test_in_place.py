"""What a store is before the switch and after it."""

from __future__ import annotations

from typing import Any

import pytest

from crewai_persistent_memory import (
    EmbedderMismatchError,
    EmbedderUnavailableError,
    SchemaVersionError,
    open_store,
)
from crewai_persistent_memory.admin import (
    entries_of,
    reembed,
)
from crewai_persistent_memory.backends.qdrant import manifest

from ...support.engines import NEWEST, OLDER, Servers
from ...support.openai_server import OpenAIServer
from ...support.qdrant_server import QdrantServer
from ..test_reembedding import everything, fill, vectors_agree
from .moving import NEW, OLD, OTHER, collections, descriptor, elsewhere, points, second_of


class TestInPlace:
    @pytest.fixture(params=[(NEWEST, "rest"), (OLDER, "grpc")], ids="-".join)
    def options(self, request: pytest.FixtureRequest, qdrant_servers: Servers, collection: str) -> Any:
        version, transport = request.param
        server = qdrant_servers(version)
        yield {
            "url": server.url,
            "collection": collection,
            "durability": "store",
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
        assert descriptor(server, collection)["moved_to"] == second_of(server, collection)

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
