"""Which memory of Mem0 has an id of ours: looked up one by one, or in one listing of an owner."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

from ...io.steps import Steps
from ...scope import Scope, owners_visible_to
from ...validation import check_id
from .api import Mem0Api
from .codec import Record, one_of_each

FEW: Final = 3
"""Up to so many entries are looked for one by one when their ids may be taken; of more, all are listed once."""


def memory_with(api: Mem0Api, id: str, scope: Scope, *, include_shared: bool) -> Steps[Record | None]:
    """The visible memory with this id; of several, the one whose run and agent are the most specific."""
    owners = owners_visible_to(scope, include_shared=include_shared)
    found = yield from all_with(api, id, owners)
    return min(one_of_each(found), key=lambda record: owners.index(record.owner), default=None)


def all_with(api: Mem0Api, id: str, owners: Sequence[Scope], *, with_expired: bool = False) -> Steps[list[Record]]:
    """All memories of owners with this id, twins too."""
    found = yield from api.everything(owners, check_id(id), with_expired=with_expired)
    if not found and _is_uuid(id):
        named = yield from api.by_mem0_id(id, owners)
        # What was added under an id of ours has that one, and is not to be had by another.
        found = [named] if named is not None and named.entry.id == id else []
    return found


def taken_ids(api: Mem0Api, owner: Scope, ids: Sequence[str]) -> Steps[dict[str, list[Record]]]:
    """Which of these ids are taken in one owner's memory; of twins the one first that is seen."""
    listed: list[Record] = []
    if len(ids) > FEW:
        listed = yield from api.everything([owner])
    else:
        for id in ids:
            listed += yield from all_with(api, id, [owner])
    taken: dict[str, list[Record]] = {id: [] for id in ids}
    for record in sorted(listed, key=lambda record: record.id):
        if record.entry.id in taken:
            taken[record.entry.id].append(record)
    return taken


def _is_uuid(id: str) -> bool:
    """Mem0's own ids are all of this kind."""
    try:
        return str(uuid.UUID(id)) == id.lower()
    except ValueError:
        return False
