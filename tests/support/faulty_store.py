"""A store in memory that a test can let be away, freeze, or lose answers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from crewai_persistent_memory import Backend, Capabilities, InvalidEntryError, MemoryEntry, Scope, operations
from crewai_persistent_memory.errors import Outcome, StoreUnavailableError
from crewai_persistent_memory.expiry import is_expired
from crewai_persistent_memory.io.steps import Steps, Work
from crewai_persistent_memory.scope import has_fields, visible
from crewai_persistent_memory.store.summaries import categories_of, children_of, path_info


class FaultyStore(Backend):
    """Answers every operation exactly. Several handles and a test may share its ``entries``."""

    def __init__(self, *, repeatable: bool = True, extracts: bool = False) -> None:
        self.capabilities = Capabilities(
            keywords=True,
            filters_first=True,
            access_times=True,
            expires=True,
            counts_scopes=True,
            repeatable=repeatable,
            extracts=extracts,
        )
        self.entries: dict[tuple[Scope, str], MemoryEntry] = {}
        self.seen: list[operations.Operation[Any]] = []
        self.away = False
        self.loses_answers = 0
        """So many writes are done, and their answers are lost."""
        self.refuses: Callable[[MemoryEntry], bool] = lambda entry: False
        self.fails: Exception | None = None
        self.fails_writes: Exception | None = None
        self.delivered: dict[str, list[str]] = {}
        """Messages by their delivery."""
        self._thawed = threading.Event()
        self._thawed.set()
        self._lock = threading.RLock()

    def freeze(self) -> None:
        self._thawed.clear()

    def thaw(self) -> None:
        self._thawed.set()

    def close(self) -> None:
        """Nothing is kept open."""

    def execute(self, operation: operations.Operation[Any], /) -> Steps[Any]:
        return (yield Work(lambda: self._done(operation)))

    def of(self, kind: type) -> list[Any]:
        return [each for each in self.seen if isinstance(each, kind)]

    def contents(self, user: str | None = None) -> list[str]:
        return [each.content for (owner, _), each in self.entries.items() if user in (None, owner.user_id)]

    def _done(self, operation: operations.Operation[Any]) -> Any:
        self._thawed.wait(30)
        if self.away:
            raise StoreUnavailableError("the test's store is away", outcome=Outcome.NOT_DONE)
        if self.fails is not None:
            raise self.fails
        if self.fails_writes is not None and operation.writes:
            raise self.fails_writes
        with self._lock:
            self.seen.append(operation)
            answer = getattr(self, f"_{type(operation).__name__.lower()}")(operation)
        if operation.writes and self.loses_answers > 0:
            self.loses_answers -= 1
            raise StoreUnavailableError("the answer was lost", outcome=Outcome.UNKNOWN)
        return answer

    def _put(self, operation: operations.Put) -> list[MemoryEntry]:
        if any(map(self.refuses, operation.entries)):
            raise InvalidEntryError("the test's store refuses this entry")
        for entry in operation.entries:
            key = (operation.scope, entry.id)
            if not self.capabilities.repeatable and operation.new and key in self.entries:
                key = (operation.scope, f"{entry.id} again")
            self.entries[key] = replace(entry, scope=operation.scope)
        return list(operation.entries)

    def _addmessages(self, operation: operations.AddMessages) -> operations.AddedMessages:
        said = [message["content"] for message in operation.messages]
        delivery = str(operation.delivery)
        if operation.again and delivery in self.delivered:
            return operations.AddedMessages()
        while delivery in self.delivered:
            delivery += " again"
        self.delivered[delivery] = said
        return operations.AddedMessages(pending=True)

    def _replace(self, operation: operations.Replace) -> bool:
        there = self._visible(operation.scope, lambda each: _is_there(each, operation.entry.id))
        if not there and not operation.create:
            return False
        owner = there[0].scope if there else operation.scope
        entry = operation.entry.keeping(operation.keep, there[0]) if there else operation.entry
        assert owner is not None
        self.entries[owner, entry.id] = replace(entry, scope=owner)
        return True

    def _update(self, operation: operations.Update) -> MemoryEntry | None:
        for entry in self._visible(operation.scope, lambda each: _is_there(each, operation.id)):
            assert entry.scope is not None
            changed = replace(entry, **operation.changes)  # type: ignore[arg-type]
            self.entries[entry.scope, entry.id] = changed
            return changed
        return None

    def _delete(self, operation: operations.Delete) -> int:
        found = self._visible(operation.scope, partial(operation.filter.matches, with_expired=True))
        if operation.owner_only:
            found = [entry for entry in found if entry.scope == operation.scope]
        for entry in found:
            assert entry.scope is not None
            del self.entries[entry.scope, entry.id]
        return len(found)

    def _touch(self, operation: operations.Touch) -> None:
        """Noted in ``seen``."""

    def _search(self, operation: operations.Search) -> list[list[MemoryEntry]]:
        found = []
        for query, filter in zip(operation.queries, operation.filters, strict=True):
            words = set(query.lower().split())
            scored = [
                replace(each, score=len(words & set(each.content.lower().split())) / max(1, len(words)))
                for each in self._read(operation, filter.matches)
            ]
            best = sorted((each for each in scored if each.score), key=lambda each: -(each.score or 0))
            found.append(best[: operation.limit])
        return found

    def _get(self, operation: operations.Get) -> MemoryEntry | None:
        return next(iter(self._read(operation, lambda each: each.id == operation.id)), None)

    def _list(self, operation: operations.List) -> list[MemoryEntry]:
        found = sorted(self._read(operation, operation.filter.matches), key=lambda each: each.created_at, reverse=True)
        return found[operation.offset : operation.offset + operation.limit]

    def _listpage(self, operation: operations.ListPage) -> operations.Page:
        found = sorted(self._read(operation, operation.filter.matches), key=_place, reverse=True)
        rest = [each for each in found if operation.cursor is None or _place(each) <= operation.cursor]
        page, after = rest[: operation.limit], rest[operation.limit : operation.limit + 1]
        return operations.Page(tuple(page), _place(after[0]) if after else None)

    def _scan(self, operation: operations.Scan) -> operations.ScanPage:
        return operations.ScanPage(tuple(self._read(operation, operation.filter.matches)), None)

    def _count(self, operation: operations.Count) -> int:
        return len(self._read(operation, operation.filter.matches))

    def _countscopes(self, operation: operations.CountScopes) -> dict[str, int]:
        values = [
            getattr(owner, operation.field) for owner, _ in self.entries if has_fields(vars(owner), operation.scope)
        ]
        return Counter(value for value in values if value is not None)

    def _countcategories(self, operation: operations.CountCategories) -> dict[str, int]:
        return categories_of(self._read(operation, operation.filter.matches))

    def _listchildren(self, operation: operations.ListChildren) -> tuple[str, ...]:
        return children_of(operation.filter.path or "/", self._read(operation, operation.filter.matches))

    def _describepath(self, operation: operations.DescribePath) -> Any:
        return path_info(operation.filter.path or "/", self._read(operation, operation.filter.matches))

    def _purgeexpired(self, operation: operations.PurgeExpired) -> int:
        ended = [key for key, entry in self.entries.items() if is_expired(entry.expires_at)]
        for key in () if operation.dry_run else ended:
            del self.entries[key]
        return len(ended)

    def _health(self, operation: operations.Health) -> dict[str, Any]:
        return {"engine": "faulty", "status": "ok"}

    def _visible(
        self, reader: Scope, matches: Callable[[MemoryEntry], bool], shared: bool = False
    ) -> list[MemoryEntry]:
        return [
            entry
            for (owner, _), entry in self.entries.items()
            if visible(owner, reader, include_shared=shared) and matches(entry)
        ]

    def _read(self, operation: Any, matches: Callable[[MemoryEntry], bool]) -> list[MemoryEntry]:
        return self._visible(operation.scope, matches, operation.include_shared)


def _is_there(entry: MemoryEntry, id: str) -> bool:
    return entry.id == id and not is_expired(entry.expires_at)


def _place(entry: MemoryEntry) -> str:
    return f"{entry.created_at.isoformat()} {entry.id}"
