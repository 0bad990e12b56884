"""The folder of an embedded store: what is in it, who owns it, and whether it is one of ours.

| file | holds |
| --- | --- |
| ``store.json`` | the :class:`Descriptor`; written before the first entry can be accepted |
| ``store.lock`` | locked for as long as a process has the store open; holds that process's id |
| ``shard/`` | the engine's files |
| ``shard.new/``, ``shard.old/`` | there while the shard is made anew, see ``rebuild`` |
| ``store.ledger`` | which entries there must be, see ``ledger`` |
| ``store.seal``, ``store.spare`` | checksums and spare copies of a closed store's files, see ``checksums`` |
| ``store.lost``, ``damaged-N/`` | what damage has cost, and the damaged files, see ``salvage`` |
| ``store.vectors`` | vectors of a new embedder, while it is changed, see ``new_vectors`` |
| ``shard.next/`` | a shard with them, while it is made, see ``exchange`` |
| ``store.exchange`` | there while a new shard takes the old one's place with another descriptor, see ``exchange`` |
| ``long-texts`` | empty; there if a long text was ever written |

Only the owner has access (0700, 0600), independent of the umask. Wider modes of an earlier version are tightened.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from pathlib import Path
from typing import IO, Final

import portalocker

from ....errors import StoreCorruptedError, StoreFullError, StoreInUseError, StorePathError
from ....io.private_files import FOLDER_MODE, check_owner, make_private, open_private, sync_folder
from ..manifest import Descriptor

WRITE_RESERVE: Final = 32 * 1024 * 1024
"""Bytes that must stay free on the disk for a write to be accepted. The engine writes through memory maps of
sparse files, and a full disk kills the process with SIGBUS there (seen with qdrant-edge-py 0.9), so a write
that might not fit is refused before it reaches the engine. (Not enough on a tmpfs, where reading a sparse file
allocates too: opening a store there can take more than this.)"""

DELETE_RESERVE: Final = 8 * 1024 * 1024
"""The same for deletes and small updates, lower so that they still work when writes no longer do."""


NEW_VECTORS: Final = "store.vectors"
NEXT_SHARD: Final = "shard.next"
EXCHANGE: Final = "store.exchange"

PARTS: Final = (
    "store.json",
    "store.json.new",
    "store.lock",
    "shard",
    "shard.new",
    "shard.old",
    "shard.mend",
    "long-texts",
    NEXT_SHARD,
    NEW_VECTORS,
    f"{NEW_VECTORS}-journal",
    EXCHANGE,
    f"{EXCHANGE}.new",
    *(f"store.{kind}{new}" for kind in ("ledger", "seal", "spare", "lost") for new in ("", ".new")),
)
"""Names in a folder of ours; one without a descriptor is ours only if there is nothing else in it."""


class StoreDirectory:
    """An embedded store's folder, locked by this process until :meth:`release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shard = path / "shard"
        self.new_shard = path / "shard.new"
        self.old_shard = path / "shard.old"
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
            self.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            check_owner(self.path)
            foreign = sorted(set(os.listdir(self.path)) - set(PARTS))
            if foreign and not self._descriptor_file.exists():
                raise StorePathError(
                    f"{self.path} is not a memory store and not empty (it holds {foreign[0]!r}): "
                    "give path= an empty or new folder"
                )
            make_private(self.path, self.path)
            self._lock = os.fdopen(open_private(self._lock_file, os.O_RDWR | os.O_CREAT), "r+", encoding="utf-8")
        except OSError as error:
            raise not_allowed(self.path, error.strerror or str(error)) from error
        try:
            portalocker.lock(self._lock, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
        except portalocker.LockException as error:
            owner = self._lock.read().strip()
            self._lock.close()
            self._lock = None
            # portalocker hands over the system's error as its first argument.
            reason = error.args[0] if error.args else None
            if isinstance(reason, OSError) and reason.errno not in (errno.EAGAIN, errno.EACCES):
                raise StorePathError(
                    f"no memory store can be opened at {self.path}: its file system cannot lock files "
                    f"({reason.strerror}). Give path= (or CREWAI_MEMORY_PATH) a folder on a local disk"
                ) from error
            raise in_use(self.path, owner) from error
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def make_private(self) -> None:
        """Take away what others may do with the engine's files, which it makes with the process's umask."""
        make_private(self.path, self.shard)

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
            StoreCorruptedError: unreadable.
            SchemaVersionError: from a newer version of this package.
        """
        try:
            with os.fdopen(open_private(self._descriptor_file, os.O_RDONLY), encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise not_allowed(self._descriptor_file, str(error.strerror)) from error
        except (OSError, UnicodeDecodeError) as error:
            raise StoreCorruptedError(f"{self._descriptor_file} cannot be read: {error}") from error
        try:
            data = json.loads(text)
        except ValueError as error:
            raise StoreCorruptedError(
                f"{self._descriptor_file} is not valid JSON: restore it from a backup, or move {self.path} away"
            ) from error
        return Descriptor.from_json(data, str(self._descriptor_file))

    def require_parts(self) -> None:
        """Refuse an engine folder without these: it opens as an empty store, and loss would look like forgetting.

        Raises:
            StoreCorruptedError: one is missing.
        """
        for part in ("segments", "wal", "edge_config.json"):
            if not (self.shard / part).exists():
                raise StoreCorruptedError(
                    f"the memory store at {self.path} is damaged: shard/{part} is missing. Restore the folder from a "
                    "backup, or move it away to start with an empty one"
                )

    def write_descriptor(self, descriptor: Descriptor) -> None:
        """Replace the descriptor, atomically and durably."""
        self.write("store.json", json.dumps(descriptor.to_json(), indent=1).encode())

    def write(self, name: str, content: bytes) -> None:
        """Replace a file of the folder, atomically and durably.

        Raises:
            StorePathError: a link is in its place.
        """
        new = self.path / f"{name}.new"
        with contextlib.suppress(FileNotFoundError):
            new.unlink()  # of a write cut short, or planted: never written through
        with os.fdopen(open_private(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path / name)
        self.sync()

    def sync(self) -> None:
        """Make what was renamed, made and removed in the folder durable."""
        sync_folder(self.path)

    @property
    def has_long_texts(self) -> bool:
        """Whether a long text was ever written; see :meth:`note_long_texts`."""
        return self._long_texts_file.exists()

    def note_long_texts(self) -> None:
        """Note that a long text is written. Such stores are read entry by entry, for the interpreter's sake."""
        os.close(open_private(self._long_texts_file, os.O_WRONLY | os.O_CREAT))

    def next_damaged(self) -> Path:
        """Where damaged engine files are kept."""
        number = 1
        while (self.path / f"damaged-{number}").exists():
            number += 1
        return self.path / f"damaged-{number}"

    def remove_damaged(self) -> None:
        """Remove the damaged files that were kept, and the list of what they have cost."""
        for folder in self.path.glob("damaged-*"):
            shutil.rmtree(folder)
        with contextlib.suppress(FileNotFoundError):
            (self.path / "store.lost").unlink()

    def size(self) -> int:
        """Bytes that the engine's files take on the disk."""
        blocks = 0
        for folder, _, names in os.walk(self.shard):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    about = Path(folder, name).stat()
                    blocks += getattr(about, "st_blocks", -(-about.st_size // 512))
        return 512 * blocks

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


def not_allowed(path: Path, reason: str) -> StorePathError:
    """The error for a path that this process may not use."""
    return StorePathError(
        f"no memory store can be opened at {path}: {reason}. "
        "Give path= (or CREWAI_MEMORY_PATH) a folder this process may write to"
    )


def in_use(path: Path, owner: str = "") -> StoreInUseError:
    """The error for a path that another process has open."""
    who = f"process {owner}" if owner.isdigit() else "another process"
    return StoreInUseError(
        f"the memory store at {path} is open in {who}: one process at a time can use an embedded store. "
        "To share memory between processes, run a Qdrant server and set QDRANT_URL or pass url="
    )
