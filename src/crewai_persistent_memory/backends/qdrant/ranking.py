"""How deep a search looks, and the names of the ranking formula's variables in a query.

A ranked search is one request. Each list (by keywords, by dense vector) is looked through to a depth. The candidates of
all lists are then scored by each of them, exactly, and the formula makes one score of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ...entry import DEFAULT_IMPORTANCE
from ...ranking import DEFAULT_SPREAD, Ranking, Variable

CANDIDATES_PER_RESULT: Final = 2
MIN_CANDIDATES: Final = 40
"""Candidates of each list: a multiple of the limit, and never fewer than this."""


def depth_for(limit: int) -> int:
    """How many candidates of each list are looked at."""
    return max(MIN_CANDIDATES, CANDIDATES_PER_RESULT * limit)


def variables_of(lists: int) -> Mapping[Variable, str]:
    """The formula's variables as a query names them. Of two lists, the first is by dense vector."""
    scores = {Variable.KEYWORDS: "$score", Variable.COSINE: "$score"}
    if lists > 1:
        scores = {Variable.COSINE: "$score[0]", Variable.KEYWORDS: "$score[1]"}
    return {**scores, Variable.IMPORTANCE: "importance"}


def defaults_of(ranking: Ranking, lists: int) -> dict[str, Any]:
    """The values of variables that a candidate lacks: a candidate of one list only counts as unrelated in the other."""
    defaults: dict[str, Any] = {"importance": DEFAULT_IMPORTANCE}
    if lists > 1:
        names = variables_of(lists)
        defaults[names[Variable.COSINE]] = (ranking.spread or DEFAULT_SPREAD).mean
        defaults[names[Variable.KEYWORDS]] = 0.0
    return defaults
