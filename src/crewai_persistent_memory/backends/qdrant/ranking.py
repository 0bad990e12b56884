"""How deep a search looks, and the ranking formula where the engine does not compute it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...entry import DEFAULT_IMPORTANCE
from ...ranking import Ranking, Variable, evaluate
from .engine_requests import Hit
from .schema import parse_time

CANDIDATES_PER_RESULT: Final = 4
MIN_CANDIDATES: Final = 40
"""Candidates of each list that are fused and weighed: a multiple of the limit, and never fewer than this."""

VARIABLES: Final = {Variable.FUSED_RANK: "$score", Variable.IMPORTANCE: "importance"}
"""Their names in a Qdrant formula."""

DEFAULTS: Final = {"importance": DEFAULT_IMPORTANCE}
"""For points whose payload has no such key."""


def depth_for(limit: int) -> int:
    """How many candidates of each list are looked at."""
    return max(MIN_CANDIDATES, CANDIDATES_PER_RESULT * limit)


def weigh(hits: Sequence[Hit], ranking: Ranking, lists: int, limit: int, min_score: float | None) -> list[Hit]:
    """The formula, for candidates that the engine fused by rank and did not weigh.

    A collection of several shards fuses ranks of all of them only as the last step of a query (seen with Qdrant
    1.17: a fusion that a formula follows ranks within each shard), so the formula is computed here.
    """
    formula = ranking.formula(lists)

    def weighed(hit: Hit) -> float:
        importance = hit.payload.get("importance", DEFAULT_IMPORTANCE)
        values = {Variable.FUSED_RANK: hit.score or 0.0, Variable.IMPORTANCE: importance}
        return evaluate(formula, values, parse_time(hit.payload["created_at"]))

    scored = sorted((hit._replace(score=weighed(hit)) for hit in hits), key=lambda hit: -(hit.score or 0.0))
    return [hit for hit in scored[:limit] if min_score is None or (hit.score or 0.0) >= min_score]
