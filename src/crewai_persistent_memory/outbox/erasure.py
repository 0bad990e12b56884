"""What a delete does to a queue: what it takes out at once, and the time after which nothing is its concern."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any, Final

from ..scope import visible
from ..store import operations as op
from .serialised import entry_of, scope_of, to_text

TICK: Final = timedelta(microseconds=1)


def take_out(connection: Any, lane: str, delete: op.Delete) -> tuple[int, bool]:
    """Remove what a delete matches from the waiting writes and dead letters.

    Returns:
        How many entries were removed that were never sent, and whether anything was removed.
    """
    removed, erased = 0, False
    everything = not delete.filter.selects
    for table, sent in (("writes", "doubt"), ("dead_letters", "0")):
        rows = connection.execute(
            f"SELECT seq, scope, kind, body, {sent} FROM {table} WHERE lane = ? ORDER BY seq", (lane,)
        ).fetchall()
        for seq, scope_text, kind, body, doubt in rows:
            scope = scope_of(scope_text)
            if not visible(scope, delete.scope):
                continue
            entries = [entry_of(each) for each in json.loads(body)["entries"]] if kind == "put" else []
            matching = [entry for entry in entries if delete.filter.matches(entry)]
            kept = [entry for entry in entries if not delete.filter.matches(entry)]
            if table == "writes" and not doubt:
                removed += len({entry.id for entry in matching})
            if everything or (matching and not kept):
                connection.execute(f"DELETE FROM {table} WHERE seq = ?", (seq,))
                erased = True
            elif matching:
                erased = True
                text = to_text(op.Put(scope, kept, json.loads(body)["new"]))
                connection.execute(
                    f"UPDATE {table} SET body = ?, size = ? WHERE seq = ?", (text, len(text.encode()), seq)
                )
    return removed, erased


def note_clock(connection: Any, lane: str, latest: datetime) -> None:
    connection.execute(
        "INSERT INTO clocks VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET latest = max(latest, excluded.latest)",
        (_digest(lane), latest.isoformat(timespec="microseconds")),
    )


def after_all_of(connection: Any, lane: str, now: datetime) -> datetime:
    """A time after all entries of the lane that were accepted here, also where the clock was set back."""
    found = connection.execute("SELECT latest FROM clocks WHERE owner = ?", (_digest(lane),)).fetchone()
    latest = now if found is None else max(now, datetime.fromisoformat(found[0]))
    return min(latest, datetime.max - TICK) + TICK


def _digest(lane: str) -> bytes:
    return hashlib.blake2b(lane.encode(), digest_size=16).digest()
