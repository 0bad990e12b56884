"""The folder of an embedded store: what is in it, who owns it, and whether it is one of ours.

| file | holds |
| --- | --- |
| ``store.json`` | the :class:`Descriptor`; written before the first entry can be accepted |
| ``store.lock`` | locked for as long as a process has the store open; holds that process's id |
| ``shard/`` | the engine's files |
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import IO, Final

import portalocker

from ...errors import StoreCorruptedError, StoreFullError, StoreInUseError, StorePathError
from .descriptor import Descriptor

WRITE_RESERVE: Final = 32 * 1024 * 1024
"""Bytes that must stay free on the disk for a write to be accepted. The engine writes through memory maps of
sparse files, and a full disk kills the process with SIGBUS there (seen with qdrant-edge-py 0.9), so a write
that might not fit is refused before it reaches the engine. (Not enough on a tmpfs, where reading a sparse file
allocates too: opening a store there can take more than this.)"""

DELETE_RESERVE: Final = 8 * 1024 * 1024
"""The same for deletes and small updates, lower so that they still work when writes no longer do."""


class StoreDirectory:
    """An embedded store's folder, locked by this process until :meth:`release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shard = path / "shard"
        self._descriptor_file = path / "store.json"
        self._lock_file = path / "store.lock"
        self._long_texts_file = path / "long-texts"
        self._lock: IO[str] | None = None

    def acquire(self) -> None:
        """Create the folder if need be, and take the lock.

        Raises:
            StorePathError: not a folder, not writable, or with files in it that are not ours.
            StoreInUseError: another process has it open.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            foreign = sorted(set(os.listdir(self.path)) - {"store.json", "store.json.new", "store.lock", "shard"})
            if foreign and not self._descriptor_file.exists():
                raise StorePathError(
                    f"{self.path} is not a memory store and not empty (it holds {foreign[0]!r}): "
                    "give path= an empty or new folder"
                )
            self._lock = open(self._lock_file, "a+", encoding="utf-8")  # noqa: SIM115 (held until release)
        except OSError as error:
            raise StorePathError(
                f"no memory store can be opened at {self.path}: {error.strerror or error}. "
                "Give path= (or CREWAI_MEMORY_PATH) a folder this process may write to"
            ) from error
        try:
            portalocker.lock(self._lock, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
        except portalocker.LockException as error:
            self._lock.seek(0)
            owner = self._lock.read().strip()
            self._lock.close()
            self._lock = None
            raise in_use(self.path, owner) from error
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            portalocker.unlock(self._lock)
            self._lock.close()
            self._lock = None

    def abandon_after_fork(self) -> None:
        """Close the inherited lock file without unlocking: the lock is the parent's."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def read_descriptor(self) -> Descriptor | None:
        """The store's descriptor, ``None`` where no store was completed yet.

        Raises:
            StoreCorruptedError: unreadable, or its engine files are gone.
            SchemaVersionError: from a newer version of this package.
        """
        try:
            text = self._descriptor_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StoreCorruptedError(f"{self._descriptor_file} cannot be read: {error}") from error
        try:
            data = json.loads(text)
        except ValueError as error:
            raise StoreCorruptedError(
                f"{self._descriptor_file} is not valid JSON: restore it from a backup, or move {self.path} away"
            ) from error
        descriptor = Descriptor.from_json(data, str(self._descriptor_file))
        # An engine folder without these opens as an empty store: loss would look like forgetting.
        for part in ("segments", "wal", "edge_config.json"):
            if not (self.shard / part).exists():
                raise StoreCorruptedError(
                    f"the memory store at {self.path} is damaged: shard/{part} is missing. Restore the folder from a "
                    "backup, or move it away to start with an empty one"
                )
        return descriptor

    def write_descriptor(self, descriptor: Descriptor) -> None:
        """Replace the descriptor, atomically and durably."""
        new = self.path / "store.json.new"
        with open(new, "w", encoding="utf-8") as file:
            json.dump(descriptor.to_json(), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self._descriptor_file)
        if os.name == "posix":
            folder = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    @property
    def has_long_texts(self) -> bool:
        """Whether a long text was ever written; see :meth:`note_long_texts`."""
        return self._long_texts_file.exists()

    def note_long_texts(self) -> None:
        """Note that a long text is written. Such stores are read entry by entry, for the interpreter's sake."""
        self._long_texts_file.touch()

    def require_space(self, size: int, reserve: int) -> None:
        """Refuse a write of about ``size`` bytes that might not fit.

        Raises:
            StoreFullError: less than ``size`` plus the reserve is free.
        """
        free = shutil.disk_usage(self.path).free
        if free < size + reserve:
            raise StoreFullError(
                f"the disk of {self.path} has {free >> 20} MiB left, {(size + reserve) >> 20} MiB are needed for this "
                "write: nothing of it was stored. Make room, or use another path"
            )


def in_use(path: Path, owner: str = "") -> StoreInUseError:
    """The error for a path that another process has open."""
    who = f"process {owner}" if owner.isdigit() else "another process"
    return StoreInUseError(
        f"the memory store at {path} is open in {who}: one process at a time can use an embedded store. "
        "To share memory between processes, run a Qdrant server and set QDRANT_URL or pass url="
    )
