"""Add missing values of filter fields to entries, when a filter needs them.

An entry says for which fields it has values (``filter_fields`` in its payload). A process that does not know a field
saves entries without it, and leaves its name out when it changes an entry. So a filter looks in the reader's scope for
entries that do not name the field, and completes them, before it is applied. No process must know what others do, and
no collection must be completed as a whole when a field is new.

Another process may change an entry while it is completed. So an entry is looked at again after each write, and whoever
writes last also looks last, as in ``changes``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from ...errors import StorePermissionError
from ...filter_fields import FilterField
from ...io.steps import Steps, work
from ...scope import Scope
from .changes import MOST_LOOKS
from .codec import field_values_to_set, to_entry
from .collection import Collection
from .engine_requests import Describe, Hit, Lacks, Retrieve, Scroll, SetPayloads
from .schema import FIELD_PREFIX, FILTER_FIELDS_KEY, checked, where_visible

PAGE: Final = 256
"""Entries that are completed together."""


def complete_fields(
    collection: Collection, reader: Scope, names: Iterable[str], *, include_shared: bool
) -> Steps[None]:
    """Complete the entries that the reader sees, for the fields of these names.

    Raises:
        StorePermissionError: there are such entries, and this key may not write them.
    """
    fields = (yield from collection.ask(Describe())).filter_fields
    visible = where_visible(reader, include_shared=include_shared)
    for name in names:
        start = None
        while True:
            lacking = Scroll((*visible, Lacks(FILTER_FIELDS_KEY, name)), PAGE, start)
            hits, start = yield from collection.ask(lacking)
            try:
                yield from _complete(collection, hits, fields, reader, include_shared=include_shared)
            except StorePermissionError as error:
                raise StorePermissionError(
                    f"there are entries without the filter field {name!r}, and this key may not write: use the filter "
                    f"once with a key that may ({error})"
                ) from error
            if start is None:
                break


def _complete(
    collection: Collection, hits: Sequence[Hit], fields: Sequence[FilterField], reader: Scope, *, include_shared: bool
) -> Steps[None]:
    visible = where_visible(reader, include_shared=include_shared)
    before: dict[str, Any] = {}
    for _ in range(MOST_LOOKS):
        ours = checked(hits, reader, include_shared=include_shared)
        writes = yield from work(partial(_writes, ours, fields, before), long=bool(ours))
        if not writes:
            return
        yield from collection.ask(SetPayloads(visible, writes))
        written = [id for ids, _ in writes for id in ids]
        before = {str(hit.id): _without_fields(hit) for hit, _ in ours}
        hits = yield from collection.ask(Retrieve(written))


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
