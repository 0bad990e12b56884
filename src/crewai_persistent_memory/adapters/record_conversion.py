"""Converts entries to CrewAI's records, matches and scope infos, with the reasons of a match.

Since 1.10 the types are CrewAI's own. The older generation has none and uses dataclasses with the same attributes
(``contextual/results.py``). This module computes the fields for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from ..entry import DEFAULT_IMPORTANCE, MemoryEntry, PathInfo
from ..recall.pipeline import Given
from ..storable import storable_metadata
from ..validation import utcnow

if TYPE_CHECKING:
    from crewai.memory.types import MemoryMatch, MemoryRecord, ScopeInfo

F = TypeVar("F")

_BULLET: Final = "- \n"
"""CrewAI until 1.9.3 shows each result as a line of a list."""


@dataclass(frozen=True)
class ResultTypes:
    """The result types of a generation. Their keyword arguments are the fields computed in this module.

    Attributes:
        record, match, scope_info: the types.
        around: how many characters CrewAI puts around the text of each entry in a prompt.
    """

    record: type[MemoryRecord]
    match: type[MemoryMatch]
    scope_info: type[ScopeInfo]
    around: Callable[[Sequence[MemoryEntry]], list[int]] = lambda entries: [len(_BULLET)] * len(entries)

    def record_of(self, entry: MemoryEntry) -> MemoryRecord:
        return self.record(**record_fields(entry))


AS_DICTS: Final[Any] = ResultTypes(*[cast(Any, dict)] * 3)
"""For a storage, whose methods return none of these types."""


@dataclass(frozen=True)
class RecordFields:
    """The arguments of ``remember`` besides the text, with CrewAI's names."""

    scope: str | None = None
    categories: list[str] | None = None
    metadata: dict[str, Any] | None = None
    importance: float | None = None
    source: str | None = None
    private: bool = False
    agent_role: str | None = None
    root_scope: str | None = None
    expires_at: datetime | None = None

    def given(self) -> dict[str, Any]:
        """Only the fields with a value, because CrewAI 1.10 has no ``root_scope``. CrewAI has no ``expires_at``."""
        given = {name: value for name, value in vars(self).items() if value is not None and name != "expires_at"}
        if "metadata" in given:
            given["metadata"] = dict(storable_metadata(given["metadata"]))
        return given


def record_fields(entry: MemoryEntry) -> dict[str, Any]:
    """The fields of an entry under CrewAI's names."""
    [fields] = fields_of_records([entry])
    return fields


def fields_of_records(entries: Iterable[MemoryEntry]) -> list[dict[str, Any]]:
    """:func:`record_fields` of each: one call for all results of a recall."""
    records: list[dict[str, Any]] = []
    for entry in entries:
        records.append(
            {
                "id": entry.id,
                "content": entry.content,
                "scope": entry.path,
                "categories": list(entry.categories),
                "metadata": dict(entry.metadata),
                "importance": entry.importance,
                "created_at": entry.created_at,
                "last_accessed": entry.last_accessed,
                "source": entry.source,
                "private": entry.private,
                "embedding": None if entry.embedding is None else list(entry.embedding),
            }
        )
    return records


def scope_info_fields(info: PathInfo) -> dict[str, Any]:
    """A store's summary of a path, under CrewAI's names."""
    return {
        "path": info.path,
        "record_count": info.count,
        "categories": list(info.categories),
        "oldest_record": info.oldest,
        "newest_record": info.newest,
        "child_scopes": list(info.children),
    }


_entry_of: Final = attrgetter("found.entry")

_LONGEST_AGE: Final = 700_000
"""Days. There are no dates before the year 1."""


def matches_of(given: Sequence[Given], half_life_days: float, results: ResultTypes) -> list[MemoryMatch]:
    """What a recall gives, as matches. The content of a record is the text that is shown.

    Args:
        given: the entries, and what is shown of each.
        half_life_days: half-life of recency, in days. For a younger entry, recency is one of the reasons of the match.
        results: the result types.
    """
    youngest, matches = utcnow() - timedelta(days=min(half_life_days, _LONGEST_AGE)), []
    entries = list(map(_entry_of, given))
    for each, entry, fields in zip(given, entries, fields_of_records(entries), strict=True):
        reasons = list(entry.found_by)
        if entry.created_at > youngest:
            reasons.append("recency")
        if entry.importance > DEFAULT_IMPORTANCE:
            reasons.append("importance")
        fields["content"] = each.text
        matches.append(results.match(record=results.record(**fields), score=each.found.score, match_reasons=reasons))
    return matches


def merged(found: Sequence[list[MemoryMatch]], limit: int) -> list[MemoryMatch]:
    """The best matches of several lists, each record once."""
    return best_of(found, lambda match: (match.record.id, match.score))[:limit]


def best_of(found: Sequence[list[F]], id_and_score: Callable[[F], tuple[str, float]]) -> list[F]:
    """The items of several lists, best first, each id once. A single list is returned unchanged."""
    if len(found) == 1:
        return found[0]
    unique: dict[str, F] = {}
    for each in sorted((each for some in found for each in some), key=lambda each: -id_and_score(each)[1]):
        unique.setdefault(id_and_score(each)[0], each)
    return list(unique.values())


def search_result(given: Given) -> dict[str, Any]:
    """A search result in the format of CrewAI's memories until 1.9.3."""
    entry = given.found.entry
    return {
        "id": entry.id,
        "content": given.text,
        "memory": given.text,
        "metadata": dict(entry.metadata),
        "score": given.found.score,
    }
