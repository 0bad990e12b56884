"""Fields that an application defines, by which its entries can be filtered."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, cast

from .entry import MemoryEntry
from .errors import InvalidArgumentError, InvalidEntryError
from .validation import check_text, to_naive_utc

FieldKind: TypeAlias = Literal["keyword", "integer", "time"]

FieldFilter: TypeAlias = str | int | Sequence[str] | Sequence[int] | tuple[datetime | None, datetime | None]
"""What is asked of one field: a value, several of which one must be there, or for a time ``(start, end)``."""

_KINDS: Final = ("keyword", "integer", "time")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,47}")
_LARGEST: Final = 2**63

logger = logging.getLogger("crewai_persistent_memory")


@dataclass(frozen=True)
class FilterField:
    """A field of entries by which a store can filter, besides those that the package has.

    It is given to a store when it is opened; every read and delete of that store then takes it in ``fields``::

        PRIORITY = FilterField("priority", "integer", lambda entry: entry.metadata.get("priority"))
        DUE = FilterField("due", "time", due_of)
        store = open_store(user_id="john", filter_fields=[PRIORITY, DUE])
        store.search("what is urgent?", fields={"priority": [1, 2], "due": (None, tomorrow)})

    Qdrant keeps the value beside the entry, with an index that is made when a store is opened with the field, and every
    save and change of an entry computes it anew. Entries that were saved without the field (before it existed, or by a
    process that does not know it) get their value when a filter needs them: a filter first looks for such entries in
    the reader's scope, and completes those that this scope may change, which are its own. So it misses none. The look
    is one request for each field; completing takes 0.2 to 0.5 ms an entry, once.

    This write is an operation of its own, :class:`~.store.operations.CompleteFields`. Where it must not be done (the
    ``read_only`` middleware, a key that may only read, shared entries that a user filters), the value is computed for
    each filter, at 0.05 ms an entry, and nothing is written. Filter once with a handle that may write, of the shared
    scope for shared entries: then the values are stored. Workers of a version of this package without filter fields
    leave the value as it is when they change an entry.

    Mem0, and a backend that does not say otherwise, computes the value of each entry that it reads.

    Attributes:
        name: small letters, digits and ``_``, at most 48 characters. One name has one meaning and one kind in a store,
            for all of its users: when ``value`` changes what it returns, choose a new name.
        kind: a ``"keyword"`` and an ``"integer"`` equal one of the values asked for; a ``"time"`` is at or after a
            start and before an end.
        value: what an entry has: text, a whole number of 64 bits or a ``datetime`` (naive is UTC); a list of them; or
            ``None`` where the entry has none. It depends on nothing but the entry, and not on ``last_accessed``,
            ``embedding``, ``score`` or ``found_by``.

    Raises:
        InvalidArgumentError: the name or the kind is none of these, or ``value`` is no function.
    """

    name: str
    kind: FieldKind
    value: Callable[[MemoryEntry], Any] = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise InvalidArgumentError(
                f"filter field {self.name!r}: a name has small letters, digits and _, begins with a letter, and is at "
                "most 48 characters long"
            )
        if self.kind not in _KINDS:
            raise InvalidArgumentError(f"filter field {self.name!r}: kind is one of {', '.join(_KINDS)}")
        if not callable(self.value):
            raise InvalidArgumentError(f"filter field {self.name!r}: value must be a function of an entry")

    def values_of(self, entry: MemoryEntry) -> tuple[Any, ...]:
        """What an entry has, as a tuple; empty where it has none.

        Raises:
            InvalidEntryError: ``value`` failed, or returned something else than values of this kind.
        """
        try:
            value = self.value(entry)
        except Exception as error:  # of the application, whatever it is
            raise InvalidEntryError(
                f"filter field {self.name!r}: its value cannot be made of entry {entry.id!r} ({type(error).__name__}): "
                "correct the function, or the entry"
            ) from error
        if value is None:
            return ()
        return tuple(map(self._checked, value if isinstance(value, (list, tuple, set, frozenset)) else [value]))

    def readable_values_of(self, entry: MemoryEntry) -> tuple[Any, ...]:
        """The same of an entry that is stored already: it has none, and a log line, where there is an error."""
        try:
            return self.values_of(entry)
        except InvalidEntryError as error:
            logger.warning("a stored entry is found by no filter on %r: %s", self.name, error)
            return ()

    def asked(self, given: Any) -> FieldCondition:
        """Parse a caller's condition on the field.

        Raises:
            InvalidEntryError: it is not of the field's kind.
        """
        if self.kind != "time":
            values = given if isinstance(given, (list, tuple, set, frozenset)) else [given]
            return FieldCondition(self, tuple(map(self._checked, values)))
        if not isinstance(given, (list, tuple)) or len(given) != 2 or all(each is None for each in given):
            raise InvalidEntryError(
                f"filter field {self.name!r} is a time: give (start, end), one of which may be None"
            )
        start, end = (None if each is None else self._checked(each) for each in given)
        return FieldCondition(self, start=start, end=end)

    def _checked(self, value: Any) -> Any:
        name = f"filter field {self.name!r}"
        if self.kind == "keyword":
            return check_text(name, value)
        if self.kind == "time":
            return to_naive_utc(name, value)
        if isinstance(value, bool) or not isinstance(value, int) or not -_LARGEST <= value < _LARGEST:
            raise InvalidEntryError(f"{name} must be a whole number of 64 bits, got {type(value).__name__}")
        return value


@dataclass(frozen=True)
class FieldCondition:
    """A filter's condition on one field.

    Attributes:
        field: the field.
        values: for a keyword and an integer: one of these.
        start: for a time: at or after this, naive UTC.
        end: for a time: before this, naive UTC.
    """

    field: FilterField
    values: tuple[Any, ...] = ()
    start: datetime | None = None
    end: datetime | None = None

    @property
    def matches_nothing(self) -> bool:
        """True for an empty list of values. It must not come to mean any value."""
        return self.field.kind != "time" and not self.values

    def matches(self, entry: MemoryEntry) -> bool:
        """Whether an entry meets the condition."""
        found = self.field.readable_values_of(entry)
        if self.field.kind != "time":
            return not set(self.values).isdisjoint(found)
        return any(
            (self.start is None or value >= self.start) and (self.end is None or value < self.end) for value in found
        )


def field_conditions(asked: object, known: Mapping[str, FilterField]) -> tuple[FieldCondition, ...]:
    """What ``fields=`` asks of the fields that a store was opened with.

    Raises:
        InvalidEntryError: there is no such field, or something is asked that is not of its kind; the message names it.
    """
    if not isinstance(asked, Mapping):
        raise InvalidEntryError("fields must be a mapping from the name of a filter field to what is asked of it")
    for name in asked:
        if name not in known:
            raise InvalidEntryError(
                f"fields: this store was opened without a filter field {name!r}: open it with "
                f"filter_fields=[FilterField({name!r}, ...)] (it has {', '.join(sorted(known)) or 'none'})"
            )
    return tuple(known[cast(str, name)].asked(given) for name, given in asked.items())


def fields_by_name(fields: Sequence[FilterField]) -> dict[str, FilterField]:
    """Filter fields by their names.

    Raises:
        InvalidArgumentError: one is not a :class:`FilterField`, or two have one name.
    """
    by_name: dict[str, FilterField] = {}
    for each in fields:
        if not isinstance(each, FilterField):
            raise InvalidArgumentError(f"filter_fields has a {type(each).__name__}: give FilterField(...)")
        if each.name in by_name:
            raise InvalidArgumentError(f"filter_fields has {each.name!r} twice: a name has one meaning in a store")
        by_name[each.name] = each
    return by_name
