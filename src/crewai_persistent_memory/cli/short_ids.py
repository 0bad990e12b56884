"""Short ids: the part of an id that tells it from the other ids of a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from ..errors import ConfigurationError

SHORT: Final = 8
"""Characters of a short id, unless more are needed to tell two apart."""

WHOLE: Final = 12
"""Characters up to which an id is shown as it is."""

FEWEST: Final = 4
"""Fewest characters that a command accepts, so that a slip of the finger does not delete an entry."""

_LEFT_OUT: Final = ("…", "...")


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """A short form for each id: its beginning, or ``…`` and its end where ids begin alike."""
    by_start = _unique_prefixes(set(ids))
    by_end = _unique_prefixes({id[::-1] for id in by_start})
    short = {}
    for id, prefix in by_start.items():
        suffix = _LEFT_OUT[0] + by_end[id[::-1]][::-1]
        best = prefix if len(prefix) <= max(WHOLE, len(suffix)) else suffix
        short[id] = id if len(id) <= max(WHOLE, len(best)) else best
    return short


def _unique_prefixes(ids: set[str]) -> dict[str, str]:
    ordered = sorted(ids)
    shared = [0, *(_alike(*pair) for pair in pairwise(ordered)), 0]
    return {id: id[: max(SHORT, 1 + max(shared[i], shared[i + 1]))] for i, id in enumerate(ordered)}


def _alike(one: str, other: str) -> int:
    """The length of the common beginning."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def named(given: str, ids: Sequence[str]) -> str | None:
    """The id that ``given`` names: a whole id, the beginning of one, or the end of one after ``…`` or ``...``.

    Returns:
        The id; ``None`` if no id matches or ``given`` is too short.

    Raises:
        ConfigurationError: several ids match.
    """
    if given in ids:
        return given
    dots = next((dots for dots in _LEFT_OUT if given.startswith(dots)), "")
    part = given.removeprefix(dots)
    if len(part) < FEWEST:
        return None
    meant = [id for id in dict.fromkeys(ids) if (id.endswith(part) if dots else id.startswith(part))]
    if len(meant) > 1:
        shown = ", ".join(meant[:3]) + (", …" if len(meant) > 3 else "")
        raise ConfigurationError(f"{given!r} is the id of {len(meant)} entries ({shown}): give more of it")
    return meant[0] if meant else None
