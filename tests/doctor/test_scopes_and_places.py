"""Faults of an application: whose memories they are, and in which store it looks for them."""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryConfig, MemoryStore, health_report, open_store
from crewai_persistent_memory.admin import MANY, survey
from crewai_persistent_memory.config.environment import default_path
from crewai_persistent_memory.doctor.examined import PROBE_USER
from crewai_persistent_memory.doctor.findings import check
from crewai_persistent_memory.doctor.report import examine, examined_of
from crewai_persistent_memory.doctor.settings import known_variables

from ..support.programs import started
from ..support.qdrant_server import QdrantServer
from ..support.thorough import sample
from .conftest import Look


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with open_store(path=tmp_path / "stores" / "mine", embedder=None) as store:
        yield store


def path_of(store: MemoryStore) -> Path:
    assert store.opened_with is not None
    return store.opened_with.store_path


class TestAHealthyStore:
    def test_embedded(self, look: Look, store: MemoryStore) -> None:
        store.scoped(user_id="john").add("John likes tea")
        report = look(path=path_of(store))
        assert report.bad == []
        assert "found by its id and by its words" in report.of("write", "ok")
        assert report.of("deletion", "ok")
        assert set(survey(store).counts["user_id"]) == {"john"}, "the probe is gone"

    def test_on_a_server(self, look: Look, server: QdrantServer, collection: str, tmp_path: Path) -> None:
        about: Any = {"url": server.url, "collection": collection, "outbox_path": tmp_path / "outbox"}
        with open_store(**about, user_id="john", embedder=None) as store:
            store.add("John likes tea")
            assert store.flush()
            report = look(**about, also=("second process",))
        assert report.bad == []
        assert "a second process" in report.of("second process", "ok")
        assert report.of("outbox", "ok")

    def test_in_two_processes(self, look: Look, store: MemoryStore, own_interpreters: None) -> None:
        path = path_of(store)
        store.scoped(user_id="john").add("John likes tea")
        store.close()
        report = look(path=path, also=("second process",))
        assert report.bad == []
        assert "finds what this one" in report.of("second process", "ok")
        assert "one process at a time" in report.of("second process", "note")

    def test_where_nothing_was_remembered_yet(self, look: Look) -> None:
        report = look()
        assert report.bad == []
        assert "no store yet" in report.of("store", "note")
        assert not default_path().exists(), "none is made"

    def test_nothing_is_written_if_it_is_not_to_be(self, look: Look, store: MemoryStore) -> None:
        written: list[str] = []

        def noting(operation: Any, execute: Any) -> Any:
            if operation.writes:
                written.append(type(operation).__name__)
            return (yield from execute(operation))

        report = look(store.wrap(noting), read_only=True)
        assert report.bad == []
        assert "not checked" in report.of("write", "note")
        assert written == []


class TestTheSameScopeFromCallToCall:
    def test_a_random_user_for_each_request(self, look: Look, store: MemoryStore) -> None:
        for _ in range(MANY):
            store.scoped(user_id=str(uuid.uuid4())).add("I like tea")
        assert f"{MANY} users have {MANY} memories" in look(store).of("scopes", "warning")

    def test_a_random_run_for_each_request(self, look: Look, store: MemoryStore) -> None:
        for _ in range(MANY):
            store.scoped(user_id="john", run_id=str(uuid.uuid4())).add("I like tea")
        assert f"{MANY} runs have {MANY} memories" in look(store).of("scopes", "warning")

    def test_runs_beside_a_memory_that_lasts(self, look: Look, store: MemoryStore) -> None:
        for number in range(MANY):
            store.scoped(user_id="john", run_id=str(number)).add("I like tea")
            store.scoped(user_id="john").add(f"fact {number}")
        assert look(store).bad == []

    def test_another_project_has_the_memories(self, look: Look, store: MemoryStore) -> None:
        store.scoped(user_id="john", project_id="production").add("I like tea")
        path = path_of(store)
        assert "this store has 1 in project production" in look(path=path).of("elsewhere", "warning")
        assert look(path=path, project_id="production").bad == []

    def test_another_organisation_has_them(self, look: Look, store: MemoryStore) -> None:
        store.scoped(user_id="john", org_id="acme").add("I like tea")
        path = path_of(store)
        assert "this store has 1 of organisation acme" in look(path=path).of("elsewhere", "warning")
        assert look(path=path, org_id="acme").bad == []

    def test_the_user_has_them_in_a_run(self, look: Look, store: MemoryStore) -> None:
        store.scoped(user_id="john", run_id="order-1").add("I like tea")
        assert "1 with --run order-1" in look(path=path_of(store), user_id="john").of("elsewhere", "warning")


class TestAnotherStoreNearby:
    def test_a_folder_beside_it(self, look: Look, store: MemoryStore) -> None:
        with open_store(path=path_of(store).with_name("theirs"), embedder=None, user_id="john") as other:
            for number in range(3):
                other.add(f"fact {number}")
            other.delete(other.list()[0].id)
            report = look(path=path_of(store))
        assert "stores/theirs holds 2 memories, and this store none" in report.of("nearby", "warning")

    def test_the_default_folder_has_what_a_server_does_not(
        self, look: Look, server: QdrantServer, collection: str
    ) -> None:
        with open_store(embedder=None, user_id="john") as embedded:
            embedded.add("I like tea")
        with open_store(url=server.url, collection=collection, embedder=None, durability="store", user_id="john") as it:
            it.count()
            report = look(it)
        assert f"{default_path()} holds 1 memory, and this store none" in report.of("nearby", "warning")

    def test_another_collection(self, look: Look, server: QdrantServer, collection: str) -> None:
        about: Any = {"url": server.url, "embedder": None, "durability": "store", "user_id": "john"}
        with open_store(**about, collection=f"{collection}-old") as old:
            old.add("I like tea")
        try:
            report = look(url=server.url, collection=collection)
            assert "no store yet" in report.of("store", "note")
            assert f"collection {collection}-old of the same server holds 1 memory" in report.of("nearby", "warning")
            with open_store(**about, collection=collection) as mine:
                report = look(mine)
        finally:
            with server.admin() as admin:
                admin.delete(f"/collections/{collection}-old")
        assert f"collection {collection}-old of the same server holds 1 memory" in report.of("nearby", "warning")

    def test_one_with_more_is_no_fault_of_one_that_is_used(self, look: Look, store: MemoryStore) -> None:
        store.scoped(user_id="john").add("I like tea")
        with open_store(path=path_of(store).with_name("theirs"), embedder=None, user_id="john") as other:
            other.add("one")
            other.add("two")
            report = look(path=path_of(store))
        assert report.bad == []
        assert "holds 2 memories, and this store 1" in report.of("nearby", "note")


class TestWhatCrewaiRemembersItself:
    def test_its_long_term_memory(self, look: Look, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
        (tmp_path / "crewai").mkdir()
        with sqlite3.connect(tmp_path / "crewai" / "long_term_memory_storage.db") as database:
            database.execute("CREATE TABLE long_term_memories (id INTEGER PRIMARY KEY, task_description TEXT)")
            database.execute("INSERT INTO long_term_memories (task_description) VALUES ('tea')")
        database.close()
        report = look(path=tmp_path / "mine")
        assert "long-term memory (SQLite)" in report.of("crewai storage", "warning")
        assert "holds 1 memory, 0.0 MiB, and this store has none" in report.of("crewai storage", "warning")
        assert [file.name for file in (tmp_path / "crewai").iterdir()] == ["long_term_memory_storage.db"]

    def test_its_short_term_memory(
        self, look: Look, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        chromadb = pytest.importorskip("chromadb")
        monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
        client = chromadb.PersistentClient(str(tmp_path / "crewai"), chromadb.Settings(anonymized_telemetry=False))
        client.create_collection("short_term").add(
            ids=["a", "b"], embeddings=[[0.1, 0.2]] * 2, documents=["tea", "figs"]
        )
        store.scoped(user_id="john").add("I like tea")
        found = look(store).of("crewai storage", "note")
        assert "(Chroma) at" in found
        assert "holds 2 memories" in found

    def test_a_long_term_memory_that_crewai_wrote(
        self, look: Look, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """Until CrewAI 1.9.3."""
        long_term = pytest.importorskip("crewai.memory.storage.ltm_sqlite_storage")
        monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
        (tmp_path / "crewai").mkdir()
        long_term.LTMSQLiteStorage().save("tea", {"quality": 1}, "2026-01-01", 1)
        store.scoped(user_id="john").add("I like tea")
        assert "holds 1 memory" in look(store).of("crewai storage", "note")

    def test_a_memory_that_crewai_wrote(
        self, look: Look, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        lancedb = pytest.importorskip("crewai.memory.storage.lancedb_storage")
        from crewai.memory.types import MemoryRecord

        monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path / "crewai"))
        lancedb.LanceDBStorage().save([MemoryRecord(content="tea", embedding=[0.1] * 8)])
        store.scoped(user_id="john").add("I like tea")
        report = look(store)
        assert "memory (LanceDB)" in report.of("crewai storage", "note")
        assert report.bad == []


class TestTheStoreItself:
    def test_open_in_another_process(self, look: Look, store: MemoryStore, tmp_path: Path) -> None:
        import sys

        path = path_of(store)
        store.close()
        program = (
            "import sys; from crewai_persistent_memory import open_store\n"
            f"store = open_store(path={str(path)!r}, embedder=None, user_id='john')\n"
            "print('open', flush=True); sys.stdin.read()\n"
            "import time; time.sleep(600)"
        )
        with started([sys.executable, "-c", program]) as (other, lines):
            assert lines.readline() == "open\n"
            report = look(path=path)
            other.kill()
        assert f"is open in process {other.pid}" in report.of("store", "warning")

    def test_damaged(self, look: Look, store: MemoryStore) -> None:
        path = path_of(store)
        store.close()
        for name in ("store.json", "store.spare", "store.seal"):
            (path / name).write_text("{")
        assert "is not valid JSON" in look(path=path).of("store", "error")

    def test_a_file_in_its_place(self, look: Look, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        report = look(path=tmp_path / "file")
        assert "that is a file" in report.of("folders", "error")

    def test_in_the_process_that_holds_it(self, look: Look, store: MemoryStore) -> None:
        store.scoped(user_id="john").add("I like tea")
        report = look(store, also=("second process",))
        assert "local to this process" in report.of("second process", "note")
        assert report.bad == []

    def test_a_probe_that_a_killed_doctor_left(self, look: Look, store: MemoryStore) -> None:
        from datetime import timedelta

        from crewai_persistent_memory import MemoryEntry
        from crewai_persistent_memory.validation import utcnow

        store.scoped(user_id="john").add("I like tea")
        old = MemoryEntry("old", "crewai-memory doctor probe", created_at=utcnow() - timedelta(days=1))
        store.scoped(user_id=PROBE_USER).put([old])
        assert look(store).bad == []
        assert set(survey(store).counts["user_id"]) == {"john"}

    def test_a_memory_that_may_not_write(self, look: Look, store: MemoryStore) -> None:
        from crewai_persistent_memory import PersistentMemory

        store.scoped(user_id="john").add("I like tea")
        with PersistentMemory(store=store.scoped(user_id="john"), read_only=True) as memory:
            assert "nothing is to be written" in look(memory).of("write", "note")

    def test_another_process_takes_the_folder_meanwhile(
        self, look: Look, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between the second process's look and ours. The probe that is left is named."""
        from crewai_persistent_memory import StoreInUseError
        from crewai_persistent_memory.doctor import examined, probes
        from crewai_persistent_memory.doctor.findings import ok

        path = path_of(store)
        store.close()
        opened, monkey = examined.opened, monkeypatch

        def taken(config: Any) -> MemoryStore:
            raise StoreInUseError("open in process 1")

        def second(*args: Any) -> Any:
            monkey.setattr(examined, "opened", taken)
            return ok("found")

        monkey.setattr(probes, "found_in_another", second)
        monkey.setattr(examined, "PATIENCE", 0.1)
        report = look(path=path, also=("second process",))
        monkey.setattr(examined, "opened", opened)
        assert "cannot be deleted: the store cannot be opened again" in report.of("deletion", "error")


class TestAReportNeverFails:
    def test_a_check_that_fails_is_a_finding(self, tmp_path: Path) -> None:
        @check("broken")
        def broken(examined: Any) -> Any:
            yield from json.loads("{")

        [found] = examine(examined_of(None, None, None, False, {"path": tmp_path}), [broken])
        assert (found.check, found.level) == ("broken", "warning")
        assert "JSONDecodeError" in found.found

    def test_one_that_hangs_is_left_alone(self, tmp_path: Path) -> None:
        import threading

        forever = threading.Event()

        @check("hanging", seconds=0.1)
        def hanging(examined: Any) -> Any:
            forever.wait()
            yield

        [found] = examine(examined_of(None, None, None, False, {"path": tmp_path}), [hanging])
        forever.set()
        assert "did not end within 0.1 s" in found.found

    def test_options_that_are_wrong(self, look: Look, tmp_path: Path) -> None:
        assert "unknown option 'pth'" in look(pth=tmp_path).of("settings", "error")
        assert "both given" in look(path=tmp_path, url="http://127.0.0.1:9").of("settings", "error")

    def test_two_stores_in_the_environment(self, look: Look, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("CREWAI_MEMORY_PATH", str(tmp_path))
        monkeypatch.setenv("QDRANT_URL", "http://127.0.0.1:6333")
        report = look()
        assert "CREWAI_MEMORY_PATH and QDRANT_URL are both set" in report.of("settings", "error")
        assert report.of("versions", "ok"), "the checks that need no configuration are made"

    def test_a_store_of_somebody_else(self, look: Look, tmp_path: Path) -> None:
        from ..extension.sqlite_backend import SqliteBackend

        with MemoryStore.over(SqliteBackend(tmp_path / "theirs.db"), user_id="john") as store:
            report = look(store)
        assert report.of("write", "ok")
        assert report.bad == []

    def test_a_working_folder_that_is_gone(self, look: Look, store: MemoryStore, tmp_path: Path) -> None:
        store.scoped(user_id="john").add("I like tea")
        gone = tmp_path / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
        try:
            report = look(store)
        finally:
            os.chdir(tmp_path)
        assert report.bad == []

    @pytest.mark.parametrize("value", sample(["[]", "nonsense", "-1", "{", "ftp://x", "/dev/null", "\udcff"], 2))
    def test_nonsense_in_every_variable(self, look: Look, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """One after the other, and all of them at once."""
        variables = sorted(known_variables() | {"MEM0_HOST", "CREWAI_STORAGE_DIR", "XDG_DATA_HOME", "HTTPS_PROXY"})
        for name in variables:
            with monkeypatch.context() as one:
                one.setenv(name, value)
                assert "this check failed" not in look(read_only=True).text, name
        for name in variables:
            monkeypatch.setenv(name, value)
        assert "this check failed" not in look(read_only=True).text

    def test_one_that_cannot_be_asked_for_its_store(self) -> None:
        class Broken:
            @property
            def store(self) -> MemoryStore:
                raise OSError("gone")

        found = health_report(Broken(), read_only=True)
        assert [each.found for each in found if each.level == "error"] == ["OSError: gone"]

    def test_counting_that_fails_is_no_empty_store(
        self, look: Look, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from crewai_persistent_memory import StoreBusyError
        from crewai_persistent_memory.doctor import scopes

        def busy(*args: Any, **kwargs: Any) -> Any:
            raise StoreBusyError("busy")

        store.scoped(user_id="john").add("I like tea")
        monkeypatch.setattr(scopes, "survey", busy)
        report = look(store)
        assert [(each.check, each.found) for each in report.bad] == [("scopes", "busy")]

    def test_something_that_is_no_memory(self, look: Look) -> None:
        assert "has no memory of this package" in look(object()).of("crew", "error")


def test_a_memory_and_its_own_scope(look: Look, store: MemoryStore) -> None:
    """A handle that is fixed to a user, and inside a block for another one."""
    from crewai_persistent_memory import PersistentMemory, use_scope

    with use_scope(user_id="jane", project_id="production"):
        store.add("I like tea")
        assert look(store).of("write", "ok")
    with PersistentMemory(store=store.scoped(user_id="john")) as memory:
        assert look(memory).of("write", "ok")
    assert isinstance(MemoryConfig.build(), MemoryConfig)
    assert set(survey(store).counts["user_id"]) == {"jane"}
