"""Entries as what CrewAI calls them: records, matches and scope infos, and why an entry was found.

The types are CrewAI's own from 1.10 on; the older generation has none, and gets dataclasses with the same attributes
(``contextual/results.py``). Both are made of the fields that are worked out here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from ..entry import DEFAULT_IMPORTANCE, MemoryEntry, PathInfo
from ..io.steps import Steps
from ..storable import storable_metadata
from ..store.base import MemoryStore
from ..validation import utcnow

if TYPE_CHECKING:
    from crewai.memory.types import MemoryMatch, MemoryRecord, ScopeInfo


@dataclass(frozen=True)
class ResultTypes:
    """How a generation's results are made.

    Attributes:
        record: of an entry.
        match: of a record, a score (0…1) and the reasons.
        scope_info: of what a store knows about a path.
    """

    record: Callable[[MemoryEntry], MemoryRecord]
    match: Callable[[MemoryRecord, float, list[str]], MemoryMatch]
    scope_info: Callable[..., ScopeInfo]


AS_ENTRIES: Final = ResultTypes(cast(Any, lambda entry: entry), cast(Any, tuple), cast(Any, dict))
"""For a storage, which returns neither records nor matches."""


@dataclass(frozen=True)
class RecordFields:
    """The fields that ``remember`` takes with a text, by CrewAI's names."""

    scope: str | None = None
    categories: list[str] | None = None
    metadata: dict[str, Any] | None = None
    importance: float | None = None
    source: str | None = None
    private: bool = False
    agent_role: str | None = None
    root_scope: str | None = None

    def given(self) -> dict[str, Any]:
        """Only what was given: CrewAI 1.10 does not know ``root_scope``."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        if "metadata" in given:
            given["metadata"] = dict(storable_metadata(given["metadata"]))
        return given


def record_fields(entry: MemoryEntry) -> dict[str, Any]:
    """An entry by the names that CrewAI gives the parts of a memory."""
    return {
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


def scope_info_fields(info: PathInfo) -> dict[str, Any]:
    """What a store knows about a path, by CrewAI's names."""
    return {
        "path": info.path,
        "record_count": info.count,
        "categories": list(info.categories),
        "oldest_record": info.oldest,
        "newest_record": info.newest,
        "child_scopes": list(info.children),
    }


def matches_of(
    found: list[list[MemoryEntry]], searched: Sequence[str], half_life_days: float, results: ResultTypes
) -> list[list[MemoryMatch]]:
    """The matches for what was found, list by list.

    Args:
        found: entries with their scores.
        searched: by what the store searches, see :func:`how_it_searches`.
        half_life_days: of recency; a younger entry was found for that, too.
        results: how they are made.
    """
    now, half_life = utcnow(), half_life_days * 86_400

    def match(entry: MemoryEntry) -> MemoryMatch:
        reasons = list(searched)
        if (now - entry.created_at).total_seconds() < half_life:
            reasons.append("recency")
        if entry.importance > DEFAULT_IMPORTANCE:
            reasons.append("importance")
        return results.match(results.record(entry), entry.score or 0.0, reasons)

    return [[match(entry) for entry in entries] for entries in found]


def how_it_searches(store: MemoryStore) -> Steps[list[str]]:
    """By what a store finds entries, in CrewAI's words."""
    if store.capabilities.extracts:
        return ["semantic"]
    embedder = yield from store.steps.embedder()
    return ["keywords"] if embedder is None else ["semantic", "keywords"]
