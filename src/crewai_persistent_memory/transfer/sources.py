"""What a migration reads: memories that something else has stored, as entries without an owner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from ..entry import MemoryEntry


@dataclass(frozen=True)
class LeftOut:
    """A memory that does not come along.

    Attributes:
        id: its id in the source.
        reason: why, and what can be done.
    """

    id: str
    reason: str


Read: TypeAlias = "MemoryEntry | LeftOut"


FROM: Final = "_migrated_from"
"""The metadata key of what an entry was read from, such as ``lancedb:memories``."""
MARK: Final = "_migration"
"""The metadata key of the migration that an entry came with."""
MARKS: Final = (FROM, MARK)
"""Neither is for an agent: they are left out of prompts."""

Part: TypeAlias = Callable[[], Iterator[Read]]
"""Reads the memories of a part of a source, the oldest first. The metadata of each entry has :data:`FROM`."""
