"""Projects, shards, keys, backups, aliases and outboxes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    FilterField,
    MemoryEntry,
    StorePermissionError,
    open_store,
)
from crewai_persistent_memory.admin import (
    back_up,
    dedicate_project,
    erase,
    reembed,
    restore,
    survey,
)
from crewai_persistent_memory.backends.qdrant import manifest
from crewai_persistent_memory.backends.qdrant.server.bootstrap import DESCRIPTOR_ID
from crewai_persistent_memory.backends.qdrant.server.new_collection import name_of
from crewai_persistent_memory.embedding import Embedder
from crewai_persistent_memory.io.steps import run

from ...support.qdrant_server import QdrantServer, newest
from ..test_reembedding import fill, vectors_agree
from .moving import CANARY, NEW, OLD, OTHER, collections, descriptor, elsewhere, points, second_of


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
                    name = second_of(server, "c")
                    shards = admin.get(f"/collections/{name}/cluster").json()["result"]["local_shards"]
                assert len({each["shard_key"] for each in shards}) == 2
                assert dedicate_project("south", url=server.url, collection="c") == 11
                for project in ("north", "south"):
                    assert store.scoped(project_id=project, user_id="john").count() == 6
                store.scoped(user_id="john").add("of no project")
                done = erase(store, user_id="john", settle=0.01)
                assert (done.entries, done.left) == (13, 0)
                assert {point["payload"]["user_id"] for point in points(server, second_of(server, "c"))} == {"jane"}
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
                name = second_of(server, options["collection"])
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
        at: dict[str, Any] = {"url": guarded.url, "collection": f"c-{access}", "durability": "store"}
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
        at: dict[str, Any] = {"url": guarded.url, "collection": "narrow", "durability": "store"}
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
        at: dict[str, Any] = {"url": guarded.url, "collection": "readers", "durability": "store"}
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
                    told = {"moving_to": second_of(server, options["collection"]), "mover": "x"}
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

    def test_a_backup_in_the_midst_of_the_switch(
        self, options: dict[str, Any], server: QdrantServer, tmp_path: Path
    ) -> None:
        """What is restored from it says nothing of a move any more."""
        with open_store(**options, embedder=OLD) as store:
            fill(store, 5)
            told = {"moving_to": "elsewhere", "closing": True, "mover": "x"}
            with server.admin() as admin:
                body = {"payload": told, "points": [DESCRIPTOR_ID]}
                admin.post(
                    f"/collections/{options['collection']}/points/payload?wait=true", json=body
                ).raise_for_status()
            back_up(store, tmp_path / "backup")
        other = f"{options['collection']}-again"
        restore(tmp_path / "backup", url=options["url"], collection=other)
        assert not told.keys() & descriptor(server, other).keys()

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
