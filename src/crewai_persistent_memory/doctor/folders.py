"""The folders that data is kept in: which kind of disk they are on, whether they can be written, and how full it is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ..backends.qdrant.embedded.directory import WRITE_RESERVE
from ..errors import StorePathError
from ..io.private_files import check_owner
from .examined import Examined
from .findings import Findings, check, error, ok, warning
from .machine import IN_MEMORY, OF_A_CONTAINER, Machine, existing, is_folder, real

NEARLY_FULL: Final = 256 * 2**20
"""Free bytes below which a disk is nearly full."""


def folders_of(examined: Examined) -> Iterator[tuple[str, Path]]:
    """What is kept in folders of this machine, and where."""
    config = examined.config
    if config is None:
        return
    if examined.is_embedded:
        yield "the store", real(config.store_path)
    if config.has_outbox:
        yield "the outbox", real(config.outbox_folder)
    local = None if config.mem0 is None else config.mem0.local_mem0_config
    if local is not None:
        history = local.get("history_db_path") or Path(
            os.environ.get("MEM0_DIR") or Path.home() / ".mem0", "history.db"
        )
        if str(history) != ":memory:":
            yield "Mem0's history", real(Path(str(history))).parent
        vectors = local.get("vector_store")
        about = vectors.get("config") if isinstance(vectors, Mapping) else None
        if isinstance(about, Mapping) and isinstance(about.get("path"), str):
            yield "Mem0's vectors", real(Path(about["path"]))


@check("folders")
def folders_that_last(examined: Examined) -> Findings:
    """Whether each folder is still there, and can still be written, tomorrow and in another container."""
    for what, folder in folders_of(examined):
        findings = list(_of_one(what, folder, examined.machine))
        yield from findings
        if not findings:
            free, _ = examined.machine.free(existing(folder))
            mount = examined.machine.mount_of(folder)
            kind = "a file system of unknown kind" if mount is None else mount.kind
            yield ok(f"{what} is at {folder}, on {kind}, with {free >> 20:,} MiB free")


def _of_one(what: str, folder: Path, machine: Machine) -> Findings:
    if os.path.exists(folder) and not is_folder(folder):
        yield error(f"{what} is to be at {folder}, and that is a file", "Give another path, or move the file away")
        return
    yield from _lasting(what, folder, machine)
    there = existing(folder)
    mount = machine.mount_of(folder)
    if mount is not None and mount.read_only:
        yield error(
            f"{what} is at {folder}, on a disk that is mounted read-only", "Mount it for writing, or give another path"
        )
    elif not _may_write(there):
        yield error(
            f"{what} is at {folder}, where this process (user {_user()}) may not write",
            f"Give the folder to this user (chown -R {_user()} ...), or give another path",
        )
    else:
        try:
            check_owner(there)
        except StorePathError as failure:
            if there == folder:
                yield error(str(failure), "See the message")
    yield from _room(what, there, machine)


def _lasting(what: str, folder: Path, machine: Machine) -> Findings:
    mount = machine.mount_of(folder)
    temporary = machine.temporary_of(folder)
    if mount is not None and mount.kind in IN_MEMORY:
        yield warning(
            f"{what} is at {folder}, on {mount.kind}: it is in memory, and gone with the next restart",
            "Give a folder on a disk, in a container on a volume",
        )
    elif temporary is not None:
        yield warning(
            f"{what} is at {folder}, in {temporary}, which systems empty at a restart or after some days",
            "Give another folder: path= or CREWAI_MEMORY_PATH, outbox_path= or CREWAI_MEMORY_OUTBOX_PATH",
        )
    if mount is None:
        return
    if mount.kind in OF_A_CONTAINER:
        yield warning(
            f"{what} is at {folder}, in the container's own layer ({mount.kind}): it is gone with the container",
            f"Mount a volume there (-v memory:{folder}), or use a Qdrant server",
        )
    if mount.is_of_the_network:
        yield warning(
            f"{what} is at {folder}, on a network file system ({mount.kind}): its locks may not hold between machines",
            "Give a folder on a local disk, or use a Qdrant server",
        )


def _room(what: str, folder: Path, machine: Machine) -> Findings:
    free, total = machine.free(folder)
    if free < WRITE_RESERVE:
        yield error(
            f"the disk of {what} at {folder} is full: {free >> 20} MiB of {total >> 20} are free, and "
            f"writes are refused below {WRITE_RESERVE >> 20}",
            "Make room",
        )
    elif free < NEARLY_FULL:
        yield warning(
            f"the disk of {what} at {folder} is nearly full: {free >> 20} MiB of {total >> 20} are free", "Make room"
        )
    if hasattr(os, "statvfs"):
        nodes = os.statvfs(folder)
        if nodes.f_files and nodes.f_favail < 100:
            yield error(f"the disk of {what} at {folder} can hold no more files (inodes)", "Remove files there")


def _user() -> str:
    return str(os.geteuid()) if hasattr(os, "geteuid") else "of this process"


def _may_write(folder: Path) -> bool:
    effective = os.access in os.supports_effective_ids
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=effective)
