"""The commands ``backup``, ``restore``, ``check``, ``repair`` and ``compact``: of a whole store, of all its users."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigurationError
from ..wording import memories
from .moving import telling_progress
from .output import as_json, note, one_line
from .target import Target, opened

if TYPE_CHECKING:
    from ..maintenance.checking import Checked

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def backup(
    target: Target,
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    json: Json = False,
) -> None:
    """Copy a whole store, of all its users, into a new folder. Nobody else may have an embedded store open."""
    from ..admin import back_up
    from ..config.options import MemoryConfig

    with opened(MemoryConfig.build(**target.store), by_words=True, existing=True) as store:
        made = back_up(store, folder)
        waiting = store.health().get("outbox", {}).get("writes", 0)
    if json:
        typer.echo(as_json({"folder": str(made.folder), "engine": made.engine, "entries": made.entries}))
    else:
        typer.echo(one_line(f"{memories(made.entries)} are in {made.folder}"))
    if waiting:
        note(f"{waiting} writes that wait in this host's outbox are not in it")


def restore(
    target: Target,
    folder: Annotated[Path, typer.Argument(help="A backup.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Also if there is a store. An embedded one is kept beside it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be restored.")] = False,
    json: Json = False,
) -> None:
    """Make a store what it was when a backup of it was made. Nobody may have it open."""
    from ..admin import restore as restore_backup
    from ..maintenance.manifest import read_manifest

    made = read_manifest(folder) if dry_run else restore_backup(folder, replace=replace, **target.store)
    if json:
        typer.echo(as_json({"entries": made.entries, "made_at": made.made_at.isoformat(), "dry_run": dry_run}))
    else:
        begin = "Would restore" if dry_run else "Restored"
        typer.echo(f"{begin} {memories(made.entries)} of {made.made_at:%Y-%m-%d %H:%M} (UTC)")


def check(target: Target, json: Json = False) -> None:
    """Read everything in a store, and change nothing. Exit code 1 if something is lost or damaged."""
    from ..admin import check as check_store

    with telling_progress("read") as tell:
        found = check_store(progress=tell, **target.store)
    _show(found, json, "would be lost")
    if not found.is_whole:
        raise typer.Exit(1)


def repair(
    target: Target,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Also if entries are lost by it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be lost, as check does.")] = False,
    json: Json = False,
) -> None:
    """Keep what can be read of a damaged embedded store, and name what is lost. Exit code 1 if something is."""
    from ..admin import check as check_store
    from ..admin import repair as repair_store

    with telling_progress("read") as tell:
        found = check_store(progress=tell, **target.store)
        if found.lost and not yes and not dry_run:
            raise ConfigurationError(
                f"{memories(len(found.lost))} cannot be read, and {found.entries} can: restore a backup, or add --yes "
                "to go on without them"
            )
        if not dry_run:
            found = repair_store(progress=tell, **target.store)
    _show(found, json, "would be lost" if dry_run else "lost")
    if found.lost:
        raise typer.Exit(1)


def compact(target: Target, json: Json = False) -> None:
    """Write the files of an embedded store anew, without the text of what was deleted."""
    from ..config.options import MemoryConfig

    with opened(MemoryConfig.build(**target.store), by_words=True, existing=True, writing=True) as store:
        done = store.compact()
    if json:
        typer.echo(as_json({"compacted": done}))
    else:
        typer.echo("Written anew" if done else "A server removes what was deleted in its own time: nothing was done")


def _show(found: Checked, json: bool, lost: str) -> None:
    if json:
        typer.echo(
            as_json(
                {
                    "entries": found.entries,
                    "expired": found.expired,
                    "lost": list(found.lost),
                    "damaged": list(found.damaged),
                    "was_closed": found.was_closed,
                    "notes": list(found.notes),
                }
            )
        )
        return
    typer.echo(f"{memories(found.entries)} can be read")
    if found.expired:
        typer.echo(f"{found.expired} more have expired, and are not deleted yet")
    if not found.was_closed:
        typer.echo("The process that had it last was killed: what it had written was compared with its list of entries")
    for name in found.damaged:
        typer.echo(one_line(f"damaged: {name}"))
    for id in found.lost:
        typer.echo(one_line(f"{lost}: {id}"))
    for text in found.notes:
        typer.echo(one_line(text))
