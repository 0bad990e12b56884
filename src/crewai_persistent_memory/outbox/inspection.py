"""The queues of a host for its operator: what is in them, and what becomes of dead letters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..scope import SCOPE_FIELDS
from ..validation import utcnow
from .database import FILE, Database
from .queue import Queue
from .records import Depth
from .serialised import without_expired

_KEPT: Final = "lane, scope, kind, body, size, client_id, accepted_at"


@dataclass(frozen=True)
class QueueState:
    """A queue.

    Attributes:
        name: its folder's name.
        store: the store that it is for.
        depth: how much is in it.
    """

    name: str
    store: str
    depth: Depth


@dataclass(frozen=True)
class Row:
    """A write in a queue, or a dead letter.

    Attributes:
        number: by which it is named.
        kind: ``put``, ``replace``, ``update``, ``delete`` or ``messages``.
        scope: whose it is; fields that are unset are left out.
        accepted_at: naive UTC, as text.
        attempts: how often it was sent.
        error: why the store has not taken it.
        is_dead: whether it is a dead letter.
        operation: what was accepted.
    """

    number: int
    kind: str
    scope: dict[str, str]
    accepted_at: str
    attempts: int
    error: str | None
    is_dead: bool
    operation: dict[str, Any]


class QueueFile:
    """A queue as its operator sees it. Processes that use it may run meanwhile."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            ConfigurationError: the folder cannot be used by this process.
        """
        self.folder = folder
        self._database = Database(folder)

    def __enter__(self) -> QueueFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self._database.close()

    def state(self) -> QueueState:
        """What is in it."""
        queue = Queue(self.folder)
        try:
            depth = queue.depth()
        finally:
            queue.close()
        found = self._database.read("SELECT value FROM about WHERE name = 'store'")
        return QueueState(self.folder.name, found[0][0] if found else "unknown", depth)

    def rows(self, *, dead_only: bool = False) -> Iterator[Row]:
        """Its writes, oldest first, and its dead letters."""
        tables = [("dead_letters", "error_class || ': ' || error")]
        if not dead_only:
            tables.insert(0, ("writes", "error"))
        for table, error in tables:
            found = self._database.read(
                f"SELECT seq, kind, scope, accepted_at, attempts, {error}, body FROM {table} ORDER BY seq"
            )
            for seq, kind, scope, accepted_at, attempts, why, body in found:
                fields = dict(zip(SCOPE_FIELDS, json.loads(scope), strict=True))
                owner = {name: value for name, value in fields.items() if value is not None}
                shown = without_expired(json.loads(body))
                yield Row(seq, kind, owner, accepted_at, attempts, why, table == "dead_letters", shown)

    def retry(self, number: int | None = None) -> int:
        """Put dead letters back at the end of the queue. Returns how many.

        Args:
            number: one of them; ``None``: all.
        """
        where, values = _which(number)
        with self._database.writing() as connection:
            # What was sent before may be in the store: it is looked for first.
            connection.execute(
                f"INSERT INTO writes ({_KEPT}, doubt) "
                f"SELECT {_KEPT}, attempts > 0 FROM dead_letters {where} ORDER BY seq",
                values,
            )
            return int(connection.execute(f"DELETE FROM dead_letters {where}", values).rowcount)

    def drop(self, number: int | None = None) -> int:
        """Delete dead letters, or one write by its number. Returns how many."""
        where, values = _which(number)
        with self._database.writing() as connection:
            dropped = connection.execute(f"DELETE FROM dead_letters {where}", values).rowcount
            if number is not None:
                dropped += connection.execute("DELETE FROM writes WHERE seq = ?", values).rowcount
        self._database.truncate_log()
        return int(dropped)


def queues_in(folder: Path) -> list[Path]:
    """The folders of all queues that are kept in a folder."""
    return sorted(file.parent for file in folder.glob(f"*/{FILE}"))


def age_of(depth: Depth) -> float | None:
    """Seconds since the oldest write of a queue was accepted."""
    return None if depth.oldest is None else max(0.0, (utcnow() - depth.oldest).total_seconds())


def _which(number: int | None) -> tuple[str, tuple[int, ...]]:
    return ("", ()) if number is None else ("WHERE seq = ?", (number,))
