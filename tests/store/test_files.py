"""The files of an embedded store are for their owner only, and nobody else's files are touched or trusted."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import Any

import portalocker
import pytest

from crewai_persistent_memory import StoreCorruptedError, StorePathError, open_store

from ..support.programs import run_program
from .conftest import opened

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes, owners and links of POSIX")

NOBODY = 65534


def modes(path: Path) -> dict[str, str]:
    """What is not 0700 (folders) or 0600 (files)."""
    wrong = {}
    for folder, _, names in os.walk(path):
        for file in [Path(folder), *(Path(folder) / name for name in names)]:
            about = file.lstat()
            if stat.S_IMODE(about.st_mode) != (0o700 if stat.S_ISDIR(about.st_mode) else 0o600):
                wrong[str(file.relative_to(path))] = oct(about.st_mode)
    return wrong


@pytest.fixture(params=[0o022, 0o000])
def umask(request: pytest.FixtureRequest) -> Any:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_everything_is_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "store"
    with open_store(path=path, user_id="john", embedder=lambda texts: [[1.0, 0.0]] * len(texts)) as store:
        store.add("x")
        store.add("long " * 20_000)
    assert modes(path) == {}


def test_a_folder_of_an_earlier_version_is_tightened(path: Path) -> None:
    for folder, _, names in os.walk(path):
        Path(folder).chmod(0o755)
        for name in names:
            (Path(folder) / name).chmod(0o644)
    with open_store(path=path, user_id="john") as store:
        assert modes(path) == {}
        assert store.count() == 1


@pytest.mark.parametrize("name", ["store.lock", "store.json.new", "store.json", "long-texts", "shard"])
def test_a_planted_link_is_not_followed(path: Path, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    planted = path / name
    if planted.exists():
        planted.rename(tmp_path / "moved")
    planted.symlink_to(victim)
    with pytest.raises(StorePathError, match=rf"{name} is a symbolic link"):
        opened(path)
    assert victim.read_text() == "precious"


def test_a_link_planted_while_the_store_is_open_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    with open_store(path=tmp_path / "s", user_id="john", embedder=None) as store:
        (tmp_path / "s/store.json.new").symlink_to(victim)
        engine = store.backend.connection._engine  # type: ignore[attr-defined]
        engine._directory.write_descriptor(engine.descriptor)
        assert not (tmp_path / "s/store.json").is_symlink()
    assert victim.read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
class TestOwners:
    def test_a_folder_of_another_user_is_refused(self, path: Path) -> None:
        path.parent.chmod(0o777)  # anybody could have put it there, as in /tmp
        os.chown(path, NOBODY, NOBODY)
        with pytest.raises(StorePathError, match=rf"{path} belongs to another user \(uid {NOBODY}.*chown"):
            opened(path)

    def test_a_file_of_another_user_is_refused(self, path: Path) -> None:
        path.parent.chmod(0o777)
        os.chown(path / "store.lock", NOBODY, NOBODY)
        with pytest.raises(StorePathError, match=r"store\.lock belongs to another user"):
            opened(path)

    def test_root_takes_a_volume_of_another_user(self, path: Path) -> None:
        for folder, _, names in os.walk(path):
            for name in [folder, *(os.path.join(folder, name) for name in names)]:
                os.chown(name, NOBODY, NOBODY)
        assert opened(path) == ["kept"]

    def test_a_file_that_may_not_be_read_is_not_called_damaged(
        self, path: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        for folder, _, names in os.walk(path):
            for name in [folder, *(os.path.join(folder, name) for name in names)]:
                os.chown(name, NOBODY, NOBODY)
        for file in (path / "shard").glob("segments/*/segment.json"):
            os.chown(file, 0, 0)
            file.chmod(0o600)
        for folder in path.parents:
            if folder.is_relative_to(tmp_path_factory.getbasetemp()) or folder.name.startswith("crewai-memory-"):
                folder.chmod(0o755)
        code = (
            "import os, crewai_persistent_memory as m, crewai_persistent_memory.backends.qdrant.embedded.connection; "
            f"from crewai_persistent_memory import open_store, StorePathError; os.setgid({NOBODY}); "
            f"os.setuid({NOBODY}); "
            f"open_store(path={str(path)!r}, user_id='john')"
        )
        done = run_program([sys.executable, "-c", code])
        message = done.stderr.splitlines()[-1]
        assert "StorePathError" in message
        assert "ermission denied" in message
        assert "backup" not in message


def test_a_file_system_without_locks_is_not_called_in_use(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path / "store.lock").write_text("4711")

    def lock(*_: object) -> None:
        raise portalocker.LockException(OSError(errno.ENOLCK, "No locks available"))

    monkeypatch.setattr(portalocker, "lock", lock)
    with pytest.raises(StorePathError, match=r"cannot lock files \(No locks available\)"):
        opened(path)


def test_a_lock_file_that_was_removed_does_not_harm_the_owner(path: Path) -> None:
    code = f"import crewai_persistent_memory as m; m.open_store(path={str(path)!r}, user_id='jane')"
    with open_store(path=path, user_id="john") as store:
        (path / "store.lock").unlink()
        other = run_program([sys.executable, "-c", code])
        assert "StoreInUseError" in other.stderr.splitlines()[-1]
        store.add("more")
    assert sorted(opened(path)) == ["kept", "more"]


def test_a_damaged_file_is_still_called_damaged(path: Path) -> None:
    (path / "store.json").write_bytes(b"\xff")
    (path / "store.spare").unlink()
    with pytest.raises(StoreCorruptedError):
        opened(path)
