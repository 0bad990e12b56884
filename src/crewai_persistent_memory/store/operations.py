"""Store operations, as dataclasses. Each holds the reader's scope, so no backend resolves a scope itself.

They are compared by their values. One that holds a list or a mapping (entries, changes, metadata) therefore has no
hash: middleware that counts or keeps something takes ``type(operation)``, or what it needs of the values, as its key.

:class:`~.scoped_operations.ScopedOperations` makes them, middleware sees them, a backend answers them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypedDict, TypeVar, cast

from ..embedding import Embedder
from ..entry import EntryChanges, EntryFields, MemoryEntry, PathInfo
from ..entry_filter import EntryFilter
from ..filter_fields import FieldCondition
from ..ranking import RankingWeights
from ..scope import Scope, ScopeBinding

T = TypeVar("T")


def fields_asked(operation: Operation[Any]) -> tuple[FieldCondition, ...]:
    """What an operation asks of an application's filter fields."""
    for filter in getattr(operation, "filters", None) or (getattr(operation, "filter", None),):
        if filter is not None and filter.fields:
            # The filters of one operation ask for the same fields: they differ in their paths.
            return cast("tuple[FieldCondition, ...]", filter.fields)
    return ()


@dataclass(frozen=True)
class Operation(Generic[T]):
    """Asks a backend for a ``T``."""

    writes: ClassVar[bool] = False
    """Whether it changes what is remembered."""

    @property
    def project(self) -> tuple[str | None, str]:
        """The organisation and the project that it is about."""
        raise NotImplementedError


@dataclass(frozen=True)
class ScopedOperation(Operation[T]):
    """An operation on what one scope sees.

    Attributes:
        scope: the reader's, or the writer's.
    """

    scope: Scope

    @property
    def project(self) -> tuple[str | None, str]:
        return self.scope.org_id, self.scope.project_id


@dataclass(frozen=True)
class StoreOperation(Operation[T]):
    """An operation on the store itself, which needs no user.

    Attributes:
        binding: what the handle is fixed to.
    """

    binding: ScopeBinding

    @property
    def project(self) -> tuple[str | None, str]:
        return self.binding.resolve_project()


# -- writing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Put(ScopedOperation["Sequence[MemoryEntry] | None"]):
    """Store entries in the scope, in place of those with the same ids there.

    The answer is the entries that were stored; ``None`` stands for those of the operation. ``add`` returns what it
    says, so a middleware that changes an entry passes the answer on.

    Attributes:
        entries: whole entries. All are checked before the first is written.
        new: the ids were made for these entries, so none is taken.
    """

    writes = True
    entries: Sequence[MemoryEntry] = field(repr=False)
    new: bool = False


@dataclass(frozen=True)
class Replace(ScopedOperation[bool]):
    """Store an entry in place of the visible one with its id; the answer is whether it was stored.

    Attributes:
        entry: without an embedding, the stored vector stays while the content does.
        create: if the entry does not exist, store it in the scope.
        keep: names of fields of ``entry`` that say nothing: the stored ones stay.
        history: so many earlier texts the entry keeps. Its own ``history`` says nothing. For the capability
            ``keeps_history``.
    """

    writes = True
    entry: MemoryEntry = field(repr=False)
    create: bool = True
    keep: frozenset[str] = frozenset()
    history: int = 0


@dataclass(frozen=True)
class Update(ScopedOperation[MemoryEntry | None]):
    """Change fields of the visible entry with this id; the answer is the entry, or ``None`` if there is none.

    Attributes:
        history: so many earlier texts the entry keeps. For the capability ``keeps_history``.
    """

    writes = True
    id: str
    changes: EntryChanges = field(repr=False)
    history: int = 0


@dataclass(frozen=True)
class Delete(ScopedOperation[int]):
    """Delete the visible entries that match; the answer is how many there were.

    Entries that have expired, and are still there, are deleted too, and counted.

    Attributes:
        owner_only: entries of exactly this scope, not all that it sees: of a run, not those of the user.
        fields_complete: see :class:`ReadOperation`.
        undo_until: until then :class:`UndoDelete` brings them back. ``None``: they are deleted for good, and so is
            what earlier deletes have kept of such entries. For the capability ``undoes_deletes``.
    """

    writes = True
    filter: EntryFilter
    owner_only: bool = field(default=False, kw_only=True)
    fields_complete: bool = field(default=False, kw_only=True)
    undo_until: datetime | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class UndoDelete(ScopedOperation["list[MemoryEntry]"]):
    """Bring back what the scope would see, if it had not been deleted. For the capability ``undoes_deletes``.

    The answer is what came back. An entry whose own end has passed stays deleted; where one with the same id was saved
    since, that one stays.

    Attributes:
        ids: of the entries; ``None``: all.
        path: only entries at it and below it.
        dry_run: bring back nothing.
    """

    writes = True
    ids: tuple[str, ...] | None = None
    path: str | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Touch(ScopedOperation[None]):
    """Set ``last_accessed`` of these entries to now.

    Attributes:
        ids: one that is not visible is left alone.
        background: the caller does not wait for it; a failure is logged.
    """

    writes = True
    ids: tuple[str, ...]
    background: bool = False


@dataclass(frozen=True)
class CountPending(ScopedOperation[int]):
    """How many accepted writes of the scope's user the store has not taken. For the capability ``outbox``."""


@dataclass(frozen=True)
class Flush(ScopedOperation[bool]):
    """Wait until the store has taken the accepted writes of the scope's user. For the capability ``outbox``.

    Attributes:
        seconds: how long to wait at most.
    """

    seconds: float


@dataclass(frozen=True)
class EmbedMissing(ScopedOperation[int]):
    """Embed the scope's entries that have no vector; the answer is how many have got one."""

    writes = True


@dataclass(frozen=True)
class CompleteFields(ScopedOperation[bool]):
    """Store the values that entries lack of an application's filter fields, before an operation that filters by them.

    For backends with the capability ``stores_fields``. Only entries that the scope may change are completed. The answer
    is whether no entry that the operation sees lacks a value any more. Whoever does not execute this operation, or
    refuses it, changes no result: values that are not stored are computed for the operation.

    Attributes:
        names: of the fields.
        include_shared: of the operation.
    """

    writes = True
    names: tuple[str, ...]
    include_shared: bool = False


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["user", "assistant", "system"]
    content: str


@dataclass(frozen=True)
class AddedMessages:
    """Result of adding messages.

    Attributes:
        entries: what was remembered, if that is known already. Nothing worth remembering leaves it empty.
        pending: the store took the messages and is still at work on them.
        event_id: the store's name for that work.
    """

    entries: tuple[MemoryEntry, ...] = ()
    pending: bool = False
    event_id: str | None = None


@dataclass(frozen=True)
class AddMessages(ScopedOperation[AddedMessages]):
    """Let the store extract what is worth remembering. For backends with the capability ``extracts``.

    Attributes:
        messages: oldest first.
        about: fields of every memory that comes of them.
        wait: return when it is done. ``None``: as the store was opened.
        delivery: names this call. The store keeps it with every memory that comes of it.
        again: the call may have been done before. The store first looks for memories with this ``delivery``.
        event_id: the store has them under this event already: nothing is sent, and it is waited for what comes of it.
    """

    writes = True
    messages: Sequence[Message] = field(repr=False)
    about: EntryFields = field(repr=False)
    wait: bool | None = None
    delivery: str | None = None
    again: bool = False
    event_id: str | None = None


# -- reading -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ReadOperation(ScopedOperation[T]):
    """An operation that reads. It never finds an entry whose ``expires_at`` has passed.

    Attributes:
        include_shared: a user's read finds the project's shared entries too.
        fields_complete: every entry that it sees has the values of the filter fields in its filter, see
            :class:`CompleteFields`.
    """

    include_shared: bool
    fields_complete: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class Search(ReadOperation[list[list[MemoryEntry]]]):
    """What the scope remembers about each query, best first; one list for each.

    Attributes:
        queries: texts, none blank.
        filters: one for each query; none of them matches nothing.
        limit: most results of each, at least 1.
        min_score: results below are left out.
        weights: how to rank; ``None`` where the backend ranks by itself.
    """

    queries: tuple[str, ...] = field(repr=False)
    filters: tuple[EntryFilter, ...]
    limit: int
    min_score: float
    weights: RankingWeights | None


@dataclass(frozen=True)
class Nearest(ReadOperation[list[MemoryEntry]]):
    """Entries whose vector is nearest. For backends with the capability ``vectors``.

    Attributes:
        embedding: empty to search by ``text``.
        text: for a store of keywords only.
    """

    embedding: Sequence[float] = field(repr=False)
    text: str | None = field(repr=False)
    filter: EntryFilter
    limit: int
    min_score: float


@dataclass(frozen=True)
class Get(ReadOperation[MemoryEntry | None]):
    """The visible entry with this id, its vector included."""

    id: str


@dataclass(frozen=True)
class List(ReadOperation[list[MemoryEntry]]):
    """Entries, newest first; equal times keep one order over all pages."""

    filter: EntryFilter
    limit: int
    offset: int


@dataclass(frozen=True)
class Page:
    """Entries, newest first, and where the next ones begin.

    Attributes:
        entries: at most as many as requested.
        cursor: for the next page; ``None`` at the end.
    """

    entries: tuple[MemoryEntry, ...]
    cursor: str | None


@dataclass(frozen=True)
class ListPage(ReadOperation[Page]):
    """The entries from a cursor on, in the order of :class:`List`.

    Attributes:
        limit: most entries, at least 1.
        cursor: the backend's own text, from the page before; ``None`` for the first page.
    """

    filter: EntryFilter
    limit: int
    cursor: str | None


@dataclass(frozen=True)
class ScanPage:
    """Some entries of a scan.

    Attributes:
        entries: in the scan's order.
        cursor: for the next page; ``None`` at the end.
    """

    entries: tuple[MemoryEntry, ...]
    cursor: str | None


@dataclass(frozen=True)
class Scan(ReadOperation[ScanPage]):
    """The entries from a cursor on, in an order that no write changes.

    An entry that is there from the first page to the last is in one page. One that is added or deleted in between may
    be in none.

    Attributes:
        limit: most entries, at least 1. A backend that can only list everything answers with one page of all entries.
        cursor: the backend's own text, from the page before; ``None`` for the first page.
        with_vectors: with the vectors, where the backend has the capability ``vectors``.
    """

    filter: EntryFilter
    limit: int
    cursor: str | None = None
    with_vectors: bool = False


@dataclass(frozen=True)
class Count(ReadOperation[int]):
    """How many entries match."""

    filter: EntryFilter


@dataclass(frozen=True)
class CountCategories(ReadOperation[dict[str, int]]):
    """Each category, with how many matching entries have it."""

    filter: EntryFilter


@dataclass(frozen=True)
class ListChildren(ReadOperation[tuple[str, ...]]):
    """The paths one level below the filter's path that have entries, sorted."""

    filter: EntryFilter


@dataclass(frozen=True)
class DescribePath(ReadOperation[PathInfo]):
    """Summarize the filter's path and the paths below it."""

    filter: EntryFilter


# -- the store itself ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DescribeEmbedder(StoreOperation[Embedder | None]):
    """The dense embedder; ``None`` for keywords only, and where the backend embeds by itself."""


@dataclass(frozen=True)
class Compact(StoreOperation[bool]):
    """Remove the text of deleted entries from files; the answer is whether they were written anew."""

    writes = True


@dataclass(frozen=True)
class Taken:
    """What a backup has taken.

    Attributes:
        engine: ``"embedded"``: the folder of a store; ``"server"``: a snapshot of a collection.
        entries: how many there are in it.
        collection: its name on the server.
        sha256: of the snapshot.
    """

    engine: str
    entries: int
    collection: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class BackUp(StoreOperation[Taken]):
    """Copy the whole store, as it is at one moment, into a folder of this host, which is there and empty."""

    folder: Path


class Reembedded(NamedTuple):
    """What a change of the embedder has done, or would do.

    Attributes:
        entries: how many there are.
        embedded: how many were embedded now.
        there: how many had a vector of the new embedder already, from an earlier attempt.
        without: how many have none, because the embedder refuses them: they are found by their words.
        characters: that were embedded, or would be.
        changed: whether the store had another embedder before.
    """

    entries: int
    embedded: int = 0
    there: int = 0
    without: int = 0
    characters: int = 0
    changed: bool = False


@dataclass(frozen=True)
class Reembed(StoreOperation[Reembedded]):
    """Change the embedder of the whole store; if it has this one, embed the entries that have no vector.

    Attributes:
        embedder: the new one; ``None``: keywords only.
        dry_run: say what would be done.
        progress: is told how many entries were looked at so far.
    """

    writes = True
    embedder: Embedder | None = field(repr=False)
    dry_run: bool = False
    progress: Callable[[int], None] = field(default=lambda count: None, repr=False)


@dataclass(frozen=True)
class Health(StoreOperation[dict[str, Any]]):
    """Whether the engine answers, and what it is."""


ScopeField = Literal["org_id", "project_id", "user_id", "run_id", "agent_id"]


@dataclass(frozen=True)
class CountScopes(StoreOperation[dict[str, int]]):
    """Count entries by one field of their scopes, across scopes: for the operator of the store.

    Attributes:
        field: entries without it are not counted.
        scope: fields that the entries have; ``None`` for entries without the field.
        with_expired: also those that have expired and are still there, to know whether anything is left.
    """

    field: ScopeField
    scope: Mapping[str, str | None]
    with_expired: bool = False


@dataclass(frozen=True)
class ListProjects(StoreOperation["Sequence[Scope]"]):
    """The projects that have a collection of their own, each as the scope of what is shared in it.

    For a Qdrant server with ``collection_per_project`` only.
    """


class Erased(NamedTuple):
    """What an erasure removed.

    Attributes:
        entries: that were in the store.
        waiting: writes of this host's outbox, whole or in part, that were not delivered.
        dead_letters: writes that the store had refused.
        under_way: writes that are being delivered, or have to be before what they change can be erased.
    """

    entries: int
    waiting: int = 0
    dead_letters: int = 0
    under_way: int = 0


@dataclass(frozen=True)
class EraseScopes(StoreOperation[Erased]):
    """Delete the entries of all scopes with these fields, and what waits for them: for the operator of the store.

    Attributes:
        scope: fields that the entries have, at least one; ``None`` for entries without the field.
    """

    writes = True
    scope: Mapping[str, str | None]


@dataclass(frozen=True)
class PurgeExpired(StoreOperation[int]):
    """Delete the entries whose time is over; the answer is how many there were. For the capability ``expires``.

    A backend that cannot list across scopes (without ``counts_scopes``) purges what the scope of the call sees.

    Attributes:
        scope: fields that the entries have; ``None`` for entries without the field. Empty: all entries.
        dry_run: count only.
    """

    writes = True
    scope: Mapping[str, str | None]
    dry_run: bool = False


@dataclass(frozen=True)
class ScanScopes(StoreOperation[ScanPage]):
    """The entries of all scopes with these fields, as :class:`Scan` gives those of one: for the operator of the store.

    Attributes:
        scope: fields that the entries have; ``None`` for entries without the field. Empty: all entries.
        limit, cursor, with_vectors: see :class:`Scan`.
    """

    scope: Mapping[str, str | None]
    limit: int
    cursor: str | None = None
    with_vectors: bool = False
