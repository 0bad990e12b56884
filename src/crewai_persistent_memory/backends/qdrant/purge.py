"""Deleting the entries whose time is over. No read finds them; this removes them from the collection."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from ...io.steps import Steps
from ...scope import Scope
from ...store import operations as op
from .collection import Collection
from .context import take_out
from .engine_requests import Count, Delete, Describe, Scroll
from .forgotten import where_expired
from .schema import owner_in, where_scopes

PAGE: Final = 256
"""Entries that are read together."""


def purge_expired(operation: op.PurgeExpired, collection: Collection) -> Steps[int]:
    """See :class:`~....store.operations.PurgeExpired`. An entry that is given a later end meanwhile stays. What was
    deleted, and could be brought back until now, goes as well."""
    expired, over = ((*where_scopes(operation.scope), *where_expired(kept=kept)) for kept in (False, True))
    if operation.dry_run:
        return (yield from collection.ask(Count(expired))) + (yield from collection.ask(Count(over)))
    profile = yield from collection.ask(Describe())
    start: str | None = None
    while True:
        hits, start = yield from collection.ask(Scroll(expired, PAGE, start))
        by_owner: defaultdict[Scope, list[str]] = defaultdict(list)
        for hit in hits:
            by_owner[owner_in(hit.payload)].append(str(hit.id))
        for owner, ids in by_owner.items():
            # First, so that a crash leaves no words of what is deleted.
            yield from take_out(collection, profile, owner, ids, gone=True)
        if start is None:
            break
    deleted = yield from collection.ask(Delete(expired))
    return deleted + (yield from collection.ask(Delete(over)))
