"""What a reader sees of writes that are accepted and not delivered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from ..entry import MemoryEntry
from ..expiry import is_expired
from ..scope import Scope, has_fields, owners_visible_to, visible
from ..store import operations as op
from .records import Write
from .serialised import Writing

_Key = tuple[Scope, str]


class Pending:
    """The accepted writes that concern a reader, in order.

    They are applied to what the store answers: an entry that is put again, changed or deleted is seen so. Entries that
    only the queue has are :attr:`entries`. Both by the visibility rule: a write of another user, run or agent is not
    applied.
    """

    def __init__(self, writes: Iterable[Write], reader: Scope, *, include_shared: bool) -> None:
        self._reader = reader
        self._include_shared = include_shared
        self._by_id: dict[str, list[Writing]] = defaultdict(list)
        self._order: dict[int, int] = {}
        self._deletes: list[op.Delete] = []
        self._created_by_replace: set[_Key] = set()
        self._said: list[tuple[Write, op.AddMessages]] = []
        local: dict[_Key, MemoryEntry] = {}
        for number, write in enumerate(writes):
            operation = write.operation
            self._order[id(operation)] = number
            if isinstance(operation, op.Put):
                for entry in operation.entries:
                    self._by_id[entry.id].append(operation)
                    local[operation.scope, entry.id] = _owned(entry, operation.scope)
            elif isinstance(operation, op.Replace):
                self._by_id[operation.entry.id].append(operation)
                self._replace(local, operation)
            elif isinstance(operation, op.Update):
                self._by_id[operation.id].append(operation)
                if (key := _target(local, operation.id, operation.scope)) is not None:
                    local[key] = _changed(local[key], operation)
            elif isinstance(operation, op.Delete):
                self._deletes.append(operation)
                for key in [key for key, entry in local.items() if _deletes(operation, entry)]:
                    del local[key]
            else:
                self._said.append((write, operation))
        self._expired = {key for key, entry in local.items() if is_expired(entry.expires_at)}
        self._whole = local
        self._local = {
            key: entry for key, entry in local.items() if self._sees(key[0]) and not is_expired(entry.expires_at)
        }

    def __bool__(self) -> bool:
        """Whether anything can differ from what the store answers."""
        return bool(self._by_id or self._deletes or self._said)

    @property
    def changes_entries(self) -> bool:
        """Whether entries are added, changed or deleted. Messages become entries in the store alone."""
        return bool(self._by_id or self._deletes)

    @property
    def hides(self) -> bool:
        """Whether entries of the store may be deleted, so that a search has to ask for more of them."""
        return bool(self._deletes)

    def _replace(self, local: dict[_Key, MemoryEntry], operation: op.Replace) -> None:
        key = _target(local, operation.entry.id, operation.scope)
        if key is not None:
            local[key] = replace(operation.entry.keeping(operation.keep, local[key]), scope=key[0])
        elif operation.create:
            key = operation.scope, operation.entry.id
            local[key] = _owned(operation.entry, operation.scope)
            self._created_by_replace.add(key)

    # -- what is seen ----------------------------------------------------------------------------------------------

    def applied(self, entry: MemoryEntry) -> MemoryEntry | None:
        """An entry of the store as it will be; ``None`` if it is deleted. Its score stays."""
        owner = cast(Scope, entry.scope)
        concerned = [*self._by_id.get(entry.id, ()), *self._deletes]
        if not concerned:
            return entry
        now: MemoryEntry | None = entry
        for operation in sorted(concerned, key=lambda each: self._order[id(each)]):
            if isinstance(operation, op.Put):
                if operation.scope == owner:
                    now = next(each for each in reversed(operation.entries) if each.id == entry.id)
            elif not visible(owner, operation.scope):
                continue
            elif isinstance(operation, op.Replace):
                if now is not None:
                    now = operation.entry.keeping(operation.keep, now)
                elif operation.create and operation.scope == owner:
                    now = operation.entry
            elif isinstance(operation, op.Update):
                now = None if now is None else _changed(now, operation)
            elif (
                isinstance(operation, op.Delete) and now is not None and _deletes(operation, replace(now, scope=owner))
            ):
                now = None
        if now is None or is_expired(now.expires_at):
            return None
        if now is entry:
            return entry
        return replace(now, scope=owner, score=entry.score, found_by=entry.found_by)

    def all_applied(self, entries: Iterable[MemoryEntry]) -> list[MemoryEntry]:
        """Entries of the store as they will be, without those that are deleted."""
        return [now for entry in entries if (now := self.applied(entry)) is not None]

    def besides(self, stored: Sequence[MemoryEntry]) -> list[MemoryEntry]:
        """The visible entries that only the queue has.

        Args:
            stored: what the store answered.
        """
        there: set[_Key] = {(cast(Scope, entry.scope), entry.id) for entry in stored}
        return [
            entry
            for key, entry in self._local.items()
            if key not in there
            and not (key in self._created_by_replace and any(id == key[1] and visible(o, key[0]) for o, id in there))
        ]

    def added_by(
        self, field: op.ScopeField, fields: Mapping[str, str | None], *, with_expired: bool = False
    ) -> Iterator[str]:
        """Of each entry that the queue has whole, in any scope with ``fields``: the value of another field, if set."""
        for (owner, _), entry in self._whole.items():
            value: str | None = getattr(owner, field)
            if value is None or not has_fields(vars(owner), fields):
                continue
            if with_expired or not is_expired(entry.expires_at):
                yield value

    def get(self, id: str) -> MemoryEntry | None:
        """The visible entry with this id that the queue has whole; of several, that of the most specific owner."""
        for owner in owners_visible_to(self._reader, include_shared=self._include_shared):
            if (owner, id) in self._local:
                return self._local[owner, id]
        return None

    def matched_by(self, delete: op.Delete) -> list[MemoryEntry]:
        """The visible entries that the queue has whole, and that a delete is about."""
        return [entry for entry in self._local.values() if _deletes(delete, entry)]

    def has_expired(self, id: str) -> bool:
        """Whether the entry that a change of this id is about is in the queue alone, and its time is over."""
        return any(key in self._expired for key in self._targets(id)) and self.get(id) is None

    def _targets(self, id: str) -> list[_Key]:
        return [(owner, id) for owner in owners_visible_to(self._reader, include_shared=False)]

    def is_deleted(self, id: str) -> bool:
        """Whether every visible entry with this id is deleted, whatever the store has."""
        last = max((self._order[id_of] for id_of in map(_identity, self._by_id.get(id, ()))), default=-1)
        return any(
            each.scope == self._reader
            and not each.owner_only
            and not self._include_shared
            and (not each.filter.selects or _names_only(each, id))
            and self._order[_identity(each)] > last
            for each in self._deletes
        )

    def said(self) -> list[MemoryEntry]:
        """What was said in messages that are not delivered, each message as an entry."""
        found = []
        for write, operation in self._said:
            about = cast(dict[str, Any], operation.about)
            if not self._sees(operation.scope) or is_expired(about.get("expires_at")):
                continue
            for number, message in enumerate(operation.messages):
                found.append(
                    MemoryEntry(
                        id=f"{write.client_id}-{number}",
                        content=message["content"],
                        scope=operation.scope,
                        created_at=write.accepted_at,
                        last_accessed=write.accepted_at,
                        **about,
                    )
                )
        return found

    def _sees(self, owner: Scope) -> bool:
        return visible(owner, self._reader, include_shared=self._include_shared)


def _owned(entry: MemoryEntry, owner: Scope) -> MemoryEntry:
    return entry if entry.scope == owner else replace(entry, scope=owner)


def _identity(operation: Writing) -> int:
    return id(operation)


def _names_only(delete: op.Delete, id: str) -> bool:
    filter = delete.filter
    return filter.ids is not None and id in filter.ids and not replace(filter, ids=None).selects


def _target(local: dict[_Key, MemoryEntry], id: str, scope: Scope) -> _Key | None:
    """The entry that a change by this scope is about."""
    return next(((owner, id) for owner in owners_visible_to(scope, include_shared=False) if (owner, id) in local), None)


def _changed(entry: MemoryEntry, update: op.Update) -> MemoryEntry:
    changes = dict(cast(dict[str, Any], update.changes))
    if "categories" in changes:
        changes["categories"] = tuple(changes["categories"])
    if changes.get("content", entry.content) != entry.content:
        changes["embedding"] = None
    return replace(entry, **changes)


def _deletes(delete: op.Delete, entry: MemoryEntry) -> bool:
    owner = cast(Scope, entry.scope)
    is_theirs = owner == delete.scope if delete.owner_only else visible(owner, delete.scope)
    return is_theirs and delete.filter.matches(entry, with_expired=True)
