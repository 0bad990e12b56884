"""What is sent to the store for accepted writes, and what the store's errors mean for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, Final, NamedTuple

from .. import expiry
from ..entry import MemoryEntry
from ..errors import (
    DimensionMismatchError,
    EngineError,
    InvalidEntryError,
    Outcome,
    PersistentMemoryError,
    StoreBusyError,
    StoreUnavailableError,
)
from ..expiry import is_expired
from ..scope import Scope, visible
from ..store import operations as op
from ..store.backend import Capabilities
from .records import Write

MOST_ENTRIES: Final = 250
"""Entries of one delivery, at most, where several writes are delivered together."""

FRESH: Final = timedelta(seconds=5)
"""A delete that is delivered for the first time, and so soon, is delivered as it was accepted."""

MOST_ATTEMPTS: Final = 5
"""Attempts of a write that fails with an error that tells nothing about the store, before it is a dead letter."""

SETTLING: Final = 2.0
"""Seconds after an attempt in doubt before a store is looked at for what that attempt has done."""
SETTLING_MESSAGES: Final = 10.0
"""The same for messages, which the store's LLM works on first."""


class Delivery(NamedTuple):
    """One operation for the store, and the writes that it delivers. ``None``: there is nothing left to send.

    A change concerns what had not expired :attr:`as_of` then, when it was accepted; ``None``: now.
    """

    writes: Sequence[Write]
    operation: op.Operation[Any] | None
    as_of: datetime | None = None


class Meaning(Enum):
    """What a failed attempt means."""

    AWAY = "the store does not answer: nothing is sent to it before a probe gets an answer"
    BUSY = "the store takes nothing for a while"
    LATER = "this lane has to wait, for a key, for room, for an embedder"
    REFUSED = "the write is wrong, and is not sent again"
    ODD = "not known: it is sent a few times"


def meaning_of(error: BaseException) -> Meaning:
    """What the error of an attempt means for the write."""
    if isinstance(error, StoreUnavailableError):
        return Meaning.AWAY
    if isinstance(error, StoreBusyError):
        return Meaning.BUSY
    if "interpreter shutdown" in str(error):
        return Meaning.AWAY  # for this process: thread pools take nothing any more
    if isinstance(error, (InvalidEntryError, DimensionMismatchError)):
        return Meaning.REFUSED
    if isinstance(error, EngineError) or not isinstance(error, PersistentMemoryError):
        return Meaning.ODD
    return Meaning.LATER


def is_doubtful(error: BaseException, delivery: Delivery) -> bool:
    """Whether the attempt may have been done, or a part of it."""
    if isinstance(delivery.operation, op.Put) and len(delivery.operation.entries) > 1:
        return True
    return getattr(error, "outcome", None) not in (Outcome.REFUSED, Outcome.NOT_DONE)


def settles_in(write: Write, capabilities: Capabilities, now: float) -> float:
    """Seconds until a write in doubt can be sent again: a store must show first what the earlier attempt has done."""
    adds = isinstance(write.operation, (op.Put, op.Replace, op.AddMessages))
    if capabilities.repeatable or not (adds and write.doubt) or write.tried_at is None:
        return 0.0
    whole = SETTLING_MESSAGES if isinstance(write.operation, op.AddMessages) else SETTLING
    # The clock may have been set back meanwhile.
    return min(whole, max(0.0, write.tried_at + whole - now))


def first_delivery(
    writes: Sequence[Write],
    capabilities: Capabilities,
    now: datetime,
    *,
    one: bool = False,
    waiting: Callable[[], Sequence[Write]] | None = None,
) -> Delivery:
    """The first writes of a lane as one operation.

    Args:
        writes: of one lane, in order, at least one.
        capabilities: of the store.
        now: naive UTC.
        one: deliver one write alone.
        waiting: reads all writes of the lane, if ``writes`` may be the first ones of them.
    """
    write = writes[0]
    waiting = waiting or (lambda: writes)
    operation = write.operation
    if isinstance(operation, op.Put):
        together = [write] if one or not capabilities.repeatable else _puts_of(operation, writes)
        return Delivery(together, _put(together, waiting))
    if isinstance(operation, op.Delete):
        return Delivery([write], _delete(write, operation, now))
    if isinstance(operation, op.AddMessages):
        if is_expired(operation.about.get("expires_at")):
            return Delivery([write], None)
        return Delivery([write], replace(operation, wait=False, delivery=write.client_id, again=write.doubt))
    if isinstance(operation, op.Replace):
        [entry] = _as_they_end([operation.entry], operation.scope, write, waiting)
        operation = replace(operation, entry=entry)
    # The clock may have been set back meanwhile.
    return Delivery([write], operation, min(expiry.now(), write.accepted_at.replace(tzinfo=timezone.utc)))


def _puts_of(first: op.Put, writes: Sequence[Write]) -> list[Write]:
    """The puts at the beginning that belong to one scope."""
    together: list[Write] = []
    entries = 0
    for write in writes:
        operation = write.operation
        if not isinstance(operation, op.Put) or operation.scope != first.scope or write.waits:
            break
        entries += len(operation.entries)
        if together and entries > MOST_ENTRIES:
            break
        together.append(write)
    return together


def _put(writes: Sequence[Write], waiting: Callable[[], Sequence[Write]]) -> op.Put | None:
    """Puts as one; ``None`` if nothing of them is left."""
    entries: dict[str, MemoryEntry] = {}
    absent: set[str] = set()
    puts = [write.operation for write in writes if isinstance(write.operation, op.Put)]
    for write, put in zip(writes, puts, strict=True):
        for entry in put.entries:
            entries.pop(entry.id, None)
            entries[entry.id] = entry
            if put.new and not write.doubt:
                absent.add(entry.id)
    # What was sent before may be there.
    new = all(put.new for put in puts) and not any(write.doubt for write in writes)
    scope = puts[0].scope
    sent = _as_they_end(list(entries.values()), scope, writes[-1], waiting)
    # An entry that the store never had is in nobody's place: one that has expired need not be stored.
    sent = [entry for entry in sent if entry.id not in absent or not is_expired(entry.expires_at)]
    return op.Put(scope, sent, new) if sent else None


def _as_they_end(
    entries: list[MemoryEntry], owner: Scope, last: Write, waiting: Callable[[], Sequence[Write]]
) -> list[MemoryEntry]:
    """Entries as they are sent. A change that was accepted while an entry lived may give it a later end."""
    if not any(is_expired(entry.expires_at) for entry in entries):
        return entries
    ends = _ends_in([write for write in waiting() if write.seq > last.seq], owner)
    later = [
        replace(entry, expires_at=ends[entry.id]) if entry.id in ends and is_expired(entry.expires_at) else entry
        for entry in entries
    ]
    return [_unless_expired(entry) for entry in later]


def _ends_in(writes: Sequence[Write], owner: Scope) -> dict[str, datetime | None]:
    ends: dict[str, datetime | None] = {}
    for write in writes:
        operation = write.operation
        if not visible(owner, operation.scope):
            continue
        if isinstance(operation, op.Update) and "expires_at" in operation.changes:
            ends[operation.id] = operation.changes["expires_at"]
        elif isinstance(operation, op.Replace) and "expires_at" not in operation.keep:
            ends[operation.entry.id] = operation.entry.expires_at
    return ends


ALWAYS_OVER: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _unless_expired(entry: MemoryEntry) -> MemoryEntry:
    """The entry, or if it has expired while it waited one without its text, which no read finds either.

    It takes the place of an earlier one under its id, which would be seen again otherwise. It has no text that could
    come back, so its end is over on a clock that is set back, too.
    """
    if not is_expired(entry.expires_at):
        return entry
    created_at, last_accessed = entry.created_at, entry.last_accessed
    return MemoryEntry(entry.id, "expired", created_at=created_at, last_accessed=last_accessed, expires_at=ALWAYS_OVER)


def _delete(write: Write, operation: op.Delete, now: datetime) -> op.Delete:
    """A delete that comes late, or again, takes nothing that was stored after it was accepted.

    One by ids is as it is: it names what is meant.
    """
    filter = operation.filter
    is_fresh = not write.doubt and abs(now - write.accepted_at) < FRESH
    if is_fresh or filter.ids is not None or write.accepted_at == datetime.max:
        return operation
    before = write.accepted_at if filter.created_before is None else min(filter.created_before, write.accepted_at)
    return replace(operation, filter=replace(filter, created_before=before))
