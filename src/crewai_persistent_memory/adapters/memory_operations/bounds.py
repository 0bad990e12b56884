"""What a recall and a search have in common: how much is looked at and given, and what reading it leaves behind."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from ...entry import MemoryEntry
from ...errors import PersistentMemoryError
from ...io.steps import Steps
from ...recall.pipeline import FETCHED, Bounds, Given
from ...validation import check_search_limit
from ..prompt_building import HEADING
from .parts import MemoryParts

logger = logging.getLogger("crewai_persistent_memory")


def bounds_of(memory: MemoryParts, limit: int, *, whole: bool = False) -> Bounds:
    if whole or not memory.budget:
        return Bounds(None, limit, memory.for_a_prompt and not whole)
    most = None if memory.for_a_prompt else limit
    return Bounds(memory.budget - HEADING, most, memory.for_a_prompt, memory.results.around)


def fetched_for(limit: int) -> int:
    """How many entries a recall of ``limit`` results asks for."""
    return max(check_search_limit(limit), FETCHED) if limit else 0


def length_of(memory: MemoryParts, shown: Sequence[Given]) -> int:
    """The characters that CrewAI's prompt has of these."""
    around = memory.results.around([each.found.entry for each in shown])
    return sum(around) + sum(len(each.text) for each in shown)


def touch(memory: MemoryParts, ids: Iterable[str]) -> Steps[None]:
    """Update the access times of entries, without waiting for a slow store."""
    try:
        yield from memory.store.steps.touch(list(dict.fromkeys(ids)), soon=True)
    except PersistentMemoryError as error:
        # A failed update of access times must not lose the results of the recall.
        logger.warning("access times were not updated: %s", error)


def id_and_score(entry: MemoryEntry) -> tuple[str, float]:
    return entry.id, entry.score or 0.0
