"""Backups of a store in use and of a closed one, embedded and on a server, and what they give back."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    MemoryEntry,
    MemoryStore,
    StoreCorruptedError,
    StoreError,
    StoreFullError,
    StoreInUseError,
    StorePathError,
    open_store,
)
from crewai_persistent_memory.admin import back_up, restore, survey
from crewai_persistent_memory.backends.qdrant.embedded.copies import STORE, copy_store

from ..support.embedders import WordHashEmbedder
from ..support.mem0_platform import DEFAULT_KEY, Mem0Platform
from ..support.mounts import mounted
from ..support.programs import Commanded
from ..support.qdrant_server import QdrantServer


def fill(store: MemoryStore, count: int = 50) -> None:
    for user in ("john", "jane"):
        store.scoped(user_id=user).put([MemoryEntry(f"{user}-{n}", f"{user}'s fact {n}") for n in range(count)])


def texts(store: MemoryStore) -> set[str]:
    return {each.content for user in ("john", "jane") for each in store.scoped(user_id=user).scan(with_vectors=True)}


def vectors(store: MemoryStore) -> dict[str, object]:
    return {each.id: each.embedding for each in store.scoped(user_id="john").scan(with_vectors=True)}


def survey_of(server: QdrantServer, collection: str) -> int:
    with open_store(url=server.url, collection=collection, embedder=None, durability="store") as store:
        return survey(store).entries


def size_on_disk(folder: Path) -> int:
    return sum(512 * file.stat().st_blocks for file in folder.rglob("*") if file.is_file())


class TestEmbedded:
    def test_holes_stay_holes(self, tmp_path: Path) -> None:
        with open_store(path=tmp_path / "s", embedder=None) as store:
            fill(store)
        copy_store(tmp_path / "s", tmp_path / "copy")
        assert size_on_disk(tmp_path / "copy") < 1.2 * size_on_disk(tmp_path / "s") + 2**20
        for file in (tmp_path / "copy").rglob("*"):
            if file.is_file():
                assert file.read_bytes() == (tmp_path / "s" / file.relative_to(tmp_path / "copy")).read_bytes()

    def test_it_comes_back_as_it_was(self, tmp_path: Path) -> None:
        with open_store(path=tmp_path / "s", embedder=WordHashEmbedder()) as store:
            fill(store)
            made = back_up(store, tmp_path / "b")
            before, numbers = texts(store), vectors(store)
            store.scoped(user_id="john").add("said after the backup")
            assert (made.entries, made.engine) == (100, "embedded")
        assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "b").rglob("*"))
        restore(tmp_path / "b", path=tmp_path / "new")
        with open_store(path=tmp_path / "new", embedder=WordHashEmbedder()) as store:
            assert texts(store) == before
            assert vectors(store) == numbers
            assert store.health()["lost"] is None
        # The backup can also be used as it is.
        with open_store(path=tmp_path / "b" / STORE, embedder=WordHashEmbedder()) as store:
            assert texts(store) == before

    def test_a_file_and_a_mounted_disk_are_refused(self, tmp_path: Path) -> None:
        """A container's volume is such a disk: the error says where on it the store can go."""
        with open_store(path=tmp_path / "s", embedder=None) as store:
            back_up(store, tmp_path / "b")
        (tmp_path / "file").write_text("mine")
        for replace in (False, True):
            with pytest.raises(StorePathError, match="is a file"):
                restore(tmp_path / "b", path=tmp_path / "file", replace=replace)
        volume = tmp_path / "volume"
        volume.mkdir()
        mounted("-t", "tmpfs", "none", volume)
        try:
            for replace in (False, True):
                with pytest.raises(StorePathError, match=f"give path= a folder in it, such as {volume}/restored"):
                    restore(tmp_path / "b", path=volume, replace=replace)
            assert not list(volume.iterdir())
            restore(tmp_path / "b", path=volume / "restored")
        finally:
            subprocess.run(["umount", volume], check=True)

    def test_others_write_meanwhile(self, tmp_path: Path) -> None:
        """Each backup has what was saved before it began, and nothing by halves."""
        with open_store(path=tmp_path / "s", embedder=None) as store:
            mine = store.scoped(user_id="john")
            saved: list[int] = []
            stop = threading.Event()

            def save() -> None:
                while not stop.is_set():
                    number = len(saved)
                    mine.put([MemoryEntry(f"{number}-{part}", f"fact {number} {part}") for part in "ab"])
                    saved.append(number)

            writer = threading.Thread(target=save)
            writer.start()
            try:
                for number in range(4):
                    least = len(saved)
                    made = back_up(store, tmp_path / f"b{number}")
                    assert 2 * least <= made.entries <= 2 * (len(saved) + 1)
                    assert made.entries % 2 == 0
            finally:
                stop.set()
                writer.join()
        with open_store(path=tmp_path / "b3" / STORE, embedder=None) as copy:
            assert copy.scoped(user_id="john").count() == made.entries

    def test_there_is_a_store(self, tmp_path: Path) -> None:
        with open_store(path=tmp_path / "s", embedder=None) as store:
            fill(store)
            back_up(store, tmp_path / "b")
            store.scoped(user_id="john").reset()
            with pytest.raises(StoreInUseError):
                restore(tmp_path / "b", replace=True, path=tmp_path / "s")
            assert texts(store) == {f"jane's fact {n}" for n in range(50)}
        with pytest.raises(ConfigurationError, match=r"path: .* is there already"):
            restore(tmp_path / "b", path=tmp_path / "s")
        restore(tmp_path / "b", replace=True, path=tmp_path / "s")
        with open_store(path=tmp_path / "s", embedder=None) as store:
            assert survey(store).entries == 100
        with open_store(path=tmp_path / "s.replaced-1", embedder=None) as store:
            assert survey(store).entries == 50
        assert sorted(each.name for each in tmp_path.iterdir()) == ["b", "s", "s.replaced-1"]

    def test_a_damaged_backup_replaces_nothing(self, tmp_path: Path) -> None:
        with open_store(path=tmp_path / "s", embedder=None) as store:
            fill(store)
            back_up(store, tmp_path / "b")
        [page] = [file for file in (tmp_path / "b").rglob("page_0.dat") if "payload_storage" in str(file)]
        content = page.read_bytes()
        page.write_bytes(b"\0" * len(content))
        with pytest.raises(StoreCorruptedError):
            restore(tmp_path / "b", replace=True, path=tmp_path / "s")
        with open_store(path=tmp_path / "s", embedder=None) as store:
            assert survey(store).entries == 100
        assert sorted(each.name for each in tmp_path.iterdir()) == ["b", "s"]

    def test_no_folder_by_halves(self, tmp_path: Path) -> None:
        """The folder appears with everything in it: a process that is killed leaves none by that name."""
        program = (
            "import sys\n"
            "from crewai_persistent_memory import open_store\n"
            "from crewai_persistent_memory.admin import back_up\n"
            "import crewai_persistent_memory.backends.qdrant.embedded.engine as engine\n"
            "copy = engine.copy_store\n"
            "def slow(store, to):\n"
            "    copy(store, to)\n"
            "    print('copied', flush=True)\n"
            "    sys.stdin.readline()\n"
            "engine.copy_store = slow\n"
            "with open_store(path=sys.argv[1], embedder=None) as store:\n"
            "    back_up(store, sys.argv[2])\n"
        )
        with open_store(path=tmp_path / "s", embedder=None) as store:
            fill(store)
        child = Commanded([sys.executable, "-c", program, str(tmp_path / "s"), str(tmp_path / "b")])
        assert child.line() == "copied"
        os.kill(child.pid, signal.SIGKILL)
        assert child.close().returncode == -signal.SIGKILL
        assert not (tmp_path / "b").exists()
        with open_store(path=tmp_path / "s", embedder=None) as store:
            assert back_up(store, tmp_path / "b").entries == 100

    def test_what_is_wrong_is_named(self, tmp_path: Path) -> None:
        with open_store(path=tmp_path / "s", embedder=None) as store:
            fill(store, 1)
            back_up(store, tmp_path / "b")
            with pytest.raises(ConfigurationError, match=r"folder: .* is there already"):
                back_up(store, tmp_path / "b")
        with pytest.raises(ConfigurationError, match="is no backup"):
            restore(tmp_path / "s", path=tmp_path / "new")
        with pytest.raises(ConfigurationError, match="copy from path="):
            restore(tmp_path / "b", url="http://127.0.0.1:1")
        manifest = tmp_path / "b" / "backup.json"
        values = json.loads(manifest.read_text())
        for text, told in (("{", "cannot be read"), (json.dumps({**values, "format": 9}), "newer version")):
            manifest.write_text(text)
            with pytest.raises(ConfigurationError, match=told):
                restore(tmp_path / "b", path=tmp_path / "new")
        assert not (tmp_path / "new").exists()

    def test_a_full_disk(self, tmp_path: Path) -> None:
        with open_store(path=tmp_path / "store", embedder=None) as store:
            fill(store)
            back_up(store, tmp_path / "whole")
            volume = tmp_path / "volume"
            volume.mkdir()
            mounted("-t", "tmpfs", "-o", "size=1m", "none", volume)
            try:
                with pytest.raises(StoreFullError, match="nothing was made"):
                    back_up(store, volume / "b")
                with pytest.raises(StoreFullError, match="nothing was made"):
                    restore(tmp_path / "whole", path=volume / "store")
                assert list(volume.iterdir()) == []
            finally:
                subprocess.run(["umount", volume], check=True)


def backed_up(server: QdrantServer, collection: str, folder: Path) -> None:
    """A collection with a hundred entries, and its backup."""
    with open_store(url=server.url, collection=collection, embedder=None, durability="store") as store:
        fill(store)
        back_up(store, folder)


class TestServer:
    def test_it_comes_back_as_it_was(self, server: QdrantServer, collection: str, tmp_path: Path) -> None:
        at = {"url": server.url, "embedder": None, "durability": "store"}
        with open_store(collection=collection, **at) as store:
            fill(store)
            made = back_up(store, tmp_path / "b")
            assert (made.entries, made.collection) == (100, collection)
            before = texts(store)
            store.scoped(user_id="john").reset()
        with pytest.raises(ConfigurationError, match=r"collection: .* is there already"):
            restore(tmp_path / "b", url=server.url, collection=collection)
        restore(tmp_path / "b", replace=True, url=server.url, collection=collection)
        restore(tmp_path / "b", url=server.url, collection=f"{collection}-2")
        for name in (collection, f"{collection}-2"):
            with open_store(collection=name, **at) as store:
                assert texts(store) == before
        with server.admin() as admin:  # nothing is left on the server
            assert admin.get(f"/collections/{collection}/snapshots").json()["result"] == []
            admin.delete(f"/collections/{collection}-2").raise_for_status()
        snapshot = tmp_path / "b" / "collection.snapshot"
        snapshot.write_bytes(snapshot.read_bytes()[:-1])
        with pytest.raises(StoreCorruptedError, match="nothing was restored"):
            restore(tmp_path / "b", replace=True, url=server.url, collection=collection)
        with pytest.raises(ConfigurationError, match="backup of a server"):
            restore(tmp_path / "b", path=tmp_path / "new")

    def test_an_alias_of_a_collection(self, server: QdrantServer, collection: str, tmp_path: Path) -> None:
        at = {"url": server.url, "embedder": None, "durability": "store"}
        with open_store(collection=collection, **at) as store:
            fill(store)
            back_up(store, tmp_path / "b")
            store.scoped(user_id="john").add("said after the backup")
        alias = {"collection_name": collection, "alias_name": f"{collection}-alias"}
        with server.admin() as admin:
            admin.post("/collections/aliases", json={"actions": [{"create_alias": alias}]}).raise_for_status()
            restore(tmp_path / "b", replace=True, url=server.url, collection=alias["alias_name"])
            assert admin.get(f"/collections/{collection}/snapshots").json()["result"] == []
        assert survey_of(server, collection) == 100

    def test_nothing_stays_of_a_restore_that_failed(
        self, server: QdrantServer, collection: str, tmp_path: Path
    ) -> None:
        backed_up(server, collection, tmp_path / "b")
        snapshot, manifest = tmp_path / "b" / "collection.snapshot", tmp_path / "b" / "backup.json"
        snapshot.write_bytes(snapshot.read_bytes()[: snapshot.stat().st_size // 2])
        values = {**json.loads(manifest.read_text()), "sha256": hashlib.sha256(snapshot.read_bytes()).hexdigest()}
        manifest.write_text(json.dumps(values))
        with pytest.raises(StoreError, match="a restore"):
            restore(tmp_path / "b", replace=True, url=server.url, collection=collection)
        with server.admin() as admin:
            assert admin.get(f"/collections/{collection}/snapshots").json()["result"] == []
        assert survey_of(server, collection) == 100

    def test_what_a_killed_restore_left_goes_with_the_next(
        self, server: QdrantServer, collection: str, tmp_path: Path
    ) -> None:
        backed_up(server, collection, tmp_path / "b")
        snapshots = f"/collections/{collection}/snapshots"
        left = {"snapshot": ("crewai-memory-restore-0.snapshot", (tmp_path / "b" / "collection.snapshot").read_bytes())}
        with server.admin() as admin:
            admin.post(f"{snapshots}/upload?wait=true", files=left).raise_for_status()
            own = admin.post(snapshots).json()["result"]["name"]
            assert len(admin.get(snapshots).json()["result"]) == 2
            restore(tmp_path / "b", replace=True, url=server.url, collection=collection)
            assert [each["name"] for each in admin.get(snapshots).json()["result"]] == [own]

    def test_there_is_no_collection(self, server: QdrantServer, collection: str, tmp_path: Path) -> None:
        at = {"url": server.url, "embedder": None, "durability": "store", "retry_for": 0}
        with open_store(collection=collection, **at) as store:
            fill(store, 1)
            with server.admin() as admin:
                admin.delete(f"/collections/{collection}").raise_for_status()
            with pytest.raises(StoreError, match="there is no collection"):
                back_up(store, tmp_path / "b")
        assert list(tmp_path.iterdir()) == []


def test_mem0_cannot(tmp_path: Path) -> None:
    with Mem0Platform() as platform:
        mem0 = {"api_key": DEFAULT_KEY, "host": platform.url}
        store = open_store(mem0=mem0, user_id="john", durability="store")
        with store, pytest.raises(ConfigurationError, match="export"):
            back_up(store, tmp_path / "b")
