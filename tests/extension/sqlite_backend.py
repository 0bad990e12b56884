"""A backend of somebody else's: memories in one SQLite file, found by the words that they share with a query."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from crewai_persistent_memory import Backend, Capabilities, EntryFilter, MemoryEntry, PathInfo, Scope, operations
from crewai_persistent_memory.expiry import is_expired
from crewai_persistent_memory.io.steps import Steps, Work
from crewai_persistent_memory.scope import has_fields, owners_visible_to, visible

FIELDS = ("user_id", "project_id", "run_id", "agent_id", "org_id")


class SqliteBackend(Backend):
    """Answers most operations. Its capabilities say what it leaves out."""

    capabilities = Capabilities(keywords=True, filters_first=True, expires=True)

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._connect() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS entries (owner, id, entry, UNIQUE (owner, id))")

    def execute(self, operation: operations.Operation[Any], /) -> Steps[Any]:
        answer: Callable[[Any], Any] = getattr(self, f"_{type(operation).__name__.lower()}")
        return (yield Work(partial(answer, operation)))

    def close(self) -> None:
        """Nothing is kept open."""

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path)

    # -- operations ------------------------------------------------------------------------------------------------

    def _put(self, operation: operations.Put) -> None:
        with self._connect() as connection:
            for entry in operation.entries:
                self._write(connection, operation.scope, entry)

    def _update(self, operation: operations.Update) -> MemoryEntry | None:
        for entry in self._with_id(operation.scope, operation.id):
            changed = replace(entry, **operation.changes)  # type: ignore[arg-type]
            with self._connect() as connection:
                assert entry.scope is not None
                self._write(connection, entry.scope, changed)
            return changed
        return None

    def _replace(self, operation: operations.Replace) -> bool:
        there = self._with_id(operation.scope, operation.entry.id)
        owner = there[0].scope if there else operation.scope
        if there or operation.create:
            with self._connect() as connection:
                assert owner is not None
                self._write(connection, owner, operation.entry)
        return bool(there) or operation.create

    def _delete(self, operation: operations.Delete) -> int:
        found = self._visible(operation.scope, operation.filter, with_expired=True)
        if operation.owner_only:
            found = [entry for entry in found if entry.scope == operation.scope]
        return self._remove(found)

    def _purgeexpired(self, operation: operations.PurgeExpired) -> int:
        everyone = [
            entry for entry in self._entries() if entry.scope and has_fields(vars(entry.scope), operation.scope)
        ]
        found = [entry for entry in everyone if is_expired(entry.expires_at)]
        return len(found) if operation.dry_run else self._remove(found)

    def _remove(self, entries: list[MemoryEntry]) -> int:
        with self._connect() as connection:
            for entry in entries:
                assert entry.scope is not None
                connection.execute("DELETE FROM entries WHERE owner = ? AND id = ?", (_key(entry.scope), entry.id))
        return len(entries)

    def _search(self, operation: operations.Search) -> list[list[MemoryEntry]]:
        return [
            self._found(query, self._visible(operation.scope, filter, operation.include_shared), operation)
            for query, filter in zip(operation.queries, operation.filters, strict=True)
        ]

    def _found(self, query: str, entries: list[MemoryEntry], operation: operations.Search) -> list[MemoryEntry]:
        words = _words(query)
        scored = [replace(each, score=len(words & _words(each.content)) / max(1, len(words))) for each in entries]
        wanted = [each for each in scored if each.score and each.score >= operation.min_score]
        return sorted(wanted, key=lambda each: -(each.score or 0))[: operation.limit]

    def _get(self, operation: operations.Get) -> MemoryEntry | None:
        return next(iter(self._with_id(operation.scope, operation.id, operation.include_shared)), None)

    def _list(self, operation: operations.List) -> list[MemoryEntry]:
        return self._in_order(operation)[operation.offset : operation.offset + operation.limit]

    def _listpage(self, operation: operations.ListPage) -> operations.Page:
        found = self._in_order(operation)
        rest = [each for each in found if operation.cursor is None or _place(each) <= operation.cursor]
        page, after = rest[: operation.limit], rest[operation.limit : operation.limit + 1]
        return operations.Page(tuple(page), _place(after[0]) if after else None)

    def _in_order(self, operation: operations.List | operations.ListPage) -> list[MemoryEntry]:
        found = self._visible(operation.scope, operation.filter, operation.include_shared)
        return sorted(found, key=_place, reverse=True)

    def _scan(self, operation: operations.Scan) -> operations.ScanPage:
        return operations.ScanPage(
            tuple(self._visible(operation.scope, operation.filter, operation.include_shared)), None
        )

    def _count(self, operation: operations.Count) -> int:
        return len(self._visible(operation.scope, operation.filter, operation.include_shared))

    def _countcategories(self, operation: operations.CountCategories) -> dict[str, int]:
        found = self._visible(operation.scope, operation.filter, operation.include_shared)
        return dict(Counter(category for entry in found for category in entry.categories))

    def _listchildren(self, operation: operations.ListChildren) -> tuple[str, ...]:
        prefix = (operation.filter.path or "/").rstrip("/") + "/"
        found = self._visible(operation.scope, operation.filter, operation.include_shared)
        below = [entry.path[len(prefix) :].split("/")[0] for entry in found if entry.path.startswith(prefix)]
        return tuple(sorted({prefix + name for name in below if name}))

    def _describepath(self, operation: operations.DescribePath) -> PathInfo:
        found = self._visible(operation.scope, operation.filter, operation.include_shared)
        return PathInfo(operation.filter.path or "/", len(found), (), None, None, ())

    def _health(self, operation: operations.Health) -> dict[str, Any]:
        return {"engine": "sqlite", "path": str(self._path)}

    # -- rows ------------------------------------------------------------------------------------------------------

    def _with_id(self, reader: Scope, id: str, include_shared: bool = False) -> list[MemoryEntry]:
        """The most specific one first: an id may be an entry's of the run, of the agent and of the user."""
        found = self._visible(reader, EntryFilter(ids=(id,)), include_shared)
        owners = owners_visible_to(reader, include_shared=include_shared)
        return sorted(found, key=lambda each: owners.index(each.scope or reader))

    def _visible(
        self, reader: Scope, filter: EntryFilter, include_shared: bool = False, *, with_expired: bool = False
    ) -> list[MemoryEntry]:
        return [
            each
            for each in self._entries()
            if each.scope
            and visible(each.scope, reader, include_shared=include_shared)
            and filter.matches(each, with_expired=with_expired)
        ]

    def _entries(self) -> list[MemoryEntry]:
        with self._connect() as connection:
            rows = connection.execute("SELECT owner, entry FROM entries").fetchall()
        return [_entry(*row) for row in rows]

    def _write(self, connection: sqlite3.Connection, owner: Scope, entry: MemoryEntry) -> None:
        row = (_key(owner), entry.id, json.dumps(replace(entry, scope=None, embedding=None).to_dict()))
        connection.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", row)


def _key(scope: Scope) -> str:
    return json.dumps([getattr(scope, name) for name in FIELDS])


def _entry(owner: str, text: str) -> MemoryEntry:
    values = json.loads(text)
    for name in ("created_at", "last_accessed"):
        values[name] = datetime.fromisoformat(values[name].removesuffix("Z"))
    if values["expires_at"] is not None:
        values["expires_at"] = datetime.fromisoformat(values["expires_at"].replace("Z", "+00:00"))
    scope = Scope.trusted(**dict(zip(FIELDS, json.loads(owner), strict=True)))  # shared ones have no user
    return MemoryEntry(**{**values, "categories": tuple(values["categories"]), "scope": scope})


def _place(entry: MemoryEntry) -> str:
    return f"{entry.created_at.isoformat()} {entry.id}"


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))
