"""The queue of accepted writes: what is accepted, delivered, refused, and erased."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ..errors import StoreUnavailableError
from ..filter_fields import FilterField
from ..redaction import redact
from ..store import operations as op
from ..validation import utcnow
from .answers import Answers
from .database import Database
from .earlier import take_over
from .erasure import note_clock, take_out, take_out_scopes
from .intake import Intake
from .records import Depth, Write, numbers_of
from .serialised import Writing, from_text, scope_of, to_text

_PARSED: Final = 10_000
"""Accepted writes whose operations are kept in memory, so that each read does not parse them again."""

_COLUMNS: Final = "seq, lane, scope, kind, body, size, client_id, accepted_at, attempts, doubt, tried_at, waits"


class Queue:
    """The accepted writes for one store, shared by the processes of a host."""

    def __init__(
        self,
        folder: Path,
        *,
        durable: bool = False,
        most_bytes: int = 256 * 2**20,
        about: Mapping[str, str] = {},
        earlier: Sequence[Path] = (),
    ) -> None:
        """
        Args:
            folder: see :class:`Database`.
            durable: see :class:`Database`.
            most_bytes: a write that would make the queue larger is refused.
            about: which store it belongs to, without keys.
            earlier: queues of the same store whose writes it takes over.

        Raises:
            ConfigurationError: the folder cannot hold a queue.
        """
        self._database = Database(folder, durable=durable)
        self.folder = folder
        self.answers = Answers(self._database)
        self._intake = Intake(self._database, most_bytes, lambda: self.depth().bytes)
        self._parsed: OrderedDict[int, tuple[str, Writing]] = OrderedDict()
        self.fields: dict[str, FilterField] = {}
        """The filter fields of the handles that are open, by their names."""
        with self._database.writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", list(about.items()))
            month_ago = (utcnow() - timedelta(days=30)).isoformat()
            connection.execute("DELETE FROM clocks WHERE latest < ?", (month_ago,))
        for each in earlier:
            take_over(each, self._database)
        self.answers.drop()

    def close(self) -> None:
        self._database.close()

    def after_fork(self) -> None:
        self._intake.after_fork()
        self._parsed.clear()

    # -- accepting -------------------------------------------------------------------------------------------------

    def accept(self, operation: Writing, *, waits: bool = False) -> int:
        """Keep a write. When this returns, it survives the end of the process. See :meth:`erase` for a delete.

        Returns:
            The write's number.

        Raises:
            StoreFullError: the queue is full, or the disk is. Nothing was accepted.
        """
        return self._intake.accept(operation, waits=waits)

    def erase(self, seq: int) -> tuple[int, int]:
        """Take what a waiting delete matches out of the writes and dead letters before it, and overwrite it.

        A delete that the store takes at once needs this not: the writes before it are delivered first. And one that it
        refuses has changed nothing then.

        Args:
            seq: the delete's number.

        Returns:
            How many entries were removed that were never sent, and how many in all.
        """
        with self._database.writing() as connection:
            found = connection.execute(f"SELECT {_COLUMNS} FROM writes WHERE seq = ?", (seq,)).fetchone()
            if found is None:
                return 0, 0  # delivered meanwhile
            write = self._write_of(found)
            if not isinstance(write.operation, op.Delete):
                return 0, 0
            taken = take_out(connection, write.lane, write.operation, seq)
            for each in taken.also:
                text = to_text(each)
                self._intake.insert(connection, each, text, len(text.encode()), write.accepted_at)
        if taken.erased:
            self._database.truncate_log()
        return taken.removed, taken.held

    def erase_scopes(self, fields: Mapping[str, str | None]) -> tuple[int, int, int]:
        """Remove the writes, dead letters and answers of all scopes with these fields, and overwrite them.

        Returns:
            How many writes and dead letters were removed, and how many writes stay: see ``take_out_scopes``.
        """
        with self._database.writing() as connection:
            counts = take_out_scopes(connection, fields)
            self.answers.erase(connection, fields)
        self._database.truncate_log()
        return counts

    def why_not_delivered(self, lane: str) -> str | None:
        """Why the oldest write of a lane waits, if the store does not answer; ``None``: it waits for anything else."""
        found = self._database.read("SELECT doubt, error FROM writes WHERE lane = ? ORDER BY seq LIMIT 1", (lane,))
        if not found:
            return None
        doubt, error = found[0]
        if error is not None and not str(error).startswith(StoreUnavailableError.__name__):
            return None
        return error or ("a write was sent, and is not answered" if doubt else None)

    def withdraw(self, seq: int) -> bool:
        """Take one write back. Returns whether it was still there, and not sent."""
        with self._database.writing() as connection:
            return bool(connection.execute("DELETE FROM writes WHERE seq = ? AND NOT doubt", (seq,)).rowcount)

    # -- delivering ------------------------------------------------------------------------------------------------

    def next_writes(self, limit: int, without: Collection[str] = ()) -> list[Write]:
        """The oldest writes, in order.

        Args:
            limit: at most so many.
            without: lanes that are left out.
        """
        marks = ", ".join("?" * len(without))
        where = f"WHERE lane NOT IN ({marks})" if without else ""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM writes {where} ORDER BY seq LIMIT ?", (*without, limit))
        return [self._write_of(row) for row in rows]

    def begin(self, writes: Sequence[Write]) -> bool:
        """Note that writes are sent now: if this process ends before it knows the result, it is in doubt.

        Returns:
            ``False`` if something was erased from them meanwhile: they have to be read again.
        """
        with self._database.writing() as connection:
            count, size = connection.execute(
                f"SELECT count(*), sum(size) FROM writes WHERE seq IN ({numbers_of(writes)})"
            ).fetchone()
            if count != len(writes) or size != sum(write.size for write in writes):
                return False
            connection.execute(
                "UPDATE writes SET attempts = attempts + 1, doubt = 1, tried_at = ? "
                f"WHERE seq IN ({numbers_of(writes)})",
                (time.time(),),
            )
        return True

    def done(self, writes: Sequence[Write], answer: Any = None) -> None:
        """The store has taken them. The answer is kept for a caller that waits. A delete takes dead letters, too."""
        erases = False
        with self._database.writing() as connection:
            self.answers.keep(connection, writes, {"answer": answer})
            latest: dict[str, datetime] = {}
            for write in writes:
                if isinstance(write.operation, op.Put):
                    latest[write.lane] = max(write.accepted_at, latest.get(write.lane, write.accepted_at))
            for lane, at in latest.items():
                note_clock(connection, lane, at)
            for write in writes:
                if isinstance(write.operation, op.Delete):
                    erases = True
                    take_out(connection, write.lane, write.operation, write.seq, waiting=False)
            connection.execute(f"DELETE FROM writes WHERE seq IN ({numbers_of(writes)})")
        self._forget(writes)
        if erases:
            self._database.truncate_log()  # the texts that were delivered before it are in there

    def not_taken(self, writes: Sequence[Write], error: BaseException, *, doubt: bool) -> None:
        """An attempt failed, and is to be repeated.

        Args:
            writes: what was sent.
            error: why it failed.
            doubt: it may have been done all the same.
        """
        text = redact(f"{type(error).__name__}: {error}")[:1000]
        with self._database.writing() as connection:
            for write in writes:
                connection.execute(
                    "UPDATE writes SET error = ?, doubt = ? WHERE seq = ?", (text, doubt or write.doubt, write.seq)
                )

    def refused(self, write: Write, error: BaseException) -> None:
        """The store refuses it for good: it becomes a dead letter."""
        with self._database.writing() as connection:
            self.answers.keep(connection, [write], {"error": type(error).__name__, "message": str(error)})
            connection.execute(
                "INSERT INTO dead_letters SELECT seq, lane, scope, kind, body, size, client_id, accepted_at, attempts, "
                "?, ?, ? FROM writes WHERE seq = ?",
                (redact(str(error))[:1000], type(error).__name__, utcnow().isoformat(), write.seq),
            )
            connection.execute("DELETE FROM writes WHERE seq = ?", (write.seq,))
        self._forget([write])

    def _forget(self, writes: Sequence[Write]) -> None:
        for write in writes:
            self._parsed.pop(write.seq, None)

    # -- looking ---------------------------------------------------------------------------------------------------

    def pending(self, lanes: Sequence[str]) -> list[Write]:
        """The accepted writes of these lanes that are not delivered, in order."""
        marks = ", ".join("?" * len(lanes))
        rows = self._database.read(f"SELECT {_COLUMNS} FROM writes WHERE lane IN ({marks}) ORDER BY seq", lanes)
        return [self._write_of(row) for row in rows]

    def count(self, lane: str | None = None, up_to: int | None = None, *, kinds: Sequence[str] = ()) -> int:
        """How many writes are not delivered: of a lane, up to a number, of some kinds."""
        where = [text for text, value in (("lane = ?", lane), ("seq <= ?", up_to)) if value is not None]
        if kinds:
            where.append(f"kind IN ({', '.join('?' * len(kinds))})")
        values = [value for value in (lane, up_to) if value is not None]
        clause = f" WHERE {' AND '.join(where)}" if where else ""
        return int(self._database.read(f"SELECT count(*) FROM writes{clause}", [*values, *kinds])[0][0])

    def last(self) -> int:
        """The number of the write that was accepted last."""
        found = self._database.read("SELECT seq FROM sqlite_sequence WHERE name = 'writes'")
        return int(found[0][0]) if found else 0

    def depth(self) -> Depth:
        """How much is in the queue."""
        [(writes, dead, size)] = self._database.read("SELECT writes, dead, bytes FROM totals")
        oldest = self._database.read("SELECT accepted_at FROM writes ORDER BY seq LIMIT 1")
        failed = self._database.read("SELECT error FROM writes WHERE error IS NOT NULL ORDER BY seq LIMIT 1")
        return Depth(
            writes,
            dead,
            size,
            datetime.fromisoformat(oldest[0][0]) if oldest else None,
            failed[0][0] if failed else None,
        )

    def _write_of(self, row: Sequence[Any]) -> Write:
        seq, lane, scope, kind, body, size, client_id, accepted_at, attempts, doubt, tried_at, waits = row
        parsed = self._parsed.get(seq)
        # An erasure makes a body shorter.
        if parsed is None or parsed[0] != body:
            parsed = self._parsed[seq] = (body, from_text(kind, body, scope_of(scope), self.fields))
            while len(self._parsed) > _PARSED:
                self._parsed.popitem(last=False)
        return Write(
            seq,
            lane,
            parsed[1],
            size,
            client_id,
            datetime.fromisoformat(accepted_at),
            attempts,
            bool(doubt),
            tried_at,
            waits,
        )
