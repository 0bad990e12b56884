"""The embedded store's folder: one process at a time, forks, damage, foreign files, full disks."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    MemoryEntry,
    PersistentMemoryError,
    SchemaVersionError,
    StoreClosedError,
    StoreCorruptedError,
    StoreFullError,
    StoreInUseError,
    StorePathError,
    open_store,
)

from ..support.programs import run_program, started
from .conftest import opened


class TestOneProcess:
    def test_a_second_process_is_told_the_way_out(self, path: Path) -> None:
        code = f"import crewai_persistent_memory as m; m.open_store(path={str(path)!r}, user_id='jane')"
        with open_store(path=path, user_id="john"):
            done = run_program([sys.executable, "-c", code])
        assert done.returncode == 1
        message = done.stderr.splitlines()[-1]
        assert "StoreInUseError" in message
        for part in (str(path), f"process {os.getpid()}", "one process at a time", "QDRANT_URL", "url="):
            assert part in message
        assert opened(path) == ["kept"]

    def test_handles_of_one_process_share_the_shard(self, path: Path, tmp_path: Path) -> None:
        link = tmp_path / "link"
        link.symlink_to(path)
        first = open_store(path=path, user_id="john")
        second = open_store(path=link, user_id="john")
        second.add("through the link")
        assert first.count() == 2
        first.close()
        assert second.count() == 2
        second.close()
        with pytest.raises(StoreClosedError):
            second.count()
        assert len(opened(path)) == 2

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
    def test_a_forked_child_is_refused_and_harms_nothing(self, path: Path) -> None:
        context = multiprocessing.get_context("fork")
        with open_store(path=path, user_id="john") as store:
            ours, theirs = context.Pipe()
            child = context.Process(target=_use_inherited, args=(store, str(path), theirs))
            child.start()
            errors = ours.recv()
            child.join()
            assert child.exitcode == 0
            assert "forked" in errors[0]
            assert "one process at a time" in errors[1]
            store.add("after the fork")
            assert store.count() == 2
        assert len(opened(path)) == 2

    def test_is_free_again_after_a_kill(self, path: Path) -> None:
        with started([sys.executable, "-m", "tests.store.writer", str(path), "interval", "1"]) as (child, lines):
            assert lines.readline()
            with pytest.raises(StoreInUseError):
                open_store(path=path, user_id="john")
            child.kill()
            child.wait()
        assert "kept" in opened(path)


def _use_inherited(store: Any, path: str, pipe: Any) -> None:
    errors = []
    for use in (lambda: store.count(), lambda: open_store(path=path, user_id="jane")):
        try:
            use()
            errors.append("no error")
        except PersistentMemoryError as error:
            errors.append(str(error))
    pipe.send(errors)


class TestFolder:
    def test_a_foreign_folder(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("precious")
        with pytest.raises(StorePathError, match=r"thesis\.tex"):
            open_store(path=tmp_path, user_id="john")
        assert os.listdir(tmp_path) == ["thesis.tex"]

    def test_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_text("x")
        for path in (file, file / "below"):
            with pytest.raises(StorePathError, match="Give path="):
                open_store(path=path, user_id="john")

    @pytest.mark.parametrize("reach", ["chmod", "proc"])
    def test_an_unwritable_path(self, tmp_path: Path, reach: str) -> None:
        if reach == "chmod":
            if os.geteuid() == 0:
                pytest.skip("root may write anywhere; the proc case covers this")
            tmp_path.chmod(0o500)
        path = tmp_path / "store" if reach == "chmod" else Path("/proc/store")
        with pytest.raises(StorePathError, match="may write to"):
            open_store(path=path, user_id="john")

    def test_a_missing_folder_of_entries_is_not_an_empty_store(self, path: Path) -> None:
        shutil.rmtree(path / "shard/segments")
        with pytest.raises(StoreCorruptedError, match="nothing of it can be read"):
            opened(path)

    @pytest.mark.parametrize("part", ["wal", "edge_config.json"])
    def test_a_missing_part_is_made_again(self, path: Path, part: str) -> None:
        victim = path / "shard" / part
        shutil.rmtree(victim) if victim.is_dir() else victim.unlink()
        assert opened(path) == ["kept"]

    @pytest.mark.parametrize("part", ["segments", "wal"])
    def test_a_missing_part_of_a_store_that_was_not_closed(self, path: Path, part: str) -> None:
        (path / "store.seal").unlink()
        shutil.rmtree(path / "shard" / part)
        with pytest.raises(StoreCorruptedError, match=f"shard/{part} is missing"):
            opened(path)

    @pytest.mark.parametrize("pattern", ["edge_config.json", "segments/*/version.info", "segments/*/segment.json"])
    def test_damaged_engine_files(self, path: Path, pattern: str) -> None:
        for file in (path / "shard").glob(pattern):
            file.write_bytes(b"\xde\xad" * 100)
        assert opened(path) == ["kept"]

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "other"}', '{"format": "crewai-persistent-memory"}'])
    def test_a_damaged_descriptor(self, path: Path, text: str) -> None:
        (path / "store.json").write_text(text)
        assert opened(path) == ["kept"], "there is a spare copy"
        (path / "store.json").write_text(text)
        (path / "store.spare").unlink()
        with pytest.raises(StoreCorruptedError, match=r"store\.json"):
            opened(path)

    def test_a_missing_descriptor_does_not_discard_entries(self, path: Path) -> None:
        (path / "store.json").unlink()
        (path / "store.spare").unlink()
        with pytest.raises(StoreCorruptedError, match=r"store\.json is missing"):
            opened(path)

    def test_a_creation_cut_short_is_started_over(self, tmp_path: Path) -> None:
        path = tmp_path / "store"
        open_store(path=path, user_id="john", embedder=None).close()
        (path / "store.json").unlink()
        assert opened(path, embedder=None) == []

    def test_a_newer_schema(self, path: Path) -> None:
        descriptor = json.loads((path / "store.json").read_text())
        descriptor["schema_version"] = 99
        (path / "store.json").write_text(json.dumps(descriptor))
        with pytest.raises(SchemaVersionError, match=r"version 99.*upgrade"):
            opened(path)

    def test_an_error_at_opening_leaves_the_path_free(self, path: Path) -> None:
        text = (path / "store.json").read_text()
        (path / "store.spare").unlink()
        (path / "store.json").write_text("{")
        with pytest.raises(StoreCorruptedError):
            opened(path)
        (path / "store.json").write_text(text)
        assert opened(path) == ["kept"]


class TestFullDisk:
    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        mount, image = tmp_path / "small", tmp_path / "image"
        mount.mkdir()
        with open(image, "wb") as file:
            file.truncate(100 * 1024 * 1024)
        for command in (["mkfs.ext4", "-q", "-F", image], ["mount", "-o", "loop", image, mount]):
            try:
                done = subprocess.run(command, capture_output=True, text=True)
            except FileNotFoundError as error:
                pytest.skip(f"cannot make a small disk here: {error}")
            if done.returncode != 0:
                pytest.skip(f"cannot make a small disk here: {done.stderr.strip()}")
        (mount / "lost+found").rmdir()
        yield mount
        subprocess.run(["umount", "-l", mount], check=True)

    def test_is_an_error_before_the_write_and_loses_nothing(self, small_disk: Path) -> None:
        # In a child, because the engine dies of a full disk with SIGBUS unless we stop before it.
        done = run_program([sys.executable, "-c", FILL, str(small_disk / "store")])
        assert done.returncode == 0, done.stderr[-2000:]
        report = json.loads(done.stdout)
        assert report["error"] == "StoreFullError"
        assert "MiB left" in report["message"]
        assert report["before"] == report["after"] > 5
        assert report["deleted"] == 1
        with open(small_disk / "filler", "wb") as filler:
            filler.write(bytes(15 * 1024 * 1024))
        with pytest.raises(StoreFullError):
            open_store(path=small_disk / "another", user_id="john", embedder=None)
        with open_store(path=small_disk / "store", user_id="john") as store:
            assert store.count() == report["before"] - 1
            assert len(store.search("number", limit=1000)) == report["before"] - 1


FILL = """
import json, os, sys
from crewai_persistent_memory import open_store, StoreFullError
store = open_store(path=sys.argv[1], user_id="john", embedder=None)
stored = 0
try:
    while True:
        # In the content it would be cut into words, which takes longer.
        store.add(f"number {stored}", id=str(stored), metadata={"long": os.urandom(300_000).hex()})
        stored += 1
except StoreFullError as error:
    report = {"error": type(error).__name__, "message": str(error), "before": stored, "after": store.count()}
report["deleted"] = store.delete("0")
store.close()
print(json.dumps(report))
"""


def test_searches_are_done_by_the_thread_that_asks_in_older_stores_too(tmp_path: Path) -> None:
    """A pool takes longer to hand a search over than the search takes."""
    with open_store(path=tmp_path / "s", user_id="john", embedder=None) as store:
        store.put([MemoryEntry("tea", "John likes tea"), MemoryEntry("oslo", "John lives in Oslo")])
    config = tmp_path / "s" / "shard" / "edge_config.json"
    made = json.loads(config.read_text())
    assert made.pop("max_search_threads") == 1
    config.write_text(json.dumps(made))
    (tmp_path / "s" / "store.seal").unlink()  # the checksums of what an older version wrote
    for _ in range(2):
        with open_store(path=tmp_path / "s", user_id="john", embedder=None) as store:
            assert store.search("tea")[0].id == "tea"
            assert store.count() == 2
        assert json.loads(config.read_text())["max_search_threads"] == 1


def test_a_configuration_that_is_nested_too_deeply_is_a_damaged_one(tmp_path: Path) -> None:
    with open_store(path=tmp_path / "s", user_id="john", embedder=None) as store:
        store.put([MemoryEntry("tea", "John likes tea")])
    (tmp_path / "s" / "shard" / "edge_config.json").write_text("[" * 100_000)
    for beside in ("store.seal", "store.spare"):  # as an older version, which was killed, left them
        (tmp_path / "s" / beside).unlink()
    with pytest.raises(StoreCorruptedError, match="Restore the folder from a backup"):
        open_store(path=tmp_path / "s", user_id="john", embedder=None)
