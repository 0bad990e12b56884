"""Build operations: check the arguments, resolve the scope of the call, and execute on the backend.

Every method returns the steps of its operation; :class:`~.base.MemoryStore` waits for them, blocking or awaiting, and
so do CrewAI's memories.
"""

from __future__ import annotations

import builtins
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from typing_extensions import Unpack

from ..corrections import NOTHING_KEPT, Corrections
from ..embedding import VECTORS, Embedder, check_vector
from ..entry import (
    MEMORY,
    EntryArgs,
    EntryChanges,
    EntryFields,
    MemoryEntry,
    PathInfo,
    check_changes,
    check_fields,
)
from ..entry_filter import EntryFilter, FilterArgs
from ..errors import (
    EntryNotFoundError,
    InvalidArgumentError,
    InvalidEntryError,
    Outcome,
    StoreUnavailableError,
)
from ..expiry import NEVER, NO_RULES, ExpiryRules, Ttl, own_expiry
from ..filter_fields import FilterField, fields_by_name
from ..io.steps import Steps
from ..ranking import RankingWeights
from ..scope import Scope, ScopeBinding
from ..validation import (
    check_id,
    check_limit,
    check_min_score,
    check_page_size,
    check_search_limit,
    check_text,
    normalize_path,
    text_tuple,
    utcnow,
)
from . import operations as op
from .backend import Capabilities, Execute
from .cursors import opened, sealed
from .visibility_check import only_visible

T = TypeVar("T")


class ScopedOperations:
    """The operations of one handle; :class:`~.base.MemoryStore` documents each."""

    def __init__(
        self,
        execute: Execute,
        capabilities: Capabilities,
        binding: ScopeBinding,
        *,
        include_shared: bool = False,
        weights: RankingWeights | None = None,
        filter_fields: Sequence[FilterField] = (),
        expiry: ExpiryRules = NO_RULES,
        corrections: Corrections = NOTHING_KEPT,
    ) -> None:
        self._execute = execute
        self._capabilities = capabilities
        self.binding = binding
        self.include_shared = include_shared
        self.weights = weights or RankingWeights()
        self.filter_fields = fields_by_name(filter_fields)
        self.expiry = expiry
        self.corrections = corrections

    def within(self, binding: ScopeBinding) -> ScopedOperations:
        """The same operations in another scope. Reads see nothing that is shared."""
        return type(self)(
            self._execute,
            self._capabilities,
            binding,
            weights=self.weights,
            filter_fields=tuple(self.filter_fields.values()),
            expiry=self.expiry,
            corrections=self.corrections,
        )

    @property
    def counts_scopes(self) -> bool:
        return self._capabilities.counts_scopes

    # -- writing ---------------------------------------------------------------------------------------------------

    def add(self, content: str, **about: Unpack[EntryArgs]) -> Steps[MemoryEntry]:
        check_text("content", content, allow_blank=False)
        check_fields(about)
        scope = self.binding.resolve()
        values: dict[str, Any] = {"id": str(uuid.uuid4()), **about}
        values["created_at"] = values["last_accessed"] = values.get("created_at") or utcnow()
        ttl = values.pop("ttl", None)
        entry = self._with_its_end(MemoryEntry(content=content, **values), scope, ttl)
        if self.filter_fields:
            self._check_fields_of([entry])
        try:
            stored = yield from self._execute(op.Put(scope, [entry], new="id" not in about))
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

    def put(self, entries: Sequence[MemoryEntry], *, as_they_are: bool = False) -> Steps[None]:
        """``as_they_are``: each keeps its ``expires_at``, also ``None`` and one that has passed, as a copy needs it."""
        scope = self.binding.resolve()
        if as_they_are:
            self._check_ends_are_kept(entries)
        else:
            entries = [self._with_its_end(entry, scope) for entry in entries]
        if self.filter_fields:
            self._check_fields_of(entries)
        if entries:
            yield from self._execute(op.Put(scope, entries))

    def put_kept(self, entries: Sequence[MemoryEntry]) -> Steps[None]:
        """:meth:`put` of entries that are in the store: one may expire in this very moment."""
        scope = self.binding.resolve()
        ends = [self.expiry.end_of(entry.expires_at, entry.kind, scope) for entry in entries]
        return self.put(
            [replace(entry, expires_at=end) for entry, end in zip(entries, ends, strict=True)], as_they_are=True
        )

    def replace(self, entry: MemoryEntry, *, create: bool = True, keep: Collection[str] = ()) -> Steps[bool]:
        scope = self.binding.resolve()
        entry = self._with_its_end(entry, scope)
        if self.filter_fields:
            self._check_fields_of([entry])
        return self._execute(op.Replace(scope, entry, create, frozenset(keep), self._history))

    def _with_its_end(self, entry: MemoryEntry, scope: Scope, ttl: Ttl | None = None) -> MemoryEntry:
        """The entry as it is saved, with the time at which it expires."""
        if entry.expires_at is None and ttl is None and self.expiry is NO_RULES:
            return entry
        end = self.expiry.end_of(own_expiry(entry.expires_at, ttl), entry.kind, scope)
        if end is not entry.expires_at:
            entry = replace(entry, expires_at=end)
        self._check_ends_are_kept([entry])
        return entry

    def _check_ends_are_kept(self, entries: Sequence[MemoryEntry]) -> None:
        if not self._capabilities.expires and any(entry.expires_at is not None for entry in entries):
            raise InvalidArgumentError(
                "expires_at: this store's backend does not declare the capability expires, so it would keep the entry "
                "for good. Leave out expires_at, ttl and run_ttl, or use another store"
            )

    def _check_fields_of(self, entries: Sequence[MemoryEntry]) -> None:
        """Here, and not in the backends: an entry that one store refuses every store refuses."""
        for entry in entries:
            for each in self.filter_fields.values():
                each.values_of(entry)

    def update(self, id: str, **changes: Unpack[EntryChanges]) -> Steps[MemoryEntry]:
        check_changes(changes)
        if "content" in changes:
            check_text("content", changes["content"], allow_blank=False)
        operation = op.Update(self.binding.resolve(), check_id(id), self._with_its_new_end(changes), self._history)
        changed: MemoryEntry | None = only_visible(operation, (yield from self._execute(operation)))
        if changed is None:
            raise EntryNotFoundError(f"no entry with id {id!r} is visible in this scope: check the id and the scope")
        return changed

    @property
    def _history(self) -> int:
        return self.corrections.history if self._capabilities.keeps_history else 0

    def _with_its_new_end(self, changes: EntryChanges) -> EntryChanges:
        if "expires_at" not in changes and "ttl" not in changes:
            return changes
        changed = changes.copy()
        end = own_expiry(changed.pop("expires_at", None), changed.pop("ttl", None))
        if end is not None:
            changed["expires_at"] = None if end == NEVER else end
            if not self._capabilities.expires and end != NEVER:
                self._check_ends_are_kept([MemoryEntry("changed", "", expires_at=end)])
        return changed

    def delete(self, id: str | None = None, *, for_good: bool = False, **filters: Unpack[FilterArgs]) -> Steps[int]:
        return self._delete(_selection(id, filters, self.filter_fields), for_good=for_good)

    def reset(self, path: str | None = None, *, for_good: bool = True) -> Steps[int]:
        return self._delete(EntryFilter.of({"path": path}), for_good=for_good)

    def delete_own(self, ids: Sequence[str]) -> Steps[int]:
        """Delete entries of exactly this scope, never of a wider one."""
        return self._delete(EntryFilter.of({"ids": ids}), owner_only=True)

    def _delete(self, filter: EntryFilter, *, owner_only: bool = False, for_good: bool = True) -> Steps[int]:
        scope = self.binding.resolve()
        if filter.matches_nothing:
            return 0
        until = None if for_good or not self._capabilities.undoes_deletes else self.corrections.undo_until()
        try:
            return (yield from self._execute(op.Delete(scope, filter, owner_only=owner_only, undo_until=until)))
        finally:
            VECTORS.clear()  # a vector tells something of its text

    def undo_delete(
        self,
        id: str | None = None,
        *,
        ids: Sequence[str] | None = None,
        path: str | None = None,
        dry_run: bool = False,
    ) -> Steps[builtins.list[MemoryEntry]]:
        if id is not None and ids is not None:
            raise InvalidArgumentError("id and ids are both given: use one of them")
        if not self._capabilities.undoes_deletes:
            raise InvalidArgumentError("this store keeps nothing of what was deleted: only a store in Qdrant does")
        named = None if id is None and ids is None else text_tuple("ids", [id] if id is not None else ids or ())
        named = named and tuple(map(check_id, named))
        path = None if path is None or normalize_path(path) == "/" else normalize_path(path)
        operation = op.UndoDelete(self.binding.resolve(), named, path, dry_run)
        if named == ():
            return []
        return only_visible(operation, (yield from self._execute(operation)))  # type: ignore[no-any-return]

    def touch(self, ids: Sequence[str], *, background: bool = False) -> Steps[None]:
        scope, named = self.binding.resolve(), text_tuple("ids", ids)
        if named and self._capabilities.access_times:
            yield from self._execute(op.Touch(scope, named, background))

    def embed_missing(self) -> Steps[int]:
        scope = self.binding.resolve()
        if not self._capabilities.vectors:
            return 0
        return (yield from self._execute(op.EmbedMissing(scope)))

    def add_messages(
        self, messages: Sequence[op.Message], *, wait: bool | None = None, **about: Unpack[EntryFields]
    ) -> Steps[op.AddedMessages]:
        if not self._capabilities.extracts:
            raise InvalidArgumentError(
                "messages: this store keeps texts as they are and extracts nothing. Use add() or put(), or a Mem0 store"
            )
        check_fields(about)
        scope, said = self.binding.resolve(), about.copy()
        own = own_expiry(said.pop("expires_at", None), said.pop("ttl", None))
        end = self.expiry.end_of(own, about.get("kind", MEMORY), scope)
        if end is not None:
            said["expires_at"] = end
            self._check_ends_are_kept([MemoryEntry("said", "", expires_at=end)])
        return self._execute(op.AddMessages(scope, _checked_messages(messages), said, wait))

    # -- reading ---------------------------------------------------------------------------------------------------

    def search(
        self,
        query: str,
        *,
        limit: int = 10,
        min_score: float = 0.0,
        weights: RankingWeights | None = None,
        **filters: Unpack[FilterArgs],
    ) -> Steps[builtins.list[MemoryEntry]]:
        [found] = yield from self.search_many([query], limit=limit, min_score=min_score, weights=weights, **filters)
        return found

    def search_many(
        self,
        queries: Sequence[str],
        *,
        limit: int = 10,
        min_score: float = 0.0,
        weights: RankingWeights | None = None,
        paths: Sequence[str | None] | None = None,
        kinds: Sequence[str | None] | None = None,
        **filters: Unpack[FilterArgs],
    ) -> Steps[builtins.list[builtins.list[MemoryEntry]]]:
        check_search_limit(limit)
        check_min_score(min_score)
        wanted = _filters_for(queries, {"path": paths, "kind": kinds}, filters, self.filter_fields)
        if weights is not None and not self._capabilities.ranking:
            raise InvalidArgumentError("weights: this store ranks by itself, leave them out")
        if weights is not None and not isinstance(weights, RankingWeights):
            raise InvalidArgumentError(f"weights must be RankingWeights, got {type(weights).__name__}")
        scope = self.binding.resolve()
        found: list[list[MemoryEntry]] = []
        asked: list[int] = []
        for index, query in enumerate(queries):
            found.append([])
            if _checked_query(query).strip() and limit > 0 and not wanted[index].matches_nothing:
                asked.append(index)
        if not asked:
            return found
        operation = op.Search(
            scope,
            self.include_shared,
            tuple(map(queries.__getitem__, asked)),
            tuple(map(wanted.__getitem__, asked)),
            limit,
            min_score,
            (weights or self.weights) if self._capabilities.ranking else None,
        )
        answers = only_visible(operation, (yield from self._execute(operation)))
        for index, entries in zip(asked, answers, strict=True):
            found[index] = entries
        return found

    def nearest(
        self,
        embedding: Sequence[float],
        *,
        text: str | None = None,
        limit: int = 10,
        min_score: float = 0.0,
        **filters: Unpack[FilterArgs],
    ) -> Steps[builtins.list[MemoryEntry]]:
        check_search_limit(limit)
        check_min_score(min_score)
        if not self._capabilities.vectors:
            if text is None:
                raise InvalidArgumentError(
                    "embedding: this store searches by text and not by vectors, use search() or give text="
                )
            return (yield from self.search(text, limit=limit, min_score=min_score, **filters))
        scope, filter = self.binding.resolve(), EntryFilter.of(filters, self.filter_fields)
        dense = check_vector("embedding", embedding)
        if not (dense or text) or limit == 0 or filter.matches_nothing:
            return []
        asked = op.Nearest(scope, self.include_shared, dense, text, filter, limit, min_score)
        return (yield from self._read_by(asked))

    def get(self, id: str) -> Steps[MemoryEntry | None]:
        return self._read_by(op.Get(self.binding.resolve(), self.include_shared, check_id(id)))

    def list(
        self, *, limit: int = 200, offset: int = 0, **filters: Unpack[FilterArgs]
    ) -> Steps[builtins.list[MemoryEntry]]:
        check_limit(limit)
        check_limit(offset, "offset")
        make = partial(op.List, limit=limit, offset=offset)
        return self._read(make, filters, [])

    def page(self, *, cursor: str | None = None, limit: int = 100, **filters: Unpack[FilterArgs]) -> Steps[op.Page]:
        check_page_size(limit, "limit")
        filter = EntryFilter.of(filters, self.filter_fields)
        scope = self.binding.resolve()
        start = None if cursor is None else opened(cursor, scope, filter)
        if filter.matches_nothing:
            return op.Page((), None)
        page = yield from self._read_by(op.ListPage(scope, self.include_shared, filter, limit, start))
        return page if page.cursor is None else replace(page, cursor=sealed(page.cursor, scope, filter))

    def scan(
        self, *, with_vectors: bool = False, page_size: int = 200, **filters: Unpack[FilterArgs]
    ) -> Callable[[str | None], Steps[op.ScanPage]]:
        """The scan as a function: the cursor of the page before, or ``None``, gives the steps of the next page.

        Arguments are checked, and the scope is resolved, before it returns: all pages have the same scope.
        """
        check_page_size(page_size, "page_size")
        filter = EntryFilter.of(filters, self.filter_fields)
        first = op.Scan(self.binding.resolve(), self.include_shared, filter, page_size, None, with_vectors)

        def page_at(cursor: str | None) -> Steps[op.ScanPage]:
            if filter.matches_nothing:
                return op.ScanPage((), None)
            return (yield from self._read_by(replace(first, cursor=cursor)))

        return page_at

    def count(self, **filters: Unpack[FilterArgs]) -> Steps[int]:
        return self._read(op.Count, filters, 0)

    def categories(self, path: str | None = None) -> Steps[dict[str, int]]:
        return self._read(op.CountCategories, {"path": path}, {})

    def children(self, path: str = "/") -> Steps[tuple[str, ...]]:
        return self._read(op.ListChildren, {"path": path}, ())

    def info(self, path: str = "/") -> Steps[PathInfo]:
        return self._read(op.DescribePath, {"path": path}, None)

    def _read(self, make: Any, filters: FilterArgs, nothing: Any) -> Steps[Any]:
        filter = EntryFilter.of(filters, self.filter_fields)
        scope = self.binding.resolve()
        if filter.matches_nothing:
            return nothing
        return (yield from self._read_by(make(scope, self.include_shared, filter)))

    def _read_by(self, operation: op.ReadOperation[T]) -> Steps[T]:
        return only_visible(operation, (yield from self._execute(operation)))  # type: ignore[no-any-return]

    # -- the store itself ------------------------------------------------------------------------------------------

    def embedder(self) -> Steps[Embedder | None]:
        if not self._capabilities.vectors:
            return None
        return (yield from self._execute(op.DescribeEmbedder(self.binding)))

    def compact(self) -> Steps[bool]:
        if not self._capabilities.compacts:
            return False
        return (yield from self._execute(op.Compact(self.binding)))

    def reembed(
        self, embedder: Embedder | None, *, dry_run: bool = False, progress: Callable[[int], None] = lambda count: None
    ) -> Steps[op.Reembedded]:
        return (yield from self._execute(op.Reembed(self.binding, embedder, dry_run, progress)))

    def back_up(self, folder: Path) -> Steps[op.Taken]:
        return (yield from self._execute(op.BackUp(self.binding, folder)))

    def pending(self) -> Steps[int]:
        scope = self.binding.resolve()
        if not self._capabilities.outbox:
            return 0
        return (yield from self._execute(op.CountPending(scope)))

    def flush(self, timeout: float = 10.0) -> Steps[bool]:
        scope = self.binding.resolve()
        if not self._capabilities.outbox:
            return True
        return (yield from self._execute(op.Flush(scope, timeout)))

    def health(self) -> Steps[dict[str, Any]]:
        return self._execute(op.Health(self.binding))

    def list_projects(self) -> Steps[Sequence[Scope]]:
        return self._execute(op.ListProjects(self.binding))

    def scan_scopes(
        self, scope: dict[str, str | None], *, with_vectors: bool = False, page_size: int = 200
    ) -> Callable[[str | None], Steps[op.ScanPage]]:
        first = op.ScanScopes(self.binding, scope, page_size, None, with_vectors)
        return lambda cursor: self._execute(replace(first, cursor=cursor))

    def erase_scopes(self, scope: Mapping[str, str | None]) -> Steps[op.Erased]:
        try:
            return (yield from self._execute(op.EraseScopes(self.binding, scope)))
        finally:
            VECTORS.clear()

    def count_scopes(
        self, field: op.ScopeField, scope: Mapping[str, str | None], *, with_expired: bool = False
    ) -> Steps[dict[str, int]]:
        if not self._capabilities.reaches(scope):
            return {}
        return (yield from self._execute(op.CountScopes(self.binding, field, scope, with_expired)))

    def purge_expired(self, scope: Mapping[str, str | None], *, dry_run: bool = False) -> Steps[int]:
        if not self._capabilities.expires:
            return 0
        return (yield from self._execute(op.PurgeExpired(self.binding, scope, dry_run)))


def _checked_query(query: str) -> str:
    try:
        return check_text("query", query)
    except InvalidEntryError as error:
        raise InvalidArgumentError(str(error)) from error


def _filters_for(
    queries: Sequence[str],
    each: Mapping[str, Sequence[str | None] | None],
    filters: FilterArgs,
    known: Mapping[str, FilterField],
) -> Sequence[EntryFilter]:
    """A filter for each query: those for all of them, with the values that each has of its own."""
    if isinstance(queries, str):
        raise InvalidArgumentError("queries is one text: pass a list of texts, or use search()")
    own = {name: values for name, values in each.items() if values is not None}
    if not own:
        return [EntryFilter.of(filters, known)] * len(queries)
    for name, values in own.items():
        if filters.get(name) is not None or len(values) != len(queries):
            raise InvalidArgumentError(
                f"{name}s takes one {name} for each of the {len(queries)} queries, and no {name}= beside"
            )
    wanted = []
    for values in zip(*own.values(), strict=True):
        wanted.append(EntryFilter.of(cast("FilterArgs", {**filters, **dict(zip(own, values, strict=True))}), known))
    return wanted


def _selection(id: str | None, filters: FilterArgs, known: Mapping[str, FilterField]) -> EntryFilter:
    if id is not None:
        if filters.get("ids") is not None:
            raise InvalidArgumentError("id and ids are both given: use one of them")
        filters = {**filters, "ids": [id]}
    # A filter that is None or empty (a variable that was never set, say) must not come to mean "everything".
    selective = [
        name == "ids" or bool(value)
        for name, value in filters.items()
        if value is not None and name not in ("reader", "include_private")
    ]
    if not any(selective) and filters.get("include_private") is not False:
        raise InvalidArgumentError(
            "delete needs an id or a filter, and one that is empty selects nothing: use reset() to empty the scope"
        )
    return EntryFilter.of(filters, known)


def _checked_messages(messages: Sequence[op.Message]) -> builtins.list[op.Message]:
    if isinstance(messages, (str, dict)) or not messages:
        raise InvalidEntryError('messages must be a list of {"role": ..., "content": ...}, and not empty')
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant", "system"):
            raise InvalidEntryError("messages: each needs a role, one of user, assistant and system")
        check_text("the content of a message", message.get("content"), allow_blank=False)
    return cast("list[op.Message]", builtins.list(messages))
