"""Opening: creating the collection once, whoever comes first, and knowing what is there."""

from __future__ import annotations

import itertools
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    EmbedderMismatchError,
    SchemaVersionError,
    ServerVersionError,
    StoreCorruptedError,
    StoreMissingError,
    StoreUnavailableError,
    open_store,
    use_scope,
)
from crewai_persistent_memory.backends.qdrant.schema import INDEXES, TENANT_KEY
from crewai_persistent_memory.backends.qdrant.server import bootstrap as server_setup
from crewai_persistent_memory.backends.qdrant.server.routes import project_name

from ..support.crews import needs_unified
from ..support.embedders import WordHashEmbedder
from ..support.programs import Program
from ..support.qdrant_server import QdrantServer, free_ports
from ..support.tcp_proxy import PASS, Fault, TcpProxy
from .conftest import OpenHere

OPEN_AND_ADD = """
import sys, crewai_persistent_memory as m
url, collection, number = sys.argv[1:]
sys.stdout.write("ready\\n")  # in one piece, also where nothing is buffered
sys.stdout.flush()
sys.stdin.read()
with m.open_store(url=url, user_id="john", collection=collection, embedder=None, startup_timeout=60) as store:
    store.add(f"fact {number}")
    assert store.flush(60)
"""


def info(server: QdrantServer, collection: str) -> dict[str, Any]:
    with server.admin() as admin:
        return dict(admin.get(f"/collections/{collection}").raise_for_status().json()["result"])


def start_at_once(server: QdrantServer, collection: str, count: int) -> None:
    """Run ``OPEN_AND_ADD`` in that many processes, all let go in the same moment."""
    program = [sys.executable, "-c", OPEN_AND_ADD, server.url, collection]
    waiting, go = os.pipe()
    reading, ready = os.pipe()
    workers = [Program([*program, str(i)], stdin=waiting, stdout=ready) for i in range(count)]
    os.close(waiting)
    os.close(ready)
    with open(reading, encoding="utf-8") as lines:
        assert list(itertools.islice(lines, count)) == ["ready\n"] * count
        os.close(go)  # what each of them waits for is the end of its input
        for worker in workers:
            done = worker.wait()
            assert done.returncode == 0, done.stderr


class TestCreation:
    def test_eight_processes_at_once_make_one_collection(
        self, server: QdrantServer, collection: str, open_here: OpenHere
    ) -> None:
        start_at_once(server, collection, 8)
        indexes = info(server, collection)["payload_schema"]
        assert set(indexes) == set(INDEXES)
        assert indexes[TENANT_KEY]["params"]["is_tenant"] is True
        assert open_here(server.url).count() == 8

    def test_settings_reach_the_collection(self, server: QdrantServer, collection: str, open_here: OpenHere) -> None:
        settings: Any = {
            "shard_number": 2,
            "replication_factor": 1,
            "write_consistency_factor": 1,
            "on_disk_vectors": True,
            "on_disk_payload": False,
            "quantization": "scalar",
        }
        store = open_here(server.url, embedder=WordHashEmbedder(), collection_settings=settings)
        store.add("John is allergic to nuts")
        assert store.search("nuts")
        config = info(server, collection)["config"]
        assert config["params"]["shard_number"] == 2
        assert config["params"]["on_disk_payload"] is False
        dense = config["params"]["vectors"]["dense"]
        assert dense["on_disk"] is True
        assert dense["quantization_config"]["scalar"]["type"] == "int8"
        assert (dense["hnsw_config"]["m"], dense["hnsw_config"]["payload_m"]) == (0, 16)
        assert config["params"]["sparse_vectors"]["keywords"]["modifier"] == "idf"
        assert config["strict_mode_config"]["enabled"] is True
        assert config["strict_mode_config"]["unindexed_filtering_retrieve"] is False

    def test_an_unfinished_creation_is_finished(
        self, server: QdrantServer, collection: str, open_here: OpenHere, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever began was killed after the collection and before its indexes and descriptor."""
        open_here(server.url, embedder=WordHashEmbedder()).close()
        with server.admin() as admin:
            point = {"points": [server_setup.DESCRIPTOR_ID]}
            admin.post(f"/collections/{collection}/points/delete?wait=true", json=point).raise_for_status()
            admin.delete(f"/collections/{collection}/index/created_at?wait=true").raise_for_status()
        monkeypatch.setattr(server_setup, "WAIT_FOR_ANOTHER", 0.2)
        store = open_here(server.url, embedder=WordHashEmbedder())
        store.add("John is allergic to nuts")
        assert store.list()[0].embedding is None
        assert "created_at" in info(server, collection)["payload_schema"]

    def test_entries_without_a_descriptor_are_damage(
        self, server: QdrantServer, collection: str, open_here: OpenHere, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = open_here(server.url)
        store.add("x")
        store.close()
        with server.admin() as admin:
            point = {"points": [server_setup.DESCRIPTOR_ID]}
            admin.post(f"/collections/{collection}/points/delete?wait=true", json=point).raise_for_status()
        monkeypatch.setattr(server_setup, "WAIT_FOR_ANOTHER", 0.2)
        with pytest.raises(StoreCorruptedError, match="holds 1 entries"):
            open_here(server.url)

    def test_somebody_elses_collection_is_left_alone(
        self, server: QdrantServer, collection: str, open_here: OpenHere
    ) -> None:
        with server.admin() as admin:
            other = {"vectors": {"size": 4, "distance": "Dot"}}
            admin.put(f"/collections/{collection}", json=other).raise_for_status()
        with pytest.raises(ConfigurationError, match="no memory of this package: choose another collection="):
            open_here(server.url)
        assert info(server, collection)["payload_schema"] == {}

    def test_an_index_of_another_type_is_not_replaced(
        self, server: QdrantServer, collection: str, open_here: OpenHere, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with server.admin() as admin:
            ours = {"vectors": {}, "sparse_vectors": {"keywords": {"modifier": "idf"}}}
            admin.put(f"/collections/{collection}", json=ours).raise_for_status()
            index = {"field_name": "user_id", "field_schema": "integer"}
            admin.put(f"/collections/{collection}/index?wait=true", json=index).raise_for_status()
        monkeypatch.setattr(server_setup, "WAIT_FOR_ANOTHER", 0.2)
        with pytest.raises(ConfigurationError, match="integer index on 'user_id'"):
            open_here(server.url)

    def test_it_is_not_created_where_that_is_forbidden(self, server: QdrantServer, open_here: OpenHere) -> None:
        with pytest.raises(StoreMissingError, match="create_collection=False"):
            open_here(server.url, create_collection=False)
        open_here(server.url)
        open_here(server.url, create_collection=False).add("x")

    @needs_unified
    def test_vectors_from_outside_decide_their_length_when_they_come(
        self, server: QdrantServer, collection: str
    ) -> None:
        from crewai.memory.types import MemoryRecord

        from crewai_persistent_memory import QdrantStorageBackend

        one = QdrantStorageBackend(url=server.url, collection=collection, user_id="john")
        two = QdrantStorageBackend(url=server.url, collection=collection, user_id="john", timeout=4)
        assert two.search([0.0, 1.0]) == []
        assert two.count() == 0
        one.save([MemoryRecord(id="a", content="x", embedding=[0.6, 0.8])])
        assert [record.id for record, _ in two.search([0.0, 1.0])] == ["a"]
        assert info(server, collection)["config"]["params"]["vectors"]["dense"]["size"] == 2
        one.close()
        two.close()


class TestDescriptor:
    def test_another_embedder_is_refused(self, server: QdrantServer, open_here: OpenHere) -> None:
        open_here(server.url, embedder=WordHashEmbedder(salt="a"))
        with pytest.raises(EmbedderMismatchError, match="another path or collection"):
            open_here(server.url, embedder=WordHashEmbedder(salt="b"))
        with pytest.raises(EmbedderMismatchError):
            open_here(server.url, embedder=None)

    @needs_unified
    def test_a_collection_of_keywords_takes_no_vectors(
        self, server: QdrantServer, collection: str, open_here: OpenHere
    ) -> None:
        from crewai.memory.types import MemoryRecord

        from crewai_persistent_memory import QdrantStorageBackend

        open_here(server.url)
        backend = QdrantStorageBackend(url=server.url, collection=collection, user_id="john")
        with pytest.raises(EmbedderMismatchError, match="takes no vectors"):
            backend.save([MemoryRecord(id="a", content="x", embedding=[0.6, 0.8])])
        with pytest.raises(EmbedderMismatchError, match="takes no vectors"):
            backend.search([0.6, 0.8])
        assert backend.count() == 0
        backend.close()

    def test_a_newer_layout_is_refused(self, server: QdrantServer, collection: str, open_here: OpenHere) -> None:
        open_here(server.url).close()
        with server.admin() as admin:
            change = {"payload": {"schema_version": 99}, "points": [server_setup.DESCRIPTOR_ID]}
            admin.post(f"/collections/{collection}/points/payload?wait=true", json=change).raise_for_status()
        with pytest.raises(SchemaVersionError, match="upgrade crewai-persistent-memory"):
            open_here(server.url)

    def test_it_is_in_nobodys_results(self, server: QdrantServer, open_here: OpenHere) -> None:
        store = open_here(server.url)
        assert (store.count(), store.list(), store.get(server_setup.DESCRIPTOR_ID)) == (0, [], None)
        assert store.reset() == 0
        open_here(server.url).add("still there to be opened")


class TestVersions:
    def test_an_older_server_is_named_with_the_version_needed(self, server: QdrantServer, proxy: TcpProxy) -> None:
        body = json.dumps({"title": "qdrant", "version": "1.14.1", "commit": "x"}).encode()
        old = Fault("answer", status="200 OK", body=body, headers="Content-Type: application/json\r\n")
        proxy.rule = lambda request: old if request.path == "/" else PASS
        with pytest.raises(ServerVersionError, match=r"version 1\.14\.1, this package needs 1\.15 or later"):
            open_store(url=proxy.url, user_id="john", collection="never-created", embedder=None)

    def test_sharding_by_project_needs_a_newer_one(self, proxy: TcpProxy, open_here: OpenHere) -> None:
        body = json.dumps({"title": "qdrant", "version": "1.15.0", "commit": "x"}).encode()
        old = Fault("answer", status="200 OK", body=body, headers="Content-Type: application/json\r\n")
        proxy.rule = lambda request: old if request.path == "/" else PASS
        with pytest.raises(ServerVersionError, match=r"version 1\.15, shard_by_project needs 1\.16"):
            open_here(proxy.url, collection_settings={"shard_by_project": True})


class TestStartUp:
    def test_a_server_that_is_down_is_said_at_once_with_what_was_tried(self) -> None:
        [port] = free_ports(1)
        start = time.monotonic()
        with pytest.raises(StoreUnavailableError, match=rf"Tried http://127\.0\.0\.1:{port} over REST") as caught:
            open_store(url=f"http://127.0.0.1:{port}", user_id="john", embedder=None, startup_timeout=1)
        assert "refused" in str(caught.value)
        assert "startup_check=False" in str(caught.value)
        assert time.monotonic() - start < 10

    @pytest.mark.parametrize("grpc", [False, True])
    def test_a_frozen_server_does_not_hang_the_start(self, own_server: QdrantServer, grpc: bool) -> None:
        own_server.pause()
        start = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="gRPC" if grpc else "REST"):
            open_store(
                url=own_server.url,
                grpc_port=own_server.grpc_port,
                prefer_grpc=grpc,
                user_id="john",
                embedder=None,
                startup_timeout=1,
                timeout=30,
            )
        assert time.monotonic() - start < 10

    def test_it_can_be_deferred(self, own_server: QdrantServer) -> None:
        own_server.kill()
        with open_store(
            url=own_server.url, user_id="john", embedder=None, startup_check=False, retry_for=0, timeout=1
        ) as store:
            with pytest.raises(StoreUnavailableError, match="cannot be reached for opening the collection"):
                store.add("x")
            own_server.restart()
            store.add("y")
            assert [entry.content for entry in store.list()] == ["y"]

    def test_a_memory_can_be_built_before_the_server_is_there(self, own_server: QdrantServer) -> None:
        from crewai_persistent_memory import PersistentMemory

        own_server.kill()
        memory = PersistentMemory(url=own_server.url, user_id="john", embedder=None, startup_check=False)
        own_server.restart()
        memory.remember("John is allergic to nuts")
        assert [match.record.content for match in memory.recall("nuts")] == ["John is allergic to nuts"]
        memory.close()


class TestProjects:
    def test_one_collection_for_each(self, server: QdrantServer, collection: str) -> None:
        options: Any = {"url": server.url, "collection": collection, "collection_per_project": True, "embedder": None}
        with open_store(**options) as store:
            assert store.health()["collection"] == f"{collection}_{project_name(None, 'default', size=16)}"
            for project in ("staging", "production"):
                with use_scope(user_id="john", project_id=project):
                    store.add(f"secret of {project}", id="same")
            for project in ("staging", "production"):
                with use_scope(user_id="john", project_id=project):
                    assert [entry.content for entry in store.search("secret")] == [f"secret of {project}"]
            with use_scope(user_id="john", project_id="staging", org_id="acme"):
                assert store.list() == []
        names = {f"{collection}_{project_name(None, project, size=16)}" for project in ("staging", "production")}
        names.add(f"{collection}_{project_name('acme', 'staging', size=16)}")
        with server.admin() as admin:
            there = {each["name"] for each in admin.get("/collections").json()["result"]["collections"]}
            assert names <= there
            assert collection not in there
            for name in there:
                if name.startswith(collection):
                    admin.delete(f"/collections/{name}")

    @pytest.mark.parametrize("whose", ["ours", "another's", "nobody's"])
    def test_an_earlier_name_is_used_for_the_project_that_has_it(
        self, server: QdrantServer, collection: str, whose: str
    ) -> None:
        """Names used to have a digest of 48 bits, which another project may have too."""
        options: Any = {"url": server.url, "user_id": "john", "embedder": None}
        earlier = f"{collection}_{project_name(None, 'ours')}"
        with open_store(**options, collection=earlier, project_id="ours" if whose == "ours" else "theirs") as store:
            if whose != "nobody's":
                store.add("likes tea", id="tea")
        own = {**options, "collection": collection, "collection_per_project": True, "project_id": "ours"}
        new = f"{collection}_{project_name(None, 'ours', size=16)}"
        for run in range(2):
            with open_store(**own) as store:
                assert store.health()["collection"] == (earlier if whose == "ours" else new)
                assert [entry.id for entry in store.list()] == (["tea"] if whose == "ours" else [])[run:]
                store.reset()
        with server.admin() as admin:
            for name in (earlier, new):
                there = admin.get(f"/collections/{name}/exists").json()["result"]["exists"]
                assert there == (name == earlier or whose != "ours")
                admin.delete(f"/collections/{name}")

    def test_no_two_projects_share_a_name(self) -> None:
        pairs = [
            (None, "a"),
            ("a", "a"),
            (None, "A"),
            (None, "a-b"),
            (None, "a/b"),
            ("a", "b"),
            (None, "é"),
            (None, "è"),
        ]
        assert len({project_name(*pair) for pair in pairs}) == len(pairs)

    def test_one_collection_for_all_keeps_them_apart(self, server: QdrantServer, open_here: OpenHere) -> None:
        store = open_here(server.url)
        staging, production = store.scoped(project_id="staging"), store.scoped(project_id="production")
        staging.add("secret of staging", id="same")
        production.add("secret of production", id="same")
        assert [entry.content for entry in staging.search("secret")] == ["secret of staging"]
        assert staging.reset() == 1
        assert production.count() == 1


def test_a_bare_key_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "crewai_persistent_memory"):
        for host in ("127.0.0.1", "10.0.0.1"):
            url = f"http://{host}:1"
            open_store(url=url, api_key="sk-secret", user_id="john", embedder=None, startup_check=False).close()
    assert caplog.messages == ["the API key for http://10.0.0.1:1 is sent without TLS: use https://"]


def test_nothing_shows_the_key(tmp_path: Path) -> None:
    from crewai_persistent_memory import MemoryConfig

    config = MemoryConfig.build(url="http://127.0.0.1:1", api_key="sk-secret", headers={"x-token": "sk-secret"})
    store = open_store(
        url="http://127.0.0.1:1", api_key="sk-secret", user_id="john", embedder=None, startup_check=False, retry_for=0
    )
    with pytest.raises(StoreUnavailableError) as caught:
        store.add("x")
    for shown in (repr(config), repr(config.server), repr(store), str(caught.value), repr(caught.value)):
        assert "sk-secret" not in shown
    store.close()


class TestStartupTimeout:
    """A server that accepts connections and never answers."""

    @pytest.fixture
    def frozen(self) -> Iterator[int]:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(16)
            yield listening.getsockname()[1]

    @pytest.mark.parametrize("prefer_grpc", [False, True], ids=["rest", "grpc"])
    @pytest.mark.parametrize("nodes", [1, 3])
    def test_it_bounds_the_wait(self, frozen: int, nodes: int, prefer_grpc: bool) -> None:
        urls = [f"http://127.0.0.1:{frozen}/" for _ in range(nodes)]
        start = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="did not answer the start-up check"):
            open_store(
                url=urls, grpc_port=frozen, prefer_grpc=prefer_grpc, user_id="john", embedder=None, startup_timeout=1.5
            )
        assert time.monotonic() - start < 4.2, "4.5 if each node had as long"

    def test_the_time_that_a_creation_takes_does_not_count(self, server: QdrantServer, collection: str) -> None:
        def slow(texts: list[str]) -> list[list[float]]:
            time.sleep(0.6)
            return [[1.0, 0.0] for _ in texts]

        opened = open_store(
            url=server.url, collection=collection, user_id="john", embedder=slow, startup_timeout=0.5, retry_for=0
        )
        with opened as store:
            assert store.count() == 0
