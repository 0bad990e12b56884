"""``crewai-memory stats``: what a store holds, without knowing any of its scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..wording import memories
from .output import as_json, note, one_line
from .target import Target, opened

if TYPE_CHECKING:
    from ..admin import Survey

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
    json: Annotated[bool, typer.Option("--json", help="Print JSON, with all names.")] = False,
) -> None:
    """Count what a store holds, by organisation, project, user, run and agent. Without --user: of all users."""
    from ..admin import survey
    from ..config.options import MemoryConfig

    with opened(MemoryConfig.build(**target.store), by_words=True, existing=True) as store:
        found = survey(store, **target.scope_fields)
        place = repr(store.backend)
    if json:
        typer.echo(as_json({"store": place, "entries": found.entries, **found.counts}))
    else:
        _show(found, place, most)
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
