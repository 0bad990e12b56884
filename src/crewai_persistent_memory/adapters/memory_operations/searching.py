"""How the memories of CrewAI until 1.9.3 are searched: those of one prompt in one request, within one budget."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from typing import Any, Final

from ...entry import MemoryEntry
from ...io.steps import Steps
from ...recall.pipeline import given
from ...storable import storable_text
from ..asked_question import question_of
from ..events import logged, report_outage
from ..prompt_building import HEADING, PromptBudget, Search, place_of, prompt_budget
from ..record_conversion import best_of, search_result
from .bounds import bounds_of, fetched_for, id_and_score, length_of, touch
from .looking import looked_through
from .parts import MemoryParts
from .waiting import drain_writes

CREWAI_THRESHOLD: Final = 0.6
"""CrewAI's default for ``score_threshold``. It is meant for cosines, and the scores here are something else, so this
value is treated as "no threshold"."""

_BEGINNING: Final = "- "
"""What CrewAI until 1.9.3 writes in a prompt before each memory."""
_NO_BEGINNING: Final = "* "

_id_of_given: Final = attrgetter("found.entry.id")


def search(
    memory: MemoryParts, query: str, limit: int = 5, score_threshold: float = CREWAI_THRESHOLD
) -> Steps[list[dict[str, Any]]]:
    """Memories that match ``query``, best first, in the format of CrewAI's memories until 1.9.3.

    All texts together have at most ``recall_budget`` characters, see :func:`.finding.recall`.

    Args:
        query: text.
        limit: maximum number of results. Where CrewAI builds a prompt, the budget decides.
        score_threshold: minimum score of a result, 0…1. CrewAI's default, 0.6, means no threshold.

    Returns:
        Dicts with ``content``, ``memory`` (the same), ``metadata``, ``score`` (0…1) and ``id``.

    Raises:
        ScopeError, StoreError, EmbedderError: the search failed.
    """
    least = memory.min_score if score_threshold == CREWAI_THRESHOLD else score_threshold
    prompt = prompt_budget.get()

    def look_again(*, limit: int) -> Steps[list[list[MemoryEntry]]]:
        return (yield from _found_by(memory, None, Search(memory.kind, query, limit)))

    with logged("search", memory.source):
        yield from drain_writes(memory)
        query = storable_text(query if prompt is None else prompt.question(query, question_of))
        found = yield from _found_by(memory, prompt, Search(memory.kind, query, fetched_for(limit)))
        report_outage(memory.source, query, limit, memory.store.backend.untold_outage())
        asking = memory if prompt is None else replace(memory, for_a_prompt=True)
        if prompt is not None and memory.budget:
            asking = replace(asking, budget=max(1, prompt.of(memory.kind, memory.budget)))
        bounds = bounds_of(asking, limit)
        entries = best_of(found, id_and_score)
        if memory.reranker is not None:
            entries = yield from memory.reranker.rerank(entries, query, least)
        _, in_order = yield from looked_through(
            asking, entries, query, look_again, looked=fetched_for(limit), limit=limit, min_score=least
        )
        shown = given(in_order, query, bounds)
        if prompt is not None and shown:
            prompt.spend(HEADING + length_of(memory, shown))
        if shown and memory.touches:
            yield from touch(memory, map(_id_of_given, shown))
    results = list(map(search_result, shown))
    if prompt is not None:
        for each in results:
            # A text must not look like several memories. The length stays, which the budget counts.
            each["content"] = each["memory"] = each["content"].replace(f"\n{_BEGINNING}", f"\n{_NO_BEGINNING}")
    return results


def _found_by(memory: MemoryParts, prompt: PromptBudget | None, search: Search) -> Steps[list[list[MemoryEntry]]]:
    """What a search finds, at each of the memory's paths.

    The first memory of a prompt asks for the others too, in one request.
    """
    found = None if prompt is None else prompt.take(search)
    if found is not None:
        return found
    paths = memory.paths.of(None)
    others = [] if prompt is None else prompt.beside(memory.kind, place_of(memory.store, memory.paths))
    kinds = [memory.kind, *others]
    found = yield from memory.store.steps.search_many(
        [search.query] * len(paths) * len(kinds),
        limit=search.limit,
        paths=paths * len(kinds),
        kinds=[kind for kind in kinds for _ in paths],
        categories=memory.paths.categories(None),
        include_private=False,
    )
    if prompt is not None:
        for number, kind in enumerate(others, 1):
            prompt.keep(search._replace(kind=kind), found[number * len(paths) : (number + 1) * len(paths)])
    return found[: len(paths)]
