"""A search across scopes: for the operator of the store."""

from __future__ import annotations

from collections.abc import Callable
from heapq import nlargest

from ..entry import MemoryEntry
from ..entry_filter import FilterArgs
from ..scope import Scope
from ..store.base import MemoryStore
from .exporting import entries_of


def search_scopes(
    store: MemoryStore,
    query: str,
    *,
    limit: int = 10,
    filters: FilterArgs | None = None,
    of: Callable[[Scope], bool] = lambda owner: True,
    **scope: str | None,
) -> list[MemoryEntry]:
    """The entries of all scopes with these fields that say something about a query, best first, each with its owner.

    Each owner's memory is searched by itself, so it takes as many searches as there are owners, and a read of all
    their entries to know them.

    Args:
        store: as for :func:`entries_of`.
        query: as for :meth:`MemoryStore.search`.
        limit: most results, of all owners together.
        filters: of :meth:`MemoryStore.search`, such as ``{"kind": "entity"}``.
        of: which owners.
        scope: fields that the entries have, by name; ``None`` for entries without the field.

    Raises:
        ConfigurationError: Mem0, which cannot list across users.
        InvalidArgumentError: a filter is not valid, or a name that no scope has.
        InvalidScopeError: a field is malformed.
        StoreError: the store failed.
    """
    owners: dict[Scope, None] = {}
    for entry in entries_of(store, with_vectors=False, **scope):
        if entry.scope is not None and of(entry.scope):
            owners[entry.scope] = None
    found = [
        entry
        for owner in owners
        for entry in store.scoped(owner).search(query, limit=limit, **(filters or {}))
        if entry.scope == owner  # a run's owner sees more than its own
    ]
    return nlargest(limit, found, key=lambda entry: entry.score or 0.0)
