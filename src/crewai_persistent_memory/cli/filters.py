"""The options that choose entries, for the commands that read."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Final

import typer

from ..entry_filter import FilterArgs
from ..errors import ConfigurationError
from ..validation import utcnow

Category = Annotated[list[str] | None, typer.Option("--category", "-c", help="With this tag; may be repeated.")]
Kind = Annotated[str | None, typer.Option("--kind", help="memory, entity or a kind of your own.")]
Under = Annotated[str | None, typer.Option("--in", help="At this path (CrewAI's scope) and below: /crew/sales.")]
Since = Annotated[str | None, typer.Option("--since", help="Since a time: 2026-05-01, 2026-05-01T12:00, 90m, 36h, 7d.")]
Until = Annotated[str | None, typer.Option("--until", help="Before a time, in the same forms. Times are UTC.")]

_AGO: Final = re.compile(r"(\d{1,6})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


def filters_of(
    categories: list[str] | None, kind: str | None, under: str | None, since: str | None, until: str | None
) -> FilterArgs:
    """The filters that these options mean.

    Raises:
        ConfigurationError: a time cannot be read; the message names the option.
    """
    given = {
        "categories": categories or None,
        "kind": kind,
        "path": under,
        "created_after": _time("--since", since),
        "created_before": _time("--until", until),
    }
    filters: FilterArgs = {name: value for name, value in given.items() if value is not None}  # type: ignore[assignment]
    return filters


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        if ago := _AGO.fullmatch(text.strip()):
            return utcnow() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.strip()))
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"{option} {text!r} is no time: write 2026-05-01, 2026-05-01T12:00 (UTC), or how long ago: 90m, 36h, 7d"
        ) from error
