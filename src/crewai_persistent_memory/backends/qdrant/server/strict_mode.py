"""Limits of a collection's strict mode, so that requests respect them.

The limits are read only after the server refuses a request: most collections have no relevant limit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ....errors import EngineError


class StrictModeError(EngineError):
    """The collection's strict mode refused a request."""


class Limits(NamedTuple):
    """``None``: no limit.

    Attributes:
        results: points that one read may ask for.
        points: points that one write may hold.
        queries: queries of one batch.
        values: values that one condition may have.
        exact: whether the server may be asked to count exactly.
    """

    results: int | None = None
    points: int | None = None
    queries: int | None = None
    values: int | None = None
    exact: bool = True

    def page(self, most: int) -> int:
        """Points to ask for at once, ``most`` at most."""
        return _smaller(most, self.results)

    def batch(self, most: int) -> int:
        """Points to write at once, ``most`` at most."""
        return _smaller(most, self.points)

    def condition(self, most: int) -> int:
        """Values of one condition, ``most`` at most."""
        return _smaller(most, self.values)


NO_LIMITS = Limits()


def limits_of(info: Any) -> Limits:
    """The limits in what the server says of a collection."""
    strict = info.config.strict_mode_config
    if strict is None or not strict.enabled:
        return NO_LIMITS
    return Limits(
        results=strict.max_query_limit,
        points=strict.upsert_max_batchsize,
        queries=getattr(strict, "search_max_batchsize", None),
        values=getattr(strict, "condition_max_size", None),
        exact=strict.search_allow_exact is not False,
    )


def _smaller(most: int, limit: int | None) -> int:
    return most if limit is None else max(1, min(most, limit))
