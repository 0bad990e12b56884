"""Three nodes: a node dies under load and comes back; large projects get shards of their own."""

from __future__ import annotations

import os
import re
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, MemoryStore, StoreUnavailableError, open_store
from crewai_persistent_memory.admin import dedicate_project, entries_of, erase, reembed, survey
from crewai_persistent_memory.backends.qdrant.server import moves
from crewai_persistent_memory.testing import FakeEmbedder

from ..layouts import older
from ..layouts.test_layouts import all_points, incomplete
from ..support.calling import until
from ..support.programs import Program
from ..support.qdrant_server import ROOT, QdrantCluster, newest

pytestmark = pytest.mark.xdist_group("cluster")


@pytest.fixture(scope="module")
def three_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantCluster]:
    started = QdrantCluster(newest(), tmp_path_factory.mktemp("cluster"))
    try:
        yield started.start()
    finally:
        started.stop()


@pytest.fixture
def cluster(three_nodes: QdrantCluster) -> Iterator[QdrantCluster]:
    """Whole again after each test, whatever the test left behind."""
    yield three_nodes
    three_nodes.revive()


@pytest.fixture
def name() -> str:
    return f"t-{uuid.uuid4().hex[:12]}"


def open_on(cluster: QdrantCluster, collection: str, **options: Any) -> MemoryStore:
    given = {"url": cluster.urls, "user_id": "john", "embedder": None, "collection": collection, **options}
    return open_store(**given)


class Writers:
    """Processes that write; the numbers each was told are kept."""

    def __init__(self, cluster: QdrantCluster, collection: str, count: int) -> None:
        program = [sys.executable, "-m", "tests.server.cluster_writer"]
        self.acknowledged: dict[str, list[int]] = {f"user{i}": [] for i in range(count)}
        self._programs: list[tuple[Program, int]] = []
        self._threads = []
        for i, user in enumerate(self.acknowledged):
            urls = cluster.urls[i % 3 :] + cluster.urls[: i % 3]
            waiting, go_on = os.pipe()
            reading, writing = os.pipe()
            arguments = [",".join(urls), collection, user]
            self._programs.append((Program([*program, *arguments], cwd=ROOT, stdin=waiting, stdout=writing), go_on))
            os.close(waiting)
            os.close(writing)
            self._threads.append(threading.Thread(target=self._listen, args=(user, reading)))
            self._threads[-1].start()

    def _listen(self, user: str, reading: int) -> None:
        with open(reading, encoding="utf-8") as lines:
            for line in lines:
                self.acknowledged[user].append(int(line))

    def each_wrote(self, more: int) -> None:
        """Wait until every writer has that many more acknowledged."""
        goals = {user: len(numbers) + more for user, numbers in self.acknowledged.items()}
        QdrantCluster.wait_until(lambda: all(len(self.acknowledged[user]) >= goal for user, goal in goals.items()), 180)

    def stop(self) -> None:
        for _, go_on in self._programs:
            os.close(go_on)  # each writes until its input ends
        for (program, _), thread in zip(self._programs, self._threads, strict=True):
            thread.join(120)
            done = program.wait()
            assert done.returncode == 0, done.stderr


def test_a_node_dies_under_load_and_comes_back(cluster: QdrantCluster, name: str) -> None:
    settings: Any = {"shard_number": 3, "replication_factor": 2, "write_consistency_factor": 1}
    open_on(cluster, name, collection_settings=settings).close()
    writers = Writers(cluster, name, 4)
    writers.each_wrote(20)
    victim = cluster.nodes[1]
    victim.kill()
    writers.each_wrote(60)
    victim.restart()
    cluster.wait_until(lambda: all(replica["state"] == "Active" for replica in cluster.replicas(name)))
    writers.each_wrote(20)
    writers.stop()
    for node in cluster.nodes:
        with open_store(url=node.url, collection=name, embedder=None) as store:
            for user, numbers in writers.acknowledged.items():
                theirs = store.scoped(user_id=user)
                assert sorted(int(entry.id) for entry in theirs.list(limit=100_000)) == sorted(numbers), node.url
                assert theirs.search(f"number{numbers[-1]}", limit=1)[0].id == str(numbers[-1])


def test_two_copies_must_confirm_where_that_is_asked_for(cluster: QdrantCluster, name: str) -> None:
    settings: Any = {"shard_number": 3, "replication_factor": 2, "write_consistency_factor": 2}
    with open_on(cluster, name, collection_settings=settings, retry_for=1) as store:
        store.put([])
        for number in range(12):
            store.add(f"fact {number}", id=str(number))
        victim = cluster.nodes[2]
        victim.kill()
        refused: list[str] = []

        def write() -> None:
            for number in range(12, 36):
                refused.append(str(number))
                store.add(f"fact {number}", id=str(number))
                refused.pop()

        with pytest.raises(StoreUnavailableError, match="did not answer a save"):
            write()
        # A node may ask the dead one until it has noticed, which takes longer while the machine is busy. (With
        # ordering="strong" recall would not go on: see docs/scaling.md.)
        with open_on(cluster, name, retry_for=60, startup_check=False) as patient:
            assert patient.search("fact"), "recall goes on"
            assert patient.count() >= 12
        victim.restart()
        cluster.wait_until(lambda: all(replica["state"] == "Active" for replica in cluster.replicas(name)))
        store.add("again", id=refused[0])  # sending it again is the way out
        assert store.get(refused[0]).content == "again"  # type: ignore[union-attr]


@pytest.mark.parametrize("grpc", [False, True])
@pytest.mark.parametrize("consistency", ["majority", 2])
def test_reads_can_ask_more_than_one_copy(cluster: QdrantCluster, name: str, grpc: bool, consistency: Any) -> None:
    settings: Any = {"shard_number": 3, "replication_factor": 2}
    node = cluster.nodes[0]
    options = {"url": node.url, "prefer_grpc": grpc, "grpc_port": node.grpc_port, "ordering": "medium"}
    with open_on(cluster, name, collection_settings=settings, read_consistency=consistency, **options) as store:
        store.add("John is allergic to nuts")
        assert store.search("nuts")
        assert store.list()
        assert store.categories() == {}


def moving_as_documented(cluster: QdrantCluster, collection: str) -> int:
    """Run the snippet of docs/scaling.md."""
    scaling = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    [code] = [code for code in re.findall(r"```python\n(.*?)```", scaling, re.DOTALL) if "dedicate_project" in code]
    names: dict[str, Any] = {}
    exec(code.replace("http://127.0.0.1:6333", ",".join(cluster.urls)).replace("crews", collection), names)
    return int(names["moved"])


def test_another_embedder_with_copies_on_several_nodes(
    cluster: QdrantCluster, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker at another node writes, changes and deletes during the whole move."""
    monkeypatch.setattr(moves, "LEASE", 0.5)
    settings: Any = {"shard_number": 3, "replication_factor": 2, "write_consistency_factor": 1}
    new = FakeEmbedder(32, salt="new")
    stop = threading.Event()
    last: dict[str, str] = {}

    def work(worker: MemoryStore) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            worker.add(f"said {number}", id=f"n{number}")
            last[f"n{number}"] = f"said {number}"
            if number % 2 == 0:
                assert worker.update(f"n{number}", content=f"changed {number}") is not None
                last[f"n{number}"] = f"changed {number}"
            if number % 3 == 0:
                assert worker.delete(f"n{number - 1}") == 1
                del last[f"n{number - 1}"]

    elsewhere = {"url": cluster.nodes[1].url, "durability": "store"}
    with (
        open_on(cluster, name, collection_settings=settings, durability="store") as store,
        open_on(cluster, name, **elsewhere) as worker,
        ThreadPoolExecutor(1) as pool,
    ):
        store.put([MemoryEntry(id=str(number), content=f"fact {number}") for number in range(100)])
        working = pool.submit(work, worker)
        try:
            assert reembed(store, new).changed
        finally:
            stop.set()
        working.result()
        found = {entry.id: entry.content for entry in store.scan()}
        assert found == last | {str(number): f"fact {number}" for number in range(100)}
        assert len(cluster.replicas(store.health()["collection"])) == 3 * 2


class TestShardByProject:
    @pytest.fixture
    def store(self, cluster: QdrantCluster, name: str) -> Iterator[MemoryStore]:
        settings: Any = {"shard_by_project": True, "shard_number": 1, "replication_factor": 1}
        with open_on(cluster, name, collection_settings=settings) as opened:
            yield opened

    def test_every_operation_finds_its_shard(self, store: MemoryStore) -> None:
        small = store.scoped(project_id="small")
        entry = small.add("John is allergic to nuts", categories=["diet"], path="/a")
        small.update(entry.id, importance=1.0)
        small.touch([entry.id])
        assert [each.id for each in small.search("nuts")] == [entry.id]
        assert [[each.id for each in many] for many in small.search_many(["nuts", "John"])] == [[entry.id]] * 2
        assert [each.id for each in small.list()] == [entry.id]
        assert small.get(entry.id) is not None
        assert (small.count(), small.categories(), small.children()) == (1, {"diet": 1}, ("/a",))
        assert small.reset() == 1

    def test_a_large_project_moves_while_others_stay(
        self, cluster: QdrantCluster, name: str, store: MemoryStore
    ) -> None:
        large, small = store.scoped(project_id="large"), store.scoped(project_id="small")
        for each in (large, small):
            for number in range(300):
                each.add(f"fact number{number}", id=str(number))
        assert moving_as_documented(cluster, name) == 300
        keys = {replica["shard_key"]: replica for replica in cluster.replicas(name)}
        assert len(keys) == 2
        for each in (large, small):
            assert each.count() == 300
            assert each.search("number7", limit=1)[0].id == "7"
            each.add("fact number300", id="300")
            assert sorted(int(entry.id) for entry in each.list(limit=1000)) == list(range(301))
        assert large.reset() == 301
        assert small.count() == 301
        with open_on(cluster, name) as anew:
            assert anew.scoped(project_id="small").count() == 301

    def test_what_is_done_across_projects_reaches_all_shards(
        self, cluster: QdrantCluster, name: str, store: MemoryStore
    ) -> None:
        with open_store(url=cluster.urls, collection=name, embedder=None, durability="store") as everybody:
            for project in ("default", "large", "small"):
                for user in ("john", "jane"):
                    everybody.scoped(project_id=project, user_id=user).add(f"{user} likes tea", id="tea")
            for dedicated in ("large", "default"):  # the second one is the project of the store itself
                assert dedicate_project(dedicated, url=cluster.urls, collection=name) == 2
                assert survey(everybody).counts["project_id"] == {"default": 2, "large": 2, "small": 2}
                assert len(list(entries_of(everybody, user_id="john"))) == 3
                assert len(list(entries_of(everybody, project_id="small"))) == 2
            done = erase(everybody, user_id="john", settle=0.1)
            assert (done.entries, done.left) == (3, 0)
            assert survey(everybody).counts["user_id"] == {"jane": 3}

    def test_it_is_migrated_in_all_shards(self, cluster: QdrantCluster, name: str, store: MemoryStore) -> None:
        for project in ("large", "small"):
            store.scoped(project_id=project).put([MemoryEntry(id=str(n), content=f"fact {n}") for n in range(10)])
        assert moving_as_documented(cluster, name) == 10
        node = cluster.nodes[0]
        [own] = {replica["shard_key"] for replica in cluster.replicas(name)} - {"default"}
        for transport in ({}, {"url": node.url, "prefer_grpc": True, "grpc_port": node.grpc_port}):
            older.take_away(node, name, shard_keys=["default", own])
            with open_on(cluster, name, timeout=20, **transport) as opened:
                until(lambda: incomplete(node, name), lambda left: left == 0)
                for project in ("large", "small"):
                    assert opened.scoped(project_id=project).count() == 10
            assert len(all_points(node, name)) == 20

    def test_another_collection_cannot(self, cluster: QdrantCluster) -> None:
        from crewai_persistent_memory import ConfigurationError

        other = f"t-{uuid.uuid4().hex[:12]}"
        open_on(cluster, other).close()
        with pytest.raises(ConfigurationError, match="shard_by_project"):
            dedicate_project("large", url=cluster.urls, collection=other)
