"""Short ids: as much of an id as tells it from the others that are listed."""

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
"""Characters that a command asks for, so that a slip does not forget an entry."""

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
    """How many characters both begin with."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def named(given: str, ids: Sequence[str]) -> str | None:
    """The id among ``ids`` that ``given`` means: itself, its beginning, or its end after ``…`` or ``...``.

    Raises:
        ConfigurationError: it means several, or is too short to mean one.
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
