"""How search results are ranked: the weights, the formula, and the formula as a tree that each engine renders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

RRF_K: Final = 2
"""Reciprocal rank fusion: an entry scores the sum of 1 / (rank + k) over the lists it is in, ranks from 0.
k = 2 is Qdrant's default and recalled more than the customary 60 on long conversations."""

SECONDS_PER_DAY: Final = 86_400.0


@dataclass(frozen=True)
class RankingWeights:
    """How a search weighs relevance, age and importance.

    ``score = relevance × (semantic + recency × 0.5^(age / half life) + importance × entry importance)``

    Relevance is the fused rank in the dense and the keyword search, 0…1: the sum of ``1 / (rank + 2)`` over both lists,
    divided by the largest possible sum. With weights that sum to 1 the score is in 0…1. The formula multiplies and does
    not add, so a new entry never outranks a much more relevant one: with the defaults, age costs an entry at most a
    fifth of its score.

    Attributes:
        semantic: weight of relevance alone.
        recency: weight of the age.
        importance: weight of the entry's importance.
        half_life_days: the age, in days, that halves the recency.
    """

    semantic: float = 0.7
    recency: float = 0.2
    importance: float = 0.1
    half_life_days: float = 30.0


class Variable(Enum):
    """Inputs of a formula from one candidate."""

    FUSED_RANK = "the sum of 1 / (rank + k) over the lists"
    IMPORTANCE = "the entry's importance"


@dataclass(frozen=True)
class Decay:
    """``0.5^(age / half life)``, the age being the time between the entry's creation and ``now``."""

    now: datetime
    half_life_days: float

    def at(self, created_at: datetime) -> float:
        age = abs((self.now - created_at).total_seconds())
        return float(0.5 ** (age / (self.half_life_days * SECONDS_PER_DAY)))


@dataclass(frozen=True)
class Sum:
    terms: tuple[Expression, ...]


@dataclass(frozen=True)
class Product:
    factors: tuple[Expression, ...]


Expression = float | Variable | Decay | Sum | Product


@dataclass(frozen=True)
class Ranking:
    """How one search ranks: by which weights, and at which time (naive UTC)."""

    weights: RankingWeights
    now: datetime

    def formula(self, lists: int) -> Product:
        """The formula of :class:`RankingWeights`, for candidates of this many fused lists."""
        best = lists / RRF_K  # the fused rank of an entry that is first in every list
        weights = self.weights
        weight = Sum(
            (
                weights.semantic / best,
                Product((weights.recency / best, Decay(self.now, weights.half_life_days))),
                Product((weights.importance / best, Variable.IMPORTANCE)),
            )
        )
        return Product((Variable.FUSED_RANK, weight))


def evaluate(expression: Expression, values: Mapping[Variable, float], created_at: datetime) -> float:
    """The value of a formula for one candidate."""
    if isinstance(expression, Variable):
        return values[expression]
    if isinstance(expression, Decay):
        return expression.at(created_at)
    if isinstance(expression, Sum):
        return sum(evaluate(term, values, created_at) for term in expression.terms)
    if isinstance(expression, Product):
        product = 1.0
        for factor in expression.factors:
            product *= evaluate(factor, values, created_at)
        return product
    return expression
