"""Checks a whole entry before it is accepted, whatever store it is for."""

from __future__ import annotations

from dataclasses import replace

from .corrections import checked_history
from .entry import MemoryEntry
from .expiry import check_expires_at
from .validation import check_id, check_importance, check_metadata, check_text, normalize_path, text_tuple, to_naive_utc


def checked_entry(entry: MemoryEntry, *, allow_blank: bool) -> MemoryEntry:
    """The entry in normal form. The embedding stays as it is.

    Args:
        entry: as a caller gave it.
        allow_blank: whether the store keeps a text that is blank.

    Raises:
        InvalidEntryError: a field cannot be stored; the message names it.
    """
    check_metadata(entry.metadata)
    return replace(
        entry,
        id=check_id(entry.id),
        content=check_text("content", entry.content, allow_blank=allow_blank),
        path=normalize_path(check_text("path", entry.path)),
        categories=tuple(check_text("a category", each) for each in text_tuple("categories", entry.categories)),
        metadata=dict(entry.metadata),
        importance=check_importance(entry.importance),
        source=None if entry.source is None else check_text("source", entry.source),
        kind=check_text("kind", entry.kind, allow_blank=False),
        expires_at=None if entry.expires_at is None else check_expires_at(entry.expires_at),
        created_at=to_naive_utc("created_at", entry.created_at),
        last_accessed=to_naive_utc("last_accessed", entry.last_accessed),
        history=checked_history(entry.history) if entry.history else (),
    )
