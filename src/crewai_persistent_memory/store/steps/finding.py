"""What is found: by a query, by a vector, by an id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from typing_extensions import Unpack

from ...embedding import check_vector
from ...entry import MemoryEntry
from ...entry_filter import EntryFilter, FilterArgs
from ...errors import InvalidArgumentError, InvalidEntryError
from ...filter_fields import FilterField
from ...io.steps import Steps
from ...ranking import RankingWeights
from ...validation import check_id, check_min_score, check_search_limit, check_text
from .. import operations as op
from ..visibility_check import only_visible
from .handle import StoreHandle


def search(
    handle: StoreHandle,
    query: str,
    *,
    limit: int = 10,
    min_score: float = 0.0,
    weights: RankingWeights | None = None,
    **filters: Unpack[FilterArgs],
) -> Steps[list[MemoryEntry]]:
    """Entries of the scope that match ``query``, best first, each with its ``score`` (0…1).

    Dense and keyword search, fused, weighed by recency and importance; keywords alone where the store has no
    embedder. No LLM is called.

    Args:
        query: text; a blank one finds nothing.
        limit: most results, 10,000 at most.
        min_score: leave out results below this score.
        weights: other than the store's.
        filters: see :class:`EntryFilter`.
    """
    [found] = yield from search_many(handle, [query], limit=limit, min_score=min_score, weights=weights, **filters)
    return found


def search_many(
    handle: StoreHandle,
    queries: Sequence[str],
    *,
    limit: int = 10,
    min_score: float = 0.0,
    weights: RankingWeights | None = None,
    paths: Sequence[str | None] | None = None,
    kinds: Sequence[str | None] | None = None,
    **filters: Unpack[FilterArgs],
) -> Steps[list[list[MemoryEntry]]]:
    """Several searches at the price of one round trip and one call of the embedder.

    Args:
        queries: texts.
        limit: most results of each, 10,000 at most.
        min_score, weights: see :meth:`search`.
        paths, kinds: one path, one kind, for each query, in place of ``path`` and ``kind``.
        filters: for all of them.

    Returns:
        One list for each query, in their order.
    """
    check_search_limit(limit)
    check_min_score(min_score)
    wanted = _filters_for(queries, {"path": paths, "kind": kinds}, filters, handle.filter_fields)
    if weights is not None and not handle.capabilities.ranking:
        raise InvalidArgumentError("weights: this store ranks by itself, leave them out")
    if weights is not None and not isinstance(weights, RankingWeights):
        raise InvalidArgumentError(f"weights must be RankingWeights, got {type(weights).__name__}")
    scope = handle.binding.resolve()
    found: list[list[MemoryEntry]] = []
    asked: list[int] = []
    for index, query in enumerate(queries):
        found.append([])
        if _checked_query(query).strip() and limit > 0 and not wanted[index].matches_nothing:
            asked.append(index)
    if not asked:
        return found
    operation = op.Search(
        scope,
        handle.include_shared,
        tuple(map(queries.__getitem__, asked)),
        tuple(map(wanted.__getitem__, asked)),
        limit,
        min_score,
        (weights or handle.weights) if handle.capabilities.ranking else None,
    )
    answers = only_visible(operation, (yield from handle.execute(operation)))
    for index, entries in zip(asked, answers, strict=True):
        found[index] = entries
    return found


def nearest(
    handle: StoreHandle,
    embedding: Sequence[float],
    *,
    text: str | None = None,
    limit: int = 10,
    min_score: float = 0.0,
    **filters: Unpack[FilterArgs],
) -> Steps[list[MemoryEntry]]:
    """Entries whose vector is nearest, ``score`` being the cosine (0 where it is negative).

    On a store of keywords only, ``text`` stands in for the vector, and the score is the cosine of the words.

    Raises:
        DimensionMismatchError: the vector has another length than the store's.
    """
    check_search_limit(limit)
    check_min_score(min_score)
    if not handle.capabilities.vectors:
        if text is None:
            raise InvalidArgumentError(
                "embedding: this store searches by text and not by vectors, use search() or give text="
            )
        return (yield from search(handle, text, limit=limit, min_score=min_score, **filters))
    scope, filter = handle.binding.resolve(), EntryFilter.of(filters, handle.filter_fields)
    dense = check_vector("embedding", embedding)
    if not (dense or text) or limit == 0 or filter.matches_nothing:
        return []
    asked = op.Nearest(scope, handle.include_shared, dense, text, filter, limit, min_score)
    return (yield from handle.read(asked))


def get(handle: StoreHandle, id: str) -> Steps[MemoryEntry | None]:
    """The entry with this id, its vector included, or ``None`` if none is visible in the scope."""
    return handle.read(op.Get(handle.binding.resolve(), handle.include_shared, check_id(id)))


def _checked_query(query: str) -> str:
    try:
        return check_text("query", query)
    except InvalidEntryError as error:
        raise InvalidArgumentError(str(error)) from error


def _filters_for(
    queries: Sequence[str],
    each: Mapping[str, Sequence[str | None] | None],
    filters: FilterArgs,
    known: Mapping[str, FilterField],
) -> Sequence[EntryFilter]:
    """A filter for each query: those for all of them, with the values that each has of its own."""
    if isinstance(queries, str):
        raise InvalidArgumentError("queries is one text: pass a list of texts, or use search()")
    own = {name: values for name, values in each.items() if values is not None}
    if not own:
        return [EntryFilter.of(filters, known)] * len(queries)
    for name, values in own.items():
        if filters.get(name) is not None or len(values) != len(queries):
            raise InvalidArgumentError(
                f"{name}s takes one {name} for each of the {len(queries)} queries, and no {name}= beside"
            )
    wanted = []
    for values in zip(*own.values(), strict=True):
        wanted.append(EntryFilter.of(cast("FilterArgs", {**filters, **dict(zip(own, values, strict=True))}), known))
    return wanted
