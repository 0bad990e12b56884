"""Folders that do not last, or cannot be written: real ones as far as this machine can have them."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import portalocker
import pytest

from crewai_persistent_memory import open_store
from crewai_persistent_memory.doctor.machine import Machine, Mount, existing, read_mounts

from ..support.mounts import mounted
from .conftest import A_DISK, Look

NOBODY = 65534


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where a test mounts something."""
    place = tmp_path / "place"
    place.mkdir()
    yield place
    subprocess.run(["umount", "-l", place], capture_output=True)


def test_temporary(look: Look) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        found = look(path=Path(folder) / "memory", machine=Machine.here()).of("folders", "warning")
    assert "in /tmp, which systems empty" in found or "it is in memory" in found


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs /dev/shm")
def test_in_memory(look: Look) -> None:
    folder = Path("/dev/shm") / f"doctor-{uuid.uuid4().hex}"
    assert "on tmpfs: it is in memory" in look(path=folder, machine=Machine.here()).of("folders", "warning")


def test_the_containers_own_layer(look: Look, tmp_path: Path, place: Path) -> None:
    """A real overlay where this machine can mount one; what a container shows, in any case."""
    table = ["overlay / overlay rw,lowerdir=/l 0 0", "/dev/sda1 /data ext4 rw 0 0"]
    container = Machine(read_mounts(table), [], A_DISK.free)
    found = look(path="/srv/memory", machine=container).of("folders", "warning")
    assert "in the container's own layer (overlay)" in found
    assert look(path="/data/memory", machine=container).of("folders", "warning") == ""
    for name in ("lower", "upper", "work"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    mounted("-t", "overlay", "-o", options, "overlay", place)
    assert "(overlay)" in look(path=place / "memory", machine=Machine.here()).of("folders", "warning")


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "fuse.s3fs", "9p"])
def test_on_the_network(look: Look, kind: str, tmp_path: Path) -> None:
    """The machine of a test has no such disk."""
    machine = Machine([*A_DISK.mounts, Mount(str(tmp_path), kind, False)], [], A_DISK.free)
    assert f"on a network file system ({kind})" in look(path=tmp_path / "memory", machine=machine).of(
        "folders", "warning"
    )


def test_mounted_read_only(look: Look, tmp_path: Path, place: Path) -> None:
    with open_store(path=tmp_path / "stores" / "mine", embedder=None, user_id="john") as store:
        store.add("John likes tea")
    mounted("--bind", tmp_path / "stores", place)
    mounted("-o", "remount,bind,ro", place)
    report = look(path=place / "mine", machine=Machine.here())
    assert "mounted read-only" in report.of("folders", "error")
    assert "no memory store can be opened" in report.of("store", "error")


def test_not_to_be_written_by_this_user(look: Look, tmp_path: Path) -> None:
    """Mode 0500. Root may write everywhere, so a test of root is somebody else meanwhile."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        folder.chmod(0o500)
        if os.geteuid() == 0:
            os.seteuid(NOBODY)
        try:
            report = look(path=folder / "memory")
        finally:
            if os.getuid() == 0:
                os.seteuid(0)
    finally:
        folder.rmdir()
    assert "may not write" in report.of("folders", "error")


def test_of_another_user(look: Look, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        os.chown(folder, NOBODY, NOBODY)
        assert f"belongs to another user (uid {NOBODY}" in look(path=folder).of("folders", "error")
    finally:
        folder.rmdir()


def test_a_full_disk(look: Look, place: Path) -> None:
    mounted("-t", "tmpfs", "-o", "size=16m", "tmpfs", place)
    assert "is full: 16 MiB of 16 are free" in look(path=place / "memory", machine=Machine.here()).of(
        "folders", "error"
    )


def test_a_nearly_full_disk(look: Look, place: Path) -> None:
    mounted("-t", "tmpfs", "-o", "size=128m", "tmpfs", place)
    assert "nearly full: 128 MiB" in look(path=place / "memory", machine=Machine.here()).of("folders", "warning")


def test_the_outbox_in_memory(look: Look) -> None:
    report = look(url="http://127.0.0.1:9", outbox_path="/dev/shm/doctors-outbox", machine=Machine.here())
    assert "the outbox is at /dev/shm/doctors-outbox, on tmpfs" in report.of("folders", "warning")


class TestTheMountTable:
    def test_blanks_and_a_later_mount(self) -> None:
        table = [
            "/dev/a / ext4 rw 0 0",
            r"/dev/b /my\040data xfs ro,relatime 0 0",
            r"t /my\040data tmpfs rw 0 0",
            "short",
        ]
        machine = Machine(read_mounts(table), [], A_DISK.free)
        assert machine.mount_of(Path("/my data/memory")) == Mount("/my data", "tmpfs", False)
        assert machine.mount_of(Path("/my")) == Mount("/", "ext4", False)

    def test_a_system_without_one(self, look: Look, tmp_path: Path) -> None:
        report = look(path=tmp_path / "memory", machine=Machine([], [], A_DISK.free))
        assert "on a file system of unknown kind" in report.of("folders", "ok")

    def test_the_nearest_folder_that_exists(self, tmp_path: Path) -> None:
        assert existing(tmp_path / "a" / "b") == tmp_path


def test_a_disk_without_locks(look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine of a test has no such disk: the lock fails as it fails there."""
    with open_store(path=tmp_path / "mine", embedder=None, user_id="john") as store:
        store.add("John likes tea")

    def no_locks(*args: object) -> None:
        raise portalocker.LockException(OSError(errno.ENOLCK, "No locks available"))

    monkeypatch.setattr(portalocker, "lock", no_locks)
    assert "its file system cannot lock files (No locks available)" in look(path=tmp_path / "mine").of("store", "error")


def test_in_a_folder_that_this_user_cannot_look_into(look: Look) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a folder of another user")
    hidden = Path(tempfile.mkdtemp(dir="/tmp"))
    (hidden / "memory").mkdir()
    os.seteuid(NOBODY)
    try:
        report = look(path=hidden / "memory")
    finally:
        os.seteuid(0)
        (hidden / "memory").rmdir()
        hidden.rmdir()
    assert "may not write" in report.of("folders", "error")
    assert report.of("store", "error")
