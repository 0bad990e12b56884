"""``stats --growth``: how a store has grown, as a table with bars and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import typer

from .output import one_line
from .picture import picture

if TYPE_CHECKING:
    from ..transfer.growth import Growth

_MOST_ROWS: Final = 31
_LENGTHS: Final = (1, 7, 28, 91, 364)
"""Days of a period. The shortest one is taken that makes few enough of them."""

_BAR: Final = 30
"""Columns of a whole bar."""


class Period(NamedTuple):
    """Some days.

    Attributes:
        start: the first one.
        new: how many entries were created in it.
        total: how many of the store's entries had been created by its end.
    """

    start: date
    new: int
    total: int


def periods_of(by_day: Mapping[date, int]) -> list[Period]:
    """All periods of one length from the first day to the last, those without an entry too."""
    if not by_day:
        return []
    first, last = min(by_day), max(by_day)
    span = (last - first).days + 1
    length = next((each for each in _LENGTHS if span <= each * _MOST_ROWS), -(-span // _MOST_ROWS))
    new = [0] * -(-span // length)
    for day, count in by_day.items():
        new[(day - first).days // length] += count
    periods, total = [], 0
    for number, count in enumerate(new):
        total += count
        periods.append(Period(first + timedelta(days=number * length), count, total))
    return periods


def as_json_of(growth: Growth) -> dict[str, Any]:
    """The figures as JSON values."""
    times = {name: getattr(growth, name) for name in ("first", "last", "used")}
    return {
        "characters": growth.characters,
        "kinds": dict(growth.kinds),
        **{name: None if time is None else time.isoformat() for name, time in times.items()},
        "by_day": {day.isoformat(): count for day, count in growth.by_day.items()},
    }


def show_growth(growth: Growth) -> None:
    """Print the figures, and a bar for each period."""
    if growth.first is None or growth.last is None or growth.used is None:
        return
    kinds = ", ".join(one_line(f"{kind} {count}") for kind, count in growth.kinds.items())
    typer.echo(f"  kinds    {kinds}")
    typer.echo(f"  texts    {growth.characters:,} characters")
    first, last, used = (f"{time:%Y-%m-%d %H:%M}" for time in (growth.first, growth.last, growth.used))
    typer.echo(f"  created  {first} to {last}, last used {used} (UTC)")
    typer.echo()
    periods = periods_of(growth.by_day)
    most, wide = max(each.new for each in periods), max(len(f"{each.total:,}") for each in periods)
    typer.echo(f"  {'from':10}  {'new':>{wide}}  {'in all':>{max(wide, 6)}}")
    for each in periods:
        bar = "█" * -(-each.new * _BAR // most)
        typer.echo(f"  {each.start}  {each.new:>{wide},}  {each.total:>{max(wide, 6)},}  {bar}".rstrip())


_WIDTH, _HEIGHT, _LEFT, _TOP = 640, 240, 70, 60


def as_svg(title: str, periods: Sequence[Period]) -> str:
    """A picture: a bar for what is new in each period, and a line for what there is in all."""
    most_new = max((each.new for each in periods), default=0) or 1
    most = max((each.total for each in periods), default=0) or 1
    step, bottom = _WIDTH / max(1, len(periods)), _TOP + _HEIGHT
    bars, line = [], []
    for number, each in enumerate(periods):
        x, height = _LEFT + number * step, each.new / most_new * _HEIGHT
        label = f"{each.start}: {each.new:,} new, {each.total:,} in all"
        bars.append(
            f'<rect x="{x + step * 0.1:.1f}" y="{bottom - height:.1f}" width="{step * 0.8:.1f}" height="{height:.1f}" '
            f'fill="#2b6cb0"><title>{label}</title></rect>'
        )
        line.append(f"{x + step / 2:.1f},{bottom - each.total / most * _HEIGHT:.1f}")
    ends = [periods[0], periods[-1]] if periods else []
    anchors = zip(ends, (_LEFT, _LEFT + _WIDTH), ("start", "end"), strict=False)
    return picture(
        title,
        "bars, left scale: new; line, right scale: in all",
        _LEFT + _WIDTH + 70,
        bottom + 40,
        [
            *bars,
            f'<polyline points="{" ".join(line)}" fill="none" stroke="#c05621" stroke-width="2"/>',
            f'<text x="{_LEFT - 8}" y="{_TOP + 5}" text-anchor="end" fill="#2b6cb0">{most_new:,}</text>',
            f'<text x="{_LEFT + _WIDTH + 8}" y="{_TOP + 5}" fill="#c05621">{most:,}</text>',
            *(f'<text x="{x}" y="{bottom + 20}" text-anchor="{at}">{each.start}</text>' for each, x, at in anchors),
        ],
    )
