"""How lists of candidates become one ranking, whichever side of the connection computes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .engine_requests import Hit, Ranking
from .schema import DEFAULT_IMPORTANCE, parse_time

RRF_K: Final = 2
"""Reciprocal rank fusion: an entry scores the sum of 1 / (rank + k) over the lists it is in, ranks from 0.
k = 2 is Qdrant's default and recalled more than the customary 60 on long conversations."""

CANDIDATES_PER_RESULT: Final = 4
MIN_CANDIDATES: Final = 40
"""How deep each list goes before fusing and weighing: a multiple of the limit, and never less than this."""

DAY: Final = 86_400.0
"""Seconds."""


def depth_for(limit: int) -> int:
    """How many candidates of each list are looked at."""
    return max(MIN_CANDIDATES, CANDIDATES_PER_RESULT * limit)


def best_fused(lists: int) -> float:
    """The fused score of an entry that is first in every list."""
    return lists / RRF_K


def weigh(hits: Sequence[Hit], ranking: Ranking, lists: int, limit: int, min_score: float | None) -> list[Hit]:
    """The engine's formula, for candidates that were fused by rank but not weighed.

    A collection of several shards fuses ranks of all of them only as the last step of a query (seen with Qdrant
    1.17: a fusion that a formula follows ranks within each shard), so the formula is computed here.
    """
    best = best_fused(lists)

    def weighed(hit: Hit) -> float:
        age = abs((ranking.now - parse_time(hit.payload["created_at"])).total_seconds()) / DAY
        recency = 0.5 ** (age / ranking.half_life_days)
        importance = hit.payload.get("importance", DEFAULT_IMPORTANCE)
        weight = ranking.semantic + ranking.recency * recency + ranking.importance * importance
        return float((hit.score or 0.0) / best * weight)

    scored = sorted((hit._replace(score=weighed(hit)) for hit in hits), key=lambda hit: -(hit.score or 0.0))
    return [hit for hit in scored[:limit] if min_score is None or (hit.score or 0.0) >= min_score]
