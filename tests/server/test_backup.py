"""The backup job of ``examples/deploy/kubernetes``: its own script, in its own environment, against real servers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from crewai_persistent_memory import MemoryStore, open_store

from ..support.deployment import backup_pod, container_of, pod_environment
from ..support.qdrant_server import QdrantServer, newest

KEY = "a-key-of-the-server"


@pytest.fixture(scope="module")
def qdrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantServer]:
    started = QdrantServer(newest(), tmp_path_factory.mktemp("backup") / "qdrant", key=KEY).start()
    yield started
    started.stop()


@pytest.fixture
def memories(qdrant: QdrantServer, collection: str) -> Iterator[str]:
    """The prefix of two collections: one of all projects, one of a project's own."""
    for text, store in both(qdrant, collection):
        store.add(text)
    yield collection
    with qdrant.admin() as admin:
        for name in ours(qdrant, collection):
            admin.delete(f"/collections/{name}").raise_for_status()


def both(qdrant: QdrantServer, prefix: str) -> Iterator[tuple[str, MemoryStore]]:
    """The two stores, one after the other, with the text of each."""
    for own, text in ((False, "of all projects"), (True, "of a project's own")):
        with open_store(
            url=qdrant.url,
            api_key=KEY,
            user_id="john",
            project_id="production",
            collection=prefix,
            collection_per_project=own,
        ) as store:
            yield text, store


def ours(qdrant: QdrantServer, prefix: str) -> list[str]:
    with qdrant.admin() as admin:
        found = [each["name"] for each in admin.get("/collections").json()["result"]["collections"]]
    return sorted(name for name in found if name.startswith(prefix))


def run_job(folder: Path, prefix: str, *nodes: str, **given: str) -> subprocess.CompletedProcess[str]:
    container = container_of(backup_pod())
    environment = pod_environment(container, {"qdrant-keys": KEY})
    assert environment["FOLDER"] == container["volumeMounts"][0]["mountPath"]
    environment.update(PATH=os.environ["PATH"], FOLDER=str(folder), COLLECTION=prefix, NODES=" ".join(nodes))
    environment.update(given)
    return subprocess.run(container["command"], env=environment, capture_output=True, text=True, timeout=120)


def saved(folder: Path) -> dict[str, list[str]]:
    return {path.name: sorted(each.name for each in path.rglob("*.snapshot")) for path in folder.iterdir()}


def test_every_collection_comes_back(qdrant: QdrantServer, memories: str, tmp_path: Path) -> None:
    done = run_job(tmp_path, memories, qdrant.url)
    assert done.returncode == 0, done.stderr
    names = ours(qdrant, memories)
    assert len(names) == 2
    assert {name: len(kept) for name, kept in saved(tmp_path).items()} == dict.fromkeys(names, 1)
    with qdrant.admin() as admin:
        for name in names:
            assert admin.get(f"/collections/{name}/snapshots").json()["result"] == [], "none is left on the server"
            admin.delete(f"/collections/{name}").raise_for_status()
            [snapshot] = (tmp_path / name).rglob("*.snapshot")
            # As the file's head says.
            where = f"{qdrant.url}/collections/{name}/snapshots/upload?priority=snapshot&wait=true"
            upload = ["curl", "-fsS", "-X", "POST", "-H", f"api-key: {KEY}", "-F", f"snapshot=@{snapshot}", where]
            assert subprocess.run(upload, capture_output=True, timeout=60).returncode == 0
    for text, store in both(qdrant, memories):
        assert [entry.content for entry in store.list()] == [text]


def test_the_newest_are_kept(qdrant: QdrantServer, memories: str, tmp_path: Path) -> None:
    """Two nights in place of seven. Older files stand for snapshots, which of one second share a name."""
    for name in ours(qdrant, memories):
        folder = tmp_path / name / "127.0.0.1"
        folder.mkdir(parents=True)
        for age in (1, 2, 3):
            old = folder / f"{age}.snapshot"
            old.touch()
            os.utime(old, (10**9 - age, 10**9 - age))
        (folder / "cut.snapshot.part").touch()
    done = run_job(tmp_path, memories, qdrant.url, KEEP="2")
    assert done.returncode == 0, done.stderr
    for name, kept in saved(tmp_path).items():
        assert [each for each in kept if not each.startswith(name)] == ["1.snapshot"], kept
        assert len(kept) == 2
    assert not list(tmp_path.rglob("*.part"))


def test_a_node_that_is_away_fails_the_job_and_no_other_node(
    qdrant: QdrantServer, memories: str, tmp_path: Path
) -> None:
    done = run_job(tmp_path, memories, "http://127.0.0.1:1", qdrant.url)
    assert done.returncode == 1
    assert "http://127.0.0.1:1" in done.stderr.splitlines()[-1]
    assert [len(kept) for kept in saved(tmp_path).values()] == [1, 1]


def test_what_is_not_whole_fails_the_job(qdrant: QdrantServer, memories: str, tmp_path: Path) -> None:
    assert run_job(tmp_path / "none", "no-such-collection", qdrant.url).returncode == 1
    assert run_job(tmp_path / "refused", memories, qdrant.url, KEY="another").returncode == 1
    # A download that is not what the server has made, though curl is content.
    tools = tmp_path / "tools"
    tools.mkdir()
    curl = tools / "curl"
    curl.write_text(
        '#!/bin/sh\nPATH=${PATH#*:}\ncurl "$@" || exit\n'
        'for each; do case $each in *.part) printf x >> "$each";; esac; done\n'
    )
    curl.chmod(0o755)
    folder = tmp_path / "damaged"
    done = run_job(folder, memories, qdrant.url, PATH=f"{tools}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "did NOT match" in done.stderr
    assert not list(folder.rglob("*.snapshot")), "nothing that looks like a backup"
