"""When the writes of the embedded engine reach the disk.

The engine's own ``flush()`` keeps the interpreter's lock while it waits for the disk (84 to 467 ms, qdrant-edge-py
0.9), so it is called when the store is closed and when the log has grown long, never for a single write. What makes
a write durable is ``os.fsync`` of the engine's write-ahead log, which releases the lock: after a power cut the
engine replays its log from the last flush.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from ....errors import EngineError, PersistentMemoryError

Fsync = Literal["always", "interval", "close"]
STRICTEST_FIRST: Final[tuple[Fsync, ...]] = ("always", "interval", "close")

SYNC_INTERVAL: Final = 0.5
"""Seconds between a write and its way to the disk, for ``fsync="interval"``; below the second that is promised."""

LONG_LOG: Final = 3
"""Full files of the log (32 MiB each) from which on the engine is flushed, so that it lets go of them. They are
replayed when a store is opened that was not closed, some seconds for each."""

_CAN_SYNC: Final = os.name == "posix"
"""Elsewhere what the engine wrote through memory maps is not synced by ``fsync``: the engine must do it."""

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger("crewai_persistent_memory")


class EdgeDisk:
    """Brings one open shard's writes to the disk, by one of the three policies.

    Args:
        shard: the engine's folder.
        ledger: a file of ours that is brought to the disk with the engine's log.
        policy: ``"always"``: before a write returns; ``"interval"``: within a second; ``"close"``: at close.
        flush: calls the engine's flush, with all writes waiting.
    """

    def __init__(self, shard: Path, ledger: Path, policy: Fsync, flush: Callable[[], None]) -> None:
        self.policy = policy
        self.error: Exception | None = None
        self._shard = shard
        self._flush = flush
        self._ledger = ledger
        self._log = _Log(shard / "wal")
        # One fsync at a time: a writer that waited may find its own write synced by the previous fsync.
        self._syncing = threading.Lock()
        self._written = self._synced = 0
        self._dirty = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def refuse_after_failure(self) -> None:
        """Raise, once, if an earlier write could not be brought to the disk.

        Raises:
            EngineError: it could not.
        """
        if self.error is not None:
            error, self.error = self.error, None
            raise EngineError(
                f"an earlier write to {self._shard.parent} could not be flushed to disk ({error}): this write was "
                "refused; check the disk, then try again"
            ) from error

    def noted(self) -> int:
        """Note a write, while other writes wait; the answer is for :meth:`keep`."""
        self._written += 1
        return self._written

    def keep(self, write: int) -> None:
        """Do what the policy promises for this write. Called with no lock held: other writes go on meanwhile.

        Raises:
            EngineError: the disk refused; the write is in the store, but a power cut may undo it.
        """
        if self.policy == "close":
            return
        if self.policy == "always":
            try:
                self._sync(write)
            except OSError as error:
                raise EngineError(
                    f"the write to {self._shard.parent} is stored, but could not be flushed to disk ({error}): a power "
                    "cut may undo it; check the disk, then write it again"
                ) from error
        if not self._dirty.is_set():
            self._dirty.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._in_background, name="memory-fsync", daemon=True)
            self._thread.start()

    def flush_engine(self) -> None:
        """Bring everything to the disk and let the engine shorten its log.

        The files are synced from here first: what is left for the engine, which keeps the interpreter's lock, is
        little then.
        """
        sync_tree(self._shard)
        self._flush()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While the shard's files are exchanged. The new ones are on the disk, with all that was written."""
        with self._syncing:
            yield
            self._log = _Log(self._shard / "wal")
            self._synced = self._written

    def stop(self) -> None:
        """End the background thread; what is not on the disk yet is the caller's to flush."""
        self._stop.set()
        self._dirty.set()

    def join(self) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _sync(self, write: int) -> None:
        if not _CAN_SYNC:
            self._flush()
            return
        with self._syncing:
            if self._synced < write:
                write = self._written
                _fsync(self._ledger)
                self._log.sync()
                self._synced = write

    def _in_background(self) -> None:
        while True:
            self._dirty.wait()
            self._stop.wait(SYNC_INTERVAL)
            if self._stop.is_set():
                return
            self._dirty.clear()
            try:
                self._sync(self._written)
                if self._log.full_files() >= LONG_LOG:
                    self.flush_engine()
            except (OSError, PersistentMemoryError) as error:
                if self._stop.is_set():
                    return
                # Nobody waits for this thread: say it now, and refuse the next write.
                logger.error("flushing %s to disk failed: %s", self._shard.parent, error)
                self.error = error


class _Log:
    """The files of the engine's write-ahead log: ``open-N``, and ``closed-N``, which they are renamed to when full."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: set[str] = set()

    def sync(self) -> None:
        while True:
            names = set(os.listdir(self._folder))
            # A file without a change costs some microseconds.
            found = [_fsync(os.path.join(self._folder, name)) for name in names]
            if all(found):
                break
            # One was renamed meanwhile: under its new name it has what is to be synced.
        if names != self._names:
            _fsync(self._folder)
            self._names = names

    def full_files(self) -> int:
        return sum(name.startswith("closed-") for name in os.listdir(self._folder))


def sync_tree(folder: Path) -> None:
    """Bring a folder with all that is in it to the disk, as far as this is possible from outside of the engine."""
    if _CAN_SYNC:
        for inner, _, names in os.walk(folder):
            for name in names:
                _fsync(os.path.join(inner, name))
            _fsync(inner)


def _fsync(path: str | os.PathLike[str]) -> bool:
    """Bring a file or a folder to the disk; ``False`` if it is not there (any more)."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        if sys.platform == "darwin":
            # fsync leaves it in the drive's own memory there.
            fcntl.fcntl(file, fcntl.F_FULLFSYNC)
        else:
            os.fsync(file)
    finally:
        os.close(file)
    return True
