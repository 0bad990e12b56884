"""How writes are accepted into the queue, and which of them wait for the store's answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Final, cast

from .. import errors
from ..embedding import check_vector
from ..entry import MemoryEntry
from ..entry_check import checked_entry
from ..errors import EngineError, InvalidEntryError, PersistentMemoryError, StorePermissionError
from ..io.steps import Steps, Work
from ..scope import Scope
from ..store import operations as op
from ..store.backend import Backend, Capabilities
from .reading import Reading
from .records import lane_of
from .serialised import Writing, entry_of
from .shared import Outbox, OutboxSettings

_UNKNOWN: Final[Any] = object()
"""In place of an answer that the store has not given yet."""


class Accepting:
    """The writes of one handle."""

    def __init__(
        self, outbox: Outbox, backend: Backend, settings: OutboxSettings, capabilities: Capabilities, reading: Reading
    ) -> None:
        self._outbox = outbox
        self._backend = backend
        self._settings = settings
        self._can = capabilities
        self._reading = reading

    def _put(self, operation: op.Put) -> Steps[None]:
        entries = [self._checked(entry) for entry in operation.entries]
        if entries:
            yield from self._accept(replace(operation, entries=entries))

    def _checked(self, entry: MemoryEntry) -> MemoryEntry:
        """What the store would refuse for good is refused before it is accepted."""
        entry = checked_entry(entry, allow_blank=not self._can.extracts)
        if entry.embedding is None:
            return entry
        if not self._can.vectors:
            raise InvalidEntryError("embedding: this store makes its own vectors, leave it out")
        return replace(entry, embedding=check_vector("embedding", entry.embedding))

    def _add_messages(self, operation: op.AddMessages) -> Steps[op.AddedMessages]:
        self._checked(_entry_of(operation))
        waits = self._settings.waits_for_messages if operation.wait is None else operation.wait
        answer = yield from self._accept(operation, waits=waits, seconds=self._settings.messages_timeout)
        if answer is _UNKNOWN:
            return op.AddedMessages(pending=True)
        event_id = answer["event_id"]
        if answer["pending"] and event_id is not None:
            # The sender does not wait for the store's LLM: writes of others would wait, too.
            added: op.AddedMessages = yield from self._backend.execute(replace(operation, event_id=event_id))
            return added
        return op.AddedMessages(tuple(map(_entry_from, answer["entries"])), answer["pending"], event_id)

    def _replace(self, operation: op.Replace) -> Steps[bool]:
        operation = replace(operation, entry=self._checked(operation.entry))
        if (yield from self._reading.pending(operation.scope)).has_expired(operation.entry.id):
            if operation.create:  # nothing of the old one is kept
                yield from self._accept(op.Put(operation.scope, [operation.entry]))
            return operation.create
        answer = yield from self._accept(operation, waits=True)
        return True if answer is _UNKNOWN else bool(answer)

    def _update(self, operation: op.Update) -> Steps[MemoryEntry | None]:
        changes = cast(dict[str, Any], operation.changes)
        guess = MemoryEntry(id=operation.id, scope=operation.scope, **{"content": "-", **changes})
        guess = self._checked(guess)
        pending = yield from self._reading.pending(operation.scope)
        if pending.has_expired(operation.id):
            return None
        local = pending.get(operation.id)
        answer = yield from self._accept(operation, waits=True)
        if answer is not _UNKNOWN:
            return None if answer is None else _entry_from(answer)
        if local is not None:
            return replace(local, **changes, embedding=None)
        return guess if "content" in changes else replace(guess, content="")

    def _delete(self, operation: op.Delete) -> Steps[int]:
        queue, sender = self._outbox.queue, self._outbox.sender
        keeps = operation.undo_until is not None
        waiting = (yield from self._reading.pending(operation.scope)).matched_by(operation) if keeps else []
        seq = yield from self._accepted(operation, waits=True)
        answer = yield from self._answer_to(operation, seq, gives_up=False)
        if answer is not _UNKNOWN:
            return int(answer)
        if keeps and not sender.may_not:
            return len(waiting)  # it can still be undone, so what waits before it is sent all the same
        if sender.may_not:
            # Nor is it erased here. What waits is another process's, whose key may write.
            if (yield Work(partial(queue.withdraw, seq))):
                raise StorePermissionError(f"{self._settings.store} permits no key of this process to delete")
            answer = yield from self._answer_to(operation, seq)
            return 0 if answer is _UNKNOWN else int(answer)
        # The store does not answer, or does not take what waits before. What waits can be erased at once.
        never_sent, held = cast(tuple[int, int], (yield Work(partial(queue.erase, seq))))
        sender.resume(lane_of(operation.scope))
        answer = yield from self._answer_to(operation, seq)
        return held if answer is _UNKNOWN else never_sent + int(answer)

    def _accept(self, operation: Writing, *, waits: bool = False, seconds: float | None = None) -> Steps[Any]:
        """Accept a write, and wait for its answer if the caller needs one. ``_UNKNOWN``: there is none yet.

        Raises:
            PersistentMemoryError: as the store raised it; the write is done with.
            StoreFullError: the queue is full.
        """
        seq = yield from self._accepted(operation, waits=waits)
        return (yield from self._answer_to(operation, seq, seconds)) if waits else _UNKNOWN

    def _accepted(self, operation: Writing, *, waits: bool) -> Steps[int]:
        seq: int = yield Work(partial(self._outbox.queue.accept, operation, waits=waits))
        self._outbox.sender.wake()
        return seq

    def _answer_to(
        self, operation: Writing, seq: int, seconds: float | None = None, *, gives_up: bool = True
    ) -> Steps[Any]:
        patience = seconds or self._settings.recall_timeout
        wait = partial(self._outbox.answer_to, lane_of(operation.scope), seq, patience, gives_up=gives_up)
        answer = yield Work(wait)
        if answer is None:
            return _UNKNOWN
        if "error" in answer:
            raise _error_of(answer["error"], answer["message"])
        return answer["answer"]

    answers: ClassVar[Mapping[type, Callable[[Accepting, Any], Steps[Any]]]] = {
        op.Put: _put,
        op.AddMessages: _add_messages,
        op.Replace: _replace,
        op.Update: _update,
        op.Delete: _delete,
    }
    """What answers each of them."""


def _entry_of(operation: op.AddMessages) -> MemoryEntry:
    """The first message as an entry, to check the fields that come with it."""
    about = cast(dict[str, Any], operation.about)
    return MemoryEntry(id="message", content=operation.messages[0]["content"], **about)


def _entry_from(answer: Mapping[str, Any]) -> MemoryEntry:
    """An entry of an answer, as the sender wrote it."""
    owner = None if answer["scope"] is None else Scope.trusted(**answer["scope"])
    return entry_of(answer["entry"], owner)


def _error_of(name: str, message: str) -> PersistentMemoryError:
    """The store's error, as the sender wrote it."""
    kind = getattr(errors, name, EngineError)
    if not issubclass(kind, PersistentMemoryError) or issubclass(kind, errors.DimensionMismatchError):
        kind = InvalidEntryError
    error: PersistentMemoryError = kind(message)
    return error
