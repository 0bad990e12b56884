"""A store in Mem0: every operation inside the scope, over its cloud or its open-source library."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar, cast

from typing_extensions import Self

from ...entry import (
    EntryArgs,
    EntryChanges,
    EntryFields,
    EntryFilter,
    MemoryEntry,
    PathInfo,
    check_changes,
    check_fields,
)
from ...errors import EntryNotFoundError, InvalidEntryError
from ...io.steps import arun, run
from ...ranking import RankingWeights
from ...scope import Scope, ScopeBinding, owners_visible_to
from ...store.operations import Steps
from ...store.text_native import AddedMessages, Message, TextNativeStore
from ...validation import check_id, check_text, child_paths, path_ancestors, utcnow
from .api import Extraction, Mem0Api
from .codec import Record, checked_entry, expiry, metadata_of

T = TypeVar("T")

FEW: Final = 3
"""Up to so many entries are looked for one by one when their ids may be taken; of more, all are listed once."""


SPARE: Final = 4
"""How many times the limit a search with filters asks Mem0 for, before it asks for all it can have."""


class Mem0Store(TextNativeStore):
    """A handle on memories in Mem0; see :class:`MemoryStore` and :class:`TextNativeStore`.

    Mem0 cannot say when an entry was last read (``touch`` does nothing), takes no vectors (``nearest`` needs
    ``text``), and ranks by itself (no ``weights``). It filters by scope; the other filters are applied here, to all
    that is in the scope, and in a search to its first 1,000 (cloud) or 10,000 results.
    """

    def __init__(
        self,
        service: Mem0Api,
        binding: ScopeBinding,
        *,
        include_shared: bool = False,
        extraction: Extraction | None = None,
        wait: bool = False,
        run_expiry_days: int | None = None,
        owns_connection: bool = True,
    ) -> None:
        super().__init__(binding, include_shared=include_shared)
        self._service = service
        self._extraction = extraction or Extraction()
        self._wait = wait
        self._run_expiry_days = run_expiry_days
        self._owns_connection = owns_connection

    def _view(self, binding: ScopeBinding) -> Self:
        return type(self)(
            self._service,
            binding,
            include_shared=self._include_shared,
            extraction=self._extraction,
            wait=self._wait,
            run_expiry_days=self._run_expiry_days,
            owns_connection=False,
        )

    def close(self) -> None:
        if self._owns_connection:
            self._owns_connection = False
            self._service.close()

    async def aclose(self) -> None:
        if self._owns_connection:
            self._owns_connection = False
            await self._service.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._service!r})"

    def _run(self, steps: Steps[T]) -> T:
        return run(steps)

    async def _arun(self, steps: Steps[T]) -> T:
        return await arun(steps)

    # -- writing ---------------------------------------------------------------------------------------------------

    def _add_messages(self, messages: Sequence[Message], wait: bool | None, about: EntryFields) -> Steps[AddedMessages]:
        check_fields(about)
        owner, said = self.scope, _checked_messages(messages)
        model = checked_entry(_entry("inferred", said[0]["content"], cast(EntryArgs, about)))
        expires = expiry(owner, self._run_expiry_days)
        added = yield from self._service.add(
            said,
            owner,
            metadata_of(model, expires, inferred=True),
            infer=self._extraction,
            expires=expires,
            wait=self._wait if wait is None else wait,
        )
        entries = tuple(
            replace(model, id=str(each["id"]), content=_text_of(each), scope=owner)
            for each in added.memories
            if each.get("event", "ADD") in ("ADD", "UPDATE") and _text_of(each)
        )
        return AddedMessages(entries, added.pending, added.event_id)

    def _add(self, content: str, about: EntryArgs) -> Steps[MemoryEntry]:
        check_fields(about)
        owner = self.scope
        entry = checked_entry(_entry(about.get("id", str(uuid.uuid4())), content, about))
        taken = (yield from self._in(owner, [entry.id])) if "id" in about else {}
        yield from self._keep(entry, owner, taken.get(entry.id))
        return replace(entry, scope=owner)

    def _put(self, entries: Sequence[MemoryEntry]) -> Steps[None]:
        owner = self.scope
        checked = {entry.id: entry for entry in map(checked_entry, entries)}
        taken = yield from self._in(owner, list(checked))
        for entry in checked.values():
            yield from self._keep(entry, owner, taken.get(entry.id))

    def _replace(self, entry: MemoryEntry, create: bool, keep: Collection[str]) -> Steps[bool]:
        owner, entry = self.scope, checked_entry(replace(entry, embedding=None))
        found = yield from self._find(entry.id, include_shared=False)
        if found is None and not create:
            return False
        if found is not None:
            entry = entry.keeping(keep, found.entry)
        yield from self._keep(entry, owner if found is None else found.owner, found)
        return True

    def _update(self, id: str, changes: EntryChanges) -> Steps[MemoryEntry]:
        check_changes(changes)
        found = yield from self._find(id, include_shared=False)
        if found is None:
            raise EntryNotFoundError(f"no entry with id {id!r} is visible in this scope: check the id and the scope")
        changed = checked_entry(replace(found.entry, **cast(dict[str, Any], changes), last_accessed=utcnow()))
        yield from self._keep(changed, found.owner, found)
        return changed

    def _keep(self, entry: MemoryEntry, owner: Scope, found: Record | None) -> Steps[None]:
        """Add a text as it is, or put it in the place of a memory."""
        expires = expiry(owner, self._run_expiry_days) if found is None else found.expires
        inferred = found is not None and found.id == found.entry.id
        metadata = metadata_of(entry, expires, inferred=inferred)
        if found is None:
            message: Message = {"role": "user", "content": entry.content}
            yield from self._service.add([message], owner, metadata, infer=None, expires=expires, wait=True)
        else:
            text = None if entry.content == found.entry.content else entry.content
            yield from self._service.update(found, text, metadata)

    def _delete(self, filter: EntryFilter) -> Steps[int]:
        reader = self.scope
        if filter.matches_nothing:
            return 0
        if filter.ids is not None and len(filter.ids) <= FEW and replace(filter, ids=None) == EntryFilter():
            found = []
            for id in dict.fromkeys(filter.ids):
                found += yield from self._all_with(id, owners_visible_to(reader, include_shared=False))
        else:
            found = yield from self._selected(filter, include_shared=False)
        is_reset = replace(filter, path=None) == EntryFilter() and filter.path in (None, "/")
        emptied = owners_visible_to(reader, include_shared=False) if is_reset else ()
        yield from self._service.delete(found, emptied)
        return len(found)

    def _touch(self, ids: Sequence[str], soon: bool) -> Steps[None]:
        # Each would be a write of the whole memory, and Mem0 has no use for it.
        EntryFilter.of({"ids": ids})
        _ = self.scope
        yield from ()

    # -- reading ---------------------------------------------------------------------------------------------------

    def _search(
        self, query: str, limit: int, min_score: float, weights: RankingWeights | None, filter: EntryFilter
    ) -> Steps[list[MemoryEntry]]:
        if weights is not None:
            raise InvalidEntryError("weights: Mem0 ranks by itself, leave them out")
        reader = self.scope
        if not check_text("query", query).strip() or limit == 0 or filter.matches_nothing:
            return []
        owners = owners_visible_to(reader, include_shared=self._include_shared)
        most, min_score = self._service.most_results, max(0.0, min_score)
        # What is filtered here is asked for with some to spare first, for most filters leave out little.
        asked = min(limit * SPARE if filter.selects else limit, most)
        while True:
            found = yield from self._service.search(query, owners, asked, min_score)
            entries = [record.entry for record in found.records if filter.matches(record.entry)]
            if len(entries) >= limit or found.complete or asked == most:
                return entries[:limit]
            asked = most

    def _search_many(
        self,
        queries: Sequence[str],
        limit: int,
        min_score: float,
        weights: RankingWeights | None,
        filters: Sequence[EntryFilter],
    ) -> Steps[list[list[MemoryEntry]]]:
        found = []
        for query, filter in zip(queries, filters, strict=True):
            found.append((yield from self._search(query, limit, min_score, weights, filter)))
        return found

    def _nearest(
        self, embedding: Sequence[float], text: str | None, limit: int, min_score: float, filter: EntryFilter
    ) -> Steps[list[MemoryEntry]]:
        if text is None:
            raise InvalidEntryError("embedding: Mem0 searches by text and not by vectors, use search() or give text=")
        return self._search(text, limit, min_score, None, filter)

    def _get(self, id: str) -> Steps[MemoryEntry | None]:
        found = yield from self._find(id, include_shared=self._include_shared)
        return None if found is None else found.entry

    def _list(self, limit: int, offset: int, filter: EntryFilter) -> Steps[list[MemoryEntry]]:
        found = yield from self._entries(filter)
        found.sort(key=lambda entry: entry.id)
        found.sort(key=lambda entry: entry.created_at, reverse=True)
        return found[offset : offset + limit]

    def _count(self, filter: EntryFilter) -> Steps[int]:
        return len((yield from self._entries(filter)))

    def _categories(self, filter: EntryFilter) -> Steps[dict[str, int]]:
        return _categories_of((yield from self._entries(filter)))

    def _children(self, filter: EntryFilter) -> Steps[tuple[str, ...]]:
        return _children_of(filter.path or "/", (yield from self._entries(filter)))

    def _info(self, filter: EntryFilter) -> Steps[PathInfo]:
        found = yield from self._entries(filter)
        times = [entry.created_at for entry in found]
        return PathInfo(
            path=filter.path or "/",
            count=len(found),
            categories=tuple(sorted(_categories_of(found))),
            oldest=min(times, default=None),
            newest=max(times, default=None),
            children=_children_of(filter.path or "/", found),
        )

    def _health(self) -> Steps[dict[str, Any]]:
        return (yield from self._service.health(self._binding))

    # -- finding ---------------------------------------------------------------------------------------------------

    def _entries(self, filter: EntryFilter) -> Steps[list[MemoryEntry]]:
        return [r.entry for r in (yield from self._selected(filter, include_shared=self._include_shared))]

    def _selected(self, filter: EntryFilter, *, include_shared: bool) -> Steps[list[Record]]:
        reader = self.scope
        if filter.matches_nothing:
            return []
        found = yield from self._service.everything(owners_visible_to(reader, include_shared=include_shared))
        return [record for record in found if filter.matches(record.entry)]

    def _find(self, id: str, *, include_shared: bool) -> Steps[Record | None]:
        """The visible memory with this id; of several, the one whose run and agent are the most specific."""
        owners = owners_visible_to(self.scope, include_shared=include_shared)
        found = yield from self._all_with(check_id(id), owners)
        return min(found, key=lambda record: owners.index(record.owner), default=None)

    def _all_with(self, id: str, owners: Sequence[Scope]) -> Steps[list[Record]]:
        found = yield from self._service.everything(owners, check_id(id))
        if not found and _is_uuid(id):
            named = yield from self._service.by_mem0_id(id, owners)
            # What was added under an id of ours has that one, and is not to be had by another.
            found = [named] if named is not None and named.entry.id == id else []
        return found

    def _in(self, owner: Scope, ids: Sequence[str]) -> Steps[dict[str, Record]]:
        """Which of these ids are taken in one owner's memory."""
        if len(ids) > FEW:
            wanted = set(ids)
            listed = yield from self._service.everything([owner])
            return {record.entry.id: record for record in listed if record.entry.id in wanted}
        taken = {}
        for id in ids:
            for record in (yield from self._all_with(id, [owner])):
                taken[id] = record
        return taken


def _entry(id: str, content: str, about: EntryArgs) -> MemoryEntry:
    created_at = about.get("created_at") or utcnow()
    given = {name: value for name, value in about.items() if name not in ("id", "created_at")}
    return MemoryEntry(id=id, content=content, created_at=created_at, last_accessed=created_at, **cast(Any, given))


def _checked_messages(messages: Sequence[Message]) -> list[Message]:
    if isinstance(messages, (str, dict)) or not messages:
        raise InvalidEntryError('messages must be a list of {"role": ..., "content": ...}, and not empty')
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant", "system"):
            raise InvalidEntryError("messages: each needs a role, one of user, assistant and system")
        check_text("the content of a message", message.get("content"), allow_blank=False)
    return list(messages)


def _is_uuid(id: str) -> bool:
    """Mem0's own ids are all of this kind."""
    try:
        return str(uuid.UUID(id)) == id.lower()
    except ValueError:
        return False


def _text_of(found: Any) -> str:
    return str(found.get("memory") or (found.get("data") or {}).get("memory") or "")


def _categories_of(entries: Iterable[MemoryEntry]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in entries:
        for category in dict.fromkeys(entry.categories):
            counts[category] = counts.get(category, 0) + 1
    return counts


def _children_of(path: str, entries: Iterable[MemoryEntry]) -> tuple[str, ...]:
    return tuple(child_paths(path, {each for entry in entries for each in path_ancestors(entry.path)}))
