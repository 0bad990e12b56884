"""The backend that keeps memories in Mem0, over its cloud or its open-source library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, TypeAlias, cast

from ...entry import EntryFields, MemoryEntry, PathInfo
from ...entry_filter import EntryFilter
from ...io.steps import Steps
from ...scope import Scope, owners_visible_to
from ...store import operations as op
from ...store.backend import Backend, Capabilities
from ...store.cursors import Position
from ...store.summaries import categories_of, children_of, path_info
from ...validation import utcnow
from .api import Extraction, Mem0Api
from .codec import Record, checked_entry, last_day, metadata_of, one_of_each
from .ids import FEW, all_with, memory_with, taken_ids
from .purge import purge_expired

SPARE: Final = 4
"""How many times the limit a search with filters asks Mem0 for, before it asks for all it can have."""

CURSOR: Final = "mem0"
"""The name of this backend in cursors."""

_Listing: TypeAlias = (
    op.List | op.ListPage | op.Scan | op.Count | op.CountCategories | op.ListChildren | op.DescribePath
)


class Mem0Backend(Backend):
    """Answers operations over one Mem0.

    Mem0 does not keep when an entry was last read, takes no vectors, and ranks by itself. It filters by scope. The
    other filters are applied here: to all that is in the scope, and in a search to the first 1,000 (cloud) or 10,000
    (library) results. So a count, a list, a page, a scan and a summary read the whole scope.
    """

    capabilities = Capabilities(extracts=True, scans_users=True, expires=True)

    def __init__(
        self,
        api: Mem0Api,
        *,
        extraction: Extraction | None = None,
        wait: bool = False,
        run_expiry_days: int | None = None,
    ) -> None:
        self.api = api
        self._extraction = extraction or Extraction()
        self._wait = wait
        self._run_expiry_days = run_expiry_days
        self._closed = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.api!r})"

    def execute(self, operation: op.Operation[Any], /) -> Steps[Any]:
        return self._answers[type(operation)](self, operation)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.api.close()

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            await self.api.aclose()

    # -- writing ---------------------------------------------------------------------------------------------------

    def _add_messages(self, operation: op.AddMessages) -> Steps[op.AddedMessages]:
        owner, messages = operation.scope, operation.messages
        model = checked_entry(_entry("inferred", messages[0]["content"], operation.about))
        expires = last_day(model, owner, self._run_expiry_days, changes=self.api.changes_last_day)
        if operation.again and operation.delivery is not None:
            there = yield from self.api.everything([owner])
            done = [record.entry for record in there if record.delivery == operation.delivery]
            if done:
                return op.AddedMessages(tuple(done))
        if operation.event_id is not None:
            added = yield from self.api.outcome(operation.event_id)
        else:
            added = yield from self.api.add(
                messages,
                owner,
                metadata_of(model, expires, inferred=True, delivery=operation.delivery),
                infer=self._extraction,
                expires=expires,
                wait=self._wait if operation.wait is None else operation.wait,
            )
            self.api.ends.note(owner, model.expires_at, expires)
        entries = tuple(
            replace(model, id=str(each["id"]), content=_text_of(each), scope=owner)
            for each in added.memories
            if each.get("event", "ADD") in ("ADD", "UPDATE") and _text_of(each)
        )
        return op.AddedMessages(entries, added.pending, added.event_id)

    def _put(self, operation: op.Put) -> Steps[Sequence[MemoryEntry]]:
        owner = operation.scope
        checked = {entry.id: entry for entry in map(checked_entry, operation.entries)}
        taken = {} if operation.new else (yield from taken_ids(self.api, owner, list(checked)))
        for entry in checked.values():
            twins = taken.get(entry.id, [])
            yield from self._keep(entry, owner, twins[0] if twins else None)
            if twins[1:]:
                yield from self.api.delete(twins[1:])
        return operation.entries

    def _replace(self, operation: op.Replace) -> Steps[bool]:
        owner, entry = operation.scope, checked_entry(replace(operation.entry, embedding=None))
        found = yield from memory_with(self.api, entry.id, owner, include_shared=False)
        if found is None and not operation.create:
            return False
        if found is not None:
            entry = entry.keeping(operation.keep, found.entry)
        yield from self._keep(entry, owner if found is None else found.owner, found)
        return True

    def _update(self, operation: op.Update) -> Steps[MemoryEntry | None]:
        found = yield from memory_with(self.api, operation.id, operation.scope, include_shared=False)
        if found is None:
            return None
        changes = cast(dict[str, Any], operation.changes)
        changed = checked_entry(replace(found.entry, **changes, last_accessed=utcnow()))
        yield from self._keep(changed, found.owner, found)
        return changed

    def _keep(self, entry: MemoryEntry, owner: Scope, found: Record | None) -> Steps[None]:
        """Add a text as it is, or put it in the place of a memory."""
        expires = last_day(entry, owner, self._run_expiry_days, changes=self.api.changes_last_day)
        if found is not None and entry.expires_at is None and found.entry.expires_at is None:
            expires = found.expires  # it was counted from the day of the first save
        inferred = found is not None and found.id == found.entry.id
        metadata = metadata_of(entry, expires, inferred=inferred)
        if found is None:
            message: op.Message = {"role": "user", "content": entry.content}
            yield from self.api.add([message], owner, metadata, infer=None, expires=expires, wait=True)
        else:
            text = None if entry.content == found.entry.content else entry.content
            yield from self.api.update(found, text, metadata, expires)
        self.api.ends.note(owner if found is None else found.owner, entry.expires_at, expires)

    def _delete(self, operation: op.Delete) -> Steps[int]:
        scope, filter = operation.scope, operation.filter
        owners = [scope] if operation.owner_only else owners_visible_to(scope, include_shared=False)
        if filter.ids is not None and len(filter.ids) <= FEW and replace(filter, ids=None) == EntryFilter():
            found = []
            for id in dict.fromkeys(filter.ids):
                found += yield from all_with(self.api, id, owners, with_expired=True)
        else:
            there = yield from self.api.everything(owners, with_expired=True)
            found = [record for record in there if filter.matches(record.entry, with_expired=True)]
        is_reset = replace(filter, path=None) == EntryFilter() and filter.path in (None, "/")
        yield from self.api.delete(found, owners if is_reset else ())
        return len(found)

    def _erase_scopes(self, operation: op.EraseScopes) -> Steps[op.Erased]:
        return op.Erased((yield from self.api.erase_user(operation.scope)))

    def _purge_expired(self, operation: op.PurgeExpired) -> Steps[int]:
        return purge_expired(operation, self.api)

    # -- reading ---------------------------------------------------------------------------------------------------

    def _search(self, operation: op.Search) -> Steps[list[list[MemoryEntry]]]:
        owners = owners_visible_to(operation.scope, include_shared=operation.include_shared)
        min_score = max(0.0, operation.min_score)
        found = []
        for query, filter in zip(operation.queries, operation.filters, strict=True):
            found.append((yield from self._search_one(query, filter, owners, operation.limit, min_score)))
        return found

    def _search_one(
        self, query: str, filter: EntryFilter, owners: Sequence[Scope], limit: int, min_score: float
    ) -> Steps[list[MemoryEntry]]:
        most = self.api.most_results
        # What is filtered here is asked for with some to spare first, for most filters leave out little.
        asked = min(limit * SPARE if filter.selects else limit, most)
        while True:
            found = yield from self.api.search(query, owners, asked, min_score)
            entries = [
                replace(record.entry, found_by=("semantic",))
                for record in one_of_each(found.records)
                if filter.matches(record.entry)
            ]
            if len(entries) >= limit or found.complete or asked == most:
                return entries[:limit]
            asked = most

    def _get(self, operation: op.Get) -> Steps[MemoryEntry | None]:
        found = yield from memory_with(self.api, operation.id, operation.scope, include_shared=operation.include_shared)
        return None if found is None else found.entry

    def _list(self, operation: op.List) -> Steps[list[MemoryEntry]]:
        found = yield from self._newest_first(operation)
        return [record.entry for record in found[operation.offset : operation.offset + operation.limit]]

    def _list_page(self, operation: op.ListPage) -> Steps[op.Page]:
        start = None if operation.cursor is None else Position.of(operation.cursor, CURSOR)
        found = yield from self._newest_first(operation)
        rest = [record for record in found if start is None or _is_from(start, record)]
        page, after = rest[: operation.limit], rest[operation.limit : operation.limit + 1]
        cursor = Position(after[0].entry.created_at, after[0].id).text(CURSOR) if after else None
        return op.Page(tuple(record.entry for record in page), cursor)

    def _scan(self, operation: op.Scan) -> Steps[op.ScanPage]:
        # Mem0's pages have numbers, and move when something is added: one listing of everything does not.
        return op.ScanPage(tuple((yield from self._entries(operation))), None)

    def _scan_scopes(self, operation: op.ScanScopes) -> Steps[op.ScanPage]:
        found = yield from self.api.of_user(operation.scope)
        return op.ScanPage(tuple(record.entry for record in one_of_each(found)), None)

    def _count_scopes(self, operation: op.CountScopes) -> Steps[dict[str, int]]:
        counts: Counter[str] = Counter()
        for owner, count in (yield from self.api.owners_of_user(operation.scope)).items():
            if (value := getattr(owner, operation.field)) is not None:
                counts[value] += count
        return counts

    def _count(self, operation: op.Count) -> Steps[int]:
        return len((yield from self._entries(operation)))

    def _count_categories(self, operation: op.CountCategories) -> Steps[dict[str, int]]:
        return categories_of((yield from self._entries(operation)))

    def _list_children(self, operation: op.ListChildren) -> Steps[tuple[str, ...]]:
        return children_of(operation.filter.path or "/", (yield from self._entries(operation)))

    def _describe_path(self, operation: op.DescribePath) -> Steps[PathInfo]:
        return path_info(operation.filter.path or "/", (yield from self._entries(operation)))

    def _health(self, operation: op.Health) -> Steps[dict[str, Any]]:
        return self.api.health(operation.binding)

    # -- finding ---------------------------------------------------------------------------------------------------

    def _entries(self, operation: _Listing) -> Steps[list[MemoryEntry]]:
        return [record.entry for record in (yield from self._records(operation))]

    def _newest_first(self, operation: _Listing) -> Steps[list[Record]]:
        found = yield from self._records(operation)
        found.sort(key=lambda record: record.id)
        found.sort(key=lambda record: record.entry.created_at, reverse=True)
        return found

    def _records(self, operation: _Listing) -> Steps[list[Record]]:
        owners = owners_visible_to(operation.scope, include_shared=operation.include_shared)
        found = yield from self.api.everything(owners)
        return [record for record in one_of_each(found) if operation.filter.matches(record.entry)]

    _answers: ClassVar[Mapping[type, Callable[[Mem0Backend, Any], Steps[Any]]]] = {
        op.AddMessages: _add_messages,
        op.Put: _put,
        op.Replace: _replace,
        op.Update: _update,
        op.Delete: _delete,
        op.EraseScopes: _erase_scopes,
        op.PurgeExpired: _purge_expired,
        op.Search: _search,
        op.Get: _get,
        op.List: _list,
        op.ListPage: _list_page,
        op.Scan: _scan,
        op.ScanScopes: _scan_scopes,
        op.CountScopes: _count_scopes,
        op.Count: _count,
        op.CountCategories: _count_categories,
        op.ListChildren: _list_children,
        op.DescribePath: _describe_path,
        op.Health: _health,
    }


def _is_from(start: Position, record: Record) -> bool:
    """Whether a record is at a position or after it, newest first."""
    created_at = record.entry.created_at
    return created_at < start.created_at or (
        created_at == start.created_at and start.id is not None and record.id >= start.id
    )


def _entry(id: str, content: str, about: EntryFields) -> MemoryEntry:
    now = utcnow()
    return MemoryEntry(id=id, content=content, created_at=now, last_accessed=now, **cast(Any, about))


def _text_of(found: Any) -> str:
    return str(found.get("memory") or (found.get("data") or {}).get("memory") or "")
