"""With which end an entry is saved: its own, or one by the options ``ttl`` and ``run_ttl``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...entry import MEMORY, EntryChanges, EntryFields, MemoryEntry
from ...errors import InvalidArgumentError
from ...expiry import NEVER, NO_RULES, Ttl, own_expiry
from ...scope import Scope
from .handle import StoreHandle


def with_its_end(handle: StoreHandle, entry: MemoryEntry, scope: Scope, ttl: Ttl | None = None) -> MemoryEntry:
    """The entry as it is saved, with the time at which it expires."""
    if entry.expires_at is None and ttl is None and handle.expiry is NO_RULES:
        return entry
    end = handle.expiry.end_of(own_expiry(entry.expires_at, ttl), entry.kind, scope)
    if end is not entry.expires_at:
        entry = replace(entry, expires_at=end)
    check_ends_are_kept(handle, [entry])
    return entry


def with_its_new_end(handle: StoreHandle, changes: EntryChanges) -> EntryChanges:
    """The changes of an entry, with a new end as ``expires_at``."""
    if "expires_at" not in changes and "ttl" not in changes:
        return changes
    changed = changes.copy()
    end = own_expiry(changed.pop("expires_at", None), changed.pop("ttl", None))
    if end is not None:
        changed["expires_at"] = None if end == NEVER else end
        if not handle.capabilities.expires and end != NEVER:
            check_ends_are_kept(handle, [MemoryEntry("changed", "", expires_at=end)])
    return changed


def with_their_end(handle: StoreHandle, about: EntryFields, scope: Scope) -> EntryFields:
    """The fields of the entries that come of messages, with the time at which they expire."""
    said = about.copy()
    own = own_expiry(said.pop("expires_at", None), said.pop("ttl", None))
    end = handle.expiry.end_of(own, about.get("kind", MEMORY), scope)
    if end is not None:
        said["expires_at"] = end
        check_ends_are_kept(handle, [MemoryEntry("said", "", expires_at=end)])
    return said


def check_ends_are_kept(handle: StoreHandle, entries: Sequence[MemoryEntry]) -> None:
    """
    Raises:
        InvalidArgumentError: one of the entries expires, and the backend would keep it for good.
    """
    if not handle.capabilities.expires and any(entry.expires_at is not None for entry in entries):
        raise InvalidArgumentError(
            "expires_at: this store's backend does not declare the capability expires, so it would keep the entry "
            "for good. Leave out expires_at, ttl and run_ttl, or use another store"
        )
