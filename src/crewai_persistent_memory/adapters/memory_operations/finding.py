"""How a memory recalls: one search in the store, the stages of a recall, and what is given of their result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, islice, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal

from ...entry import MemoryEntry
from ...errors import ConfigurationError
from ...io.steps import Steps, work
from ...recall.explaining import Explanation, explained, ranking_of
from ...recall.pipeline import FETCHED, Bounds, date_of, given, ordered
from ...storable import storable_text
from ...validation import check_search_limit, to_naive_utc
from ..asked_question import question_of
from ..events import logged, query_events
from ..record_conversion import best_of, matches_of, merged
from .bounds import bounds_of, fetched_for, id_and_score, length_of, touch
from .looking import looked_through
from .parts import MemoryParts
from .waiting import drain_writes

if TYPE_CHECKING:
    from crewai.memory.types import MemoryMatch


_LEAST_BESIDE: Final = 10
"""Entries beside those that a recall may give: for what is said twice, or states nothing."""

_LEAST_LOOKED_AT: Final = 17
"""Entries. With fewer, the only memory that is given was one that no longer holds twice as often, among 2,250 of one
user."""


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
            (>= 1.10), which needs ``llm``. What it finds is ordered and bounded in the same way.
        source: include private entries of this source.
        include_private: include all private entries.
        whole: whole texts, of any length. Use it to change a memory by its id.
        as_of: only what was said by then (naive is UTC), and not again since. The same text has the date of the last
            time.

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
    return _staged(memory, matches, query, bounds_of(memory, limit, whole=whole))


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
    bounds, least = bounds_of(memory, limit, whole=whole), memory.min_score
    first_look = _first_look(memory, limit)
    look = partial(
        memory.store.steps.search_many,
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
            entries = best_of(list(islice(found, len(of_query))), id_and_score)
            if memory.reranker is not None:
                entries = yield from memory.reranker.rerank(entries, query, least)
            again = partial(look, [query] * len(of_query), paths=of_query)
            _, in_order = yield from looked_through(memory, entries, query, again, looked=first_look, limit=limit)
            shown = given(in_order, query, bounds)
            matches.append(matches_of(shown, memory.store.weights.half_life_days, memory.results))
            results += matches[-1]
        if results and memory.touches:
            yield from touch(memory, map(_id_of_match, results))
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
    look = partial(
        memory.store.steps.search_many,
        [query] * len(paths),
        paths=paths,
        categories=memory.paths.categories(categories),
        include_private=include_private,
        reader=source,
        created_before=None if as_of is None else _after(as_of),
    )
    entries = best_of((yield from look(limit=FETCHED)), id_and_score)
    if memory.reranker is not None:
        entries = yield from memory.reranker.rerank(entries, query, memory.min_score)
    asking = replace(memory, for_a_prompt=True)
    entries, _ = yield from looked_through(asking, entries, query, look, looked=FETCHED, limit=_LEAST_BESIDE)
    bounds = bounds_of(asking, FETCHED)
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
    paths, bounds = memory.paths.of(None), bounds_of(replace(memory, for_a_prompt=True), limit)
    categories = memory.paths.categories(None)
    look = partial(memory.store.steps.search_many, categories=categories, include_private=False)
    with query_events(memory.source, "; ".join(queries), limit, memory.store.backend.untold_outage) as results:
        looked = fetched_for(limit)
        found = yield from look([query for query in queries for _ in paths], limit=looked, paths=paths * len(queries))
        left, known = bounds.budget, set[tuple[str, str]]()
        for at, query in enumerate(queries):
            entries = best_of(found[at * len(paths) : (at + 1) * len(paths)], id_and_score)
            if memory.reranker is not None:
                entries = yield from memory.reranker.rerank(entries, query, memory.min_score)
            share = None if left is None else left // (len(queries) - at)
            again = partial(look, [query] * len(paths), paths=paths)
            _, in_order = yield from looked_through(memory, entries, query, again, looked=looked, limit=limit)
            new = [each for each in in_order if (each.entry.id, each.entry.content) not in known]
            shown = given(new, query, replace(bounds, budget=share))
            left = None if left is None else left - length_of(memory, shown)
            known.update((each.found.entry.id, each.text.removeprefix(date_of(each.found))) for each in shown)
            results += matches_of(shown, memory.store.weights.half_life_days, memory.results)
        if results and memory.touches:
            yield from touch(memory, map(_id_of_match, results))
    return results


def _first_look(memory: MemoryParts, limit: int) -> int:
    """How many entries a recall asks for at first: all it looks at, unless the limit decides what is given."""
    check_search_limit(limit)
    if memory.for_a_prompt or memory.reranker is not None or not limit:
        return fetched_for(limit)
    return max(limit, min(FETCHED, limit + max(limit, _LEAST_BESIDE, _LEAST_LOOKED_AT - limit)))


_id_of_match: Final = attrgetter("record.id")


def _after(as_of: datetime) -> datetime | None:
    """The first moment that is later; ``None`` if there is none."""
    latest = to_naive_utc("as_of", as_of)
    return None if latest == datetime.max else latest + timedelta(microseconds=1)


def _staged(memory: MemoryParts, matches: Sequence[MemoryMatch], query: str, bounds: Bounds) -> list[MemoryMatch]:
    """Matches of CrewAI's own flow, after the stages of a recall: what holds now, each thing once, within a budget."""
    by_id, entries = {}, []
    gaps: list[str] = []
    for match in matches:
        record = match.record
        by_id[record.id] = match
        gaps += match.evidence_gaps
        entries.append(
            MemoryEntry(
                id=record.id,
                content=record.content,
                path=record.scope,
                categories=tuple(record.categories),
                metadata=record.metadata,
                importance=record.importance,
                created_at=to_naive_utc("created_at", record.created_at),
                score=match.score,
            )
        )
    staged = []
    for each in given(ordered(entries, query), query, bounds):
        match = by_id[each.found.entry.id]
        record = match.record.model_copy(update={"content": each.text})
        # A type of ours, whose text in a prompt has the length that the budget counts.
        staged.append(memory.results.match(**{**dict(match), "record": record, "evidence_gaps": []}))
    if staged:
        staged[0].evidence_gaps = gaps  # CrewAI's flow says with its first match what it did not find
    return staged
