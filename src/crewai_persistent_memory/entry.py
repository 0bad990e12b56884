"""An entry, and its fields as keyword arguments: the same for every store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Final, TypedDict

from .errors import InvalidEntryError
from .expiry import Ttl
from .scope import Scope
from .validation import utcnow

MEMORY: Final = "memory"
ENTITY: Final = "entity"
"""Kinds of entries. Any other text is a kind as well."""

DEFAULT_IMPORTANCE: Final = 0.5
"""Stores do not save this value, so a change of it needs a migration."""


@dataclass(frozen=True)
class EarlierText:
    """What an entry said before it was changed.

    Attributes:
        content: the text.
        since: when it was said, naive UTC.
        until: when it was changed, naive UTC.
        run_id, agent_id: the run and the agent in whose scope it was changed; ``None``: in none.
    """

    content: str
    since: datetime
    until: datetime
    run_id: str | None = None
    agent_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        values = {"content": self.content, "since": self.since.isoformat() + "Z", "until": self.until.isoformat() + "Z"}
        return values | {n: v for n in ("run_id", "agent_id") if (v := getattr(self, n)) is not None}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> EarlierText:
        """The opposite of :meth:`to_dict`."""
        since, until = (datetime.fromisoformat(values[name].removesuffix("Z")) for name in ("since", "until"))
        return cls(values["content"], since, until, values.get("run_id"), values.get("agent_id"))


@dataclass(frozen=True)
class MemoryEntry:
    """One memory, in the same form from every store.

    Attributes:
        id: unique within its scope; the same id in another scope is another entry.
        content: the text.
        scope: the owner. The store sets it, never the caller.
        path: CrewAI's ``scope``, a path such as ``/crew/sales`` that organises entries inside one scope.
        categories: tags.
        metadata: a mapping that JSON can hold.
        importance: 0…1.
        created_at: naive UTC.
        last_accessed: naive UTC. When a recall gave it to somebody; at most a minute late, see ``docs/durability.md``.
        source: the origin of the text.
        private: hidden from recalls that do not name the same source.
        kind: ``"memory"``, or ``"entity"`` for facts about a person or a thing.
        expires_at: from this time on no read finds it; with its time zone, UTC. ``None``: it stays.
        history: what it said before, oldest first, from ``get`` and ``scan``; see the option ``history``.
        embedding: the dense vector, from methods that return it. It has unit length, as the engine normalizes vectors.
        score: 0…1, in search results only.
        found_by: in search results, by what the entry was looked for: ``"semantic"``, ``"keywords"``, or both;
            with ``"tokens"`` if token vectors scored what was found.
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
    expires_at: datetime | None = None
    history: tuple[EarlierText, ...] = field(default=(), repr=False, compare=False)
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
        """The entry as plain JSON values, without its vector and its history."""
        left_out = ("scope", "embedding", "found_by", "history")
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in left_out}
        values["categories"] = list(self.categories)
        values["metadata"] = dict(self.metadata)
        for name in ("created_at", "last_accessed"):
            values[name] = values[name].isoformat() + "Z"
        if self.expires_at is not None:
            values["expires_at"] = self.expires_at.isoformat().replace("+00:00", "Z")
        if self.scope is not None:
            values["scope"] = {k: v for k, v in vars(self.scope).items() if v is not None}
        return values


class EntryFields(TypedDict, total=False):
    """Fields of an entry, when it is added and when it is updated. :class:`MemoryEntry` describes them.

    Of ``expires_at`` and ``ttl`` (a ``timedelta``, or seconds from now) one is given. ``expires_at=NEVER``: it stays.
    An operation that a backend is given has ``expires_at`` only; there, ``None`` in a change means that it stays.
    """

    path: str
    categories: Sequence[str]
    metadata: Mapping[str, Any]
    importance: float
    source: str | None
    private: bool
    kind: str
    expires_at: datetime | None
    ttl: Ttl | None


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


@dataclass(frozen=True)
class PathInfo:
    """A summary of the entries at a path and below it."""

    path: str
    count: int
    categories: tuple[str, ...]
    oldest: datetime | None
    newest: datetime | None
    children: tuple[str, ...]
