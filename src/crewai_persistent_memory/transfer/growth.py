"""How a store has grown: kinds, sizes, first and last use, and entries by day. See :mod:`..admin`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from ..store.base import MemoryStore
from .exporting import entries_of


@dataclass(frozen=True)
class Growth:
    """How a store has grown, by the entries that it has now: what was deleted is not counted.

    Attributes:
        entries: how many there are.
        characters: the length of their texts, in all.
        kinds: how many there are of each kind, the most first.
        first, last: when the oldest and the newest was created (naive UTC); ``None`` if there is none.
        used: when one was recalled or changed last (naive UTC).
        by_day: how many were created on each day (UTC) on which one was, in order.
    """

    entries: int
    characters: int
    kinds: Mapping[str, int]
    first: datetime | None
    last: datetime | None
    used: datetime | None
    by_day: Mapping[date, int]


def growth(store: MemoryStore, *, progress: Callable[[int], None] = lambda count: None, **scope: str | None) -> Growth:
    """Read every entry of all scopes with these fields, in constant memory.

    Args:
        store: as for :func:`.exporting.entries_of`.
        progress: called now and then with the number of entries that were read.
        scope: fields that the entries have, by name; ``None`` for entries without the field.

    Raises:
        ConfigurationError: Mem0, which cannot list across users.
        InvalidArgumentError: a name that no scope has.
        InvalidScopeError: a field is malformed.
        StoreError: the store failed.
    """
    kinds, days = Counter[str](), Counter[date]()
    chosen: Any = scope
    count = characters = 0
    first = last = used = None
    for count, entry in enumerate(entries_of(store, **chosen), 1):
        kinds[entry.kind] += 1
        days[entry.created_at.date()] += 1
        characters += len(entry.content)
        first = entry.created_at if first is None else min(first, entry.created_at)
        last = entry.created_at if last is None else max(last, entry.created_at)
        used = entry.last_accessed if used is None else max(used, entry.last_accessed)
        if count % 1_000 == 0:
            progress(count)
    return Growth(count, characters, dict(kinds.most_common()), first, last, used, dict(sorted(days.items())))
