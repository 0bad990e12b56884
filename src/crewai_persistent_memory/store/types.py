"""The values that a store takes and gives besides entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypedDict

from ..errors import InvalidEntryError


class EntryFields(TypedDict, total=False):
    """What can be said about an entry, and changed later."""

    path: str
    categories: Sequence[str]
    metadata: Mapping[str, Any]
    importance: float
    source: str | None
    private: bool
    kind: str


class EntryArgs(EntryFields, total=False):
    """What can be said about a new entry besides its content."""

    id: str
    created_at: datetime
    embedding: Sequence[float] | None


class EntryChanges(EntryFields, total=False):
    """What can be changed about an entry."""

    content: str


@dataclass(frozen=True)
class RankingWeights:
    """How recall weighs relevance, age and importance.

    ``score = relevance × (semantic + recency × 0.5^(age / half life) + importance × entry importance)``,
    relevance being the fused rank of the dense and the keyword search, 0…1. With weights that sum to 1 the score
    stays in 0…1. Multiplied and not added, so that what is merely new never outranks what is asked for by much:
    with the defaults age costs an entry at most a fifth of its score.
    """

    semantic: float = 0.7
    recency: float = 0.2
    importance: float = 0.1
    half_life_days: float = 30.0


@dataclass(frozen=True)
class PathInfo:
    """What is at a path and below it."""

    path: str
    count: int
    categories: tuple[str, ...]
    oldest: datetime | None
    newest: datetime | None
    children: tuple[str, ...]


def check_fields(about: Mapping[str, Any]) -> None:
    """Raise for what an entry does not have.

    Raises:
        InvalidEntryError: names it.
    """
    unknown = set(about) - EntryArgs.__annotations__.keys()
    if unknown:
        raise InvalidEntryError(
            f"unknown field {', '.join(sorted(unknown))}: an entry has {', '.join(EntryArgs.__annotations__)}"
        )


def check_changes(changes: Mapping[str, Any]) -> None:
    """Raise for what cannot be changed.

    Raises:
        InvalidEntryError: names it.
    """
    unknown = set(changes) - EntryChanges.__annotations__.keys()
    if unknown:
        raise InvalidEntryError(
            f"{', '.join(sorted(unknown))} cannot be updated: use {', '.join(EntryChanges.__annotations__)}"
        )


MOST_FOUND: Final = 10_000
"""Most results of one search: an engine ranks them all in memory."""

MOST_LISTED: Final = 2**31 - 1
"""Most entries of one list, and its largest offset: lists are read page by page."""


def check_limit(value: int, name: str = "limit", most: int = MOST_LISTED) -> int:
    """``value`` if it is a whole number from 0 to ``most``.

    Raises:
        InvalidEntryError: it is not; the message says what to do.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidEntryError(f"{name} must be a whole number from 0 up, got {value!r}")
    if value > most:
        shown = str(value) if value < 10**30 else "more than 10^30"
        remedy = "list() gives all entries, page by page" if most < MOST_LISTED else "leave entries out by filters"
        raise InvalidEntryError(f"{name} must be at most {most}, got {shown}: {remedy}")
    return value


def check_search_limit(value: int) -> int:
    """The same for the results of a search, of which there are at most :data:`MOST_FOUND`.

    Raises:
        InvalidEntryError: see :func:`check_limit`.
    """
    return check_limit(value, most=MOST_FOUND)
