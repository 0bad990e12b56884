"""Entries as Mem0's memories, and back.

Fields that Mem0 does not have are one JSON text in the memory's metadata, because some vector stores behind Mem0 OSS
keep flat values only. The caller's flat metadata is kept beside it as well, so that Mem0's own tools can filter by it.

| metadata key | holds |
| --- | --- |
| ``crewai_id`` | the entry's id, of texts that were added as they are; what Mem0 inferred has Mem0's id |
| ``crewai_memory`` | path, categories, metadata, importance, source, private, kind, times, when it expires |
| ``crewai_delivery`` | of what Mem0 inferred: the call that it came of, so that no call is done twice |
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from ...entry import DEFAULT_IMPORTANCE, MEMORY, MemoryEntry
from ...entry_check import checked_entry as checked
from ...errors import InvalidEntryError
from ...expiry import check_expires_at, is_expired, now
from ...scope import Scope, has_fields
from ...validation import to_naive_utc

ID_KEY: Final = "crewai_id"
ABOUT_KEY: Final = "crewai_memory"
DELIVERY_KEY: Final = "crewai_delivery"

_MEM0_KEYS: Final = frozenset(
    {"id", "memory", "data", "hash", "text", "text_lemmatized", "created_at", "updated_at", "expiration_date", "score"}
    | {"user_id", "agent_id", "app_id", "run_id", "session_id", "actor_id", "role", "attributed_to"}
    | {"categories", "metadata", ID_KEY, ABOUT_KEY, DELIVERY_KEY}
)
"""Names with a meaning for Mem0. The caller's metadata is not stored under them."""

_DEFAULTS: Final[Mapping[str, Any]] = {
    "path": "/",
    "categories": (),
    "metadata": {},
    "importance": DEFAULT_IMPORTANCE,
    "source": None,
    "private": False,
    "kind": MEMORY,
}
"""Values that are left out of the JSON text."""

_LARGEST_INTEGER: Final = 2**53
_FRACTION: Final = re.compile(r"\.(\d+)")

logger = logging.getLogger("crewai_persistent_memory")


@dataclass(frozen=True)
class Record:
    """A memory of Mem0 as an entry, with its owner.

    Attributes:
        expires: the last day that Mem0 shows it. The entry's own ``expires_at`` is exact, and of our keeping.
    """

    id: str
    entry: MemoryEntry
    owner: Scope
    expires: date | None = None
    delivery: str | None = None


def one_of_each(records: Sequence[Record]) -> list[Record]:
    """The records, in order, without twins: if two processes add one entry at once, Mem0 has it twice. All readers see
    the same one, and a change changes that one. It is saved again without the other."""
    seen: dict[tuple[Scope, str], str] = {}
    for record in records:
        key = record.owner, record.entry.id
        seen[key] = min(record.id, seen.get(key, record.id))
    return [record for record in records if seen[record.owner, record.entry.id] == record.id]


def of_scope(records: Iterable[Record], scope: Mapping[str, str | None], *, with_expired: bool) -> list[Record]:
    """Those whose owner has these fields; without ``with_expired`` those that have not ended."""
    return [
        record
        for record in records
        if has_fields(vars(record.owner), scope) and (with_expired or not has_ended(record))
    ]


def checked_entry(entry: MemoryEntry) -> MemoryEntry:
    """The entry in normal form.

    Raises:
        InvalidEntryError: a field cannot be stored; the message names it.
    """
    if entry.embedding:
        raise InvalidEntryError("embedding: Mem0 makes its own vectors, leave it out")
    return replace(checked(entry, allow_blank=False), embedding=None)


def metadata_of(
    entry: MemoryEntry, expires: date | None, *, inferred: bool = False, delivery: str | None = None
) -> dict[str, Any]:
    """What Mem0 keeps beside the text.

    Args:
        entry: in normal form; of an ``inferred`` one the id and the times are Mem0's.
        expires: the last day it is remembered.
        delivery: the call that it comes of.
    """
    about: dict[str, Any] = {name: value for name in _DEFAULTS if (value := getattr(entry, name)) != _DEFAULTS[name]}
    if expires is not None:
        about["expires"] = expires.isoformat()
    if entry.expires_at is not None:
        about["expires_at"] = entry.expires_at.isoformat()
    flat = {key: value for key, value in entry.metadata.items() if _is_flat(value) and key not in _MEM0_KEYS}
    ours: dict[str, Any] = {ABOUT_KEY: ""}
    if not inferred:
        about["created_at"] = entry.created_at.isoformat()
        about["last_accessed"] = entry.last_accessed.isoformat()
        ours[ID_KEY] = entry.id
    if delivery is not None:
        ours[DELIVERY_KEY] = delivery
    ours[ABOUT_KEY] = json.dumps(about, ensure_ascii=False, separators=(",", ":"))
    return {**flat, **ours}


def _is_flat(value: Any) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) <= _LARGEST_INTEGER
    return isinstance(value, (str, bool, float))


def last_day(entry: MemoryEntry, owner: Scope, days: int | None, *, changes: bool) -> date | None:
    """The last day that Mem0 shows what is added now.

    Args:
        entry: with its ``expires_at``, which decides if there is one.
        owner: its scope.
        days: after which the entries of runs are forgotten.
        changes: whether it can be changed later. Else Mem0 is given none for an exact time, which may be put off.
    """
    if entry.expires_at is not None:
        return entry.expires_at.date() if changes else None
    return now().date() + timedelta(days=days) if days is not None and owner.run_id is not None else None


def record_of(found: Mapping[str, Any], owner: Scope) -> Record:
    """A memory as Mem0 returned it, also one that has expired: see :func:`has_ended`."""
    metadata = found.get("metadata") or {}
    about = _about(metadata)
    until = about.get("expires") or found.get("expiration_date")
    expires = date.fromisoformat(str(until)[:10]) if until else None
    created = _time(about.get("created_at") or found.get("created_at"))
    score, kept = found.get("score"), {**_DEFAULTS, **about}
    entry = MemoryEntry(
        id=str(metadata.get(ID_KEY) or found["id"]),
        content=found["memory"],
        scope=owner,
        path=kept["path"],
        categories=tuple(dict.fromkeys([*kept["categories"], *(found.get("categories") or ())])),
        metadata=kept["metadata"] if ABOUT_KEY in metadata else dict(metadata),
        importance=kept["importance"],
        created_at=created,
        last_accessed=_time(about["last_accessed"]) if "last_accessed" in about else created,
        source=kept["source"],
        private=kept["private"],
        kind=kept["kind"],
        expires_at=_end(about.get("expires_at")),
        score=None if score is None else min(1.0, max(0.0, float(score))),
    )
    return Record(str(found["id"]), entry, owner, expires, metadata.get(DELIVERY_KEY))


def has_ended(record: Record) -> bool:
    """Whether the memory has expired, by its exact time or its last day."""
    return is_expired(record.entry.expires_at) or (record.expires is not None and record.expires < now().date())


def _end(value: Any) -> datetime | None:
    return None if value is None else check_expires_at(datetime.fromisoformat(str(value)))


def _about(metadata: Mapping[str, Any]) -> dict[str, Any]:
    try:
        about = json.loads(metadata.get(ABOUT_KEY) or "{}")
    except (TypeError, ValueError):
        about = None
    if not isinstance(about, dict):
        logger.warning("a memory's metadata[%r] is not what this package wrote; it is read without", ABOUT_KEY)
        return {}
    return about


def _time(value: Any) -> datetime:
    if not value:
        return datetime(1970, 1, 1)
    # Python 3.10 reads neither "Z" nor fractions of other than three or six digits.
    text = _FRACTION.sub(lambda found: f".{found[1][:6]:0<6}", str(value).replace("Z", "+00:00"))
    return to_naive_utc("created_at", datetime.fromisoformat(text))
