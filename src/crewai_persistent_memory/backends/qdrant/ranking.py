"""How deep a search looks, and the names of the ranking formula's variables in a query.

A ranked search is one request. Each list (by keywords, by dense vector) is looked through to a depth. The candidates of
all lists are then scored by each of them, exactly, and by token vectors where the store has these. The formula makes
one score of all scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ...entry import DEFAULT_IMPORTANCE
from ...ranking import DEFAULT_SPREAD, Ranking, Variable

CANDIDATES_PER_RESULT: Final = 2
MIN_CANDIDATES: Final = 40
"""Candidates of each list: a multiple of the limit, and never fewer than this."""


def depth_for(limit: int) -> int:
    """How many candidates of each list are looked at."""
    return max(MIN_CANDIDATES, CANDIDATES_PER_RESULT * limit)


def variables_of(lists: Sequence[Variable]) -> Mapping[Variable, str]:
    """The formula's variables as a query names them, which has these lists in this order."""
    scores = {each: f"$score[{number}]" if len(lists) > 1 else "$score" for number, each in enumerate(lists)}
    return {**scores, Variable.IMPORTANCE: "importance"}


def defaults_of(ranking: Ranking, lists: Sequence[Variable], query_tokens: int = 0) -> dict[str, Any]:
    """The values of variables that a candidate lacks: in a list that does not have it, it counts as unrelated."""
    defaults: dict[str, Any] = {"importance": DEFAULT_IMPORTANCE}
    if len(lists) > 1:
        cosine = (ranking.spread or DEFAULT_SPREAD).mean
        tokens = query_tokens * (ranking.token_spread or DEFAULT_SPREAD).mean
        unrelated = {
            Variable.COSINE: cosine,
            Variable.PASSAGES: -1.0,
            Variable.TOKENS: tokens,
            Variable.KEYWORDS: 0.0,
        }
        defaults |= {name: unrelated[each] for each, name in variables_of(lists).items() if each in unrelated}
    return defaults
