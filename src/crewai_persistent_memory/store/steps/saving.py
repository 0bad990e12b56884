"""How entries are saved and changed."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Collection, Sequence
from typing import Any, cast

from typing_extensions import Unpack

from ...entry import EntryArgs, EntryChanges, EntryFields, MemoryEntry, check_changes, check_fields
from ...errors import EntryNotFoundError, InvalidArgumentError, InvalidEntryError, Outcome, StoreUnavailableError
from ...io.steps import Steps
from ...validation import check_id, check_text, normalize_path, text_tuple, utcnow
from .. import operations as op
from ..operations import AddedMessages, Message
from ..visibility_check import only_visible
from .ends import check_ends_are_kept, with_its_end, with_its_new_end, with_their_end
from .handle import StoreHandle


def add(handle: StoreHandle, content: str, **about: Unpack[EntryArgs]) -> Steps[MemoryEntry]:
    """Remember a text. When this returns, the entry is kept.

    Args:
        content: the text, not blank.
        about: ``id`` (left out: a new UUID; one that exists in this scope is replaced), ``path``,
            ``categories``, ``metadata``, ``importance`` (0…1), ``source``, ``private``, ``kind``, ``created_at``,
            ``embedding`` (left out: made by the store's embedder), ``expires_at`` (a time with a time zone) or
            ``ttl`` (a ``timedelta``, or seconds): from then on no read finds the entry. Both left out: by the
            options ``ttl`` and ``run_ttl``; ``expires_at=NEVER``: it stays.

    Raises:
        InvalidEntryError: a field cannot be stored; the message names it.
        StoreError: the store failed; nothing was stored.

    A text longer than the embedder takes is cut for it; the vector is the mean of the parts' vectors. If the
    embedder is away, or refuses the text, the entry is kept without a vector, found by its words, and embedded by a
    later save or :meth:`embed_missing`.
    """
    check_text("content", content, allow_blank=False)
    check_fields(about)
    scope = handle.binding.resolve()
    values: dict[str, Any] = {"id": str(uuid.uuid4()), **about}
    values["created_at"] = values["last_accessed"] = values.get("created_at") or utcnow()
    ttl = values.pop("ttl", None)
    entry = with_its_end(handle, MemoryEntry(content=content, **values), scope, ttl)
    if handle.filter_fields:
        _check_fields_of(handle, [entry])
    try:
        stored = yield from handle.execute(op.Put(scope, [entry], new="id" not in about))
    except StoreUnavailableError as error:
        if "id" in about or error.outcome is not Outcome.UNKNOWN:
            raise
        # To add the same text again would make another id, and so a second entry.
        message = f"{error}. The entry has the id {entry.id!r}: give it as id= if you add it again"
        raise StoreUnavailableError(message, outcome=error.outcome, retry_after=error.retry_after) from error
    entry = stored[0] if stored else entry
    as_read = {"scope": scope, "path": normalize_path(entry.path), "embedding": None}
    as_read |= {"categories": tuple(entry.categories), "metadata": dict(entry.metadata)}
    return MemoryEntry.trusted(**{**vars(entry), **as_read})


def put(handle: StoreHandle, entries: Sequence[MemoryEntry]) -> Steps[None]:
    """Store whole entries as they are, in this scope; an id that exists in this scope is replaced.

    Entries without an embedding are embedded by the store's embedder if it has one. All entries are checked
    before the first is written. One without ``expires_at`` expires by the options ``ttl`` and ``run_ttl``.
    """
    return _put(handle, entries, as_they_are=False)


def put_as_they_are(handle: StoreHandle, entries: Sequence[MemoryEntry]) -> Steps[None]:
    """:meth:`put`. Each entry keeps its ``expires_at``, also ``None`` and one that has passed, as a copy needs it."""
    return _put(handle, entries, as_they_are=True)


def put_kept(handle: StoreHandle, entries: Sequence[MemoryEntry]) -> Steps[None]:
    """:meth:`put` of entries that are in the store: one may expire in this very moment."""
    scope = handle.binding.resolve()
    ends = [handle.expiry.end_of(entry.expires_at, entry.kind, scope) for entry in entries]
    return put_as_they_are(
        handle, [dataclasses.replace(entry, expires_at=end) for entry, end in zip(entries, ends, strict=True)]
    )


def replace(handle: StoreHandle, entry: MemoryEntry, *, create: bool = True, keep: Collection[str] = ()) -> Steps[bool]:
    """Store ``entry`` in place of the visible entry with its id, which keeps its run and agent. Without an
    embedding, the stored vector stays while the content does.

    Args:
        entry: the entry.
        create: if the entry does not exist, store it in this scope. With ``False`` nothing is stored then, so an
            entry that was deleted after the read stays deleted.
        keep: names of fields whose stored values stay; their values in ``entry`` are ignored.

    Returns:
        Whether it was stored.
    """
    scope = handle.binding.resolve()
    entry = with_its_end(handle, entry, scope)
    if handle.filter_fields:
        _check_fields_of(handle, [entry])
    return handle.execute(op.Replace(scope, entry, create, frozenset(keep), handle.history))


def update(handle: StoreHandle, id: str, **changes: Unpack[EntryChanges]) -> Steps[MemoryEntry]:
    """Change fields of an entry; new content is embedded anew.

    Args:
        id: of the entry.
        changes: its fields. ``expires_at`` or ``ttl`` gives it another end, ``expires_at=NEVER`` none; without
            them, or with ``None``, its end stays.

    Raises:
        EntryNotFoundError: no entry with this id is visible in the scope.
        InvalidEntryError: a field cannot be stored.
    """
    check_changes(changes)
    if "content" in changes:
        check_text("content", changes["content"], allow_blank=False)
    operation = op.Update(handle.binding.resolve(), check_id(id), with_its_new_end(handle, changes), handle.history)
    changed: MemoryEntry | None = only_visible(operation, (yield from handle.execute(operation)))
    if changed is None:
        raise EntryNotFoundError(f"no entry with id {id!r} is visible in this scope: check the id and the scope")
    return changed


def add_messages(
    handle: StoreHandle, messages: Sequence[Message], *, wait: bool | None = None, **about: Unpack[EntryFields]
) -> Steps[AddedMessages]:
    """Let the store's LLM extract what is worth remembering: for a store with the capability ``extracts`` (Mem0).

    Args:
        messages: the conversation, oldest first.
        wait: return when it is done, with the outcome. Left out: as the store was opened.
        about: ``path``, ``categories``, ``metadata``, ``importance``, ``source``, ``private``, ``kind``,
            ``expires_at`` or ``ttl``, for every memory that comes of it.

    Raises:
        InvalidEntryError: a message or a field cannot be stored, or the store extracts nothing.
        StoreError: the store failed; see its subclasses.
    """
    if not handle.capabilities.extracts:
        raise InvalidArgumentError(
            "messages: this store keeps texts as they are and extracts nothing. Use add() or put(), or a Mem0 store"
        )
    check_fields(about)
    scope = handle.binding.resolve()
    said = with_their_end(handle, about, scope)
    return handle.execute(op.AddMessages(scope, _checked_messages(messages), said, wait))


def touch(handle: StoreHandle, ids: Sequence[str], *, soon: bool = False) -> Steps[None]:
    """Set ``last_accessed`` of these entries to now.

    Args:
        ids: the entries; one that is not visible is left alone.
        soon: do not wait for a remote store. A failure is then logged, not raised.
    """
    scope, named = handle.binding.resolve(), text_tuple("ids", ids)
    if named and handle.capabilities.access_times:
        yield from handle.execute(op.Touch(scope, named, soon))


def _put(handle: StoreHandle, entries: Sequence[MemoryEntry], *, as_they_are: bool) -> Steps[None]:
    scope = handle.binding.resolve()
    if as_they_are:
        check_ends_are_kept(handle, entries)
    else:
        entries = [with_its_end(handle, entry, scope) for entry in entries]
    if handle.filter_fields:
        _check_fields_of(handle, entries)
    if entries:
        yield from handle.execute(op.Put(scope, entries))


def _check_fields_of(handle: StoreHandle, entries: Sequence[MemoryEntry]) -> None:
    """Here, and not in the backends: an entry that one store refuses every store refuses."""
    for entry in entries:
        for each in handle.filter_fields.values():
            each.values_of(entry)


def _checked_messages(messages: Sequence[Message]) -> list[Message]:
    if isinstance(messages, (str, dict)) or not messages:
        raise InvalidEntryError('messages must be a list of {"role": ..., "content": ...}, and not empty')
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant", "system"):
            raise InvalidEntryError("messages: each needs a role, one of user, assistant and system")
        check_text("the content of a message", message.get("content"), allow_blank=False)
    return cast("list[Message]", list(messages))
