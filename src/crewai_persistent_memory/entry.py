"""One remembered thing, and the conditions that select some of them: the same from every store."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from typing import Any, TypedDict

from .errors import InvalidEntryError
from .scope import Scope

MAX_ID_LENGTH = 512
MAX_PATH_LENGTH = 1024
MAX_METADATA_DEPTH = 64


def utcnow() -> datetime:
    """Now, as naive UTC to the microsecond: the form CrewAI's records use."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


@dataclass(frozen=True)
class MemoryEntry:
    """One remembered thing.

    Attributes:
        id: unique within its scope; the same id in another scope is another entry.
        content: the text.
        scope: whose it is. Set by the store, never by the caller.
        path: CrewAI's ``scope``, a path such as ``/crew/sales`` that organises entries inside one scope.
        categories: tags.
        metadata: anything JSON can hold.
        importance: 0…1.
        created_at: naive UTC.
        last_accessed: naive UTC.
        source: where it came from.
        private: hidden from recalls that do not name the same source.
        embedding: the dense vector, when asked for; unit length, as the engine keeps cosine vectors.
        score: 0…1, in search results only.
    """

    id: str
    content: str
    scope: Scope | None = None
    path: str = "/"
    categories: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    importance: float = 0.5
    created_at: datetime = field(default_factory=utcnow)
    last_accessed: datetime = field(default_factory=utcnow)
    source: str | None = None
    private: bool = False
    embedding: Sequence[float] | None = field(default=None, repr=False)
    score: float | None = None

    @classmethod
    def trusted(cls, **fields: Any) -> MemoryEntry:
        """An entry read back from a store, with every field given (hot path: a third of the constructor's time)."""
        entry = object.__new__(cls)
        entry.__dict__.update(fields)
        return entry

    def to_dict(self) -> dict[str, Any]:
        """The entry as plain JSON values, without its vector."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("scope", "embedding")}
        values["categories"] = list(self.categories)
        values["metadata"] = dict(self.metadata)
        for name in ("created_at", "last_accessed"):
            values[name] = values[name].isoformat() + "Z"
        if self.scope is not None:
            values["scope"] = {k: v for k, v in vars(self.scope).items() if v is not None}
        return values


class FilterArgs(TypedDict, total=False):
    """The filters every read, count and delete takes, alone or combined; all that are given must hold."""

    path: str | None
    categories: Sequence[str] | None
    metadata: Mapping[str, Any] | None
    created_before: datetime | None
    created_after: datetime | None
    ids: Sequence[str] | None
    include_private: bool
    reader: str | None


@dataclass(frozen=True)
class EntryFilter:
    """Which entries of a scope are meant; conditions are ANDed.

    Attributes:
        path: entries at this path and below it (``/a`` is not ``/ab``). ``None`` or ``/``: every path.
        categories: entries that share at least one of these.
        metadata: entries whose metadata has each of these keys with an equal JSON value.
        created_before: entries created before this time (naive is UTC), exclusive.
        created_after: entries created at or after this time.
        ids: entries with one of these ids.
        include_private: ``False`` leaves out private entries, but for those whose source is ``reader``.
        reader: who is reading, for ``include_private=False``.
    """

    path: str | None = None
    categories: tuple[str, ...] | None = None
    metadata: Mapping[str, Any] | None = None
    created_before: datetime | None = None
    created_after: datetime | None = None
    ids: tuple[str, ...] | None = None
    include_private: bool = True
    reader: str | None = None

    @classmethod
    def of(cls, args: FilterArgs) -> EntryFilter:
        """Check and normalise what a caller gave.

        Raises:
            InvalidEntryError: unknown filter, or one of the wrong type; the message names it.
        """
        unknown = set(args) - {f.name for f in fields(cls)}
        if unknown:
            known = ", ".join(f.name for f in fields(cls))
            raise InvalidEntryError(f"unknown filter {', '.join(sorted(unknown))}: use {known}")
        path = args.get("path")
        categories, ids, metadata = args.get("categories"), args.get("ids"), args.get("metadata")
        return cls(
            path=None if path is None else normalize_path(path),
            # CrewAI's backends take "no category" and "an empty list of categories" for the same.
            categories=text_tuple("categories", categories) if categories else None,
            metadata=metadata or None,
            created_before=_time("created_before", args.get("created_before")),
            created_after=_time("created_after", args.get("created_after")),
            ids=None if ids is None else text_tuple("ids", ids),
            include_private=args.get("include_private", True),
            reader=args.get("reader"),
        )

    @property
    def matches_nothing(self) -> bool:
        """True for an empty list of ids: nothing is asked for, which must not mean everything."""
        return self.ids is not None and not self.ids


def normalize_path(path: object) -> str:
    """``crew//sales/`` → ``/crew/sales``; ``""`` → ``/``.

    Raises:
        InvalidEntryError: not text or longer than 1,024 characters.
    """
    if not isinstance(path, str):
        raise InvalidEntryError(f"path must be text, got {type(path).__name__}: pass a path such as '/crew/sales'")
    if len(path) > MAX_PATH_LENGTH:
        raise InvalidEntryError(f"path has {len(path)} characters, at most {MAX_PATH_LENGTH} are allowed: shorten it")
    if path == "/":
        return path
    return "/" + re.sub(r"/+", "/", path).strip("/")


def path_ancestors(path: str) -> list[str]:
    """``/a/b`` → ``["/a", "/a/b"]``: a path prefix is then one exact keyword match, never a string prefix."""
    normal = normalize_path(path)
    ancestors = [] if normal == "/" else [normal]
    while (slash := normal.rfind("/")) > 0:
        normal = normal[:slash]
        ancestors.append(normal)
    return ancestors[::-1]


def to_naive_utc(name: str, value: object) -> datetime:
    """A time as naive UTC; an aware one is converted, a naive one is UTC already."""
    if not isinstance(value, datetime):
        raise InvalidEntryError(f"{name} must be a datetime, got {type(value).__name__}")
    return value if value.tzinfo is None else value.astimezone(timezone.utc).replace(tzinfo=None)


def _time(name: str, value: datetime | None) -> datetime | None:
    return None if value is None else to_naive_utc(name, value)


def text_tuple(name: str, values: Iterable[Any]) -> tuple[str, ...]:
    """A list of texts as a tuple.

    Raises:
        InvalidEntryError: a bare text (a common slip that would mean its letters) or a member that is not text.
    """
    if isinstance(values, str):
        raise InvalidEntryError(f"{name} must be a list of text, got the text {values!r}: write [{values!r}]")
    result = tuple(values)
    for value in result:
        if not isinstance(value, str):
            raise InvalidEntryError(f"{name} must hold text only, got {type(value).__name__}: pass str(value)")
    return result


def check_text(name: str, value: object, *, allow_blank: bool = True) -> str:
    """``value`` if it is storable text.

    Raises:
        InvalidEntryError: not text, blank where that is not allowed, or with unpaired surrogates.
    """
    if not isinstance(value, str):
        raise InvalidEntryError(f"{name} must be text, got {type(value).__name__}: convert it to str first")
    if not allow_blank and not value.strip():
        raise InvalidEntryError(f"{name} is blank: give some text to remember")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidEntryError(
            f"{name} has an unpaired surrogate at character {error.start}, which is not valid text: "
            "decode the bytes with errors='replace' where they are read"
        ) from error
    return value


def check_id(value: object) -> str:
    """``value`` if it can be an entry's id.

    Raises:
        InvalidEntryError: not text, blank, or longer than 512 characters.
    """
    text = check_text("id", value, allow_blank=False)
    if len(text) > MAX_ID_LENGTH:
        raise InvalidEntryError(f"id has {len(text)} characters, at most {MAX_ID_LENGTH} are allowed: hash it")
    return text


def check_importance(value: object) -> float:
    """``value`` as a number from 0 to 1.

    Raises:
        InvalidEntryError: not a number, or outside 0…1.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
        raise InvalidEntryError(f"importance must be a number from 0 to 1, got {value!r}")
    return float(value)


def check_metadata(metadata: object) -> None:
    """Raise unless JSON can hold this mapping.

    Raises:
        InvalidEntryError: a value JSON cannot hold; the message names where it is.
    """
    if not isinstance(metadata, Mapping):
        raise InvalidEntryError(f"metadata must be a mapping, got {type(metadata).__name__}: pass a dict")
    if metadata:
        _check_json("metadata", metadata)


def _check_json(where: str, value: Any, depth: int = 0) -> None:
    if depth > MAX_METADATA_DEPTH:
        raise InvalidEntryError(f"metadata is nested more than {MAX_METADATA_DEPTH} levels deep: flatten it")
    if value is None or isinstance(value, (bool, int)):
        return
    if isinstance(value, str):
        check_text(where, value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidEntryError(f"{where} is {value}, which JSON cannot hold: use None or text")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidEntryError(f"{where} has the key {key!r}, keys must be text: use str(key)")
            check_text(f"a key of {where}", key)
            _check_json(f"{where}.{key}", item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check_json(f"{where}[{index}]", item, depth + 1)
    else:
        raise InvalidEntryError(
            f"{where} is a {type(value).__name__}, which JSON cannot hold: convert it to text first (isoformat, str)"
        )


def canonical_json(value: Any) -> str:
    """One text per JSON value: equal values give equal text (``1`` and ``1.0`` are equal, ``1`` and ``true`` not)."""

    if isinstance(value, (str, int)) or value is None:
        return json.dumps(value)  # the common case, at a fifth of the time

    def fold(item: Any) -> Any:
        if isinstance(item, float) and item.is_integer():
            return int(item)
        if isinstance(item, Mapping):
            return {key: fold(inner) for key, inner in item.items()}
        if isinstance(item, (list, tuple)):
            return [fold(inner) for inner in item]
        return item

    return json.dumps(fold(value), ensure_ascii=True, sort_keys=True, separators=(",", ":"))
