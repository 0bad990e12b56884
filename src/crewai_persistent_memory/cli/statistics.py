"""``crewai-memory stats``: what a store holds, without knowing any of its scopes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ..errors import ConfigurationError
from ..wording import memories
from .growth import as_json_of, as_svg, periods_of, show_growth
from .moving import telling_progress
from .output import as_json, note, one_line
from .target import Target, opened

if TYPE_CHECKING:
    from ..admin import Growth, Survey

NAMES: Final = {
    "org_id": "organisation",
    "project_id": "project",
    "user_id": "user",
    "run_id": "run",
    "agent_id": "agent",
}


def stats(
    target: Target,
    most: Annotated[int, typer.Option("--limit", "-n", min=1, help="Most names of each kind, the largest first.")] = 5,
    growth: Annotated[
        bool, typer.Option("--growth", help="Also kinds, sizes, first and last use, and growth; reads every memory.")
    ] = False,
    chart: Annotated[Path | None, typer.Option("--chart", help="With --growth: write a picture here (.svg).")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, with all names.")] = False,
) -> None:
    """Count what a store holds, by organisation, project, user, run and agent. Without --user: of all users."""
    from ..admin import growth as growth_of
    from ..admin import survey
    from ..config.options import MemoryConfig

    if chart is not None and (not growth or chart.suffix.lower() != ".svg"):
        raise ConfigurationError(f"--chart {chart}: it needs --growth, and a name that ends in .svg")
    grown: Growth | None = None
    with opened(MemoryConfig.build(**target.store), by_words=True, existing=True) as store:
        found = survey(store, **target.scope_fields)
        place = repr(store.backend)
        if growth:
            with telling_progress("read") as tell:
                grown = growth_of(store, progress=tell, **target.scope_fields)
    if json:
        figures: dict[str, Any] = {"store": place, "entries": found.entries}
        figures.update(found.counts.items())
        typer.echo(as_json(figures if grown is None else {**figures, "growth": as_json_of(grown)}))
    else:
        _show(found, place, most)
        if grown is not None:
            show_growth(grown)
    if grown is not None and chart is not None:
        chart.write_text(as_svg(f"Memories in {place}", periods_of(grown.by_day)), encoding="utf-8")
    if found.users_of_one_request:
        users = len(found.counts["user_id"])
        note(
            f"{users} users have {memories(sum(found.counts['user_id'].values()))}: if the application makes a user_id "
            "for each request, nobody recalls anything. Give the same user the same user_id"
        )


def _show(found: Survey, place: str, most: int) -> None:
    typer.echo(one_line(f"{memories(found.entries)} in {place}"))
    for field, counts in found.counts.items():
        if not counts:
            continue
        names = [one_line(f"{name} {count}") for name, count in list(counts.items())[:most]]
        more = f" and {len(counts) - most} more" if len(counts) > most else ""
        plural = "" if len(counts) == 1 else "s"
        typer.echo(f"{len(counts):>8} {NAMES[field] + plural:14} {', '.join(names)}{more}")
