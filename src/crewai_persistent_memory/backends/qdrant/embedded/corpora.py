"""How many entries a reader sees, of how many in the shard: a ranking and the cost of a search depend on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ..engine_requests import Where

MOST_SIZES: Final = 10_000
"""Corpora of which it is known how many entries they have."""

COUNTED_FOR: Final = 0.01
"""Seconds for each entry, until a corpus is counted again. A ranking needs the logarithm of the number."""


class Corpora:
    """The sizes of corpora. A corpus is all that one reader sees, without further conditions.

    Args:
        count: the exact number of entries under these conditions.
    """

    def __init__(self, count: Callable[[Where], int]) -> None:
        self._count = count
        self._sizes: dict[Where, tuple[int, float]] = {}

    def size(self, corpus: Where) -> int:
        """About how many entries a corpus has: a count, which is made again after a time that grows with it."""
        now = time.monotonic()
        size, until = self._sizes.get(corpus, (0, 0.0))
        if now >= until:
            size = self._count(corpus)
            if len(self._sizes) >= MOST_SIZES:
                self._sizes.clear()
            self._sizes[corpus] = size, now + COUNTED_FOR * size
        return size

    def is_all(self, corpus: Where, total: int) -> bool:
        """Whether a corpus is, as far as is known, all of a shard with so many entries: one user has the store alone.

        A count is not made for every search, so some entries of others may have come since. Use it for what costs
        time, and never for what a reader may see.
        """
        return self.size(corpus) == total
