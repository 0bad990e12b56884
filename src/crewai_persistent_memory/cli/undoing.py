"""``crewai-memory undo``: bring back what was forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigurationError
from .entry_ids import EntryIds
from .output import note, one_line
from .reading import Json, print_entries, standard_input
from .target import Target, with_its_embedder

if TYPE_CHECKING:
    from ..entry import MemoryEntry
    from ..store.base import MemoryStore


def undo(
    target: Target,
    ids: Annotated[
        list[str] | None, typer.Argument(help="Ids as --dry-run shows them, short or whole; - reads them.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything of this scope that can come back.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what can come back, and change nothing.")] = False,
    json: Json = False,
) -> None:
    """Bring back what was forgotten, while undo_for (CREWAI_MEMORY_UNDO_FOR) runs. Exit code 1 if nothing comes."""
    if bool(ids) == everything and not (dry_run and not ids):
        raise ConfigurationError("undo takes either ids or --all; --dry-run alone shows what can come back")
    wanted = [id for given in ids or [] for id in (standard_input().split() if given == "-" else [given])]
    if not all(id.strip() for id in wanted):
        raise ConfigurationError("an id is blank: give ids as undo --dry-run shows them")
    unknown: list[str] = []

    def bring_back(store: MemoryStore) -> list[MemoryEntry]:
        if not wanted:
            return store.undo_delete(dry_run=dry_run)
        names = EntryIds(store)
        found = {given: names.find_forgotten(given) for given in dict.fromkeys(wanted)}
        unknown[:] = [given for given, id in found.items() if id is None]
        return store.undo_delete(ids=[id for id in found.values() if id is not None], dry_run=dry_run)

    config = target.config(writing=True)
    back = with_its_embedder(
        config,
        bring_back,
        existing=True,
        writing=not dry_run,
        instead="Brought back, and found by its words until the application embeds what is longer than a passage",
    )
    title = f"{'Can come back' if dry_run else 'Brought back'} for {config.binding().resolve()}"
    print_entries(back, title, json)
    for id in unknown:
        note(f"nothing with the id {one_line(id)} can come back: it was never forgotten, or its time is over")
    if unknown or not (back or dry_run):
        raise typer.Exit(1)
