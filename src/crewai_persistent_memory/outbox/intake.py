"""How a write gets into the queue."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from .. import expiry
from ..entry_filter import EntryFilter
from ..errors import StoreFullError
from ..store import operations as op
from ..validation import utcnow
from .callers import this_process
from .database import Database
from .erasure import after_all_of, note_clock, replaced_by, take_out
from .records import lane_of
from .room import Room
from .serialised import Writing, kind_of, scope_to_text, to_text

MOST_WRITES: Final = 1_000_000
"""Writes that are accepted at most, whatever their size."""

_INSERT: Final = "INSERT INTO writes (lane, scope, kind, body, size, client_id, accepted_at, waits)"


class Intake:
    """Where writes are accepted."""

    def __init__(self, database: Database, most_bytes: int, held: Callable[[], int]) -> None:
        """
        Args:
            database: of the queue.
            most_bytes: a write that would make the queue larger is refused.
            held: tells the bytes that the queue holds.
        """
        self._database = database
        self._most_bytes = most_bytes
        self._room = Room(database, most_bytes, held)
        self.after_fork()

    def after_fork(self) -> None:
        """Take names for writes that no other process has."""
        # Not one generator of both: two threads in it at once are an error.
        self._first, self._numbers = uuid.uuid4().hex, itertools.count()

    def accept(self, operation: Writing, *, waits: bool = False) -> int:
        """See :meth:`.queue.Queue.accept`."""
        body, now = to_text(operation), utcnow()
        size = len(body.encode())
        if not isinstance(operation, op.Delete):
            self._room.require(size)
        if isinstance(operation, op.Put) and all(entry.created_at <= now for entry in operation.entries):
            seq = self._accept_alone(operation, body, size, now, waits=waits)
            if seq is not None:
                return seq
        with self._database.writing() as connection:
            return self._accept(connection, operation, body, size, now, waits=waits)

    def _accept_alone(self, operation: op.Put, body: str, size: int, now: datetime, *, waits: bool) -> int | None:
        """:meth:`accept` in one statement: for each, another thread may get the interpreter, and keep it for 5 ms.

        Returns:
            ``None``: nothing was accepted. The queue is full, or has dead letters to look at.
        """
        return self._database.add_row(
            f"{_INSERT} SELECT ?, ?, ?, ?, ?, ?, ?, ? FROM totals "
            "WHERE dead = 0 AND writes < ? AND bytes + CAST(? AS INTEGER) <= ?",
            (*self._row(operation, body, size, now, waits=waits), MOST_WRITES, size, self._most_bytes),
        )

    def _accept(self, connection: Any, operation: Writing, body: str, size: int, now: datetime, *, waits: bool) -> int:
        lane = lane_of(operation.scope)
        [(writes, dead, total)] = connection.execute("SELECT writes + dead, dead, bytes FROM totals").fetchall()
        if isinstance(operation, op.Delete):
            now = after_all_of(connection, lane, now)
        elif writes >= MOST_WRITES or total + size > self._most_bytes:
            raise StoreFullError(
                f"the outbox at {self._database.folder} is full: it holds {writes} writes ({total >> 20} MiB of "
                f"{self._most_bytes >> 20}) that the store has not taken. This write was not accepted. Look at "
                "crewai-memory outbox status, or give more outbox_max_mb"
            )
        if isinstance(operation, (op.Put, op.Replace)):
            entries = operation.entries if isinstance(operation, op.Put) else [operation.entry]
            note_clock(connection, lane, max(now, *(entry.created_at for entry in entries)))
        if isinstance(operation, (op.Update, op.Replace)):
            now = expiry.now().replace(tzinfo=None)  # it concerns what has not expired then
        seq = self.insert(connection, operation, body, size, now, waits=waits)
        if dead and (ids := replaced_by(operation)):
            # An older text is not to be put back over this one.
            older = op.Delete(operation.scope, EntryFilter(ids=ids))
            take_out(connection, lane, older, seq, waiting=False)
        return seq

    def insert(
        self, connection: Any, operation: Writing, body: str, size: int, now: datetime, *, waits: bool = False
    ) -> int:
        """Insert a write of ``size`` bytes in the transaction that is open. Returns its number."""
        row = self._row(operation, body, size, now, waits=waits)
        return int(connection.execute(f"{_INSERT} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row).lastrowid or 0)

    def _row(self, operation: Writing, body: str, size: int, now: datetime, *, waits: bool) -> tuple[Any, ...]:
        return (
            lane_of(operation.scope),
            scope_to_text(operation.scope),
            kind_of(operation),
            body,
            size,
            f"{self._first}-{next(self._numbers):x}",
            now.isoformat(timespec="microseconds"),
            this_process() if waits else 0,
        )
