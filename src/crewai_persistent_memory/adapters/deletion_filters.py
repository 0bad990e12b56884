"""What CrewAI's ``forget`` and its storage backend's ``delete`` select."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..entry_filter import FilterArgs


def deletion_filters(
    path: str | None = None,
    categories: Sequence[str] | None = None,
    record_ids: Sequence[str] | None = None,
    older_than: datetime | None = None,
    metadata_filter: Mapping[str, Any] | None = None,
) -> FilterArgs:
    """Filters that select the entries that match all of these; empty if everything is selected.

    Args:
        path: entries at this path and below it.
        categories: entries that have one of these; an empty list selects every entry, as in CrewAI.
        record_ids: entries with one of these ids; an empty list selects none.
        older_than: entries created before this time (naive is UTC).
        metadata_filter: entries whose metadata has each of these values; empty selects every entry, as in CrewAI.
    """
    filters: FilterArgs = {}
    if path is not None:
        filters["path"] = path
    if categories:
        filters["categories"] = categories
    if record_ids is not None:
        filters["ids"] = record_ids
    if older_than is not None:
        filters["created_before"] = older_than
    if metadata_filter:
        filters["metadata"] = metadata_filter
    return filters
