"""How reads are answered: by the store within a deadline, together with what the queue has."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Final, TypeAlias, TypeVar, cast

from ..entry import MemoryEntry
from ..entry_filter import EntryFilter
from ..errors import Outcome, StoreBusyError, StoreUnavailableError
from ..io.steps import Steps, Work
from ..io.within import Within
from ..scope import Scope
from ..store import operations as op
from ..store.backend import Backend
from ..store.cursors import Position
from ..store.summaries import categories_of, children_of, path_info
from ..validation import MOST_FOUND
from .pending import Pending
from .records import lane_of
from .scoring import best_scored, cosine, encoder_of
from .shared import Outbox, OutboxSettings

T = TypeVar("T")

SPARE: Final = 50
"""Results that a search asks for beyond its limit while deletes are pending."""
PAGE: Final = 1_000
"""Entries of a page, where all are read."""
EXACT_WAIT: Final = 2.0
"""Seconds that a read of exact entries waits for pending writes, before it reads everything to apply them itself."""
CURSOR: Final = "outbox"

_AWAY: Final = (StoreUnavailableError, StoreBusyError)

_Exact: TypeAlias = op.List | op.ListPage | op.Scan | op.Count | op.CountCategories | op.ListChildren | op.DescribePath


class Reading:
    """The reads of one handle."""

    def __init__(self, outbox: Outbox, backend: Backend, settings: OutboxSettings) -> None:
        self._outbox = outbox
        self._backend = backend
        self._settings = settings

    def answer(self, operation: op.ReadOperation[T]) -> Steps[T]:
        """Answer a read.

        Raises:
            StoreUnavailableError: the store is away, and what the queue has would be a wrong answer.
        """
        answer: Steps[T] = self._answers[type(operation)](self, operation)
        return answer

    def pending(self, reader: Scope, *, include_shared: bool = False) -> Steps[Pending]:
        """The accepted writes that a reader sees."""
        writes = yield Work(partial(self._outbox.queue.pending, _lanes(reader, include_shared)))
        return Pending(writes, reader, include_shared=include_shared)

    def _pending_for(self, operation: op.ReadOperation[Any]) -> Steps[Pending]:
        return self.pending(operation.scope, include_shared=operation.include_shared)

    def ask(self, operation: op.Operation[T], *, patiently: bool = False) -> Steps[T]:
        """Ask the store alone.

        Args:
            operation: what to ask.
            patiently: wait as long as the store's own options say, not until ``recall_timeout``.

        Raises:
            StoreUnavailableError: it is away.
        """
        breaker, store = self._outbox.breaker, self._settings.store
        if breaker.is_open:
            raise StoreUnavailableError(
                f"{store} is away ({breaker.error}), and only it can answer this", outcome=Outcome.NOT_DONE
            )
        try:
            make: Callable[[], Steps[T]] = partial(self._backend.execute, operation)
            answer: T = yield from make() if patiently else _within(make, self._settings.recall_timeout, store)
        except StoreUnavailableError as error:
            breaker.failed(error)
            self._outbox.sender.wake()
            raise
        breaker.answered()
        return answer

    # -- recall ----------------------------------------------------------------------------------------------------

    def _found(self, operation: op.Search | op.Nearest, pending: Pending, nothing: T) -> Steps[T]:
        """What the store finds, with results to spare where pending deletes hide some; ``nothing`` if it is away.

        Raises:
            StoreUnavailableError, StoreBusyError: it is away, and a part is not enough for this handle.
        """
        if pending.hides:
            operation = replace(operation, limit=min(operation.limit + SPARE, MOST_FOUND))
        try:
            return (yield from self.ask(cast("op.Operation[T]", operation)))
        except _AWAY as error:
            if not self._settings.recalls_in_part:
                raise
            self._outbox.breaker.answered_in_part(error)
            return nothing

    def _search(self, operation: op.Search) -> Steps[list[list[MemoryEntry]]]:
        pending = yield from self._pending_for(operation)
        nothing: list[list[MemoryEntry]] = [[] for _ in operation.queries]
        stored = yield from self._found(operation, pending, nothing)
        if not pending:
            return stored
        return [
            self._merged(operation, query, filter, found, pending)
            for query, filter, found in zip(operation.queries, operation.filters, stored, strict=True)
        ]

    def _merged(
        self, operation: op.Search, query: str, filter: EntryFilter, stored: list[MemoryEntry], pending: Pending
    ) -> list[MemoryEntry]:
        found: list[MemoryEntry] = []
        others = [*pending.besides(stored), *pending.said()]
        for entry in stored:
            now = pending.applied(entry)
            if now is not None:
                # With another text, the store's score says nothing about it.
                (found if now.content == entry.content else others).append(now)
        found = [entry for entry in found if filter.matches(entry)]
        others = [entry for entry in others if filter.matches(entry)]
        if others:
            encoder = encoder_of(self._settings.language)
            found += best_scored(
                query, others, found, operation.weights, encoder, limit=operation.limit, min_score=operation.min_score
            )
            found.sort(key=lambda entry: -(entry.score or 0.0))
        return found[: operation.limit]

    def _nearest(self, operation: op.Nearest) -> Steps[list[MemoryEntry]]:
        pending = yield from self._pending_for(operation)
        nothing: list[MemoryEntry] = []
        stored = yield from self._found(operation, pending, nothing)
        if not pending:
            return stored
        found = [entry for entry in pending.all_applied(stored) if operation.filter.matches(entry)]
        for entry in pending.besides(stored):
            if operation.filter.matches(entry):
                score = self._likeness(operation, entry)
                if score >= operation.min_score and (score > 0.0 or entry.embedding):
                    found.append(replace(entry, score=score))
        found.sort(key=lambda entry: -(entry.score or 0.0))
        return found[: operation.limit]

    def _likeness(self, operation: op.Nearest, entry: MemoryEntry) -> float:
        if operation.embedding:
            return cosine(operation.embedding, entry.embedding or ())
        return encoder_of(self._settings.language).similarity(operation.text or "", entry.content)

    # -- exact entries ---------------------------------------------------------------------------------------------

    def _get(self, operation: op.Get) -> Steps[MemoryEntry | None]:
        pending = yield from self._pending_for(operation)
        if (local := pending.get(operation.id)) is not None:
            return local
        if pending.is_deleted(operation.id):
            return None
        found = yield from self.ask(operation)
        return None if found is None else pending.applied(found)

    def _exact(self, operation: _Exact) -> Steps[Any]:
        """Ask the store, when it has taken what is pending; else read everything, and apply what is pending."""
        started = getattr(operation, "cursor", None)
        own_cursor = started is not None and str(started).startswith(f"{CURSOR} ")
        pending = yield from self._pending_for(operation)
        if pending.changes_entries and not self._outbox.breaker.is_open:
            yield Work(partial(self.wait_for_delivery, operation.scope, operation.include_shared))
            pending = yield from self._pending_for(operation)
        if not own_cursor and (started is not None or not pending.changes_entries):
            # What reads a whole scope takes its time on a store that is well: Mem0 lists it in pages of 100.
            answer = yield from self.ask(cast("op.ReadOperation[Any]", operation), patiently=True)
            return _applied(answer, pending)
        stored = yield from self._everything(operation)
        return _answer_from(_all_seen(operation, stored, pending), operation)

    def _summary(self, operation: op.CountCategories | op.ListChildren | op.DescribePath) -> Steps[Any]:
        """For an agent that looks around: while the store is away, a summary of what the queue has."""
        try:
            return (yield from self._exact(operation))
        except _AWAY:
            pending = yield from self._pending_for(operation)
            return _answer_from(_all_seen(operation, [], pending), operation)

    def wait_for_delivery(self, scope: Scope, include_shared: bool = False) -> bool:
        """Wait for what is pending now, for a while. Returns whether it is delivered."""
        queue, sender = self._outbox.queue, self._outbox.sender
        lanes, last = _lanes(scope, include_shared), queue.last()
        seconds = min(EXACT_WAIT, self._settings.recall_timeout)
        return bool(sender.until(lambda: not any(queue.count(lane, last) for lane in lanes), seconds))

    def _everything(self, operation: _Exact) -> Steps[list[MemoryEntry]]:
        entries: list[MemoryEntry] = []
        with_vectors = isinstance(operation, op.Scan) and operation.with_vectors
        page = op.Scan(operation.scope, operation.include_shared, EntryFilter(), PAGE, None, with_vectors)
        while True:
            found: op.ScanPage = yield from self.ask(page, patiently=True)
            entries += found.entries
            if found.cursor is None:
                return entries
            page = replace(page, cursor=found.cursor)

    _answers: ClassVar[Mapping[type, Callable[[Reading, Any], Steps[Any]]]] = {
        op.Search: _search,
        op.Nearest: _nearest,
        op.Get: _get,
        op.List: _exact,
        op.ListPage: _exact,
        op.Scan: _exact,
        op.Count: _exact,
        op.CountCategories: _summary,
        op.ListChildren: _summary,
        op.DescribePath: _summary,
    }


def _within(make: Callable[[], Steps[T]], seconds: float, store: str) -> Steps[T]:
    answer: T = yield Within(make, seconds, store)
    return answer


def _lanes(reader: Scope, include_shared: bool) -> list[str]:
    shared = Scope.trusted(None, reader.project_id, None, None, reader.org_id)
    return [lane_of(reader), *([lane_of(shared)] if include_shared and reader.user_id is not None else [])]


def _applied(answer: Any, pending: Pending) -> Any:
    """A page of the store that began before the writes that are pending now."""
    if pending and isinstance(answer, (op.Page, op.ScanPage)):
        return replace(answer, entries=tuple(pending.all_applied(answer.entries)))
    return answer


def _all_seen(operation: _Exact, stored: Sequence[MemoryEntry], pending: Pending) -> list[MemoryEntry]:
    """All entries that match, newest first."""
    entries = [*pending.all_applied(stored), *pending.besides(stored)]
    found = [entry for entry in entries if operation.filter.matches(entry)]
    found.sort(key=_tie)
    found.sort(key=lambda entry: entry.created_at, reverse=True)
    return found


def _tie(entry: MemoryEntry) -> str:
    """What orders entries of one time."""
    return hashlib.blake2b(f"{entry.scope} {entry.id}".encode(), digest_size=16).hexdigest()


def _answer_from(entries: Sequence[MemoryEntry], operation: _Exact) -> Any:
    if isinstance(operation, op.Count):
        return len(entries)
    if isinstance(operation, op.CountCategories):
        return categories_of(entries)
    if isinstance(operation, op.ListChildren):
        return children_of(operation.filter.path or "/", entries)
    if isinstance(operation, op.DescribePath):
        return path_info(operation.filter.path or "/", entries)
    if isinstance(operation, op.List):
        return list(entries[operation.offset : operation.offset + operation.limit])
    if isinstance(operation, op.Scan):
        return op.ScanPage(tuple(entries), None)
    start = None if operation.cursor is None else Position.of(operation.cursor, CURSOR)
    rest = [entry for entry in entries if start is None or _is_from(start, entry)]
    page, after = rest[: operation.limit], rest[operation.limit : operation.limit + 1]
    cursor = Position(after[0].created_at, _tie(after[0])).text(CURSOR) if after else None
    return op.Page(tuple(page), cursor)


def _is_from(start: Position, entry: MemoryEntry) -> bool:
    if entry.created_at != start.created_at:
        return entry.created_at < start.created_at
    return start.id is not None and _tie(entry) >= start.id
