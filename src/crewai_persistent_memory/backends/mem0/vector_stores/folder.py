"""A local vector store's folder: made for its owner only, and of one process at a time.

Seen with two processes on one folder: with FAISS each loses what the other one stores, without an error; with Chroma a
search fails ("Error finding id").
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import portalocker

from ....errors import StoreInUseError, StorePathError
from ....io.private_files import FOLDER_MODE, open_private
from ....io.shared import Shared

LOCK_NAME: Final = ".crewai-memory.lock"


class FolderLock:
    """A lock on a folder, held by this process. It is released when the process ends."""

    def __init__(self, provider: str, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            self._file = os.fdopen(open_private(path / LOCK_NAME, os.O_RDWR | os.O_CREAT), "r+b")
        except (OSError, StorePathError) as error:
            raise StorePathError(
                f"the vector store {provider!r} cannot be at {path}: {error}. Set path of vector_store to a folder "
                "that this user can write"
            ) from error
        try:
            portalocker.lock(self._file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
        except portalocker.LockException as error:
            self._file.close()
            raise StoreInUseError(
                f"the folder {path} of the vector store {provider!r} is open in another process, and takes one at a "
                f"time: close the other one, or use a server ({_SERVERS[provider]})"
            ) from error

    def close(self) -> None:
        portalocker.unlock(self._file)
        self._file.close()


_SERVERS: Final = {
    "chroma": 'chroma with "host" and "port", qdrant, or pgvector',
    "faiss": "qdrant, chroma, or pgvector",
}

FOLDERS: Final[Shared[Path, FolderLock]] = Shared(FolderLock.close, exclusive=True)
"""By the real path. Two configurations in one process share Chroma's folder, as Chroma itself does; FAISS's they do
not, because each would keep its own copy."""


def claim(provider: str, path: str) -> FolderLock:
    """Lock a folder for this process; :func:`release` gives it back.

    Raises:
        StoreInUseError: another process has it, or, with FAISS, another configuration in this process.
        StorePathError: it cannot be there.
    """
    real = Path(os.path.realpath(path))

    def join(lock: FolderLock) -> None:
        if provider == "faiss":
            raise StoreInUseError(
                f"the folder {path} of the vector store 'faiss' is open in this process with another configuration, "
                "which would not see what this one stores: use one configuration"
            )

    return FOLDERS.acquire(real, lambda: FolderLock(provider, real), join)


def release(lock: FolderLock) -> None:
    FOLDERS.release(lock.path, lock)
