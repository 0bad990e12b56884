"""Checks and normal forms of the values an entry is made of. Every error names the field and the remedy."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from functools import partial
from typing import Any, Final

from .errors import InvalidArgumentError, InvalidEntryError

MAX_ID_LENGTH = 512
MAX_PATH_LENGTH = 1024
MAX_METADATA_DEPTH = 64


def utcnow() -> datetime:
    """Now, as naive UTC to the microsecond: the form CrewAI's records use."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


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


def child_paths(parent: str, ancestors: Iterable[str]) -> list[str]:
    """The paths one level below ``parent`` among all paths that have entries."""
    prefix = parent.rstrip("/") + "/"
    children = {prefix + path[len(prefix) :].split("/", 1)[0] for path in ancestors if path.startswith(prefix)}
    return sorted(children - {prefix})


def to_naive_utc(name: str, value: object) -> datetime:
    """A time as naive UTC; an aware one is converted, a naive one is UTC already."""
    if not isinstance(value, datetime):
        raise InvalidEntryError(f"{name} must be a datetime, got {type(value).__name__}")
    if value.tzinfo is None:
        return value
    try:
        return value.astimezone(timezone.utc).replace(tzinfo=None)
    except OverflowError as error:
        raise InvalidEntryError(f"{name} is outside of the years 1 to 9999 in UTC, got {value}") from error


def text_tuple(name: str, values: Iterable[Any]) -> tuple[str, ...]:
    """A list of texts as a tuple.

    Raises:
        InvalidEntryError: a single text (its letters would become members), no list, or a member that is not text.
    """
    if isinstance(values, str):
        raise InvalidEntryError(f"{name} must be a list of text, got the text {values!r}: write [{values!r}]")
    if not isinstance(values, Iterable):
        raise InvalidEntryError(f"{name} must be a list of text, got {type(values).__name__}: write [...]")
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
        remedy = "give some text to remember" if name == "content" else "give a text that is not blank"
        raise InvalidEntryError(f"{name} is blank: {remedy}")
    if value.isascii():
        return value
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
        InvalidEntryError: JSON cannot hold a value; the message names its place.
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


LEAST_BUDGET: Final = 200
"""Characters of a budget of a recall: in fewer there is no room for a date, a passage and what marks an omission."""

DEFAULT_BUDGET: Final = 6_000
"""Characters of a recall's budget."""

MOST_FOUND: Final = 10_000
"""Maximum number of results of one search. An engine ranks them all in memory."""

MOST_LISTED: Final = 2**31 - 1
"""Maximum number of entries of one list, and its largest offset. Lists are read page by page."""


def check_limit(value: int, name: str = "limit", most: int = MOST_LISTED) -> int:
    """``value`` if it is a whole number from 0 to ``most``.

    Raises:
        InvalidArgumentError: it is not; the message names the remedy.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidArgumentError(f"{name} must be a whole number from 0 up, got {value!r}")
    if value > most:
        shown = str(value) if value < 10**30 else "more than 10^30"
        remedy = "list() gives all entries, page by page" if most < MOST_LISTED else "leave entries out by filters"
        raise InvalidArgumentError(f"{name} must be at most {most}, got {shown}: {remedy}")
    return value


check_search_limit: Final = partial(check_limit, most=MOST_FOUND)
"""``value`` if it is a whole number from 0 to :data:`MOST_FOUND`, the maximum for a search; see :func:`check_limit`."""


def check_min_score(value: float) -> None:
    """
    Raises:
        InvalidArgumentError: it is not a finite number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidArgumentError(f"min_score must be a number from 0 to 1, got {value!r}")


def check_page_size(value: int, name: str) -> int:
    """``value`` if it is a whole number from 1 to :data:`MOST_FOUND`: a page is held in memory.

    Raises:
        InvalidArgumentError: it is not; the message names the argument.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_FOUND:
        shown = value if not isinstance(value, int) or abs(value) < 10**30 else "more than 10^30"
        raise InvalidArgumentError(f"{name} must be a whole number from 1 to {MOST_FOUND:,}, got {shown!r}")
    return value
