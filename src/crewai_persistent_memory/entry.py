"""An entry, its fields as keyword arguments, and the filters that select entries: the same for every store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Final, TypedDict

from .errors import InvalidArgumentError, InvalidEntryError
from .scope import Scope
from .validation import (
    canonical_json,
    check_metadata,
    check_text,
    normalize_path,
    path_ancestors,
    text_tuple,
    to_naive_utc,
    utcnow,
)

MEMORY: Final = "memory"
ENTITY: Final = "entity"
"""Kinds of entries. Any other text is a kind as well."""

DEFAULT_IMPORTANCE: Final = 0.5
"""Stores do not write it down: another value here needs a migration of them."""


@dataclass(frozen=True)
class MemoryEntry:
    """One remembered thing, the same shape from every store.

    Attributes:
        id: unique within its scope; the same id in another scope is another entry.
        content: the text.
        scope: the owner. The store sets it, never the caller.
        path: CrewAI's ``scope``, a path such as ``/crew/sales`` that organises entries inside one scope.
        categories: tags.
        metadata: anything JSON can hold.
        importance: 0…1.
        created_at: naive UTC.
        last_accessed: naive UTC.
        source: where it came from.
        private: hidden from recalls that do not name the same source.
        kind: ``"memory"``, or ``"entity"`` for facts about a person or a thing.
        embedding: the dense vector, from methods that return it; of unit length, as the engine keeps cosine vectors.
        score: 0…1, in search results only.
        found_by: in search results, by what the entry was looked for: ``"semantic"``, ``"keywords"``, or both.
    """

    id: str
    content: str
    scope: Scope | None = None
    path: str = "/"
    categories: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    importance: float = DEFAULT_IMPORTANCE
    created_at: datetime = field(default_factory=utcnow)
    last_accessed: datetime = field(default_factory=utcnow)
    source: str | None = None
    private: bool = False
    kind: str = MEMORY
    embedding: Sequence[float] | None = field(default=None, repr=False)
    score: float | None = None
    found_by: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def trusted(cls, **fields: Any) -> MemoryEntry:
        """An entry read back from a store, with every field given (hot path: a third of the constructor's time)."""
        entry = object.__new__(cls)
        entry.__dict__.update(fields)
        return entry

    def keeping(self, names: Collection[str], earlier: MemoryEntry) -> MemoryEntry:
        """This entry with the fields of these names as they were in ``earlier``."""
        return replace(self, **{name: getattr(earlier, name) for name in names})

    def to_dict(self) -> dict[str, Any]:
        """The entry as plain JSON values, without its vector."""
        values = {
            f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("scope", "embedding", "found_by")
        }
        values["categories"] = list(self.categories)
        values["metadata"] = dict(self.metadata)
        for name in ("created_at", "last_accessed"):
            values[name] = values[name].isoformat() + "Z"
        if self.scope is not None:
            values["scope"] = {k: v for k, v in vars(self.scope).items() if v is not None}
        return values


class EntryFields(TypedDict, total=False):
    """Fields of an entry, when it is added and when it is updated. :class:`MemoryEntry` describes them."""

    path: str
    categories: Sequence[str]
    metadata: Mapping[str, Any]
    importance: float
    source: str | None
    private: bool
    kind: str


class EntryArgs(EntryFields, total=False):
    """Keyword arguments of ``add``: the fields of a new entry, besides its content."""

    id: str
    created_at: datetime
    embedding: Sequence[float] | None


class EntryChanges(EntryFields, total=False):
    """Keyword arguments of ``update``: the fields of an entry that can be changed."""

    content: str


def check_fields(about: Mapping[str, Any]) -> None:
    """Refuse fields that an entry does not have.

    Raises:
        InvalidEntryError: there is such a field; the message names it.
    """
    unknown = set(about) - EntryArgs.__annotations__.keys()
    if unknown:
        raise InvalidEntryError(
            f"unknown field {', '.join(sorted(unknown))}: an entry has {', '.join(EntryArgs.__annotations__)}"
        )


def check_changes(changes: Mapping[str, Any]) -> None:
    """Refuse fields that cannot be changed.

    Raises:
        InvalidEntryError: there is such a field; the message names it.
    """
    unknown = set(changes) - EntryChanges.__annotations__.keys()
    if unknown:
        raise InvalidEntryError(
            f"{', '.join(sorted(unknown))} cannot be updated: use {', '.join(EntryChanges.__annotations__)}"
        )


class FilterArgs(TypedDict, total=False):
    """Keyword arguments of every read, count and delete: the filters. :class:`EntryFilter` describes them; all that are
    given must hold.
    """

    path: str | None
    categories: Sequence[str] | None
    metadata: Mapping[str, Any] | None
    created_before: datetime | None
    created_after: datetime | None
    ids: Sequence[str] | None
    include_private: bool
    reader: str | None
    kind: str | None


@dataclass(frozen=True)
class EntryFilter:
    """Which entries of a scope a call is about; all conditions must hold.

    Attributes:
        path: entries at this path and below it (``/a`` is not ``/ab``). ``None`` or ``/``: every path.
        categories: entries that share at least one of these.
        metadata: entries whose metadata has each of these keys with an equal JSON value.
        created_before: entries created before this time (naive is UTC), exclusive.
        created_after: entries created at or after this time.
        ids: entries with one of these ids.
        include_private: ``False`` leaves out private entries, but for those whose source is ``reader``.
        reader: who is reading, for ``include_private=False``.
        kind: entries of this kind.
    """

    path: str | None = None
    categories: tuple[str, ...] | None = None
    metadata: Mapping[str, Any] | None = None
    created_before: datetime | None = None
    created_after: datetime | None = None
    ids: tuple[str, ...] | None = None
    include_private: bool = True
    reader: str | None = None
    kind: str | None = None

    @classmethod
    def of(cls, args: FilterArgs) -> EntryFilter:
        """Check and normalise what a caller gave.

        Raises:
            InvalidArgumentError: unknown filter, or one of the wrong type; the message names it.
        """
        try:
            return cls._checked(args)
        except InvalidEntryError as error:
            # The checks are those of an entry's fields.
            raise InvalidArgumentError(str(error)) from error

    @classmethod
    def _checked(cls, args: FilterArgs) -> EntryFilter:
        unknown = set(args) - {f.name for f in fields(cls)}
        if unknown:
            known = ", ".join(f.name for f in fields(cls))
            raise InvalidArgumentError(f"unknown filter {', '.join(sorted(unknown))}: use {known}")
        path = args.get("path")
        categories, ids, metadata = args.get("categories"), args.get("ids"), args.get("metadata")
        before, after = args.get("created_before"), args.get("created_after")
        if metadata:
            check_metadata(metadata)
        return cls(
            path=None if path is None else normalize_path(path),
            # CrewAI's backends take "no category" and "an empty list of categories" for the same.
            categories=text_tuple("categories", categories) if categories else None,
            metadata=metadata or None,
            created_before=None
            if (before := args.get("created_before")) is None
            else to_naive_utc("created_before", before),
            created_after=None
            if (after := args.get("created_after")) is None
            else to_naive_utc("created_after", after),
            ids=None if ids is None else text_tuple("ids", ids),
            include_private=args.get("include_private", True),
            reader=args.get("reader"),
            kind=None if (kind := args.get("kind")) is None else check_text("kind", kind),
        )

    @property
    def matches_nothing(self) -> bool:
        """True for an empty list of ids, which selects no entry. It must not come to select all of them."""
        return self.ids is not None and not self.ids

    @property
    def selects(self) -> bool:
        """False if the filter selects every entry of the scope."""
        return self != EntryFilter(path=self.path if self.path == "/" else None)

    def matches(self, entry: MemoryEntry) -> bool:
        """Whether the filter selects this entry. For stores whose engine cannot decide it."""
        return (
            (self.path in (None, "/") or self.path in path_ancestors(entry.path))
            and (not self.categories or not set(self.categories).isdisjoint(entry.categories))
            and all(
                key in entry.metadata and canonical_json(entry.metadata[key]) == canonical_json(value)
                for key, value in (self.metadata or {}).items()
            )
            and (self.created_before is None or entry.created_at < self.created_before)
            and (self.created_after is None or entry.created_at >= self.created_after)
            and (self.ids is None or entry.id in self.ids)
            and (self.include_private or not entry.private or (self.reader is not None and entry.source == self.reader))
            and self.kind in (None, entry.kind)
        )


@dataclass(frozen=True)
class PathInfo:
    """A summary of the entries at a path and below it."""

    path: str
    count: int
    categories: tuple[str, ...]
    oldest: datetime | None
    newest: datetime | None
    children: tuple[str, ...]
