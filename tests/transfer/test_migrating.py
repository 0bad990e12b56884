"""What CrewAI itself has kept, in a store of this package: to whom it belongs, once, and out again.

Folders of CrewAI 1.9.3 are kept ones here. That those of today's CrewAI are like them is in ``tests/crew``.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    InvalidArgumentError,
    MemoryStore,
    RequestRefusedError,
    Scope,
    open_store,
    operations,
)
from crewai_persistent_memory.admin import (
    LeftOut,
    Migrated,
    OwnerByPath,
    copy_entries,
    entries_of,
    migrate,
    undo_migration,
)
from crewai_persistent_memory.io.steps import Steps
from crewai_persistent_memory.store.backend import Execute
from crewai_persistent_memory.transfer import database_copy

from ..support.crewai_folders import ALLERGIC, ENTITY, WINE, add_short_term, folder_of_193, state
from ..support.embedders import WordHashEmbedder
from ..support.programs import killed_after, started
from ..support.qdrant_server import QdrantServer

JOHN, JANE = Scope("john"), Scope("jane", "production")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of_193(tmp_path / "crewai of john")


@pytest.fixture
def store(kept_store: Path) -> Iterator[MemoryStore]:
    with open_store(path=kept_store, embedder=None) as opened:
        yield opened


def texts(store: MemoryStore, **scope: Any) -> list[str]:
    return sorted(entry.content for entry in entries_of(store, **scope))


def adds_up(done: Migrated) -> bool:
    kept = done.new + done.there
    of_all = kept + done.elsewhere + len(done.left_out)
    return done.found == of_all and sum(done.owners.values()) == sum(done.sources.values()) == kept


class TestChroma:
    def test_what_users_said_is_found(self, folder: Path, store: MemoryStore) -> None:
        before = state(folder)
        planned = migrate(folder, store, JOHN, dry_run=True)
        assert texts(store) == []
        done = migrate(folder, store, JOHN)
        assert done == planned
        assert (done.found, done.new, done.there, done.left_out) == (3, 3, 0, ())
        assert adds_up(done)
        assert state(folder) == before
        john = store.scoped(JOHN)
        assert john.search("What am I allergic to?", limit=1)[0].content == f"{ALLERGIC}\nResult: Noted: 310"
        assert john.search("Which wine?", limit=1)[0].content.startswith(f"{WINE}\nResult: Noted")
        [entity] = john.list(kind="entity")
        assert (entity.content, entity.metadata["relationships"]) == (ENTITY, "- guest of the hotel")
        with closing(sqlite3.connect(folder / "chroma.sqlite3")) as database:
            [(saved_at,)] = database.execute("SELECT created_at FROM embeddings WHERE seq_id = 4")
        assert entity.created_at == datetime.fromisoformat(saved_at)

    def test_long_term_memory_is_only_shown(self, folder: Path, store: MemoryStore) -> None:
        found = migrate(folder, store, JOHN).long_term
        assert found is not None
        assert (found.results, found.tasks, found.agents, found.quality) == (2, 2, {"Concierge": 2}, 8.0)
        assert found.oldest is not None
        assert found.newest is not None
        assert found.oldest <= found.newest
        alone = migrate(folder / "long_term_memory_storage.db", None, JOHN, dry_run=True)
        assert (alone.found, alone.long_term) == (0, found)

    def test_again_nothing_comes_twice_and_what_was_changed_stays(self, folder: Path, store: MemoryStore) -> None:
        first, john = migrate(folder, store, JOHN), store.scoped(JOHN)
        [entity] = john.list(kind="entity")
        john.update(entity.id, content="John likes coriander now")
        add_short_term(folder, [("My room is 12", "Noted")])
        done = migrate(folder, store, JOHN)
        assert (done.id, done.new, done.there) == (first.id, 1, 3)
        assert "John likes coriander now" in texts(store)
        assert len(texts(store)) == 4

    def test_one_answer_to_two_requests(self, folder: Path, store: MemoryStore) -> None:
        """Chroma's id is a digest of the answer, so a second request with it takes the place of the first."""
        migrate(folder, store, JOHN)
        with closing(sqlite3.connect(folder / "chroma.sqlite3")) as database, database:
            changed = ["My room is 12", ALLERGIC]
            database.execute("UPDATE embedding_metadata SET string_value = ? WHERE string_value = ?", changed)
        assert migrate(folder, store, JOHN).new == 1
        assert {"My room is 12\nResult: Noted: 310", f"{ALLERGIC}\nResult: Noted: 310"} < set(texts(store))

    def test_two_users_are_never_mixed(self, folder: Path, tmp_path: Path, store: MemoryStore) -> None:
        hers = folder_of_193(tmp_path / "crewai of jane")
        add_short_term(hers, [("Jane's secret", "Noted")])
        his, of_jane = migrate(folder, store, JOHN), migrate(hers, store, JANE)
        assert dict(of_jane.owners) == {JANE: 4}
        assert "Jane's secret\nResult: Noted" not in texts(store, user_id="john")
        assert len(texts(store, user_id="john")) == 3
        assert undo_migration(store, his.id) == 3
        assert (texts(store, user_id="john"), len(texts(store, user_id="jane"))) == ([], 4)

    def test_into_a_store_that_is_not_there_yet(self, folder: Path) -> None:
        assert migrate(folder, None, JOHN, dry_run=True).new == 3
        with pytest.raises(InvalidArgumentError, match="store is None"):
            migrate(folder, None, JOHN)

    def test_what_cannot_be_kept_is_named_and_stops_no_other(self, folder: Path, store: MemoryStore) -> None:
        add_short_term(folder, [(" ", ""), ("", "an answer alone"), ("asked in vain", ""), ("\x00", "x" * 3_000_000)])
        done = migrate(folder, store, JOHN)
        assert done.left_out == (LeftOut("document 1000", "it has no text"),)
        assert (done.found, done.new, adds_up(done)) == (7, 6, True)
        assert "asked in vain\nResult: " in texts(store)

    def test_changes_that_chroma_has_not_applied_yet(self, folder: Path, store: MemoryStore) -> None:
        """Chroma writes a change into its queue first. A program that was killed in between leaves it there."""
        whole = [entry.id for entry in migrate(folder, store, JOHN).examples]
        with closing(sqlite3.connect(folder / "chroma.sqlite3")) as database, database:
            database.execute("DELETE FROM embedding_metadata")
            database.execute("DELETE FROM embeddings")
            database.execute("UPDATE max_seq_id SET seq_id = 0")
        assert sorted(entry.id for entry in migrate(folder, store, JOHN).examples) == sorted(whole)

    @pytest.mark.parametrize("journal", ["wal", "delete"])
    def test_a_database_that_a_killed_program_left(self, folder: Path, store: MemoryStore, journal: str) -> None:
        program = """
import os, signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute(f"PRAGMA journal_mode = {sys.argv[2]}")
database.execute("PRAGMA cache_size = 1")
insert = "INSERT INTO embedding_metadata VALUES (?, 'more', ?, NULL, NULL, NULL)"
database.execute(insert, [1, "committed"])
database.execute("BEGIN")
for key in range(100):
    database.execute(f"INSERT INTO embedding_metadata VALUES (1, 'never {key}', ?, NULL, NULL, NULL)", ["x" * 5000])
os.kill(os.getpid(), signal.SIGKILL)
"""
        with started([sys.executable, "-c", program, str(folder / "chroma.sqlite3"), journal]) as (running, _):
            running.wait()
        before = state(folder)
        assert any(name.endswith(("-wal", "-journal")) for name in before)
        migrate(folder, store, JOHN)
        [entry] = [entry for entry in entries_of(store) if "more" in entry.metadata]
        assert entry.metadata["more"] == "committed"
        assert not any(key.startswith("never") for key in entry.metadata)
        assert state(folder) == before

    def test_a_database_that_is_being_written(
        self, folder: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        copied, times = shutil.copyfile, 0

        def copying(source: str, to: str) -> None:
            nonlocal times
            copied(source, to)
            times += 1
            if times <= busy:
                os.utime(source, ns=(times, times))

        monkeypatch.setattr(database_copy.shutil, "copyfile", copying)
        busy = 2
        assert migrate(folder, store, JOHN).new == 3
        busy = times + 1_000
        with pytest.raises(InvalidArgumentError, match=r"chroma.sqlite3 is being written: stop the crews"):
            migrate(folder, store, JOHN)

    def test_no_copy_is_left_in_case_of_a_kill(
        self, folder: Path, tmp_path: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (temporary := tmp_path / "temporary").mkdir()
        monkeypatch.setattr(database_copy.tempfile, "tempdir", str(temporary))
        seen: list[list[Path]] = []

        def look(count: int) -> None:
            seen.append([path for path in temporary.rglob("*") if path.is_file()])

        add_short_term(folder, ((f"request {number}", "well") for number in range(600)))
        assert migrate(folder, store, JOHN, progress=look).new == 603
        assert len(seen) > 3
        assert not any(seen)
        assert list(temporary.iterdir()) == []

    def test_it_reads_what_chroma_reads(self, tmp_path: Path, store: MemoryStore) -> None:
        chromadb = pytest.importorskip("chromadb", reason="no chromadb beside this CrewAI")
        chance, folder = random.Random(3), tmp_path / "chroma"
        client = chromadb.PersistentClient(str(folder), chromadb.Settings(anonymized_telemetry=False))
        client.create_collection("knowledge").add(ids=["k"], documents=["a manual"], embeddings=[[0.1, 0.2]])
        client.create_collection("memory_entities_Nobody")
        collection = client.create_collection("memory_short_term_Concierge")
        for number in range(120):
            id = f"id{chance.randrange(20)}"
            about = {"n": number, "half": number / 2, "even": number % 2 == 0}
            change = {"ids": [id], "documents": [f"text {number}"], "metadatas": [about], "embeddings": [[0.1, 0.2]]}
            if collection.get(ids=[id])["ids"]:
                getattr(collection, chance.choice(["update", "upsert"]))(**change)
            else:
                collection.add(**change)
            if chance.random() < 0.2:
                collection.delete(ids=[f"id{chance.randrange(20)}"])
        done, kept = migrate(folder, store, JOHN), collection.get()
        assert (done.stays, done.new) == (("knowledge",), len(kept["ids"]))
        theirs = dict(zip(kept["documents"], kept["metadatas"], strict=True))
        ours = {entry.content: dict(entry.metadata) for entry in entries_of(store)}
        assert {text: {key: about[key] for key in ("n", "half", "even")} for text, about in ours.items()} == theirs


class TestLanceDB:
    @pytest.fixture
    def write(self, tmp_path: Path) -> Callable[..., Path]:
        """Saves records by CrewAI's own storage, in CrewAI's folder."""
        pytest.importorskip("lancedb", reason="CrewAI until 1.9.3 does not bring LanceDB")
        from crewai.memory.storage.lancedb_storage import LanceDBStorage
        from crewai.memory.types import MemoryRecord

        def write(*records: dict[str, Any]) -> Path:
            storage = LanceDBStorage(str(tmp_path / "lance" / "memory"), vector_dim=2, compact_every=0)
            if records:
                storage.save([MemoryRecord(embedding=[0.1, 0.2], **about) for about in records])
            return tmp_path / "lance"

        return write

    def test_every_field_comes_along(self, write: Callable[..., Path], store: MemoryStore) -> None:
        times = {"created_at": datetime(2026, 5, 1, 12, 0, 0, 7), "last_accessed": datetime(2026, 5, 2)}
        about = {"id": "tea", "content": "I like tea", "categories": ["food"], "metadata": {"by": {"n": [1, None]}}}
        more = {"scope": "/user/john", "importance": 0.9, "source": "chat", "private": True}
        task = (
            "Task: Book a table.\nAgent: Concierge\nExpected result: short\nResult: Thought: well\nFinal Answer: Done"
        )
        folder = write({**about, **more, **times}, {"id": "task", "content": task})
        before = state(folder)
        for source in (folder, folder / "memory", folder / "memory" / "memories.lance"):
            done = migrate(source, store, JOHN)
            assert adds_up(done)
        assert state(folder) == before
        john = store.scoped(JOHN)
        found = john.get("tea")
        assert found is not None
        assert (found.content, found.categories, found.path) == ("I like tea", ("food",), "/user/john")
        assert (found.importance, found.source, found.private) == (0.9, "chat", True)
        assert found.metadata["by"] == {"n": [1, None]}
        assert (found.created_at, found.last_accessed) == (times["created_at"], times["last_accessed"])
        answered = john.get("task")
        assert answered is not None
        assert answered.content == "Book a table.\nResult: Done", "as a task is kept by this package"

    def test_a_relative_path_is_no_address(
        self, write: Callable[..., Path], store: MemoryStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = write({"id": "tea", "content": "I like tea"})
        folder.rename(folder.parent / "db:crewai's #1")
        monkeypatch.chdir(folder.parent)
        assert migrate("db:crewai's #1", store, JOHN).new == 1

    def test_texts_are_embedded_anew(self, write: Callable[..., Path], tmp_path: Path) -> None:
        folder = write({"id": "tea", "content": "I like tea"})
        with open_store(path=tmp_path / "with vectors", embedder=WordHashEmbedder()) as store:
            migrate(folder, store, JOHN)
            [entry] = entries_of(store, with_vectors=True)
            assert entry.embedding is not None
            [wanted] = WordHashEmbedder()(["I like tea"])
            assert len(entry.embedding) == len(wanted) > 2

    def test_by_path(self, write: Callable[..., Path], store: MemoryStore) -> None:
        paths = ["/user/john", "/user/john/diet", "/user/johnny", "/crew", "/", "/user", "/user/ \u200b"]
        folder = write(*({"id": f"id{n}", "content": path, "scope": path} for n, path in enumerate(paths)))
        done = migrate(folder, store, OwnerByPath("/user/{user_id}", project_id="p"), dry_run=True)
        assert dict(done.owners) == {Scope("john", "p"): 2, Scope("johnny", "p"): 1}
        assert (done.elsewhere, [each.id for each in done.left_out], adds_up(done)) == (3, ["id6"], True)
        chosen = migrate(folder, store, OwnerByPath("/user/john", user_id="jo"))
        assert (chosen.new, chosen.elsewhere, dict(chosen.owners)) == (2, 5, {Scope("jo"): 2})
        assert texts(store) == ["/user/john", "/user/john/diet"]

    @pytest.mark.parametrize(
        ("pattern", "fields", "message"),
        [
            ("/user/{name}", {}, "name: a scope has"),
            ("/user/x{user_id}", {}, "a part is a field"),
            ("/user", {}, "whose memories"),
            ("/{user_id}/{user_id}", {}, "given twice"),
            ("/{user_id}", {"user_id": "john"}, "given twice"),
        ],
    )
    def test_a_wrong_pattern(self, pattern: str, fields: dict[str, str], message: str) -> None:
        with pytest.raises(InvalidArgumentError, match=message):
            OwnerByPath(pattern, **fields)

    def test_awkward_records(self, write: Callable[..., Path], store: MemoryStore) -> None:
        records = [{"id": "a", "content": "one"}, {"id": "a", "content": "two"}, {"id": "a", "content": "two"}]
        records += [{"id": "b", "content": " "}, {"id": "c" * 600, "content": "a long id"}]
        records += [{"id": "d", "content": "a long path", "scope": f"/{'x' * 2000}"}]
        folder = write(*records)
        for new, there in ((3, 0), (0, 3)):
            done = migrate(folder, store, JOHN)
            assert (done.found, done.new, done.there, adds_up(done)) == (6, new, there, True)
            reasons = sorted(" ".join(each.reason.split()[:3]) for each in done.left_out)
            assert reasons == ["another with this", "content is blank:", "path has 2001"]
        assert texts(store) == ["a long id", "one", "two"]

    def test_an_empty_table_and_a_damaged_one(self, write: Callable[..., Path], store: MemoryStore) -> None:
        folder = write()
        with pytest.raises(InvalidArgumentError, match="CrewAI's memory is empty here"):
            migrate(folder, store, JOHN)
        write({"id": "a", "content": "one"})
        for file in (folder / "memory" / "memories.lance" / "data").iterdir():
            file.write_bytes(b"damage")
        with pytest.raises(InvalidArgumentError, match=r"memories.lance cannot be read by LanceDB"):
            migrate(folder, store, JOHN)
        assert texts(store) == []

    def test_without_lancedb(self, tmp_path: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "memories.lance" / "_versions").mkdir(parents=True)
        monkeypatch.setitem(sys.modules, "lancedb", None)
        with pytest.raises(ConfigurationError, match=r"pip install 'crewai-persistent-memory\[migrate\]'"):
            migrate(tmp_path, store, JOHN)

    def test_a_table_of_something_else(self, tmp_path: Path, store: MemoryStore) -> None:
        lancedb = pytest.importorskip("lancedb")
        lancedb.connect(str(tmp_path / "memory")).create_table("memories", [{"id": "a", "vector": [0.1, 0.2]}])
        with pytest.raises(InvalidArgumentError, match="has no column categories_str, content"):
            migrate(tmp_path, store, JOHN)


class TestBack:
    def test_exactly_what_came(self, folder: Path, store: MemoryStore) -> None:
        """What had the same id before stays, and so do copies at other owners, and memories of others."""
        ids = [entry.id for entry in migrate(folder, None, JOHN, dry_run=True).examples]
        john = store.scoped(JOHN)
        john.add("mine, and here before", id=ids[0])
        done = migrate(folder, store, JOHN)
        assert (done.new, done.there) == (2, 1)
        copy_entries(store, store, into={"project_id": "production"}, user_id="john")
        assert undo_migration(store, done.id, dry_run=True) == 2
        assert undo_migration(store, done.id, user_id="jane") == 0
        assert undo_migration(store, done.id) == 2
        assert texts(store, project_id="default") == ["mine, and here before"]
        assert len(texts(store, project_id="production")) == 3
        assert undo_migration(store, done.id) == 0
        assert migrate(folder, store, JOHN).new == 2

    def test_of_a_run_what_the_user_has_under_the_same_id_stays(self, folder: Path, store: MemoryStore) -> None:
        run = Scope("john", run_id="r1")
        done = migrate(folder, store, run)
        for entry in done.examples:
            store.scoped(JOHN).add("of the user", id=entry.id)
        assert undo_migration(store, done.id) == 3
        assert texts(store) == ["of the user"] * 3


def test_into_a_server_whose_writes_wait_and_out_of_it(folder: Path, server: QdrantServer, collection: str) -> None:
    with open_store(url=server.url, collection=collection, embedder=None, durability="outbox") as store:
        done = migrate(folder, store, JOHN)
        assert (done.new, migrate(folder, store, JOHN).there) == (3, 3)
        john = store.scoped(JOHN)
        assert john.flush(30)
        assert john.search("What am I allergic to?", limit=1)[0].content.startswith(ALLERGIC)
        assert undo_migration(store, done.id) == 3
        assert john.flush(30)
        assert texts(store) == []


def test_what_the_store_refuses_is_named_and_stops_no_other(folder: Path, store: MemoryStore) -> None:
    """Such as a text that is larger than a server accepts."""

    def refusing(operation: operations.Operation[Any], execute: Execute) -> Steps[Any]:
        if isinstance(operation, operations.Put) and any("huge" in entry.content for entry in operation.entries):
            raise RequestRefusedError("larger than allowed")
        return (yield from execute(operation))

    add_short_term(folder, [("first", "one"), ("huge", "two"), ("last", "three")])
    for new, there in ((5, 0), (0, 5)):
        done = migrate(folder, store.wrap(refusing), JOHN)
        assert (done.new, done.there, adds_up(done)) == (new, there, True)
        assert [each.reason for each in done.left_out] == ["the store refuses it: larger than allowed"]
    assert "last\nResult: three" in texts(store)
    assert migrate(folder, store, JOHN).new == 1


def test_metadata_of_the_same_names_stays(folder: Path, store: MemoryStore) -> None:
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as database, database:
        about = [(1, "migration", "of birds"), (1, "migrated_from", "Africa")]
        database.executemany("INSERT INTO embedding_metadata VALUES (?, ?, ?, NULL, NULL, NULL)", about)
    migrate(folder, store, JOHN)
    [entry] = [entry for entry in entries_of(store) if "migration" in entry.metadata]
    assert (entry.metadata["migration"], entry.metadata["migrated_from"]) == ("of birds", "Africa")


def knowledge_alone(at: Path) -> None:
    folder_of_193(at)
    (at / "long_term_memory_storage.db").unlink()
    with closing(sqlite3.connect(at / "chroma.sqlite3")) as database, database:
        database.execute("DELETE FROM collections WHERE name LIKE '%entities%'")
        database.execute("UPDATE collections SET name = 'knowledge'")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: None, "there is no such folder"),
        (lambda at: at.mkdir(), "there is neither"),
        (lambda at: (at / "memory" / "qdrant-edge").mkdir(parents=True), "Qdrant Edge"),
        (lambda at: (at.mkdir(), (at / "store.json").write_text("{}")), "a store of this package"),
        (lambda at: (at.mkdir(), (at / "chroma.sqlite3").write_bytes(b"garbage" * 1000)), "cannot be read as SQLite"),
        (lambda at: (at.mkdir(), (at / "chroma.sqlite3").touch()), "no such table: collections"),
        (knowledge_alone, "memory is empty here, nothing was migrated; knowledge is no memory"),
        (lambda at: at.write_text("a file"), "there is neither"),
        (lambda at: at.symlink_to(at), "cannot be read|no such folder"),
    ],
)
def test_a_wrong_folder_is_named(tmp_path: Path, make: Callable[[Path], Any], message: str) -> None:
    at = tmp_path / "a folder"
    make(at)
    with pytest.raises(InvalidArgumentError, match=message) as refused:
        migrate(at, None, JOHN, dry_run=True)
    assert str(at) in str(refused.value)


def test_a_damaged_database(folder: Path, store: MemoryStore) -> None:
    file = folder / "chroma.sqlite3"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InvalidArgumentError, match=r"chroma.sqlite3 .*(damaged|malformed)"):
        migrate(folder, store, JOHN)
    assert texts(store) == []


def test_links_are_followed(folder: Path, tmp_path: Path, store: MemoryStore) -> None:
    (tmp_path / "link").symlink_to(folder)
    first = migrate(folder, store, JOHN)
    again = migrate(tmp_path / "link", store, JOHN)
    assert (again.id, again.new) == (first.id, 0)


MIGRATING = """
import sys
from crewai_persistent_memory import Scope, open_store
from crewai_persistent_memory.admin import migrate
with open_store(path=sys.argv[1], embedder=None) as store:
    migrate(sys.argv[2], store, Scope("john"), progress=lambda count: print(count, flush=True))
"""
KILLS = int(os.environ.get("TRANSFER_KILLS", "3"))


def test_what_was_killed_is_finished_by_the_next(folder: Path, tmp_path: Path) -> None:
    add_short_term(folder, ((f"request {number}", f"answer {number}") for number in range(997)))
    chance, before = random.Random(2), state(folder)
    for _ in range(KILLS):
        killed_after([sys.executable, "-c", MIGRATING, str(tmp_path / "s"), str(folder)], chance.randrange(1, 8))
    with open_store(path=tmp_path / "s", embedder=None) as store:
        done = migrate(folder, store, JOHN)
        assert done.there > 0
        assert (done.found, adds_up(done)) == (1_000, True)
        kept = texts(store)
        assert len(kept) == len(set(kept)) == 1_000
        assert {f"request {number}\nResult: answer {number}" for number in range(997)} < set(kept)
        assert undo_migration(store, done.id) == 1_000
        assert texts(store) == []
    assert state(folder) == before
