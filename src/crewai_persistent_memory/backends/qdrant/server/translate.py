"""Conditions, points and queries in the server's types, and its answers as hits. No function here sends a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from qdrant_client import models

from ....embedding import SparseVector
from ....ranking import SECONDS_PER_DAY, Decay, Exponential, Expression, Larger, Product, Ranking, Sum, Variable, rarest
from ....validation import MOST_FOUND
from ..codec import ENTRY_KEYS
from ..engine_requests import (
    Between,
    Expired,
    FieldHolds,
    HasId,
    HasNoId,
    Hit,
    InScopes,
    Lacks,
    Match,
    NoDense,
    NoPassages,
    NotExpired,
    PointData,
    Search,
    Where,
)
from ..point_vectors import WithVectors, dense_vectors
from ..ranking import defaults_of, depth_for, variables_of
from ..schema import DENSE, EXPIRES_AT_KEY, KEYWORDS, PASSAGES, TOKENS, format_time

# -- queries -------------------------------------------------------------------------------------------------------


def query_request(query: Mapping[str, Any], shard_key: Any) -> models.QueryRequest:
    """One of a batch of queries, from the arguments of a single one."""
    names = {"query_filter": "filter", "search_params": "params", "with_vectors": "with_vector"}
    renamed = {names.get(name, name): value for name, value in query.items()}
    return models.QueryRequest(**renamed, shard_key=shard_key)


def query_for(request: Search, most: int | None = None, *, size: int, tenant_idf: bool) -> dict[str, Any] | None:
    """The arguments of ``query_points``; ``None`` where nothing is asked for.

    Args:
        request: the search.
        most: most results that the server gives.
        size: about how many entries the words' rarity is counted over.
        tenant_idf: whether the server can count it over one scope.
    """
    most = MOST_FOUND if most is None else most
    request = replace(request, limit=min(request.limit, most))
    lists = _lists(request, tenant_idf)
    if not lists:
        return None
    where = server_filter(request.where)
    if request.ranking is None:
        query, using, params = lists[0]
        return {
            "query": query,
            "using": using,
            "query_filter": where,
            "search_params": params,
            "limit": request.limit,
            "with_payload": list(ENTRY_KEYS),
            "score_threshold": request.min_score,
        }
    depth = min(depth_for(request.limit), most) if most < MOST_FOUND else depth_for(request.limit)
    prefetch = [
        models.Prefetch(query=query, using=using, filter=where, params=params, limit=depth)
        for query, using, params in lists
    ]
    scores = request.scores
    if len(scores) > 1:
        # The candidates of all lists, scored by each, and by their token vectors.
        if request.tokens:
            lists.append(([list(vector) for vector in request.tokens], TOKENS, None))
        all_of_them = min(len(lists) * depth, most)
        prefetch = [
            models.Prefetch(query=query, using=using, filter=where, params=params, limit=all_of_them, prefetch=prefetch)
            for query, using, params in lists
        ]
    return {
        "prefetch": prefetch,
        "query": _formula(request.ranking, rarest(size), scores, len(request.tokens)),
        "limit": request.limit,
        "with_payload": list(ENTRY_KEYS),
        "score_threshold": request.min_score,
    }


def ranked(request: Search, points: Sequence[Any]) -> list[Hit]:
    """The answer of a query as hits, best first."""
    hits = [Hit(point.id, point.payload or {}, score=point.score) for point in points]
    if request.min_score is None:
        return hits
    # Qdrant 1.16 does not apply the threshold to a formula's score.
    return [hit for hit in hits if hit.score is not None and hit.score >= request.min_score]


def _lists(request: Search, tenant_idf: bool) -> list[tuple[Any, str, models.SearchParams | None]]:
    lists: list[tuple[Any, str, models.SearchParams | None]] = []
    if request.dense:
        lists.append((list(request.dense), DENSE, None))
        if request.by_passages:
            lists.append((list(request.dense), PASSAGES, None))
    if request.by_keywords and request.keywords is not None:
        params = None
        if tenant_idf:
            params = models.SearchParams(idf=models.IdfCorpusParams(corpus=server_filter(request.corpus)))
        vector = models.SparseVector(indices=request.keywords.indices, values=request.keywords.values)
        lists.append((vector, KEYWORDS, params))
    return lists


def _formula(ranking: Ranking, rarest: float, scores: Sequence[Variable], query_tokens: int) -> models.FormulaQuery:
    formula = ranking.formula(scores, rarest, query_tokens)
    defaults = defaults_of(ranking, scores, query_tokens)
    return models.FormulaQuery(formula=_expression(formula, variables_of(scores)), defaults=defaults)


def _expression(value: Expression, names: Mapping[Variable, str]) -> Any:
    if isinstance(value, Variable):
        return names[value]
    if isinstance(value, Sum):
        return models.SumExpression(sum=[_expression(term, names) for term in value.terms])
    if isinstance(value, Product):
        return models.MultExpression(mult=[_expression(factor, names) for factor in value.factors])
    if isinstance(value, Larger):
        # (a + b + |a - b|) / 2: the formulas of Qdrant 1.15 have no maximum.
        one, other = _expression(value.one, names), _expression(value.other, names)
        apart = models.AbsExpression(abs=models.SumExpression(sum=[one, models.NegExpression(neg=other)]))
        return models.MultExpression(mult=[0.5, models.SumExpression(sum=[one, other, apart])])
    if isinstance(value, Exponential):
        return models.ExpExpression(exp=_expression(value.power, names))
    if isinstance(value, Decay):
        return models.ExpDecayExpression(
            exp_decay=models.DecayParamsExpression(
                x=models.DatetimeKeyExpression(datetime_key="created_at"),
                target=models.DatetimeExpression(datetime=format_time(value.now)),
                scale=value.half_life_days * SECONDS_PER_DAY,
                midpoint=0.5,
            )
        )
    return value


# -- conditions and points -----------------------------------------------------------------------------------------


def server_filter(where: Where) -> models.Filter:
    must: list[Any] = []
    for condition in where:
        if isinstance(condition, InScopes):
            # Workers of an older layout may use the collection, too, and what they save has no key ``scope``.
            must += map(_match, condition.before)
        else:
            must.append(_condition(condition))
    return models.Filter(must=must)


def _condition(
    condition: Between | Expired | FieldHolds | HasId | HasNoId | Lacks | Match | NoDense | NoPassages | NotExpired,
) -> Any:
    if isinstance(condition, NotExpired):
        return models.Filter(must_not=[_expired(condition.moment)])
    if isinstance(condition, Expired):
        return _expired(condition.moment)
    if isinstance(condition, NoDense):
        return models.Filter(must_not=[models.HasVectorCondition(has_vector=DENSE)])
    if isinstance(condition, NoPassages):
        return models.Filter(
            must=[models.HasVectorCondition(has_vector=DENSE)],
            must_not=[models.HasVectorCondition(has_vector=PASSAGES)],
        )
    if isinstance(condition, Match):
        return _match(condition)
    if isinstance(condition, Lacks):
        return models.Filter(must_not=[_match(Match(condition.key, (condition.value,)))])
    if isinstance(condition, HasId):
        return models.HasIdCondition(has_id=list(condition.ids))
    if isinstance(condition, HasNoId):
        return models.Filter(must_not=[models.HasIdCondition(has_id=list(condition.ids))])
    if isinstance(condition, FieldHolds):
        stored = models.Filter(must=[_condition(condition.named), _condition(condition.condition)])
        return models.Filter(should=[stored, _condition(condition.others)])
    bounds = models.DatetimeRange(gte=_time(condition.start), lt=_time(condition.end))
    return models.FieldCondition(key=condition.key, range=bounds)


def _expired(moment: datetime) -> models.FieldCondition:
    return models.FieldCondition(key=EXPIRES_AT_KEY, range=models.DatetimeRange(lte=moment))


def _time(value: Any) -> Any:
    return None if value is None else format_time(value)


@lru_cache(maxsize=4096)
def _match(condition: Match) -> Any:
    missing = models.IsEmptyCondition(is_empty=models.PayloadField(key=condition.key))
    values: Any = list(condition.values)
    if not values:
        return missing
    match = models.MatchValue(value=values[0]) if len(values) == 1 else models.MatchAny(any=values)
    matches = models.FieldCondition(key=condition.key, match=match)
    return models.Filter(should=[matches, missing]) if condition.or_missing else matches


def server_point(point: PointData) -> models.PointStruct:
    return models.PointStruct(id=point.id, vector=server_vectors(point.keywords, point), payload=point.payload)


def server_vectors(keywords: SparseVector, of: WithVectors) -> dict[str, Any]:
    sparse = models.SparseVector(indices=keywords.indices, values=keywords.values)
    return {KEYWORDS: sparse, **dense_vectors(of)}
