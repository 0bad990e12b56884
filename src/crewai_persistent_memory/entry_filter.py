"""The filters that select entries: the same for every store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as fields_of
from datetime import datetime
from typing import Any, Final, TypedDict

from .entry import MemoryEntry
from .errors import InvalidArgumentError, InvalidEntryError
from .expiry import is_expired
from .filter_fields import FieldCondition, FieldFilter, FilterField, field_conditions
from .validation import (
    canonical_json,
    check_metadata,
    check_text,
    normalize_path,
    path_ancestors,
    text_tuple,
    to_naive_utc,
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
    fields: Mapping[str, FieldFilter] | None


@dataclass(frozen=True)
class EntryFilter:
    """Selects entries of a scope. An entry must meet all conditions.

    Attributes:
        path: entries at this path and below it (``/a`` is not ``/ab``). ``None`` or ``/``: every path.
        categories: entries that share at least one of these.
        metadata: entries whose metadata has each of these keys with an equal JSON value.
        created_before: entries created before this time (naive is UTC), exclusive.
        created_after: entries created at or after this time.
        ids: entries with one of these ids.
        include_private: ``False`` leaves out private entries, except those whose source is ``reader``.
        reader: the source that reads, for ``include_private=False``.
        kind: entries of this kind.
        fields: what is asked of the fields that the store was opened with (``filter_fields=``), by their names: see
            :class:`FilterField`. An empty list of values selects no entry.
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
    fields: tuple[FieldCondition, ...] = ()

    @classmethod
    def of(cls, args: FilterArgs, known: Mapping[str, FilterField] = {}) -> EntryFilter:
        """Check and normalise a caller's filters.

        Args:
            args: the filters.
            known: the fields that the store was opened with, by their names.

        Raises:
            InvalidArgumentError: unknown filter or field, or one of the wrong type; the message names it.
        """
        try:
            return cls._checked(args, known)
        except InvalidEntryError as error:
            # The checks are those of an entry's fields.
            raise InvalidArgumentError(str(error)) from error

    @classmethod
    def _checked(cls, args: FilterArgs, known_fields: Mapping[str, FilterField]) -> EntryFilter:
        unknown = args.keys() - _NAMES
        if unknown:
            known = ", ".join(_NAMES)
            raise InvalidArgumentError(f"unknown filter {', '.join(sorted(unknown))}: use {known}")
        include_private = args.get("include_private", True)
        if include_private is not None and not isinstance(include_private, bool):
            raise InvalidArgumentError(f"include_private must be True or False, got {include_private!r}")
        include_private = bool(include_private)  # None, of a caller that does not know, shows less
        for name, value in args.items():
            if value is not None and name != "include_private":
                break
        else:
            return _WITH_PRIVATE if include_private else _WITHOUT_PRIVATE  # of most recalls: made once
        path = args.get("path")
        categories, ids, metadata = args.get("categories"), args.get("ids"), args.get("metadata")
        if metadata:
            check_metadata(metadata)
        return cls(
            path=None if path is None else normalize_path(path),
            # CrewAI's backends treat an empty list of categories as "no filter".
            categories=text_tuple("categories", categories) if categories else None,
            metadata=metadata or None,
            created_before=None
            if (before := args.get("created_before")) is None
            else to_naive_utc("created_before", before),
            created_after=None
            if (after := args.get("created_after")) is None
            else to_naive_utc("created_after", after),
            ids=None if ids is None else text_tuple("ids", ids),
            include_private=include_private,
            reader=None if (reader := args.get("reader")) is None else check_text("reader", reader),
            kind=None if (kind := args.get("kind")) is None else check_text("kind", kind),
            fields=field_conditions(asked, known_fields) if (asked := args.get("fields")) else (),
        )

    @property
    def matches_nothing(self) -> bool:
        """True for an empty list of ids or of a field's values. Such a filter must select no entry, and never all."""
        if self.ids is not None and not self.ids:
            return True
        return bool(self.fields) and any(condition.matches_nothing for condition in self.fields)

    @property
    def selects(self) -> bool:
        """False if the filter selects every entry of the scope."""
        return self != EntryFilter(path=self.path if self.path == "/" else None)

    def matches(self, entry: MemoryEntry, *, with_expired: bool = False) -> bool:
        """Whether the filter selects this entry. For stores whose engine cannot decide it.

        Args:
            entry: the entry.
            with_expired: also one that has expired, which no read may find. A delete takes it too.
        """
        return (
            (with_expired or not is_expired(entry.expires_at))
            and (self.path in (None, "/") or self.path in path_ancestors(entry.path))
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
            and all(condition.matches(entry) for condition in self.fields)
        )


_WITH_PRIVATE: Final = EntryFilter()
_WITHOUT_PRIVATE: Final = EntryFilter(include_private=False)
_NAMES: Final = dict.fromkeys(each.name for each in fields_of(EntryFilter)).keys()
"""The filters, in their order."""
