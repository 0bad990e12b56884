"""Result types for CrewAI until 1.9.3, which has none. Their attributes are those of the types in CrewAI >= 1.10."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, cast

from ..record_conversion import ResultTypes


@dataclass(frozen=True)
class MemoryRecord:
    """A memory, with the attribute names of CrewAI >= 1.10. ``scope`` is its path."""

    id: str
    content: str
    scope: str
    categories: list[str]
    metadata: dict[str, Any]
    importance: float
    created_at: datetime
    last_accessed: datetime
    source: str | None
    private: bool
    embedding: list[float] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class MemoryMatch:
    """A search result: a memory, its score (0…1), and the reasons of the match."""

    record: MemoryRecord
    score: float
    match_reasons: list[str]


@dataclass(frozen=True)
class ScopeInfo:
    """A summary of the memories at a path and below it."""

    path: str
    record_count: int
    categories: list[str]
    oldest_record: datetime | None
    newest_record: datetime | None
    child_scopes: list[str]


# Type checkers see the types of the newer generation.
RESULTS: Final = ResultTypes(*cast(Any, (MemoryRecord, MemoryMatch, ScopeInfo)))
