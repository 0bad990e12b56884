"""Entries as points, and points as entries. The keys are described in ``schema``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from ...corrections import checked_history
from ...embedding import check_vector
from ...entry import DEFAULT_IMPORTANCE, MEMORY, EarlierText, MemoryEntry
from ...expiry import check_expires_at
from ...filter_fields import FilterField
from ...scope import SCOPE_FIELDS, Scope
from ...text.kept import Kept
from ...validation import (
    check_id,
    check_importance,
    check_metadata,
    check_text,
    path_ancestors,
    text_tuple,
    to_naive_utc,
)
from .engine_requests import Hit
from .schema import (
    EXPIRES_AT_KEY,
    FILTER_FIELDS_KEY,
    HISTORY_KEY,
    POSITION_KEY,
    audience,
    field_key,
    format_end,
    format_time,
    metadata_term,
    parse_end,
    point_id,
    position_at,
    scope_payload,
)

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_from_json = json.JSONDecoder().raw_decode
_bare_records: Final = Kept(lambda text: _from_json(text)[0], 2_000_000)
"""Records without metadata, parsed: what a search finds, the next one finds again."""

_from_iso = datetime.fromisoformat  # :func:`~.schema.parse_time`, without a call for each of many results


class Draft(NamedTuple):
    """A point whose keywords are not made yet. ``dense`` is ``None`` if the entry brings no vector."""

    id: str
    payload: dict[str, Any]
    dense: Sequence[float] | None


def to_drafts(entries: Sequence[MemoryEntry], owner: Scope, filter_fields: Sequence[FilterField] = ()) -> list[Draft]:
    """Entries as drafts; see :func:`to_draft`. Entries of one time keep the order in which they are given."""
    drafts = [to_draft(entry, owner, filter_fields) for entry in entries]
    if len(drafts) > 1:
        earlier: Counter[int] = Counter()
        for draft in drafts:
            position = draft.payload[POSITION_KEY]
            draft.payload[POSITION_KEY] = position + earlier[position]
            earlier[position] += 1
    return drafts


def to_draft(entry: MemoryEntry, owner: Scope, filter_fields: Sequence[FilterField] = ()) -> Draft:
    """An entry as a point that belongs to ``owner``.

    Raises:
        InvalidEntryError: a field cannot be stored; the message names it.
    """
    content = check_text("content", entry.content)
    entry_id = check_id(entry.id)
    importance = check_importance(entry.importance)
    created = to_naive_utc("created_at", entry.created_at)
    created_at = last_accessed = format_time(created)
    if entry.last_accessed is not entry.created_at:
        last_accessed = format_time(to_naive_utc("last_accessed", entry.last_accessed))
    source = None if entry.source is None else check_text("source", entry.source)
    categories = [check_text("a category", c) for c in text_tuple("categories", entry.categories)]
    kind = MEMORY if entry.kind == MEMORY else check_text("kind", entry.kind, allow_blank=False)
    check_metadata(entry.metadata)

    payload: dict[str, Any] = {
        **scope_payload(owner),
        "content": content,
        "created_at": created_at,
        POSITION_KEY: position_at(created),
    }
    if entry.path != "/" and (ancestors := path_ancestors(check_text("path", entry.path))):
        payload["ancestors"] = ancestors
    if categories:
        payload["categories"] = categories
    if entry.metadata:
        payload["metadata_terms"] = [metadata_term(key, value) for key, value in entry.metadata.items()]
    if entry.private:
        payload["audience"] = audience(source)
    if kind != MEMORY:
        payload["kind"] = kind
    if importance != DEFAULT_IMPORTANCE:
        payload["importance"] = importance
    if entry.expires_at is not None:
        payload[EXPIRES_AT_KEY] = format_end(check_expires_at(entry.expires_at))
    if entry.history:
        payload[HISTORY_KEY] = _to_json([each.to_dict() for each in checked_history(entry.history)])

    record: dict[str, Any] = {"id": entry_id, "path": entry.path, "last_accessed": last_accessed}
    if source is not None:
        record["source"] = source
    if entry.private:
        record["private"] = True
    if entry.metadata:
        record["metadata"] = entry.metadata
    payload["record"] = _to_json(record)
    if filter_fields:
        # Of the entry as it is read back, so that it does not matter when the values are computed.
        stored = to_entry(Hit("", payload), owner)
        values = to_field_values(filter_fields, lambda each: each.values_of(stored))
        payload |= {key: value for key, value in values.items() if value is not None}

    dense = None if entry.embedding is None else check_vector("embedding", entry.embedding)
    return Draft(point_id(owner, entry_id), payload, dense or None)


def to_field_values(fields: Iterable[FilterField], values_of: Callable[[FilterField], Sequence[Any]]) -> dict[str, Any]:
    """The payload keys of filter fields; ``None`` where there is no value."""
    payload: dict[str, Any] = {}
    for each in fields:
        values = values_of(each)
        payload[field_key(each.name)] = [
            format_time(value) if isinstance(value, datetime) else value for value in values
        ] or None
    payload[FILTER_FIELDS_KEY] = sorted(each.name for each in fields) or None
    return payload


def field_values_to_set(hit: Hit, entry: MemoryEntry, fields: Sequence[FilterField]) -> dict[str, Any]:
    """Payload to set so that a stored point has the values of these fields; empty if it already has them.

    Args:
        hit: the point.
        entry: the same as an entry.
        fields: the fields to compute. Values of other fields in the point stay unchanged.
    """
    values = to_field_values(fields, lambda each: each.readable_values_of(entry))
    known = hit.payload.get(FILTER_FIELDS_KEY) or ()
    values[FILTER_FIELDS_KEY] = sorted({*known, *values[FILTER_FIELDS_KEY]})
    return {key: value for key, value in values.items() if hit.payload.get(key) != value}


_KEYS_OF: Final[Mapping[str, str]] = {
    "content": "content",
    "path": "ancestors",
    "categories": "categories",
    "metadata": "metadata_terms",
    "importance": "importance",
    "source": "audience",
    "private": "audience",
    "kind": "kind",
    "expires_at": EXPIRES_AT_KEY,
}
"""The payload key that a field of an entry decides (``audience`` is decided by two)."""

_IN_RECORD: Final = ("path", "metadata", "source", "private")

ENTRY_KEYS: Final = (
    *SCOPE_FIELDS,
    *("content", "created_at", "last_accessed", "categories", "importance", "kind", EXPIRES_AT_KEY, "record"),
    *_IN_RECORD,
)
"""The payload keys that an entry is read from. A search asks for no others: half of a payload is for filters."""


def to_changes(
    whole: Mapping[str, Any], changed: MemoryEntry, fields: Iterable[str], filter_fields: Iterable[FilterField] = ()
) -> dict[str, Any]:
    """The payload keys to set for these fields of an entry; ``None`` removes a key.

    Args:
        whole: the payload of the changed entry.
        changed: the entry.
        fields: their names.
        filter_fields: those that the store was opened with. What others have computed holds no more.
    """
    payload: dict[str, Any] = {"last_accessed": format_time(to_naive_utc("last_accessed", changed.last_accessed))}
    if "content" in fields:
        payload[HISTORY_KEY] = whole.get(HISTORY_KEY)
    for name in fields:
        payload[_KEYS_OF[name]] = whole.get(_KEYS_OF[name])
        if name in _IN_RECORD:
            payload[name] = _to_json(getattr(changed, name))
    for key in (FILTER_FIELDS_KEY, *(field_key(each.name) for each in filter_fields)):
        payload[key] = whole.get(key)
    return payload


def audience_of(entry: MemoryEntry) -> str | None:
    """The value of the payload key ``audience`` for an entry."""
    return audience(entry.source) if entry.private else None


def to_entry(hit: Hit, owner: Scope) -> MemoryEntry:
    """A point read back as the entry it was made from."""
    [entry] = to_entries([(hit, owner)])
    return entry


def to_entries(hits: Iterable[tuple[Hit, Scope]], found_by: tuple[str, ...] = ()) -> list[MemoryEntry]:
    """Points, with their owners, read back as entries; the scores in 0…1.

    Args:
        hits: the points.
        found_by: see :class:`MemoryEntry`.
    """
    entries = []
    for hit, owner in hits:
        payload, score = hit.payload, hit.score
        # As MemoryEntry.trusted, without a call for each of many results.
        entry: MemoryEntry = object.__new__(MemoryEntry)
        of_entry = entry.__dict__
        if type(payload) is KnownPayload:
            of_entry.update(payload.fields or _known_fields(payload))
            # Every entry has metadata of its own, which its reader may change.
            of_entry["metadata"] = _metadata_of(payload) if of_entry["metadata"] else {}
        else:
            of_entry.update(_fields_of(payload, is_found=bool(found_by)))
        of_entry["scope"] = owner
        of_entry["embedding"] = hit.dense
        of_entry["score"] = None if score is None else min(1.0, max(0.0, score))
        of_entry["found_by"] = found_by
        entries.append(entry)
    return entries


class KnownPayload(dict[str, Any]):
    """The payload of a point that several searches find. Nobody changes it.

    Attributes:
        fields: those of its entry, once they were read; empty before. Of the metadata, whether there is any.
    """

    __slots__ = ("fields",)

    def __init__(self, payload: Mapping[str, Any]) -> None:
        super().__init__(payload)
        self.fields: Mapping[str, Any] = {}

    def accessed(self, moment: str) -> KnownPayload:
        """The same with another time of the last access, as it is in a payload."""
        payload = KnownPayload({**self, "last_accessed": moment})
        if self.fields:
            payload.fields = {**self.fields, "last_accessed": _from_iso(moment.removesuffix("Z"))}
        return payload


def _known_fields(payload: KnownPayload) -> Mapping[str, Any]:
    fields = _fields_of(payload, is_found=False)
    fields["metadata"] = bool(fields["metadata"])
    payload.fields = fields
    return fields


def _fields_of(payload: Mapping[str, Any], *, is_found: bool) -> dict[str, Any]:
    """The fields of an entry that are in its payload.

    Args:
        payload: of its point.
        is_found: by a search, so that the next one may find it too.
    """
    text = payload["record"]
    is_kept = is_found and '"metadata"' not in text
    record = _bare_records[text] if is_kept else _from_json(text)[0]
    if not payload.keys().isdisjoint(_IN_RECORD):
        record = {**record, **{name: _from_json(payload[name])[0] for name in _IN_RECORD if name in payload}}
    return {
        "id": record["id"],
        "content": payload["content"],
        "path": record["path"],
        "categories": tuple(payload["categories"]) if "categories" in payload else (),
        "metadata": record.get("metadata", {}),
        "importance": payload.get("importance", DEFAULT_IMPORTANCE),
        "created_at": _from_iso(payload["created_at"].removesuffix("Z")),
        "last_accessed": _from_iso((payload.get("last_accessed") or record["last_accessed"]).removesuffix("Z")),
        "source": record.get("source"),
        "private": record.get("private", False),
        "kind": payload.get("kind", MEMORY),
        "expires_at": parse_end(payload[EXPIRES_AT_KEY]) if EXPIRES_AT_KEY in payload else None,
        "history": _history(payload) if HISTORY_KEY in payload else (),
    }


def _metadata_of(payload: Mapping[str, Any]) -> Any:
    if "metadata" in payload:
        return _from_json(payload["metadata"])[0]
    return _from_json(payload["record"])[0]["metadata"]


def _history(payload: Mapping[str, Any]) -> tuple[EarlierText, ...]:
    return tuple(map(EarlierText.of, _from_json(payload[HISTORY_KEY])[0]))
