"""Summaries of entries that are all read, for a store that cannot summarize by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..entry import MemoryEntry, PathInfo
from ..validation import child_paths, path_ancestors


def categories_of(entries: Iterable[MemoryEntry]) -> dict[str, int]:
    """Each category, with how many entries have it."""
    counts: dict[str, int] = {}
    for entry in entries:
        for category in dict.fromkeys(entry.categories):
            counts[category] = counts.get(category, 0) + 1
    return counts


def children_of(path: str, entries: Iterable[MemoryEntry]) -> tuple[str, ...]:
    """The paths one level below ``path`` that have entries, sorted."""
    return tuple(child_paths(path, {each for entry in entries for each in path_ancestors(entry.path)}))


def path_info(path: str, entries: Sequence[MemoryEntry]) -> PathInfo:
    """The summary of a path, whose entries these are."""
    times = [entry.created_at for entry in entries]
    return PathInfo(
        path=path,
        count=len(entries),
        categories=tuple(sorted(categories_of(entries))),
        oldest=min(times, default=None),
        newest=max(times, default=None),
        children=children_of(path, entries),
    )
