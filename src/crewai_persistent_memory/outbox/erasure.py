"""What a delete does to a queue: what it takes out at once, and the time after which nothing is its concern."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from ..entry import MemoryEntry
from ..entry_filter import EntryFilter
from ..scope import Scope, has_fields, visible
from ..store import operations as op
from .serialised import entry_of, scope_of, to_text

_MARK: Final = "crewai_persistent_memory_erased"
"""A key in the metadata of what takes the place of an erased entry."""

TICK: Final = timedelta(microseconds=1)


class Taken(NamedTuple):
    """What a delete took out of a queue.

    Attributes:
        removed: how many entries were removed that were never sent.
        held: how many were removed, sent or not.
        erased: whether anything was removed.
        also: deletes that have to be delivered as well, see :func:`_stone`.
    """

    removed: int
    held: int
    erased: bool
    also: Sequence[op.Delete]


def take_out(connection: Any, lane: str, delete: op.Delete, before: int, *, waiting: bool = True) -> Taken:
    """Remove what a delete matches from the waiting writes and dead letters.

    The delete itself is delivered as well, and removes what is in the store. So what is left here for its sake, because
    a later write changes it, is deleted then.

    Args:
        connection: in a transaction.
        lane: the delete's.
        delete: what is erased.
        before: the delete's number. What was accepted after it stays.
        waiting: take out of the waiting writes as well, not of dead letters only.
    """
    erased, mark = False, uuid.uuid4().hex
    held: set[tuple[Scope, str]] = set()
    sent: set[tuple[Scope, str]] = set()
    stones: dict[Scope, list[str]] = {}
    for table, doubt in (("writes", "doubt"), ("dead_letters", "0"))[0 if waiting else 1 :]:
        found = connection.execute(
            f"SELECT seq, scope, kind, body, {doubt} FROM {table} WHERE lane = ? AND seq < ? ORDER BY seq",
            (lane, before),
        ).fetchall()
        rows = [(seq, scope_of(scope), kind, json.loads(body), doubt) for seq, scope, kind, body, doubt in found]
        changed = {_changed_id(kind, body) for _, _, kind, body, _ in rows}
        for seq, scope, kind, body, may_be_there in rows:
            if not visible(scope, delete.scope) or (delete.owner_only and (scope != delete.scope or kind != "put")):
                continue  # a change that waits may be of an entry of the user
            entries = [entry_of(each) for each in body["entries"]] if kind == "put" else []
            gone = [entry for entry in entries if _is_gone(entry, delete, changed)]
            if table == "writes":
                ids = {(scope, entry.id) for entry in gone}
                if kind == "replace" and body["create"] and (_is_whole(delete) or _names(delete, body["entry"]["id"])):
                    ids.add((scope, body["entry"]["id"]))
                held |= ids
                sent |= ids if may_be_there else set()
            if _is_whole(delete) or _names(delete, _changed_id(kind, body)):
                kept = []
            elif not gone:
                continue
            elif table == "writes" and not body["new"] and not _is_by_ids(delete):
                kept = [_stone(entry, mark) if entry in gone else entry for entry in entries]
                stones.setdefault(scope, []).extend(entry.id for entry in gone)
            else:
                kept = [entry for entry in entries if entry not in gone]
            if kept:
                text = to_text(op.Put(scope, kept, body["new"]))
                connection.execute(
                    f"UPDATE {table} SET body = ?, size = ? WHERE seq = ?", (text, len(text.encode()), seq)
                )
            else:
                connection.execute(f"DELETE FROM {table} WHERE seq = ?", (seq,))
            erased = True
    also = [
        op.Delete(scope, EntryFilter(ids=tuple(dict.fromkeys(ids)), metadata={_MARK: mark}))
        for scope, ids in stones.items()
    ]
    return Taken(len(held - sent), len(held), erased, also)


def take_out_scopes(connection: Any, fields: Mapping[str, str | None]) -> tuple[int, int, int]:
    """Remove what waits for the entries of all scopes with these fields, and its dead letters.

    What is being sent stays until its sender knows the result: nobody could tell otherwise when it has arrived. So does
    a change within a run or of an agent, if those are erased: it may be of an entry that is not theirs.

    Returns:
        How many writes and dead letters were removed, and how many writes stay.
    """
    adds_only = not fields.keys().isdisjoint(("run_id", "agent_id"))
    counts = []
    under_way = 0
    for table, doubt in (("writes", "doubt"), ("dead_letters", "0")):
        gone = []
        for seq, scope, kind, is_sent in connection.execute(
            f"SELECT seq, scope, kind, {doubt} FROM {table}"
        ).fetchall():
            if not has_fields(vars(scope_of(scope)), fields):
                continue
            if is_sent or (adds_only and kind not in ("put", "messages")):
                under_way += table == "writes"
            else:
                gone.append((seq,))
        connection.executemany(f"DELETE FROM {table} WHERE seq = ?", gone)
        counts.append(len(gone))
    return counts[0], counts[1], under_way


def replaced_by(operation: op.Operation[Any]) -> tuple[str, ...]:
    """The ids of the entries whose earlier texts an operation replaces whole."""
    if isinstance(operation, op.Replace):
        return (operation.entry.id,)
    return tuple(entry.id for entry in operation.entries) if isinstance(operation, op.Put) and not operation.new else ()


def _stone(entry: MemoryEntry, mark: str) -> MemoryEntry:
    """In place of an entry that is erased from the queue, where the store may have an earlier one under its id.

    The delete may not match the earlier one, which would come back. So it is replaced by this one, and this one is
    deleted by its mark: in its own scope, and nothing that is saved under the id later.
    """
    return MemoryEntry(
        entry.id, "deleted", metadata={_MARK: mark}, created_at=entry.created_at, last_accessed=entry.last_accessed
    )


def _is_gone(entry: MemoryEntry, delete: op.Delete, changed: set[str | None]) -> bool:
    """Whether an entry that waits is deleted, whatever waits behind it."""
    if _is_whole(delete) or _names(delete, entry.id):
        return True
    # An entry that is changed later may not match any more when it is the delete's turn.
    return entry.id not in changed and delete.filter.matches(entry, with_expired=True)


def _is_whole(delete: op.Delete) -> bool:
    return not delete.filter.selects


def _is_by_ids(delete: op.Delete) -> bool:
    return delete.filter.ids is not None and not replace(delete.filter, ids=None).selects


def _names(delete: op.Delete, id: str | None) -> bool:
    """Whether a delete is about this entry, whatever its fields are."""
    return _is_by_ids(delete) and id in (delete.filter.ids or ())


def _changed_id(kind: str, body: Mapping[str, Any]) -> str | None:
    """The id of the entry that a replace or an update is about."""
    if kind == "replace":
        return str(body["entry"]["id"])
    return str(body["id"]) if kind == "update" else None


def note_clock(connection: Any, lane: str, latest: datetime) -> None:
    """Note the latest time that an entry of a lane has."""
    connection.execute(
        "INSERT INTO clocks VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET latest = max(latest, excluded.latest)",
        (_digest(lane), latest.isoformat(timespec="microseconds")),
    )


def after_all_of(connection: Any, lane: str, now: datetime) -> datetime:
    """A time after all entries of the lane that were accepted here, also where the clock was set back.

    Those that were delivered are noted. Of those that wait the time is in their row; it is noted here, as the delete
    may take them out.
    """
    noted = connection.execute("SELECT latest FROM clocks WHERE owner = ?", (_digest(lane),)).fetchone()
    waiting = connection.execute(
        "SELECT max(accepted_at) FROM writes WHERE lane = ? AND kind = 'put'", (lane,)
    ).fetchone()
    times = [datetime.fromisoformat(each) for [each] in filter(None, (noted, waiting)) if each is not None]
    if times:
        note_clock(connection, lane, max(times))
    return min(max([now, *times]), datetime.max - TICK) + TICK


def _digest(lane: str) -> bytes:
    return hashlib.blake2b(lane.encode(), digest_size=16).digest()
