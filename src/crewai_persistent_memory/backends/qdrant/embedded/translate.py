"""Conditions, rankings and points in the embedded engine's own terms."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, cast

import qdrant_edge as edge

from ....ranking import SECONDS_PER_DAY, Decay, Exponential, Expression, Larger, Product, Ranking, Sum, Variable
from ..engine_requests import (
    Condition,
    Expired,
    FieldHolds,
    HasId,
    HasNoId,
    InScopes,
    Lacks,
    Match,
    NoDense,
    NoPassages,
    NotExpired,
    PointData,
    Where,
)
from ..point_vectors import dense_vectors
from ..ranking import defaults_of, variables_of
from ..schema import DENSE, EXPIRES_AT_KEY, KEYWORDS, PASSAGES, SCOPE_KEY, format_time


def edge_filter(where: Where, has_ends: bool = True) -> edge.Filter:
    """Conditions as a filter of the engine.

    Args:
        where: the conditions.
        has_ends: whether an entry may have an end; see :class:`~.reader.EdgeReader`.
    """
    left, is_kept = [], True
    for condition in where:
        if has_ends or type(condition) is not NotExpired:
            left.append(condition)
            is_long = type(condition) is Match and len(condition.values) > _MOST_VALUES
            is_kept = is_kept and not is_long and type(condition) in _KEPT
    # A scope, and conditions that do not differ from call to call, are in most requests: they are translated once.
    return _kept_filter(tuple(left)) if is_kept else _filter(tuple(left))


def _filter(where: Where) -> edge.Filter:
    scopes = where[0] if where and isinstance(where[0], InScopes) else None
    if scopes is None or len(scopes.keys) == 1:
        return edge.Filter(must=list(map(_condition, where)))
    # One condition for each scope, at the top: a list of values in one condition, or this nested, takes three times
    # as long over a user's 100,000 entries (qdrant-edge-py 0.9).
    others = [_condition(condition) for condition in where[1:]]
    return edge.Filter(should=[_kept_match(Match(SCOPE_KEY, (key,))) for key in scopes.keys], must=others or None)


_kept_filter = lru_cache(maxsize=4096)(_filter)
_KEPT: Final = (InScopes, Match, Lacks)
_MOST_VALUES: Final = 16
"""Values of a condition that is kept. Those of deletions have more, and would take hundreds of megabytes."""


def _condition(condition: Condition) -> Any:
    if isinstance(condition, InScopes):
        return _kept_match(Match(SCOPE_KEY, condition.keys))
    if isinstance(condition, (NotExpired, Expired)):
        until_then = edge.RangeDateTime(lte=condition.moment.isoformat(timespec="microseconds"))
        expired = edge.FieldCondition(key=EXPIRES_AT_KEY, range=until_then)
        return expired if isinstance(condition, Expired) else edge.Filter(must_not=[expired])
    if isinstance(condition, NoDense):
        return edge.Filter(must_not=[edge.HasVectorCondition(DENSE)])
    if isinstance(condition, NoPassages):
        return edge.Filter(must=[edge.HasVectorCondition(DENSE)], must_not=[edge.HasVectorCondition(PASSAGES)])
    if isinstance(condition, Match):
        return _kept_match(condition) if len(condition.values) <= _MOST_VALUES else _match(condition)
    if isinstance(condition, Lacks):
        return edge.Filter(must_not=[_kept_match(Match(condition.key, (condition.value,)))])
    if isinstance(condition, HasId):
        return edge.HasIdCondition(set(condition.ids))
    if isinstance(condition, HasNoId):
        return edge.Filter(must_not=[edge.HasIdCondition(set(condition.ids))])
    if isinstance(condition, FieldHolds):
        stored = edge.Filter(must=[_condition(condition.named), _condition(condition.condition)])
        return edge.Filter(should=[stored, _condition(condition.others)])
    bounds = edge.RangeDateTime(
        gte=None if condition.start is None else format_time(condition.start),
        lt=None if condition.end is None else format_time(condition.end),
    )
    return edge.FieldCondition(key=condition.key, range=bounds)


def _match(condition: Match) -> Any:
    missing = edge.IsEmptyCondition(key=condition.key)
    if not condition.values:
        return missing
    values = condition.values
    match = edge.MatchValue(values[0]) if len(values) == 1 else edge.MatchAny(any=cast(Any, list(values)))
    matches = edge.FieldCondition(key=condition.key, match=match)
    return edge.Filter(should=[matches, missing]) if condition.or_missing else matches


# Every call of one scope has the same two, and building them costs as much as a tenth of a search.
_kept_match = lru_cache(maxsize=4096)(_match)


@lru_cache(maxsize=256)
def edge_formula(ranking: Ranking, rarest: float, scores: tuple[Variable, ...], query_tokens: int = 0) -> edge.Formula:
    formula = ranking.formula(scores, rarest, query_tokens)
    return edge.Formula(_expression(formula, variables_of(scores)), defaults_of(ranking, scores, query_tokens))


def _expression(value: Expression, names: Mapping[Variable, str]) -> edge.Expression:
    if isinstance(value, Variable):
        return edge.Expression.Variable(names[value])
    if isinstance(value, Sum):
        return edge.Expression.Sum([_expression(term, names) for term in value.terms])
    if isinstance(value, Product):
        return edge.Expression.Mult([_expression(factor, names) for factor in value.factors])
    if isinstance(value, Larger):
        return edge.Expression.Max([_expression(value.one, names), _expression(value.other, names)])
    if isinstance(value, Exponential):
        return edge.Expression.Exp(_expression(value.power, names))
    if isinstance(value, Decay):
        return edge.Expression.Decay(
            edge.DecayKind.Exp,
            x=edge.Expression.DatetimeKey("created_at"),
            target=edge.Expression.Datetime(format_time(value.now)),
            midpoint=0.5,
            scale=value.half_life_days * SECONDS_PER_DAY,
        )
    return edge.Expression.Constant(value)


def edge_point(point: PointData) -> edge.Point:
    vectors: dict[str, Any] = {KEYWORDS: point.keywords, **dense_vectors(point)}
    return edge.Point(id=point.id, vector=vectors, payload=point.payload)
