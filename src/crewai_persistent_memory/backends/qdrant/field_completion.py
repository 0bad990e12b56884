"""Add missing values of filter fields to entries, when a filter needs them.

An entry says for which fields it has values (``filter_fields`` in its payload). A process that does not know a field
saves entries without it, and leaves its name out when it changes an entry. So before a filter is applied, its store
looks in the reader's scope for entries that do not name the field, and completes those that the scope may change: its
own, never shared ones. No process must know what others do, and no collection must be completed as a whole when a field
is new.

The completion is an operation of its own, ``CompleteFields``, which middleware and API keys may refuse. The values that
it leaves out are computed for each filter, which writes nothing.

Another process may change an entry while it is completed. So an entry is looked at again after each write, and whoever
writes last also looks last, as in ``changes``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from ...errors import StorePermissionError
from ...filter_fields import FieldCondition, FilterField
from ...io.steps import Steps, work
from ...scope import Scope, visible
from ...store import operations as op
from ...store.operations import fields_asked
from .changes import MOST_LOOKS
from .codec import field_values_to_set, to_entry
from .collection import Collection
from .engine_requests import Describe, Hit, Lacks, Retrieve, Scroll, SetPayloads
from .schema import FIELD_PREFIX, FILTER_FIELDS_KEY, PartlyStored, checked, not_expired, where_visible

PAGE: Final = 256
"""Entries that are completed together."""

MOST_COMPUTED: Final = 10_000
"""Entries whose values one operation computes because it must not store them: about half a second of work."""


def complete_fields(operation: op.CompleteFields, collection: Collection) -> Steps[bool]:
    """See :class:`~....store.operations.CompleteFields`.

    Raises:
        StorePermissionError: there are such entries, and this key may not write them.
    """
    scope = operation.scope
    fields = (yield from collection.ask(Describe())).filter_fields
    complete = True
    for name in operation.names:
        start = None
        while True:
            hits, start = yield from _lacking(collection, name, operation, start)
            ours = [(hit, owner) for hit, owner in hits if visible(owner, scope)]
            complete = complete and len(ours) == len(hits)
            yield from _complete(collection, ours, fields, scope)
            if start is None:
                break
    return complete


def with_computed_values(operation: Any, collection: Collection) -> Steps[Any]:
    """The operation with the values that its filters need and that are not stored, computed for it. Writes nothing.

    Raises:
        StorePermissionError: too many entries lack them.
    """
    conditions = []
    for condition in fields_asked(operation):
        name, others, looked_at, start = condition.field.name, [], 0, None
        while True:
            hits, start = yield from _lacking(collection, name, operation, start)
            looked_at += len(hits)
            if looked_at > MOST_COMPUTED:
                raise StorePermissionError(
                    f"more than {MOST_COMPUTED:,} entries that this handle must not change lack a value of the filter "
                    f"field {name!r}: use the filter once with a handle of their scope that may write"
                )
            others += yield from work(partial(_meeting, hits, condition), long=bool(hits))
            if start is None:
                break
        conditions.append(PartlyStored(**vars(condition), others=tuple(others)) if looked_at else condition)
    if isinstance(operation, op.Search):
        filters = tuple(replace(filter, fields=tuple(conditions)) for filter in operation.filters)
        return replace(operation, filters=filters)
    return replace(operation, filter=replace(operation.filter, fields=tuple(conditions)))


def _lacking(
    collection: Collection, name: str, operation: Any, start: str | None
) -> Steps[tuple[list[tuple[Hit, Scope]], str | None]]:
    """Some of the entries that an operation sees and that lack a value, with their owners; and where others begin."""
    include_shared = getattr(operation, "include_shared", False)
    seen = (*where_visible(operation.scope, include_shared=include_shared), not_expired())
    hits, start = yield from collection.ask(Scroll((*seen, Lacks(FILTER_FIELDS_KEY, name)), PAGE, start))
    return checked(hits, operation.scope, include_shared=include_shared), start


def _meeting(hits: Sequence[tuple[Hit, Scope]], condition: FieldCondition) -> list[str]:
    return [str(hit.id) for hit, owner in hits if condition.matches(to_entry(hit, owner))]


def _complete(
    collection: Collection, ours: Sequence[tuple[Hit, Scope]], fields: Sequence[FilterField], scope: Scope
) -> Steps[None]:
    where = where_visible(scope, include_shared=False)
    before: dict[str, Any] = {}
    for _ in range(MOST_LOOKS):
        writes = yield from work(partial(_writes, ours, fields, before), long=bool(ours))
        if not writes:
            return
        yield from collection.ask(SetPayloads(where, writes))
        written = [id for ids, _ in writes for id in ids]
        before = {str(hit.id): _without_fields(hit) for hit, _ in ours}
        ours = checked((yield from collection.ask(Retrieve(written))), scope, include_shared=False)


def _writes(
    hits: Sequence[tuple[Hit, Scope]], fields: Sequence[FilterField], before: Mapping[str, Any]
) -> list[tuple[list[str], dict[str, Any]]]:
    """What to set on which points: those with the same values together.

    Args:
        hits: the points and their owners.
        fields: to compute.
        before: what the points had when values were last computed, by their ids.
    """
    found: dict[str, tuple[list[str], dict[str, Any]]] = {}
    for hit, owner in hits:
        id = str(hit.id)
        payload = field_values_to_set(hit, to_entry(hit, owner), fields)
        if id in before and before[id] != _without_fields(hit):
            # It was changed in between: what it has of fields that are not known here may be of before.
            payload[FILTER_FIELDS_KEY] = sorted(each.name for each in fields)
        if payload:
            found.setdefault(json.dumps(payload, sort_keys=True), ([], payload))[0].append(id)
    return list(found.values())


def _without_fields(hit: Hit) -> dict[str, Any]:
    return {
        key: value
        for key, value in hit.payload.items()
        if not key.startswith(FIELD_PREFIX) and key != FILTER_FIELDS_KEY
    }
