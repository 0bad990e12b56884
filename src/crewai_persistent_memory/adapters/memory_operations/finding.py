"""How a memory recalls: one search in the store, the stages of a recall, and what is given of their result."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, islice, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal

from ...entry import MemoryEntry
from ...errors import ConfigurationError, PersistentMemoryError
from ...io.steps import Steps, work
from ...recall.budget import Candidate, fitted
from ...recall.explaining import Explanation, explained, ranking_of
from ...recall.pipeline import FETCHED, Bounds, Given, date_of, given, ordered, states_less_than
from ...storable import storable_text
from ...validation import check_search_limit, to_naive_utc
from ..asked_question import question_of
from ..events import logged, query_events, report_outage
from ..prompt_building import HEADING, PromptBudget, Search, place_of, prompt_budget
from ..record_conversion import best_of, matches_of, merged, search_result
from .parts import MemoryParts
from .waiting import drain_writes

if TYPE_CHECKING:
    from crewai.memory.types import MemoryMatch

logger = logging.getLogger("crewai_persistent_memory")

CREWAI_THRESHOLD: Final = 0.6
"""CrewAI's default for ``score_threshold``. It is meant for cosines, and the scores here are something else, so this
value is treated as "no threshold"."""

_LEAST_BESIDE: Final = 10
"""Entries beside those that a recall may give: for what is said twice, or states nothing."""


def recall(
    memory: MemoryParts,
    query: str,
    scope: str | None = None,
    categories: list[str] | None = None,
    limit: int = 10,
    depth: Literal["shallow", "deep"] = "shallow",
    source: str | None = None,
    include_private: bool = False,
    whole: bool = False,
    as_of: datetime | None = None,
) -> Steps[list[MemoryMatch]]:
    """Memories of every kind that match ``query``, best first.

    All texts together have at most ``recall_budget`` characters. The content of a record is then the best passages
    of a long memory, with ``[…]`` for what is left out; its other fields are those of the memory.

    Args:
        query: text.
        scope: a path; only entries at it or below it.
        categories: only entries that have one of these.
        limit: maximum number of results. Where CrewAI builds a prompt, the budget decides.
        depth: ``"shallow"`` (default) is one hybrid search without an LLM; ``"deep"`` is CrewAI's own flow
            (>= 1.10), which needs ``llm``.
        source: include private entries of this source.
        include_private: include all private entries.
        whole: whole texts, of any length. Use it to change a memory by its id.
        as_of: only what was said by then (naive is UTC).

    Raises:
        ConfigurationError: ``"deep"`` without ``llm``, or on CrewAI until 1.9.3.
        InvalidArgumentError: ``limit`` or ``as_of`` is of the wrong type.
        ScopeError, StoreError, EmbedderError: the search failed.
    """
    if depth != "deep":
        [matches] = yield from recall_each(
            memory, [query], [scope], categories, limit, source, include_private, whole, as_of
        )
        return matches
    if memory.pipeline is None:
        raise ConfigurationError('depth="deep" needs crewai >= 1.10, and an older one is installed: leave it out')
    latest = None if as_of is None else to_naive_utc("as_of", as_of)
    found: list[list[MemoryMatch]] = []
    with logged("recall", memory.source):
        recall, query = memory.pipeline.bound().recall, storable_text(query)
        about = (memory.paths.categories(categories), limit, depth, source, include_private)
        for path in memory.paths.inner(scope):
            found.append((yield from work(partial(recall, query, path, *about))))
    matches = [each for each in merged(found, limit) if latest is None or each.record.created_at <= latest]
    return matches if whole or not memory.budget else _shortened(matches, query, memory.budget - HEADING)


def recall_each(
    memory: MemoryParts,
    queries: Sequence[str],
    scopes: Sequence[str | None] | None = None,
    categories: list[str] | None = None,
    limit: int = 10,
    source: str | None = None,
    include_private: bool = False,
    whole: bool = False,
    as_of: datetime | None = None,
) -> Steps[list[list[MemoryMatch]]]:
    """Several recalls in one round trip. The result is one list for each query, in the order of the queries.

    The name is not ``recall_many``, because CrewAI's pull request 7666 adds a method of that name that returns one
    list.

    Args:
        queries: texts.
        scopes: one path for each query.
        categories, limit, source, include_private, whole, as_of: for each query, see :func:`recall`.

    Raises:
        InvalidArgumentError, ScopeError, StoreError, EmbedderError: the search failed.
    """
    yield from drain_writes(memory)
    queries = list(map(storable_text, map(question_of, queries) if memory.for_a_prompt else queries))
    paths = list(map(memory.paths.of, scopes or [None] * len(queries)))
    bounds = _bounds(memory, limit, whole=whole)
    first_look = _first_look(memory, limit)
    look = partial(
        memory.store.steps.search_many,
        min_score=memory.min_score,
        categories=memory.paths.categories(categories),
        include_private=include_private,
        reader=source,
        created_before=None if as_of is None else _after(as_of),
    )
    asked_for, outage = "; ".join(dict.fromkeys(map(str, queries))), memory.store.backend.untold_outage
    with query_events(memory.source, asked_for, limit, outage) as results:
        asked = chain.from_iterable(map(repeat, queries, map(len, paths)))  # each query at each of its paths
        found = iter((yield from look(list(asked), limit=first_look, paths=list(chain.from_iterable(paths)))))
        matches = []
        for query, of_query in zip(queries, paths, strict=True):
            entries = best_of(list(islice(found, len(of_query))), _id_and_score)
            if memory.reranker is not None:
                entries = yield from memory.reranker.rerank(entries, query)
            in_order = ordered(entries, query)
            if len(entries) >= first_look < FETCHED and states_less_than(limit, in_order):
                more = yield from look([query] * len(of_query), limit=FETCHED, paths=of_query)
                in_order = ordered(best_of(more, _id_and_score), query)
            shown = given(in_order, query, bounds)
            matches.append(matches_of(shown, memory.store.weights.half_life_days, memory.results))
            results += matches[-1]
        if results and memory.touches:
            yield from _touch(memory, map(_id_of_match, results))
    return matches


def explain_recall(
    memory: MemoryParts,
    query: str,
    scope: str | None = None,
    categories: list[str] | None = None,
    source: str | None = None,
    include_private: bool = False,
    as_of: datetime | None = None,
) -> Steps[list[Explanation]]:
    """What a crew's prompt would have for ``query``, and for everything else that was found, why it would not.

    It changes nothing, and does not count as a recall: no event, no access time.

    Args:
        query: text.
        scope, categories, source, include_private, as_of: see :func:`recall`.

    Returns:
        First what is given, in its order, then the others by their scores.

    Raises:
        InvalidArgumentError, ScopeError, StoreError, EmbedderError: the search failed.
    """
    yield from drain_writes(memory)
    query, paths = storable_text(query), memory.paths.of(scope)
    found = yield from memory.store.steps.search_many(
        [query] * len(paths),
        limit=FETCHED,
        paths=paths,
        categories=memory.paths.categories(categories),
        include_private=include_private,
        reader=source,
        created_before=None if as_of is None else _after(as_of),
    )
    entries = best_of(found, _id_and_score)
    if memory.reranker is not None:
        entries = yield from memory.reranker.rerank(entries, query)
    bounds = _bounds(replace(memory, for_a_prompt=True), FETCHED)
    return explained(entries, query, bounds, ranking_of(memory.store), min_score=memory.min_score)


def recall_together(memory: MemoryParts, queries: Sequence[str], limit: int = 20) -> Steps[list[MemoryMatch]]:
    """What several queries find, within one budget, as an agent's tool needs it.

    A memory that is shown whole is shown once. Of a long one each query may show other passages.

    Args:
        queries: texts.
        limit: the number of results of each query, if there is no budget.
    """
    yield from drain_writes(memory)
    queries = list(dict.fromkeys(map(storable_text, queries)))
    paths, bounds = memory.paths.of(None), _bounds(replace(memory, for_a_prompt=True), limit)
    with query_events(memory.source, "; ".join(queries), limit, memory.store.backend.untold_outage) as results:
        found = yield from memory.store.steps.search_many(
            [query for query in queries for _ in paths],
            limit=_fetched(limit),
            min_score=memory.min_score,
            paths=paths * len(queries),
            categories=memory.paths.categories(None),
            include_private=False,
        )
        left, known = bounds.budget, set[tuple[str, str]]()
        for at, query in enumerate(queries):
            entries = [
                entry
                for entry in best_of(found[at * len(paths) : (at + 1) * len(paths)], _id_and_score)
                if (entry.id, entry.content) not in known
            ]
            if memory.reranker is not None:
                entries = yield from memory.reranker.rerank(entries, query)
            share = None if left is None else left // (len(queries) - at)
            shown = given(ordered(entries, query), query, replace(bounds, budget=share))
            left = None if left is None else left - _length(memory, shown)
            known.update((each.found.entry.id, each.text.removeprefix(date_of(each.found))) for each in shown)
            results += matches_of(shown, memory.store.weights.half_life_days, memory.results)
        if results and memory.touches:
            yield from _touch(memory, map(_id_of_match, results))
    return results


def search(
    memory: MemoryParts, query: str, limit: int = 5, score_threshold: float = CREWAI_THRESHOLD
) -> Steps[list[dict[str, Any]]]:
    """Memories that match ``query``, best first, in the format of CrewAI's memories until 1.9.3.

    All texts together have at most ``recall_budget`` characters, see :func:`recall`.

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
    with logged("search", memory.source):
        yield from drain_writes(memory)
        query = storable_text(query if prompt is None else prompt.question(query, question_of))
        found = yield from _found_by(memory, prompt, Search(memory.kind, query, _fetched(limit), least))
        report_outage(memory.source, query, limit, memory.store.backend.untold_outage())
        asking = memory if prompt is None else replace(memory, for_a_prompt=True)
        if prompt is not None and memory.budget:
            asking = replace(asking, budget=max(1, prompt.of(memory.kind, memory.budget)))
        bounds = _bounds(asking, limit)
        entries = best_of(found, _id_and_score)
        if memory.reranker is not None:
            entries = yield from memory.reranker.rerank(entries, query)
        shown = given(ordered(entries, query), query, bounds)
        if prompt is not None and shown:
            prompt.spend(HEADING + _length(memory, shown))
        if shown and memory.touches:
            yield from _touch(memory, map(_id_of_given, shown))
    return list(map(search_result, shown))


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
        min_score=search.min_score,
        paths=paths * len(kinds),
        kinds=[kind for kind in kinds for _ in paths],
        categories=memory.paths.categories(None),
        include_private=False,
    )
    if prompt is not None:
        for number, kind in enumerate(others, 1):
            prompt.keep(search._replace(kind=kind), found[number * len(paths) : (number + 1) * len(paths)])
    return found[: len(paths)]


def _length(memory: MemoryParts, shown: Sequence[Given]) -> int:
    """The characters that CrewAI's prompt has of these."""
    around = memory.results.around([each.found.entry for each in shown])
    return sum(around) + sum(len(each.text) for each in shown)


def _first_look(memory: MemoryParts, limit: int) -> int:
    """How many entries a recall asks for at first: all it looks at, unless the limit decides what is given."""
    check_search_limit(limit)
    if memory.for_a_prompt or memory.reranker is not None or not limit:
        return _fetched(limit)
    return max(limit, min(FETCHED, limit + max(limit, _LEAST_BESIDE)))


def _bounds(memory: MemoryParts, limit: int, *, whole: bool = False) -> Bounds:
    if whole or not memory.budget:
        return Bounds(None, limit, memory.for_a_prompt and not whole)
    most = None if memory.for_a_prompt else limit
    return Bounds(memory.budget - HEADING, most, memory.for_a_prompt, memory.results.around)


def _touch(memory: MemoryParts, ids: Iterable[str]) -> Steps[None]:
    """Update the access times of entries, without waiting for a slow store."""
    try:
        yield from memory.store.steps.touch(list(dict.fromkeys(ids)), soon=True)
    except PersistentMemoryError as error:
        # A failed update of access times must not lose the results of the recall.
        logger.warning("access times were not updated: %s", error)


def _fetched(limit: int) -> int:
    """How many entries a recall of ``limit`` results asks for."""
    return max(check_search_limit(limit), FETCHED) if limit else 0


def _id_and_score(entry: MemoryEntry) -> tuple[str, float]:
    return entry.id, entry.score or 0.0


_id_of_match: Final = attrgetter("record.id")
_id_of_given: Final = attrgetter("found.entry.id")


def _after(as_of: datetime) -> datetime | None:
    """The first moment that is later; ``None`` if there is none."""
    latest = to_naive_utc("as_of", as_of)
    return None if latest == datetime.max else latest + timedelta(microseconds=1)


def _shortened(matches: Sequence[MemoryMatch], query: str, budget: int) -> list[MemoryMatch]:
    """Matches of CrewAI's own flow, within a budget."""
    candidates = [
        Candidate(each.record.content, max(each.score, 1e-6), len(each.format()) - len(each.record.content) + 1)
        for each in matches
    ]
    return [
        match.model_copy(update={"record": match.record.model_copy(update={"content": text})})
        for match, text in zip(matches, fitted(candidates, query, budget), strict=True)
        if text is not None
    ]
