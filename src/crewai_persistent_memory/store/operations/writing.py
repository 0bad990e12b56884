"""Operations that save and change entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypedDict

from ...entry import EntryChanges, EntryFields, MemoryEntry
from .operation import ScopedOperation


@dataclass(frozen=True)
class Put(ScopedOperation[Sequence[MemoryEntry] | None]):
    """Store entries in the scope, in place of those with the same ids there.

    The answer is the entries that were stored; ``None`` stands for those of the operation. ``add`` returns what it
    says, so a middleware that changes an entry passes the answer on.

    Attributes:
        entries: whole entries. All are checked before the first is written.
        new: the ids were made for these entries, so none is taken.
    """

    writes = True
    entries: Sequence[MemoryEntry] = field(repr=False)
    new: bool = False


@dataclass(frozen=True)
class Replace(ScopedOperation[bool]):
    """Store an entry in place of the visible one with its id; the answer is whether it was stored.

    Attributes:
        entry: without an embedding, the stored vector stays while the content does.
        create: if the entry does not exist, store it in the scope.
        keep: names of fields of ``entry`` that say nothing: the stored ones stay.
        history: so many earlier texts the entry keeps. Its own ``history`` says nothing. For the capability
            ``keeps_history``.
    """

    writes = True
    entry: MemoryEntry = field(repr=False)
    create: bool = True
    keep: frozenset[str] = frozenset()
    history: int = 0


@dataclass(frozen=True)
class Update(ScopedOperation[MemoryEntry | None]):
    """Change fields of the visible entry with this id; the answer is the entry, or ``None`` if there is none.

    Attributes:
        history: so many earlier texts the entry keeps. For the capability ``keeps_history``.
    """

    writes = True
    id: str
    changes: EntryChanges = field(repr=False)
    history: int = 0


@dataclass(frozen=True)
class Touch(ScopedOperation[None]):
    """Set ``last_accessed`` of these entries to now.

    Attributes:
        ids: one that is not visible is left alone.
        background: the caller does not wait for it; a failure is logged.
    """

    writes = True
    ids: tuple[str, ...]
    background: bool = False


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["user", "assistant", "system"]
    content: str


@dataclass(frozen=True)
class AddedMessages:
    """Result of adding messages.

    Attributes:
        entries: what was remembered, if that is known already. Nothing worth remembering leaves it empty.
        pending: the store took the messages and is still at work on them.
        event_id: the store's name for that work.
    """

    entries: tuple[MemoryEntry, ...] = ()
    pending: bool = False
    event_id: str | None = None


@dataclass(frozen=True)
class AddMessages(ScopedOperation[AddedMessages]):
    """Let the store extract what is worth remembering. For backends with the capability ``extracts``.

    Attributes:
        messages: oldest first.
        about: fields of every memory that comes of them.
        wait: return when it is done. ``None``: as the store was opened.
        delivery: names this call. The store keeps it with every memory that comes of it.
        again: the call may have been done before. The store first looks for memories with this ``delivery``.
        event_id: the store has them under this event already: nothing is sent, and it is waited for what comes of it.
    """

    writes = True
    messages: Sequence[Message] = field(repr=False)
    about: EntryFields = field(repr=False)
    wait: bool | None = None
    delivery: str | None = None
    again: bool = False
    event_id: str | None = None


@dataclass(frozen=True)
class CompleteFields(ScopedOperation[bool]):
    """Store the values that entries lack of an application's filter fields, before an operation that filters by them.

    For backends with the capability ``stores_fields``. Only entries that the scope may change are completed. The answer
    is whether no entry that the operation sees lacks a value any more. Whoever does not execute this operation, or
    refuses it, changes no result: values that are not stored are computed for the operation.

    Attributes:
        names: of the fields.
        include_shared: of the operation.
    """

    writes = True
    names: tuple[str, ...]
    include_shared: bool = False
