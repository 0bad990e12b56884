"""Operations that write, as JSON, and back. A number, a time and a vector come back exactly as they were.

| operation | ``kind`` |
| --- | --- |
| :class:`~..store.operations.Put` | ``put`` |
| :class:`~..store.operations.Replace` | ``replace`` |
| :class:`~..store.operations.Update` | ``update`` |
| :class:`~..store.operations.Delete` | ``delete`` |
| :class:`~..store.operations.AddMessages` | ``messages`` |
"""

from __future__ import annotations

import base64
import json
import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias, cast

from ..entry import EarlierText, EntryChanges, EntryFields, MemoryEntry
from ..entry_filter import EntryFilter
from ..expiry import is_expired
from ..filter_fields import FieldCondition, FilterField
from ..scope import SCOPE_FIELDS, Scope
from ..store import operations as op

Writing: TypeAlias = op.Put | op.Replace | op.Update | op.Delete | op.AddMessages
"""The operations that the outbox accepts."""

_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode

_PLAIN: Final = ("id", "content", "path", "importance", "source", "private", "kind")


def kind_of(operation: Writing) -> str:
    """The name under which the operation is kept."""
    return _KINDS[type(operation)]


def to_text(operation: Writing) -> str:
    """The operation as JSON, without its scope."""
    return _to_json(_WRITERS[type(operation)](operation))


def from_text(kind: str, text: str, scope: Scope, fields: Mapping[str, FilterField] = {}) -> Writing:
    """The operation again.

    Args:
        kind: see :func:`kind_of`.
        text: from :func:`to_text`.
        scope: the operation's scope.
        fields: the filter fields that the store was opened with, by their names; see :func:`unknown_fields`.
    """
    values = json.loads(text)
    if kind == "delete":
        filter, until = _filter_of(values, fields), _time_of(values.get("undo_until"))
        return op.Delete(scope, filter, owner_only=values.get("owner_only", False), undo_until=until)
    return _READERS[kind](scope, values)


def scope_to_text(scope: Scope) -> str:
    """A scope as JSON."""
    return _to_json([getattr(scope, name) for name in SCOPE_FIELDS])


def scope_of(text: str) -> Scope:
    """The scope again. Its fields were checked when it was made."""
    return Scope.trusted(*json.loads(text))


def entry_to_json(entry: MemoryEntry) -> dict[str, Any]:
    """An entry's fields, without what a store adds to it (its scope and its score)."""
    values: dict[str, Any] = {name: getattr(entry, name) for name in _PLAIN}
    values["categories"] = list(entry.categories)
    values["metadata"] = dict(entry.metadata)
    values["created_at"] = entry.created_at.isoformat()
    values["last_accessed"] = entry.last_accessed.isoformat()
    if entry.expires_at is not None:
        values["expires_at"] = entry.expires_at.isoformat()
    if entry.history:
        values["history"] = [each.to_dict() for each in entry.history]
    if entry.embedding is not None:
        values["embedding"] = _vector_to_text(entry.embedding)
    return values


def entry_of(values: Mapping[str, Any], scope: Scope | None = None) -> MemoryEntry:
    """The entry again."""
    vector = values.get("embedding")
    return MemoryEntry(
        **{name: values[name] for name in _PLAIN},
        scope=scope,
        categories=tuple(values["categories"]),
        metadata=values["metadata"],
        created_at=datetime.fromisoformat(values["created_at"]),
        last_accessed=datetime.fromisoformat(values["last_accessed"]),
        expires_at=_time_of(values.get("expires_at")),
        history=tuple(map(EarlierText.of, values.get("history", ()))),
        embedding=None if vector is None else _vector_of(vector),
    )


def without_expired(values: dict[str, Any]) -> dict[str, Any]:
    """An operation as JSON, for a reader: without the texts of entries that have expired."""
    shown = dict(values)
    if "entries" in shown:
        shown["entries"] = [_unless_expired(each) for each in shown["entries"]]
    if "entry" in shown:
        shown["entry"] = _unless_expired(shown["entry"])
    if "messages" in shown and is_expired(_time_of(shown["about"].get("expires_at"))):
        shown["messages"] = []
    return shown


def _unless_expired(entry: dict[str, Any]) -> dict[str, Any]:
    end = entry.get("expires_at")
    return {"id": entry["id"], "expires_at": end} if is_expired(_time_of(end)) else entry


def _vector_to_text(vector: Sequence[float]) -> str:
    numbers = array("d", map(float, vector))
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()


def _vector_of(text: str) -> list[float]:
    numbers = array("d", base64.b64decode(text))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


# -- each operation ------------------------------------------------------------------------------------------------


def _put(operation: op.Put) -> dict[str, Any]:
    return {"entries": [entry_to_json(entry) for entry in operation.entries], "new": operation.new}


def _put_of(scope: Scope, values: Mapping[str, Any]) -> op.Put:
    return op.Put(scope, [entry_of(each, scope) for each in values["entries"]], values["new"])


def _replace(operation: op.Replace) -> dict[str, Any]:
    return {
        "entry": entry_to_json(operation.entry),
        "create": operation.create,
        "keep": sorted(operation.keep),
        "history": operation.history,
    }


def _replace_of(scope: Scope, values: Mapping[str, Any]) -> op.Replace:
    entry = entry_of(values["entry"], scope)
    return op.Replace(scope, entry, values["create"], frozenset(values["keep"]), _kept(values))


def _update(operation: op.Update) -> dict[str, Any]:
    changes = _about(cast(Mapping[str, Any], operation.changes))
    return {"id": operation.id, "changes": changes, "history": operation.history}


def _update_of(scope: Scope, values: Mapping[str, Any]) -> op.Update:
    return op.Update(scope, values["id"], cast(EntryChanges, _about_of(values["changes"])), _kept(values))


def _kept(values: Mapping[str, Any]) -> int:
    """How many earlier texts are kept, of an operation that an earlier version may have accepted."""
    return int(values.get("history", 0))


def _messages(operation: op.AddMessages) -> dict[str, Any]:
    messages = [dict(message) for message in operation.messages]
    return {"messages": messages, "about": _about(cast(Mapping[str, Any], operation.about)), "wait": operation.wait}


def _messages_of(scope: Scope, values: Mapping[str, Any]) -> op.AddMessages:
    return op.AddMessages(scope, values["messages"], cast(EntryFields, _about_of(values["about"])), values["wait"])


def _about(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of an entry as JSON values: a caller may give other sequences and mappings than JSON has."""
    values = dict(fields)
    if "categories" in values:
        values["categories"] = list(values["categories"])
    if "metadata" in values:
        values["metadata"] = dict(values["metadata"])
    if "expires_at" in values:
        values["expires_at"] = _time(values["expires_at"])
    return values


def _about_of(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "expires_at": _time_of(values["expires_at"])} if "expires_at" in values else values


def _delete(operation: op.Delete) -> dict[str, Any]:
    filter = operation.filter
    return {
        "owner_only": operation.owner_only,
        "undo_until": _time(operation.undo_until),
        "path": filter.path,
        "categories": filter.categories,
        "metadata": None if filter.metadata is None else dict(filter.metadata),
        "created_before": _time(filter.created_before),
        "created_after": _time(filter.created_after),
        "ids": filter.ids,
        "include_private": filter.include_private,
        "reader": filter.reader,
        "kind": filter.kind,
        "fields": [_condition(each) for each in filter.fields],
    }


def _condition(condition: FieldCondition) -> dict[str, Any]:
    return {
        "name": condition.field.name,
        "kind": condition.field.kind,
        "values": condition.values,
        "start": _time(condition.start),
        "end": _time(condition.end),
    }


def _filter_of(values: Mapping[str, Any], known: Mapping[str, FilterField]) -> EntryFilter:
    conditions = [
        FieldCondition(
            known.get(each["name"]) or FilterField(each["name"], each["kind"], _unknown_value),
            tuple(each["values"]),
            _time_of(each["start"]),
            _time_of(each["end"]),
        )
        for each in values["fields"]
    ]
    return EntryFilter(
        path=values["path"],
        categories=None if values["categories"] is None else tuple(values["categories"]),
        metadata=values["metadata"],
        created_before=_time_of(values["created_before"]),
        created_after=_time_of(values["created_after"]),
        ids=None if values["ids"] is None else tuple(values["ids"]),
        include_private=values["include_private"],
        reader=values["reader"],
        kind=values["kind"],
        fields=tuple(conditions),
    )


def _unknown_value(entry: MemoryEntry) -> None:
    """Of a field that this process does not know: no entry here matches a condition on it."""


def unknown_fields(operation: Writing) -> list[str]:
    """The filter fields of a delete that the store was opened without, so that this process cannot deliver it."""
    if not isinstance(operation, op.Delete):
        return []
    return [each.field.name for each in operation.filter.fields if each.field.value is _unknown_value]


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def _time_of(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


_KINDS: Final[Mapping[type, str]] = {
    op.Put: "put",
    op.Replace: "replace",
    op.Update: "update",
    op.Delete: "delete",
    op.AddMessages: "messages",
}
_WRITERS: Final[Mapping[type, Callable[[Any], dict[str, Any]]]] = {
    op.Put: _put,
    op.Replace: _replace,
    op.Update: _update,
    op.Delete: _delete,
    op.AddMessages: _messages,
}
_READERS: Final[Mapping[str, Callable[[Scope, Mapping[str, Any]], Writing]]] = {
    "put": _put_of,
    "replace": _replace_of,
    "update": _update_of,
    "messages": _messages_of,
}
