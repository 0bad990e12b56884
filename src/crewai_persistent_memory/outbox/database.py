"""The connection to a queue's file: SQLite in WAL mode, in a folder for its owner only. See ``tables``."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ..errors import (
    ConfigurationError,
    Outcome,
    SchemaVersionError,
    StoreBusyError,
    StoreClosedError,
    StoreCorruptedError,
    StoreError,
    StoreFullError,
    StorePathError,
)
from ..io.private_files import FOLDER_MODE, check_owner, identity_of, make_private, open_private, sync_folder
from .tables import VERSION, make_tables

FILE: Final = "queue.db"

logger = logging.getLogger("crewai_persistent_memory")

BUSY_FOR: Final = 10.0
"""Seconds to wait for another process's transaction. One takes a millisecond, or as long as the disk."""

LOOKS_EVERY: Final = 0.25
"""Seconds after which a reader looks for the file again by its name: somebody may have deleted it."""


class Database:
    """One connection to a queue's file, which the threads of a process share."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        """
        Args:
            folder: holds this queue alone; created if need be.
            durable: an accepted write is on the disk, and survives a loss of power. Without it, it survives the end of
                the process, and of the system after a second or so.

        Raises:
            ConfigurationError: the folder cannot hold a queue.
            StoreCorruptedError: its file is damaged.
            SchemaVersionError: a newer version of this package made it.
        """
        self.folder = folder
        self._durable = durable
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._is_closed = False
        _OPEN.add(self)
        self._file: tuple[int, int] | None = None
        """The device and number of the file that the connection has."""
        self._looked_at = 0.0
        try:
            self._connection = self._made()
        except (OSError, sqlite3.Error, StorePathError) as error:
            if isinstance(error, sqlite3.Error) and isinstance(damage := self._meant_by(error), StoreCorruptedError):
                raise damage from error
            raise ConfigurationError(
                f"outbox_path: no outbox can be kept at {folder.parent}: {getattr(error, 'strerror', None) or error}. "
                'Give outbox_path= a folder on a local disk that this process may write to, or durability="store"'
            ) from error

    def _made(self) -> sqlite3.Connection:
        folder = self.folder
        new = [each for each in (folder / FILE, folder, *folder.parents) if not each.exists()]
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        check_owner(folder)
        make_private(folder, folder)
        # SQLite gives its other files the mode of this one.
        os.close(open_private(folder / FILE, os.O_RDWR | os.O_CREAT))
        connection = self._open()
        if self._durable:
            # SQLite syncs the file, and not the names by which it is found again.
            for each in new:
                sync_folder(each.parent)
        return connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.folder / FILE, timeout=BUSY_FOR, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            connection.execute("PRAGMA secure_delete = ON")
            [mode] = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise sqlite3.OperationalError(f"its file system cannot share memory (journal mode {mode})")
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            [version] = connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise SchemaVersionError(
                    f"the outbox at {self.folder} was made by a newer version of this package: upgrade this process"
                )
            if version == 0:
                make_tables(connection)
            connection.execute("COMMIT")
            self._file = identity_of(self.folder / FILE)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes. It is committed at the end, and undone by an error.

        Raises:
            StoreError: the file cannot be written; see the subclasses.
        """
        with self._lock:
            try:
                connection = self._here(to_write=True)
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise self._meant_by(error) from error

    def add_row(self, statement: str, values: Any) -> int | None:
        """Run an ``INSERT`` in a transaction of its own. Returns the row's number; ``None``: its condition was not met.

        Raises:
            StoreError: as :meth:`writing`.
        """
        with self._lock:
            try:
                cursor = self._here(to_write=True).execute(statement, values)
                return cursor.lastrowid if cursor.rowcount > 0 else None
            except sqlite3.Error as error:
                raise self._meant_by(error) from error

    def read(self, query: str, values: Any = ()) -> list[Any]:
        """The rows of a query.

        Raises:
            StoreError: the file cannot be read.
        """
        with self._lock:
            try:
                return self._here().execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise self._meant_by(error) from error

    def truncate_log(self) -> None:
        """Write the log into the file, and empty it: a deleted text is gone from both then. A reader can prevent it."""
        self.read("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def before_fork(self) -> None:
        """SQLite keeps a file's locks for the whole process, and a child has none of them: so none may be open."""
        self._lock.acquire()
        try:
            self._disconnect()
        except sqlite3.Error:
            logger.exception("the outbox at %s could not be closed before a fork", self.folder)

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        self._lock = threading.RLock()

    def _here(self, *, to_write: bool = False) -> sqlite3.Connection:
        if self._is_closed:
            raise StoreClosedError(f"the outbox at {self.folder} is closed: open the store again")
        # Each call of the system lets another thread run, which may keep the caller for milliseconds.
        now = time.monotonic()
        if self._connection is not None and (to_write or now - self._looked_at > LOOKS_EVERY):
            self._looked_at = now
            self._require_its_name()
        if self._connection is None:
            try:
                self._connection = self._made()
            except OSError as error:
                raise StorePathError(
                    f"the outbox at {self.folder} cannot be made again: {error.strerror or error}"
                ) from error
        return self._connection

    def _require_its_name(self) -> None:
        """Let go of a file that was deleted: it takes writes that nobody would find."""
        if self._file != identity_of(self.folder / FILE):
            self._disconnect()
            logger.error(
                "the outbox at %s was deleted by another program, with what waited in it: a new one is made",
                self.folder,
            )

    def free(self) -> int:
        """Bytes that its disk has left."""
        with self._lock:
            self._here()
            return shutil.disk_usage(self.folder).free

    def _meant_by(self, error: sqlite3.Error) -> StoreError:
        text = str(error)
        if "full" in text:
            return StoreFullError(f"the disk of the outbox at {self.folder} is full: nothing was accepted. Make room")
        if "locked" in text or "busy" in text:
            return StoreBusyError(
                f"the outbox at {self.folder} is locked by another process for more than {BUSY_FOR:g} s",
                retryable=True,
            )
        if "readonly" in text or "unable to open" in text:
            return StorePathError(f"the outbox at {self.folder} cannot be written any more: {text}")
        # Without its tables, it was emptied.
        if "malformed" in text or "not a database" in text or "no such table" in text:
            return StoreCorruptedError(
                f"the outbox at {self.folder} is damaged ({text}): move {self.folder / FILE} away"
            )
        return StoreError(f"the outbox at {self.folder} failed: {text}", outcome=Outcome.NOT_DONE)


_OPEN: Final[weakref.WeakSet[Database]] = weakref.WeakSet()
_AT_FORK: Final[list[Database]] = []


def _before_fork() -> None:
    _AT_FORK[:] = list(_OPEN)
    for each in _AT_FORK:
        each.before_fork()


def _after_fork_in_parent() -> None:
    for each in _AT_FORK:
        each.after_fork_in_parent()


def _after_fork_in_child() -> None:
    for each in _AT_FORK:
        each.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
