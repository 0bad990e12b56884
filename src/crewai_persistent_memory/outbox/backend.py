"""The backend in front of another one: writes are accepted into the queue, and reads see them at once.

| operation | what happens |
| --- | --- |
| put, add messages | accepted; the call returns, or waits for the memories of the messages, if it says so |
| replace, update, delete | accepted; the call waits for the store's answer, at most ``recall_timeout`` |
| undo delete | a delete that waits is taken back; else the store is asked, when it has the deletes |
| touch | collected, and delivered once a minute |
| search, nearest, paths, categories | asked of the store with a deadline; while it is away, what the queue has |
| get, list, page, scan, count | the same; while it is away an error, because an incomplete answer would be wrong |
| count scopes | of one user, with what waits; else as the others |
| purge | when no change waits |
| the others | as without an outbox |
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, cast

from ..embedding import Embedder
from ..entry import MemoryEntry
from ..errors import (
    PersistentMemoryError,
    StoreBusyError,
    StoreClosedError,
    StoreUnavailableError,
)
from ..filter_fields import FilterField
from ..io.steps import Steps, Work
from ..io.within import Within
from ..scope import Scope
from ..store import operations as op
from ..store.backend import Backend
from ..validation import utcnow
from .accepting import Accepting
from .reading import Reading
from .records import lane_of
from .shared import OutboxSettings, leave_outbox, open_outbox
from .undoing import undo_delete
from .without_embedder import WithoutEmbedder


class OutboxBackend(Backend):
    """See the module."""

    def __init__(
        self,
        backend: Backend,
        settings: OutboxSettings,
        fields: Mapping[str, FilterField] | None = None,
        away: PersistentMemoryError | None = None,
    ) -> None:
        """
        Args:
            backend: the store. It is closed with this one.
            settings: where the queue is, and how long to wait.
            fields: the filter fields of this handle, by their names.
            away: why the store is away, if it was when it was opened.

        Raises:
            ConfigurationError: the queue cannot be kept there.
        """
        self.backend = backend
        self.settings = settings
        self.capabilities = replace(backend.capabilities, outbox=True)
        self._target = backend if settings.embeds or not backend.capabilities.vectors else WithoutEmbedder(backend)
        self._key, self.outbox = open_outbox(settings, self._target, fields or {})
        if away is not None:
            self.outbox.breaker.failed(away)
        self._reading = Reading(self.outbox, backend, settings)
        self._accepting = Accepting(self.outbox, backend, settings, self.capabilities, self._reading)
        self._embedders: dict[tuple[str | None, str], Embedder] = {}
        self._is_closed = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.backend!r})"

    def execute(self, operation: op.Operation[Any], /) -> Steps[Any]:
        if self._is_closed:
            raise StoreClosedError(f"the outbox of {self.settings.store} is closed: open the store again")
        accept = Accepting.answers.get(type(operation))
        if accept is not None:
            return accept(self._accepting, operation)
        answer = self._answers.get(type(operation))
        if answer is not None:
            return answer(self, operation)
        if isinstance(operation, op.ReadOperation):
            return self._reading.answer(operation)
        return self.backend.execute(operation)

    def untold_outage(self) -> str | None:
        return self.outbox.breaker.untold()

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            leave_outbox(self._key, self.outbox, self._target)
            self.backend.close()

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            await asyncio.to_thread(leave_outbox, self._key, self.outbox, self._target)
            await self.backend.aclose()

    # -- what is in the store and in the queue -------------------------------------------------------------------------

    def _undo_delete(self, operation: op.UndoDelete) -> Steps[list[MemoryEntry]]:
        return undo_delete(operation, self.outbox.queue, self._reading)

    def _erase_scopes(self, operation: op.EraseScopes) -> Steps[op.Erased]:
        """First the store, which may forbid it; then what waits; then what was delivered between the two."""
        erased: op.Erased = yield from self.backend.execute(operation)
        waiting, dead, under_way = yield Work(partial(self.outbox.clear, operation.scope))
        again: op.Erased = yield from self.backend.execute(operation)
        return op.Erased(erased.entries + again.entries, waiting, dead, under_way)

    def _purge_expired(self, operation: op.PurgeExpired) -> Steps[int]:
        """Not while a change waits: it may have given an entry a later end in time."""
        queue, sender = self.outbox.queue, self.outbox.sender
        kinds = ("update", "replace")
        if not operation.dry_run:
            wait = partial(sender.until, lambda: not queue.count(kinds=kinds), self.settings.recall_timeout)
            if not (yield Work(wait)):
                raise StoreBusyError(
                    f"changes wait in the outbox of {self.settings.store}, and may give entries a later end: purge "
                    "when crewai-memory outbox status shows none",
                    retryable=True,
                )
        return (yield from self._reading.ask(operation, patiently=True))

    def _touch(self, operation: op.Touch) -> Steps[None]:
        yield from ()
        self.outbox.sender.access_times.note(operation)
        self.outbox.sender.start()

    def _embed_missing(self, operation: op.EmbedMissing) -> Steps[int]:
        """What waits may have no vector either, so it is delivered first."""
        yield Work(partial(self._reading.wait_for_delivery, operation.scope))
        embedded: int = yield from self.backend.execute(operation)
        return embedded

    def _count_scopes(self, operation: op.CountScopes) -> Steps[dict[str, int]]:
        """Of one user, nothing that only the queue has is left out: the end of a run asks so for the run's agents."""
        fields = operation.scope
        if not {"org_id", "project_id", "user_id"} <= fields.keys():
            counts: dict[str, int] = yield from self.backend.execute(operation)
            return counts
        user = Scope.trusted(fields["user_id"], cast(str, fields["project_id"]), None, None, fields["org_id"])
        yield Work(partial(self._reading.wait_for_delivery, user))
        counts = yield from self._reading.ask(operation, patiently=True)
        pending = yield from self._reading.pending(user)
        return {**Counter(pending.added_by(operation.field, fields, with_expired=operation.with_expired)), **counts}

    def _describe_embedder(self, operation: op.DescribeEmbedder) -> Steps[Embedder | None]:
        """A store keeps its embedder. So what it has said once holds while it is away, too."""
        project = operation.project
        if project not in self._embedders:
            embedder = yield from self._reading.ask(operation)
            if embedder is None:
                return None
            self._embedders[project] = embedder
        return self._embedders[project]

    def _complete_fields(self, operation: op.CompleteFields) -> Steps[bool]:
        """It spares work, and changes no result: while the store is away it is left out."""
        try:
            return (yield from self._reading.ask(operation))
        except StoreUnavailableError:
            return False

    # -- the queue -------------------------------------------------------------------------------------------------

    def _count_pending(self, operation: op.CountPending) -> Steps[int]:
        count: int = yield Work(partial(self.outbox.queue.count, lane_of(operation.scope)))
        return count

    def _flush(self, operation: op.Flush) -> Steps[bool]:
        flushed: bool = yield Work(partial(self._flushed, operation.scope, operation.seconds))
        return flushed

    def _flushed(self, scope: Scope, seconds: float) -> bool:
        queue, sender = self.outbox.queue, self.outbox.sender
        lane, last = lane_of(scope), queue.last()
        sender.wake()
        return bool(sender.until(lambda: not queue.count(lane, last), seconds, despite_outage=True))

    def _health(self, operation: op.Health) -> Steps[dict[str, Any]]:
        depth = yield Work(self.outbox.queue.depth)
        try:
            ask = partial(self.backend.execute, operation)
            health = yield Within(ask, self.settings.recall_timeout, self.settings.store)
        except StoreUnavailableError as error:
            self.outbox.breaker.failed(error)
            self.outbox.sender.wake()
            health = {"status": "unavailable", "error": str(error)}
        age = None if depth.oldest is None else max(0.0, (utcnow() - depth.oldest).total_seconds())
        return {
            **health,
            "outbox": {
                "writes": depth.writes,
                "dead_letters": depth.dead,
                "bytes": depth.bytes,
                "oldest_seconds": age,
                "last_error": depth.error or (self.outbox.breaker.error if self.outbox.breaker.is_open else None),
                "is_sender": self.outbox.sender.is_sender,
                "folder": str(self.outbox.queue.folder),
            },
        }

    _answers: ClassVar[Mapping[type, Callable[[OutboxBackend, Any], Steps[Any]]]] = {
        op.UndoDelete: _undo_delete,
        op.EraseScopes: _erase_scopes,
        op.PurgeExpired: _purge_expired,
        op.Touch: _touch,
        op.CompleteFields: _complete_fields,
        op.DescribeEmbedder: _describe_embedder,
        op.EmbedMissing: _embed_missing,
        op.CountScopes: _count_scopes,
        op.CountPending: _count_pending,
        op.Flush: _flush,
        op.Health: _health,
    }
