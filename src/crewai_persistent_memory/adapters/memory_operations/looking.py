"""How many entries a recall looks at: more than at first, if hardly any of those states something.

A crew that runs for months may have asked the same thing a hundred times without an answer. These records have the
words of the question, so a search finds them before the fact that was saved first.
"""

from __future__ import annotations

from typing import Final, Protocol

from ...entry import MemoryEntry
from ...io.steps import Steps
from ...recall.found import Found
from ...recall.pipeline import CROWDED, FETCHED, ordered, states_less_than
from ..asked_question import frames_of_run
from ..current_run import current_run
from ..record_conversion import best_of
from .bounds import id_and_score
from .parts import MemoryParts

_MOST_TEXT: Final = 2_000_000
"""Characters that a further search may be expected to find: 120 reports of 16 kB. It takes about 25 ms more."""


class Look(Protocol):
    """A search in several paths for ``limit`` entries of each, best first."""

    def __call__(self, *, limit: int) -> Steps[list[list[MemoryEntry]]]: ...


def looked_through(
    memory: MemoryParts,
    entries: list[MemoryEntry],
    query: str,
    look: Look,
    *,
    looked: int,
    limit: int,
    min_score: float | None = None,
) -> Steps[tuple[list[MemoryEntry], list[Found]]]:
    """The entries that a recall looks at, as many as it needs, and those in the order in which they matter to an agent.

    Args:
        entries: what the first search found, best first, or in a reranker's order.
        query: what was asked.
        look: searches again.
        looked: the number of entries that the first search was asked for.
        limit: the number of results that are wanted.
        min_score: the least score of what is given; left out: the memory's.
    """
    min_score = memory.min_score if min_score is None else min_score
    frames = frames_of_run() if current_run.get() is not None else ()
    enough = max(limit, FETCHED // 2) if memory.for_a_prompt and limit else limit
    in_order = ordered(entries, query, min_score, frames)
    for most in (FETCHED, CROWDED):
        if most <= looked:
            continue
        if len(entries) < looked or not states_less_than(enough, in_order):
            break  # these are all that there are, or they say enough
        if min_score > 0 and min(map(_score, entries)) < min_score:
            break  # so are these, above the score
        most_of_text = _MOST_TEXT * looked // max(sum(len(entry.content) for entry in entries), 1)
        if min(most, most_of_text) <= looked:
            break
        looked = min(most, most_of_text)
        found = best_of((yield from look(limit=looked)), id_and_score)
        known = {(entry.scope, entry.id) for entry in entries}
        entries = [*entries, *(entry for entry in found if (entry.scope, entry.id) not in known)]
        in_order = ordered(entries, query, min_score, frames)
    return entries, in_order


def _score(entry: MemoryEntry) -> float:
    return entry.score or 0.0
