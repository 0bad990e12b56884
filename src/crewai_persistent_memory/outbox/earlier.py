"""Taking over a queue that an earlier version of this package kept for the same store under another name."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

from ..errors import PersistentMemoryError
from .database import FILE, Database
from .sender_lock import SenderLock

_KEPT: Final = "lane, scope, kind, body, size, client_id, accepted_at, attempts, error"

logger = logging.getLogger("crewai_persistent_memory")


def take_over(earlier: Path, database: Database) -> int:
    """Move what waits, and dead letters, from one queue to the end of another one, in order. Returns how many.

    A worker of the earlier version that delivers keeps its queue: who opens the store after its end takes it.

    Args:
        earlier: the folder of the earlier queue; there need be none.
        database: of the queue that takes it.
    """
    if not (earlier / FILE).exists():
        return 0
    lock = SenderLock(earlier)
    if not lock.take():
        return 0
    try:
        source = Database(earlier)
        try:
            return _moved(source, database)
        finally:
            source.close()
    except PersistentMemoryError as error:
        logger.error("what waits in an earlier version's outbox at %s was not taken over: %s", earlier, error)
        return 0
    finally:
        lock.release()


def _moved(source: Database, database: Database) -> int:
    mark = f"taken over from {source.folder.name}"
    with source.writing() as old:
        with database.writing() as new:
            # A process that ended between the two files has left what it had copied.
            found = new.execute("SELECT value FROM about WHERE name = ?", (mark,)).fetchone()
            after = 0 if found is None else int(found[0])
            count = _copy(old, new, after)
            [(last,)] = old.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'writes'")
            new.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (mark, str(last)))
        for table in ("writes", "dead_letters", "answers"):
            old.execute(f"DELETE FROM {table}")
    source.truncate_log()
    return count


def _copy(old: Any, new: Any, after: int) -> int:
    count = 0
    for owner, latest in old.execute("SELECT owner, latest FROM clocks").fetchall():
        new.execute(
            "INSERT INTO clocks VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET latest = max(latest, excluded.latest)",
            (owner, latest),
        )
    for row in old.execute(
        f"SELECT {_KEPT}, doubt, tried_at, NULL, NULL, seq FROM writes WHERE seq > ? "
        f"UNION ALL SELECT {_KEPT}, 0, NULL, error_class, died_at, seq FROM dead_letters WHERE seq > ? ORDER BY seq",
        (after, after),
    ).fetchall():
        *kept, doubt, tried_at, error_class, died_at, _ = row
        seq = new.execute(
            f"INSERT INTO writes ({_KEPT}, doubt, tried_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*kept, doubt, tried_at),
        ).lastrowid
        if error_class is not None:
            new.execute(
                f"INSERT INTO dead_letters (seq, {_KEPT}, error_class, died_at) "
                f"SELECT seq, {_KEPT}, ?, ? FROM writes WHERE seq = ?",
                (error_class, died_at, seq),
            )
            new.execute("DELETE FROM writes WHERE seq = ?", (seq,))
        count += 1
    return count
