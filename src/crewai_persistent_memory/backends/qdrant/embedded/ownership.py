"""Whether this process may still use an open shard."""

from __future__ import annotations

import os
from pathlib import Path

from ....errors import StoreClosedError


class Ownership:
    """Of a shard that a process has opened. It ends when the shard is closed, and no child of the process has it.

    Args:
        path: the folder of the store.

    Attributes:
        process: the id of the process that has opened it.
        is_closed: whether the shard is closed.
    """

    __slots__ = ("_path", "is_closed", "process")

    def __init__(self, path: Path) -> None:
        self._path = path
        self.process = os.getpid()
        self.is_closed = False

    @property
    def has_ended(self) -> bool:
        return self.is_closed or self.process != os.getpid()

    def require(self) -> None:
        """
        Raises:
            StoreClosedError: it is closed, or was opened before a ``fork``.
        """
        if self.process != os.getpid():
            raise StoreClosedError(
                f"the memory store at {self._path} was opened before this process was forked: open it after the fork, "
                "in one process only, or use a Qdrant server (QDRANT_URL or url=)"
            )
        if self.is_closed:
            raise StoreClosedError(f"the memory store at {self._path} is closed: open it again")
