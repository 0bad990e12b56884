"""The lock of a queue: the process that holds it delivers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import portalocker

from ..io.private_files import identity_of, open_private


class SenderLock:
    """A lock of the system, on a file in the queue's folder. The end of a process frees it, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "sender.lock"
        self._file: IO[bytes] | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process holds it."""
        return self._file is not None

    def take(self) -> bool:
        """Take the lock if it is free. Returns whether this process holds it."""
        if self._file is not None:
            if self._is_of(self._file):
                return True
            self.release()  # the queue's folder was deleted, and another process may have made it again
        try:
            file = os.fdopen(open_private(self._path, os.O_RDWR | os.O_CREAT), "r+b")
        except FileNotFoundError:
            return False  # the folder was deleted; who accepts or reads makes it again
        try:
            portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
        except portalocker.LockException:
            file.close()
            return False
        if not self._is_of(file):
            file.close()  # deleted meanwhile: the next attempt finds the new one
            return False
        self._file = file
        return True

    def _is_of(self, file: IO[bytes]) -> bool:
        """Whether the name still belongs to this file. A lock of another one keeps nobody from delivering."""
        return identity_of(self._path) == identity_of(file.fileno())

    def release(self) -> None:
        """Let another process take it."""
        file, self._file = self._file, None
        if file is not None:
            portalocker.unlock(file)
            file.close()

    def forget(self) -> None:
        """In a forked child: close the file without unlocking, because the lock is the parent's."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
