"""What was deleted and can be brought back.

A deleted entry is kept under a point id of its own, and its own point is deleted as ever. So a change that was under
way finds no entry, and a text that is said again is a new entry: neither meets what is kept. The kept point has the
entry's payload, a vector only if the entry had a dense one, and no keywords.

Its ``expires_at`` is the time until which it is kept, and no later than its own end, less :data:`BACK`: that is long
over by every clock. So no read finds it, by a worker of an earlier version neither, and the indexes of the layout are
enough to ask for it. A worker of an earlier version deletes it with what has expired. The key ``forgotten`` has the
``expires_at`` of the entry itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from ...entry import MemoryEntry
from ...entry_filter import EntryFilter
from ...expiry import is_expired, now
from ...io.steps import Steps
from ...scope import Scope, visible
from ...store import operations as op
from ...text.passages import is_one_passage
from ...validation import to_naive_utc
from .codec import to_entry
from .collection import Collection
from .context import take_out
from .engine_requests import (
    Between,
    Delete,
    Describe,
    Expired,
    HasId,
    Hit,
    PointData,
    Profile,
    Retrieve,
    Scroll,
    Upsert,
    Where,
)
from .schema import (
    CONTEXT_KEY,
    COPIED_KEY,
    EXPIRES_AT_KEY,
    FORGOTTEN_KEY,
    forgotten_id,
    format_end,
    owner_in,
    parse_end,
    point_id,
    where_filter,
)

BACK: Final = timedelta(days=730_485)
"""Two thousand years: times of things that are kept are in the first millennium."""

_LATEST: Final = datetime(900, 1, 1, tzinfo=timezone.utc)

PAGE: Final = 128
"""Entries that are moved together."""


def where_expired(*, kept: bool) -> Where:
    """What may be deleted now.

    Args:
        kept: of what was kept after it was deleted; else of the other entries.
    """
    if kept:
        return (Expired(now() - BACK),)
    return Expired(now()), Between(EXPIRES_AT_KEY, _LATEST.replace(tzinfo=None), None)


def _where_kept() -> Where:
    """What was deleted, and can be brought back now."""
    start = (now() - BACK).replace(tzinfo=None)
    return (Between(EXPIRES_AT_KEY, start, _LATEST.replace(tzinfo=None)),)


def keep_and_delete(operation: op.Delete, until: datetime, collection: Collection, profile: Profile) -> Steps[int]:
    """Delete the entries that match, and keep them until then. What is kept is written before anything is deleted, and
    a delete that was cut short is repeated."""
    where = where_filter(operation.filter, operation.scope, include_shared=False, owner_only=operation.owner_only)
    scope = operation.scope
    deleted, start = 0, None
    while True:
        hits, start = yield from collection.ask(Scroll(where, PAGE, start, with_vectors=True))
        if hits:
            ids = tuple(str(hit.id) for hit in hits)
            yield from _keep(hits, until, collection, profile)
            # Before, so that a crash leaves no words of what is deleted; and after, for what was saved meanwhile.
            yield from take_out(collection, profile, scope, ids, gone=True)
            deleted += yield from collection.ask(Delete(_among(where, ids)))
            yield from take_out(collection, profile, scope, ids, gone=True)
        if start is None:
            return deleted


def _among(where: Where, ids: tuple[str, ...]) -> Where:
    """The conditions, for these points alone. They are among those that the conditions name, if they name any."""
    return (*(condition for condition in where if not isinstance(condition, HasId)), HasId(ids))


def _keep(hits: Sequence[Hit], until: datetime, collection: Collection, profile: Profile) -> Steps[None]:
    """Keep entries, but for those that somebody else deletes for good in this moment: they must not stay."""
    points = {str(hit.id): _kept(hit, until, profile) for hit in hits}
    kept = tuple(point.id for point in points.values())
    before = {str(hit.id) for hit in (yield from collection.ask(Retrieve(kept)))}
    yield from collection.ask(Upsert(list(points.values())))
    now_there = {str(hit.id): hit for hit in (yield from collection.ask(Retrieve((*points, *kept))))}
    gone = []
    for id, point in points.items():
        theirs = point.id in before or _mark_of(now_there.get(point.id)) != point.payload[EXPIRES_AT_KEY]
        if id not in now_there and not theirs:  # else another delete keeps it, which can be undone as well
            gone.append(point.id)
    if gone:
        yield from collection.ask(Delete((HasId(tuple(gone)),)))


def _mark_of(hit: Hit | None) -> Any:
    return None if hit is None else hit.payload.get(EXPIRES_AT_KEY)


def _kept(hit: Hit, until: datetime, profile: Profile) -> PointData:
    payload = {key: value for key, value in hit.payload.items() if key not in (CONTEXT_KEY, COPIED_KEY)}
    own_end = payload.get(EXPIRES_AT_KEY, "")
    payload[FORGOTTEN_KEY] = own_end
    # After its own end it cannot come back, so its text is not kept for longer either.
    payload[EXPIRES_AT_KEY] = format_end((min(until, parse_end(own_end)) if own_end else until) - BACK)
    owner = owner_in(payload)
    keywords = profile.encoder.document("", ())
    return PointData(forgotten_id(owner, to_entry(hit, owner).id), payload, keywords, hit.dense or None)


def undo_delete(operation: op.UndoDelete, collection: Collection, put: Any) -> Steps[list[MemoryEntry]]:
    """See :class:`~....store.operations.UndoDelete`.

    Args:
        operation: what comes back.
        collection: where.
        put: saves entries, as :func:`~.writes.put` does.
    """
    scope = operation.scope
    said_before = (yield from collection.ask(Describe())).said_before
    filter = EntryFilter(ids=operation.ids, path=operation.path)
    where = (*where_filter(filter, scope, include_shared=False, with_expired=True), *_where_kept())
    back: list[MemoryEntry] = []
    start: str | None = None
    while True:
        hits, start = yield from collection.ask(Scroll(where, PAGE, start, with_vectors=True))
        for owner, kept in _by_owner(hits, scope):
            entries = yield from _missing(kept, owner, collection)
            back += entries
            if operation.dry_run or not entries:
                continue
            # The vectors of a long text's passages were not kept: it is embedded again.
            bare = [each if is_one_passage(each.content) else replace(each, embedding=None) for each in entries]
            # What was said before them is read, and not what this process has saved last; nor are they the last now.
            said_before.forget()
            yield from put(op.Put(owner, sorted(bare, key=_created_at)), collection)
            said_before.forget()
            ids = tuple(forgotten_id(owner, each.id) for each in entries)
            yield from collection.ask(Delete(_among(where, ids)))
        if start is None:
            return [replace(each, embedding=None) for each in back]


def _created_at(entry: MemoryEntry) -> datetime:
    return to_naive_utc("created_at", entry.created_at)


def _by_owner(hits: Iterable[Hit], reader: Scope) -> list[tuple[Scope, list[MemoryEntry]]]:
    """The kept entries as they were, by their owners; the second of the two checks of the scope."""
    found: dict[Scope, list[MemoryEntry]] = {}
    for hit in hits:
        owner, ended = owner_in(hit.payload), hit.payload.get(FORGOTTEN_KEY)
        if ended is None or not visible(owner, reader):
            continue
        expires_at = parse_end(ended) if ended else None
        if not is_expired(expires_at):
            found.setdefault(owner, []).append(replace(to_entry(hit, owner), expires_at=expires_at))
    return list(found.items())


def _missing(entries: Sequence[MemoryEntry], owner: Scope, collection: Collection) -> Steps[list[MemoryEntry]]:
    """Those that were not saved again since."""
    hits = yield from collection.ask(Retrieve([point_id(owner, each.id) for each in entries]))
    there = set()
    for hit in hits:
        end = hit.payload.get(EXPIRES_AT_KEY)
        if end is None or not is_expired(parse_end(end)):
            there.add(str(hit.id))
    return [each for each in entries if point_id(owner, each.id) not in there]
