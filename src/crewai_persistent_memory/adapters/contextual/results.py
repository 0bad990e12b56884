"""What ``recall`` gives where CrewAI has no type for it: the attributes that CrewAI >= 1.10 gives them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...entry import MemoryEntry
from ..saving import record_fields


@dataclass(frozen=True)
class MemoryRecord:
    """A memory, by the names of CrewAI >= 1.10; ``scope`` is its path."""

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

    @classmethod
    def of(cls, entry: MemoryEntry) -> MemoryRecord:
        return cls(**record_fields(entry))


@dataclass(frozen=True)
class MemoryMatch:
    """A memory that was found, how well it fits (0…1), and by what."""

    record: MemoryRecord
    score: float
    match_reasons: list[str]
