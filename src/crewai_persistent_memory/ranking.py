"""How search results are ranked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RankingWeights:
    """How recall weighs relevance, age and importance.

    ``score = relevance × (semantic + recency × 0.5^(age / half life) + importance × entry importance)``,
    relevance being the fused rank of the dense and the keyword search, 0…1. With weights that sum to 1 the score
    stays in 0…1. Multiplied and not added, so that what is merely new never outranks what is asked for by much:
    with the defaults age costs an entry at most a fifth of its score.
    """

    semantic: float = 0.7
    recency: float = 0.2
    importance: float = 0.1
    half_life_days: float = 30.0
