"""How many entries a recall looks at: more than at first, if hardly any of those states something.

A crew that runs for months may have asked the same thing a hundred times without an answer. These records have the
words of the question, so a search finds them before the fact that was saved first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from ...entry import MemoryEntry
from ...io.steps import Steps
from ...recall.found import Found
from ...recall.pipeline import CROWDED, FETCHED, ordered, states_less_than
from ..asked_question import frames_of_run
from .parts import MemoryParts

_MOST_TEXT: Final = 8_000_000
"""Characters that a further search may be expected to find: 480 reports of 16 kB. It takes about 100 ms more."""

Look = Callable[[int], Steps[list[MemoryEntry]]]
"""A search for so many entries, best first."""


def looked_through(
    memory: MemoryParts,
    entries: list[MemoryEntry],
    query: str,
    look: Look,
    *,
    looked: int,
    limit: int,
    min_score: float | None = None,
) -> Steps[list[Found]]:
    """The entries in the order in which they matter to an agent, of as many as that needs.

    Args:
        entries: what the first search found, best first, or in a reranker's order.
        query: what was asked.
        look: searches again.
        looked: the number of entries that the first search was asked for.
        limit: the number of results that are wanted.
        min_score: the least score of what is given; left out: the memory's.
    """
    min_score = memory.min_score if min_score is None else min_score
    frames = frames_of_run()
    enough = max(limit, FETCHED // 2) if memory.for_a_prompt and limit else limit
    in_order = ordered(entries, query, min_score, frames)
    more = [each for each in (FETCHED, CROWDED) if each > looked]
    for before, after in pairwise([looked, *more]):
        if _is_all(entries, before, min_score) or not states_less_than(enough, in_order):
            break
        after = min(after, _MOST_TEXT * before // max(sum(len(entry.content) for entry in entries), 1))
        if after <= before:
            break
        found = yield from look(after)
        known = {(entry.scope, entry.id) for entry in entries}
        entries = [*entries, *(entry for entry in found if (entry.scope, entry.id) not in known)]
        in_order = ordered(entries, query, min_score, frames)
    return in_order


def _is_all(entries: Sequence[MemoryEntry], looked: int, min_score: float) -> bool:
    """Whether a search for so many entries found all that there are above a score."""
    if len(entries) < looked:
        return True
    return min_score > 0 and min((entry.score or 0.0 for entry in entries), default=0.0) < min_score
