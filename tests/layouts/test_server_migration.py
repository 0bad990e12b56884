"""The migration of a collection on a server: with other workers, old and new; killed at any moment; with every key.

``MIGRATION_KILLS=20 MIGRATION_ENTRIES=10000`` is the large form: that many kills, at random times, of a worker and of
the server in turn, of a collection of so many entries; and eight processes at once in place of eight threads.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest

from crewai_persistent_memory import (
    MemoryStore,
    StoreMissingError,
    StorePermissionError,
    StoreUnavailableError,
    open_store,
)
from crewai_persistent_memory.backends.qdrant import migrations
from crewai_persistent_memory.backends.qdrant.engine_requests import Between, Count, Match
from crewai_persistent_memory.backends.qdrant.manifest import LAYOUT, Descriptor
from crewai_persistent_memory.backends.qdrant.schema import INDEXES, position_at
from crewai_persistent_memory.backends.qdrant.server import background_fill, migrate
from crewai_persistent_memory.backends.qdrant.server.migrate import require_layout

from ..support.calling import until
from ..support.engines import NEWEST, OLDER
from ..support.programs import Commanded
from ..support.qdrant_server import QdrantServer, newest
from . import older
from .kept import HERE, expected, restore
from .test_layouts import all_points, descriptor, incomplete, payload_schema

KILLS = int(os.environ.get("MIGRATION_KILLS", "0"))
ENTRIES = int(os.environ.get("MIGRATION_ENTRIES", "600"))
OLD_WORKER: dict[str, list[dict[str, Any]]] = json.loads((HERE / "layout-1" / "old-worker.json").read_text())
KEY = "an-admin-key-of-the-test-0123456789"

WORKERS = """
import os, signal, sys
import httpx
from crewai_persistent_memory import open_store
from crewai_persistent_memory.backends.qdrant.server import connection
requests, send = 0, httpx.Client.send

def counted(client, request, **how):
    global requests
    requests += 1
    if requests == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return send(client, request, **how)

httpx.Client.send = counted
url, collection = sys.argv[1:]
os.setsid()  # they are killed together
print("ready", flush=True)
for line in sys.stdin:
    command, number = line.split()
    if command == "start":
        last, child = int(number), os.fork()
        if child == 0:
            store = open_store(url=url, collection=collection, user_id="john", embedder=None, timeout=20)
            store.count()
            signal.pause()
        print(child, flush=True)
    else:
        print(os.waitstatus_to_exitcode(os.waitpid(int(number), 0)[1]), flush=True)
"""


class Workers(Commanded):
    """Processes that open the collection and stay until they are killed. One process has imported all for them."""

    def __init__(self, server: QdrantServer, collection: str) -> None:
        super().__init__([sys.executable, "-c", WORKERS, server.url, collection])

    def __enter__(self) -> Workers:
        assert self.line() == "ready"
        return self

    def __exit__(self, *exc: object) -> None:
        os.killpg(self.pid, signal.SIGKILL)
        self.close()

    def start(self, last_request: int = 0) -> int:
        """The process's id. It kills itself when it is about to make this request."""
        return self._asked("start", last_request)

    def exit_code(self, worker: int) -> int:
        return self._asked("wait", worker)

    def _asked(self, command: str, number: int) -> int:
        self.tell(f"{command} {number}")
        return int(self.line())


def open_one(server: QdrantServer, collection: str, **options: Any) -> MemoryStore:
    return open_store(url=server.url, collection=collection, **{"user_id": "john", "embedder": None, **options})


def assert_migrated(server: QdrantServer, collection: str, count: int = ENTRIES) -> None:
    """Every entry is there, with its position; both indexes are used."""
    with open_one(server, collection) as store:
        until(lambda: incomplete(server, collection), lambda left: left == 0, seconds=120)
        found = {each.id: (each.content, each.created_at, each.metadata) for each in store.list(limit=count + 1)}
    assert found == older.contents(count)
    assert descriptor(server, collection)["layout"] == LAYOUT
    assert payload_schema(server, collection) == set(INDEXES)
    wanted = sorted(position_at(created_at) for _, created_at, _ in older.contents(count).values())
    assert [payload["position"] for payload in all_points(server, collection)] == wanted


class TestManyWorkers:
    @pytest.mark.parametrize("server_version", [NEWEST, OLDER])
    def test_eight_start_at_once(self, server: QdrantServer, collection: str) -> None:
        older.on_server(server, collection, ENTRIES)
        if KILLS:
            with Workers(server, collection) as workers:
                begin = time.monotonic()
                for _ in range(8):
                    workers.start()
                until(lambda: payload_schema(server, collection), lambda keys: keys == set(INDEXES))
                until(lambda: incomplete(server, collection), lambda left: left == 0, seconds=120)
                print(f"\n8 processes migrate {ENTRIES} entries in {time.monotonic() - begin:.2f} s")
        else:
            ready = threading.Barrier(8)

            def work(number: int) -> int:
                ready.wait()
                # With settings of its own, a thread shares nothing with the others: sockets, or what was looked at.
                with open_one(server, collection, timeout=20 + number) as store:
                    return store.count()

            with ThreadPoolExecutor(8) as threads:
                assert list(threads.map(work, range(8))) == [ENTRIES] * 8
        assert_migrated(server, collection)


class TestKilled:
    @pytest.fixture
    def own_server(self, tmp_path: Path) -> Iterator[QdrantServer]:
        started = QdrantServer(newest(), tmp_path / "qdrant").start()
        yield started
        started.stop()

    @pytest.mark.skipif(bool(KILLS), reason="MIGRATION_KILLS: the large form runs in its place")
    def test_a_worker_at_any_request(self, server: QdrantServer, collection: str) -> None:
        """Before the first index, between the two, before the descriptor, and among the entries."""
        older.on_server(server, collection, ENTRIES)
        with Workers(server, collection) as workers:
            for last in (4, 5, 5, 8):
                assert workers.exit_code(workers.start(last)) == -signal.SIGKILL, "it was killed in the migration"
                with server.admin() as admin:
                    info = admin.get(f"/collections/{collection}").json()["result"]
                assert info["points_count"] == ENTRIES + 1
        assert_migrated(server, collection)

    @pytest.mark.skipif(bool(KILLS), reason="MIGRATION_KILLS: the large form runs in its place")
    def test_the_server(self, own_server: QdrantServer) -> None:
        """What it has written is read back from its log: Qdrant 1.17 cannot do that for every kind of filter."""
        older.on_server(own_server, "c", ENTRIES)
        with open_one(own_server, "c", retry_for=0) as store:
            until(lambda: incomplete(own_server, "c"), lambda left: left < ENTRIES)
            own_server.kill()
            with pytest.raises(StoreUnavailableError):
                store.count()
        own_server.restart()
        assert_migrated(own_server, "c")

    @pytest.mark.skipif(not KILLS, reason="MIGRATION_KILLS=20 runs it")
    def test_at_random_times(self, own_server: QdrantServer) -> None:
        chance = random.Random(6)
        older.on_server(own_server, "c", ENTRIES)
        begin = time.monotonic()
        assert_migrated(own_server, "c")
        duration = time.monotonic() - begin
        print(f"\n{ENTRIES} entries are migrated and read in {duration:.2f} s")
        killed = {"a worker": 0, "the server": 0}
        left_behind = []
        with Workers(own_server, "c") as workers:
            while (number := len(left_behind)) < KILLS:
                older.take_away(own_server, "c")
                worker = workers.start()
                time.sleep(duration * 0.7 * chance.random())
                if number % 2:
                    own_server.kill()
                    own_server.restart()
                os.kill(worker, signal.SIGKILL)
                workers.exit_code(worker)
                migrated = "layout" in descriptor(own_server, "c")
                left = incomplete(own_server, "c") if migrated else ENTRIES
                assert_migrated(own_server, "c")
                if left:
                    left_behind.append(left)
                    killed["the server" if number % 2 else "a worker"] += 1
        print(f"killed: {killed}; entries that were left to complete: {left_behind}")


def replay(server: QdrantServer, collection: str, *what: str) -> None:
    """Send what a worker of layout 1 sends."""
    with server.admin() as admin:
        for name in what:
            for request in OLD_WORKER[name]:
                path = request["path"].replace("/collections/kept", f"/collections/{collection}")
                path = path.replace("/collections/new", f"/collections/{collection}")
                answer = admin.request(request["method"], path, json=request["body"])
                created_before = name == "creates" and answer.status_code in (404, 409)
                assert answer.is_success or created_before, answer.text


class TestOldWorkers:
    """Workers of layout 1 that go on while and after the collection is migrated."""

    ALL = ("opens", "saves", "saves in a run", "updates", "replaces", "deletes", "touches")

    def test_their_entries_are_found_and_completed(self, server: QdrantServer, collection: str) -> None:
        restore(1, "server-1.17.0-keywords", server, collection)
        with open_one(server, collection) as store:
            until(lambda: incomplete(server, collection), lambda left: left == 0)
            replay(server, collection, *self.ALL)
            # Found by a worker that was there before.
            assert store.search("saved by an old worker")[0].id == "by an old worker"
            assert store.get("plain").content == "in place of it"  # type: ignore[union-attr]
            assert store.get("changed 1").content == "changed by an old worker"  # type: ignore[union-attr]
            assert store.get("changed 3") is None
            assert incomplete(server, collection) == 3, "two new entries, and one that was replaced"
        with open_one(server, collection) as store:
            until(lambda: incomplete(server, collection), lambda left: left == 0)
            assert store.count() == len([key for key in expected(1, "server-1.17.0-keywords") if key[:5] == "john/"])
        all_points(server, collection)

    def test_they_write_while_it_is_migrated(self, server: QdrantServer, collection: str) -> None:
        older.on_server(server, collection, ENTRIES)
        stop, sent = threading.Event(), 0

        def old_worker() -> None:
            nonlocal sent
            [save] = OLD_WORKER["saves"]
            [point] = save["body"]["points"]
            with server.admin() as admin:
                while not stop.is_set():
                    sent += 1
                    payload = {
                        **point["payload"],
                        "record": point["payload"]["record"].replace("by an", f"{sent} by an"),
                    }
                    new = {**point, "id": str(uuid.UUID(int=sent)), "payload": payload}
                    path = f"/collections/{collection}/points?wait=true"
                    admin.put(path, json={"points": [new]}).raise_for_status()

        thread = threading.Thread(target=old_worker)
        thread.start()
        with open_one(server, collection):
            until(lambda: sent, lambda count: count > 20)
        stop.set()
        thread.join()
        with open_one(server, collection) as store:
            until(lambda: incomplete(server, collection), lambda left: left == 0)
            assert store.count() == ENTRIES + sent
        assert len(all_points(server, collection)) == ENTRIES + sent

    def test_one_that_writes_the_descriptor_anew(self, server: QdrantServer, collection: str) -> None:
        """It waited for a creator that had died, or so it thought."""
        with open_one(server, collection) as store:
            store.add("kept", id="kept")
        replay(server, collection, "creates")
        assert "layout" not in descriptor(server, collection)
        with open_one(server, collection) as store:
            assert [entry.id for entry in store.list()] == ["kept"]
        assert descriptor(server, collection)["layout"] == LAYOUT

    def test_a_collection_that_one_creates_meanwhile(self, server: QdrantServer, collection: str) -> None:
        """This worker finds no collection, and then one that an old worker has just completed."""
        replay(server, collection, "creates")
        with open_one(server, collection) as store:
            store.add("kept")
        assert descriptor(server, collection)["layout"] == LAYOUT
        assert payload_schema(server, collection) == set(INDEXES)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantServer]:
    """A server that takes tokens."""
    folder = tmp_path_factory.mktemp("guarded")
    started = QdrantServer(newest(), folder, settings={"SERVICE__JWT_RBAC": "true"}, key=KEY).start()
    yield started
    started.stop()


class TestKeys:
    @pytest.fixture
    def server(self, guarded: QdrantServer) -> QdrantServer:
        return guarded

    @pytest.fixture
    def old(self, server: QdrantServer, collection: str) -> str:
        with open_one(server, collection, api_key=KEY) as store:
            store.add("john likes tea", id="kept")
        older.take_away(server, collection)
        return collection

    @staticmethod
    def token(collection: str, access: str) -> str:
        return jwt.encode({"access": [{"collection": collection, "access": access}]}, KEY, algorithm="HS256")

    def test_one_that_may_only_read_reads_the_old_layout(
        self, server: QdrantServer, old: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "crewai_persistent_memory")
        with open_one(server, old, api_key=self.token(old, "r")) as store:
            assert [entry.id for entry in store.search("tea")] == ["kept"]
            assert store.health()["layout"] == 1
        [told] = [record for record in caplog.records if "stays at layout 1" in record.message]
        assert told.levelno == logging.INFO
        assert "This key may not migrate it. Open the memory once with a key that may write" in told.message
        assert "layout" not in descriptor(server, old)

    def test_one_for_the_collection_migrates_it(self, server: QdrantServer, old: str) -> None:
        key = self.token(old, "rw")
        with open_one(server, old, api_key=key, create_collection=False) as store:
            assert store.count() == 1
            assert store.health()["layout"] == LAYOUT
            until(lambda: incomplete(server, old), lambda left: left == 0)
        assert descriptor(server, old)["layout"] == LAYOUT
        assert payload_schema(server, old) == set(INDEXES)

    def test_one_that_may_only_read_where_the_newest_layout_is_needed(
        self, server: QdrantServer, old: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        needed = tuple(replace(step, optional=False) for step in migrations.MIGRATIONS)
        monkeypatch.setattr(migrations, "MIGRATIONS", needed)
        with pytest.raises(StorePermissionError) as caught:
            open_one(server, old, api_key=self.token(old, "r"))
        assert f"has layout 1, this package needs layout {LAYOUT}, and this key may not migrate it" in str(caught.value)
        assert "Open the memory once with a key that may write to the collection" in str(caught.value)
        # One that may: the entries are completed before anybody goes on.
        with open_one(server, old, api_key=self.token(old, "rw")):
            assert incomplete(server, old) == 0
        with open_one(server, old, api_key=self.token(old, "r")) as store:
            assert store.count() == 1

    def test_a_request_that_needs_the_newest_layout(self) -> None:
        old = Descriptor("keywords", layout=1)
        require_layout(Count((Match("tenant", ("x",)), Between("created_at", None, older.FIRST))), old, "here")
        expiring = Count((Match("tenant", ("x",)), Between("expires_at", None, older.FIRST)))
        with pytest.raises(StorePermissionError, match=r"at here has layout 1, .*'expires_at' belongs to layout 2"):
            require_layout(expiring, old, "here")
        require_layout(expiring, Descriptor("keywords"), "here")


def test_a_server_that_cannot_now_is_asked_at_the_next_opening(
    server: QdrantServer, collection: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    older.on_server(server, collection, 3)

    def no_answer(*arguments: Any) -> Any:
        raise StoreUnavailableError("no answer within 5 s")
        yield

    monkeypatch.setattr(migrate, "create_indexes", no_answer)
    with open_one(server, collection) as store:
        assert store.count() == 3
    assert "stays at layout 1" in caplog.text
    monkeypatch.undo()
    assert_migrated(server, collection, 3)


@pytest.mark.parametrize("server_version", [NEWEST, OLDER])
def test_a_collection_with_a_tight_strict_mode(server: QdrantServer, collection: str) -> None:
    older.on_server(server, collection, 30)
    tight = {
        "enabled": True,
        "max_query_limit": 7,
        "upsert_max_batchsize": 2,
        "search_allow_exact": False,
        "condition_max_size": 2,
        "filter_max_conditions": 4,
        "unindexed_filtering_retrieve": False,
        "unindexed_filtering_update": False,
    }
    with server.admin() as admin:
        change = {"strict_mode_config": tight}
        admin.patch(f"/collections/{collection}", json=change).raise_for_status()

    def completed() -> int:
        with server.admin() as admin:
            schema = admin.get(f"/collections/{collection}").json()["result"]["payload_schema"]
        return min(int(schema[key]["points"]) for key in ("position", "scope"))

    with open_one(server, collection):
        until(completed, lambda count: count == 30)
    with server.admin() as admin:
        loose = {"strict_mode_config": {"enabled": False, "max_query_limit": 10_000}}
        admin.patch(f"/collections/{collection}", json=loose).raise_for_status()
    assert incomplete(server, collection) == 0


def test_a_collection_of_each_project_and_an_alias(server: QdrantServer, collection: str) -> None:
    options: dict[str, Any] = {"collection_per_project": True}
    with open_one(server, collection, **options) as store:
        for project in ("staging", "production"):
            store.scoped(project_id=project).add(f"of {project}")
    with server.admin() as admin:
        names = [each["name"] for each in admin.get("/collections").json()["result"]["collections"]]
        ours = sorted(name for name in names if name.startswith(f"{collection}_"))
        assert len(ours) == 2
        for name in ours:
            older.take_away(server, name)
        with open_one(server, collection, **options) as store:
            store.scoped(project_id="staging").count()
            assert sorted(descriptor(server, name).get("layout", 1) for name in ours) == [1, LAYOUT]
            store.scoped(project_id="production").count()
        assert [descriptor(server, name)["layout"] for name in ours] == [LAYOUT, LAYOUT]
        older.take_away(server, ours[0])
        alias = {"create_alias": {"alias_name": collection, "collection_name": ours[0]}}
        admin.post("/collections/aliases", json={"actions": [alias]}).raise_for_status()
        with open_one(server, collection, project_id=None):
            until(lambda: incomplete(server, ours[0]), lambda left: left == 0)
        assert descriptor(server, ours[0])["layout"] == LAYOUT
        for name in ours:
            admin.delete(f"/collections/{name}")


def test_an_awaiting_worker_migrates_too(server: QdrantServer, collection: str) -> None:
    older.on_server(server, collection, 3)

    async def use() -> int:
        async with open_one(server, collection, startup_check=False) as store:
            return await store.acount()

    assert asyncio.run(use()) == 3
    assert_migrated(server, collection, 3)


def test_a_backup_of_an_older_layout_is_migrated_under_a_worker_that_goes_on(
    server: QdrantServer, collection: str
) -> None:
    older.on_server(server, collection, 3)
    with server.admin() as admin:
        made = admin.post(f"/collections/{collection}/snapshots").raise_for_status().json()["result"]
        backup = admin.get(f"/collections/{collection}/snapshots/{made['name']}").raise_for_status().content
        with open_one(server, collection) as store:
            until(lambda: incomplete(server, collection), lambda left: left == 0)
            admin.delete(f"/collections/{collection}").raise_for_status()
            with pytest.raises(StoreMissingError):
                store.count()
            where = f"/collections/{collection}/snapshots/upload?priority=snapshot&wait=true"
            admin.post(where, files={"snapshot": backup}).raise_for_status()
            with open_one(server, collection) as another:
                assert another.count() == store.count() == 3
            until(lambda: payload_schema(server, collection), lambda keys: keys == set(INDEXES))
            until(lambda: incomplete(server, collection), lambda left: left == 0)


def test_what_old_workers_save_later_is_completed_without_a_restart(
    server: QdrantServer, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_fill, "AGAIN_AFTER", (0.05,) * 200)
    open_one(server, collection).close()
    with open_one(server, collection) as store:
        replay(server, collection, "saves", "saves in a run")
        until(lambda: incomplete(server, collection), lambda left: left == 0)
        assert store.count() == 1
        assert len(all_points(server, collection)) == 2


def test_closing_does_not_wait_for_the_next_look(server: QdrantServer, collection: str) -> None:
    open_one(server, collection).close()
    store = open_one(server, collection)
    begin = time.monotonic()
    store.close()
    assert time.monotonic() - begin < background_fill.PATIENCE
    assert not [thread for thread in threading.enumerate() if thread.name == "memory-migration"]
