"""How many entries a reader sees, and whether these are all in the shard: a ranking and the cost of a search depend on
it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import qdrant_edge as edge

from ..engine_requests import Condition, InScopes, Match, NotExpired, Where
from ..schema import SCOPE_KEY
from .deletions import Deletions

MOST_KNOWN: Final = 10_000
"""Corpora of which something is known."""

COUNTED_FOR: Final = 0.01
"""Seconds for each entry, until a corpus is counted again. A ranking needs the logarithm of the number."""

OTHERS_FOR: Final = 60.0
"""Seconds until it is looked again whether there are others. It takes 20 µs if there are none, and 1 ms if there are
10,000."""


class Corpora:
    """What is known of corpora. A corpus is all that one reader sees, without further conditions.

    Args:
        count: the exact number of entries under these conditions.
        deletions: what was deleted from the shard.
    """

    def __init__(self, count: Callable[[Where], int], deletions: Deletions) -> None:
        self._count = count
        self._deletions = deletions
        self._sizes: dict[Where, tuple[int, float, int]] = {}
        self._others: dict[Where, float] = {}

    def size(self, corpus: Where, total: int) -> tuple[int, int]:
        """About how many entries a corpus has, and how many it may have at most.

        The first number is a count, which is made again after a time that grows with it. The second one adds what the
        shard has gained since.

        Args:
            corpus: the corpus.
            total: the number of entries of the shard now.
        """
        now = time.monotonic()
        size, until, total_then = self._sizes.get(corpus, (0, 0.0, 0))
        if now >= until:
            size, total_then = self._count(corpus), total
            _keep(self._sizes, corpus, (size, now + COUNTED_FOR * size, total_then))
        return size, size + max(0, total - total_then)

    def is_all(self, corpus: Where, shard: Any) -> bool:
        """Whether a corpus is all of the shard, and of what was deleted from it: one user has the store alone.

        An entry of somebody else may come at any moment. Use it for what costs time, and never for what a reader may
        see.
        """
        now = time.monotonic()
        scopes = corpus[0]
        if not isinstance(scopes, InScopes) or now < self._others.get(corpus, 0.0):
            return False
        if not self._deletions.are_all_of(scopes.keys):
            return False
        # From the index, without a look at the entries.
        asked = edge.FacetRequest(key=SCOPE_KEY, limit=len(scopes.keys) + 1, exact=False)
        if {hit.value for hit in shard.facet(asked).hits} <= set(scopes.keys):
            return True
        _keep(self._others, corpus, now + OTHERS_FOR)
        return False


def all_meet(conditions: list[Condition], shard: Any, *, has_ends: bool) -> bool:
    """Whether all entries of a shard meet conditions. For costs only, as :meth:`Corpora.is_all`.

    Args:
        conditions: beside those of the corpus.
        shard: the shard.
        has_ends: whether an entry may have an end.
    """
    keys = []
    for condition in conditions:
        if isinstance(condition, Match) and condition.or_missing:
            keys.append(condition.key)
        elif has_ends or not isinstance(condition, NotExpired):
            return False
    indexes = shard.info().payload_schema if keys else {}
    return all(key in indexes and not indexes[key].points for key in keys)


def _keep(known: dict[Where, Any], corpus: Where, value: Any) -> None:
    if len(known) >= MOST_KNOWN:
        known.clear()
    known[corpus] = value
