"""Operations that delete entries, and that bring deleted ones back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ...entry import MemoryEntry
from ...entry_filter import EntryFilter
from .operation import ScopedOperation


@dataclass(frozen=True)
class Delete(ScopedOperation[int]):
    """Delete the visible entries that match; the answer is how many there were.

    Entries that have expired, and are still there, are deleted too, and counted.

    Attributes:
        owner_only: entries of exactly this scope, not all that it sees: of a run, not those of the user.
        fields_complete: see :class:`~.reading.ReadOperation`.
        undo_until: until then :class:`UndoDelete` brings them back. ``None``: they are deleted for good, and so is
            what earlier deletes have kept of such entries. For the capability ``undoes_deletes``.
    """

    writes = True
    filter: EntryFilter
    owner_only: bool = field(default=False, kw_only=True)
    fields_complete: bool = field(default=False, kw_only=True)
    undo_until: datetime | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class UndoDelete(ScopedOperation[list[MemoryEntry]]):
    """Bring back what the scope would see, if it had not been deleted. For the capability ``undoes_deletes``.

    The answer is what came back. An entry whose own end has passed stays deleted; where one with the same id was saved
    since, that one stays.

    Attributes:
        ids: of the entries; ``None``: all.
        path: only entries at it and below it.
        dry_run: bring back nothing.
    """

    writes = True
    ids: tuple[str, ...] | None = None
    path: str | None = None
    dry_run: bool = False
