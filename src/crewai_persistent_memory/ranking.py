"""How search results are ranked: the weights, the formula, and the formula as a tree that each engine renders."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from .errors import InvalidArgumentError

SECONDS_PER_DAY: Final = 86_400.0

RARE_TERMS: Final = 2.5
"""Matches of a term that one entry alone has, which together make a relevance of 1 - 1/e, or 0.63."""

COSINE_SPREAD: Final = 6.0
"""Standard deviations of an embedder's cosine between unrelated sentences that count as much as that."""

TOKEN_SPREAD: Final = 6.0
"""The same of the MaxSim of token vectors."""


SHORTEST_HALF_LIFE: Final = 0.001
LONGEST_HALF_LIFE: Final = 1_000_000_000.0
"""Days. The engines compute with 32 bits: they take neither zero nor infinity. The longest is as good as no age."""


@dataclass(frozen=True)
class RankingWeights:
    """How a search weighs relevance, age and importance.

    ``score = relevance × (semantic + recency × 0.5^(age / half life) + importance × entry importance)``

    Relevance is 0…1, and means the same in every store: ``1 - exp(-x)``, where ``x`` is the sum of these numbers.

    - The BM25 score of the query's words, in units of :data:`RARE_TERMS` matches of the rarest word that a store of
      this size can have.
    - How far the cosine of the two vectors is above that of unrelated sentences, in units of :data:`COSINE_SPREAD`
      standard deviations. Both are measured once for each embedder.
    - In a store with token vectors (``reranker="maxsim"``): the same of their MaxSim, in units of
      :data:`TOKEN_SPREAD`. It is divided by the number of the query's token vectors, so it is a mean of cosines.

    With weights that sum to 1 the score is in 0…1. The formula multiplies and does not add, so a new entry never
    outranks a much more relevant one: with the defaults, age costs an entry at most a fifth of its score.

    Attributes:
        semantic: weight of relevance alone, 0…1.
        recency: weight of the age, 0…1.
        importance: weight of the entry's importance, 0…1.
        half_life_days: the age, in days, that halves the recency; from 0.001 to 1,000,000,000.

    Raises:
        InvalidArgumentError: a number is out of its range; the message names it.
    """

    semantic: float = 0.7
    recency: float = 0.2
    importance: float = 0.1
    half_life_days: float = 30.0

    def __post_init__(self) -> None:
        for name in ("semantic", "recency", "importance"):
            _check_range(name, getattr(self, name), 0, 1)
        _check_range("half_life_days", self.half_life_days, SHORTEST_HALF_LIFE, LONGEST_HALF_LIFE)


def _check_range(name: str, value: object, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise InvalidArgumentError(f"{name} must be a number from {least:,g} to {most:,.0f}, got {value!r}")


@dataclass(frozen=True)
class CosineSpread:
    """The cosines that an embedder gives to unrelated sentences, or the mean of the best cosines of their tokens.

    Attributes:
        mean: their mean.
        deviation: their standard deviation, more than 0.
    """

    mean: float
    deviation: float


class Variable(Enum):
    """Inputs of a formula from one candidate."""

    KEYWORDS = "the BM25 score"
    COSINE = "the cosine of the dense vectors"
    PASSAGES = "the best cosine of a long entry's passages"
    TOKENS = "the MaxSim of the token vectors, a sum over those of the query"
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


@dataclass(frozen=True)
class Exponential:
    """``e^power``."""

    power: Expression


@dataclass(frozen=True)
class Larger:
    """The larger one of two numbers."""

    one: Expression
    other: Expression


Expression = float | Variable | Decay | Sum | Product | Exponential | Larger


def rarest(entries: int) -> float:
    """The weight (IDF) of a term that one of so many entries has, as Qdrant computes it, to one decimal place: engines
    keep a formula that they have made."""
    return round(math.log(1.0 + (max(entries, 1) - 0.5) / 1.5), 1)


@dataclass(frozen=True)
class Ranking:
    """How one search ranks.

    Attributes:
        weights: the weights.
        now: naive UTC.
        spread: the embedder's; ``None`` where there is none.
        token_spread: that of its token vectors; ``None`` where there is none.
    """

    weights: RankingWeights
    now: datetime
    spread: CosineSpread | None = None
    token_spread: CosineSpread | None = None

    def formula(self, lists: Collection[Variable], rarest: float, query_tokens: int = 0) -> Product:
        """The formula of :class:`RankingWeights`, for candidates of these lists.

        Args:
            lists: what they are scored by: :data:`Variable.KEYWORDS`, :data:`Variable.COSINE`, with the latter
                :data:`Variable.PASSAGES`, and :data:`Variable.TOKENS`.
            rarest: see :func:`rarest`.
            query_tokens: how many token vectors the query has.
        """
        terms: list[Expression] = []
        if Variable.KEYWORDS in lists:
            terms.append(Product((-1.0 / (RARE_TERMS * rarest), Variable.KEYWORDS)))
        if Variable.COSINE in lists:
            spread = self.spread or DEFAULT_SPREAD
            weight = 1.0 / (COSINE_SPREAD * spread.deviation)
            # A long text is as near as its best passage.
            by_passages = Variable.PASSAGES in lists
            cosine = Larger(Variable.COSINE, Variable.PASSAGES) if by_passages else Variable.COSINE
            terms += [Product((-weight, cosine)), weight * spread.mean]
        if Variable.TOKENS in lists:
            spread = self.token_spread or DEFAULT_SPREAD
            weight = 1.0 / (TOKEN_SPREAD * spread.deviation)
            terms += [Product((-weight / query_tokens, Variable.TOKENS)), weight * spread.mean]
        relevance = Sum((1.0, Product((-1.0, Exponential(Sum(tuple(terms)))))))
        weights = self.weights
        weight_of_entry = Sum(
            (
                weights.semantic,
                Product((weights.recency, Decay(self.now, weights.half_life_days))),
                Product((weights.importance, Variable.IMPORTANCE)),
            )
        )
        return Product((relevance, weight_of_entry))


DEFAULT_SPREAD: Final = CosineSpread(mean=0.1, deviation=0.08)
"""Of a sentence transformer such as MiniLM."""
