"""``crewai-memory update``: correct a memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigurationError
from ..expiry import NEVER, own_expiry
from ..validation import check_text, utcnow
from .entry_ids import EntryIds
from .output import note, one_line
from .reading import Json, print_entries, standard_input
from .target import Target, with_its_embedder

if TYPE_CHECKING:
    from ..entry import EntryChanges, MemoryEntry
    from ..store.base import MemoryStore


Ttl = Annotated[
    float | None, typer.Option("--ttl", metavar="SECONDS", help="It expires after so long, and no read finds it then.")
]


def update(
    target: Target,
    id: Annotated[str, typer.Argument(help="Its id as list shows it, short or whole.")],
    text: Annotated[str | None, typer.Option("--text", help="What it says from now on; - reads it.")] = None,
    importance: Annotated[float | None, typer.Option(min=0, max=1)] = None,
    category: Annotated[
        list[str] | None, typer.Option("--category", "-c", help="Its tags, in place of those that it has.")
    ] = None,
    no_categories: Annotated[bool, typer.Option("--no-categories", help="Without tags.")] = False,
    ttl: Ttl = None,
    never: Annotated[bool, typer.Option("--never-expires", help="It stays.")] = False,
    json: Json = False,
) -> None:
    """Correct one memory: its text, importance, tags or end. Exit code 1 if there is none with this id."""
    if category and no_categories:
        raise ConfigurationError("--category and --no-categories are both given: leave one out")
    if never and ttl is not None:
        raise ConfigurationError("--ttl and --never-expires are both given: leave one out")
    changes: EntryChanges = {}
    if ttl is not None:
        changes["ttl"] = ttl
    if never:
        changes["expires_at"] = NEVER
    if text is not None:
        changes["content"] = standard_input() if text == "-" else text
    if importance is not None:
        changes["importance"] = importance
    if category or no_categories:
        changes["categories"] = category or []
    if not changes:
        raise ConfigurationError(
            "nothing to change: give --text, --importance, --category, --no-categories, --ttl or --never-expires"
        )

    def change(store: MemoryStore) -> MemoryEntry | None:
        found = EntryIds(store).find(id)
        entry = None if found is None else store.get(found)
        if entry is None:
            return None
        if changes.get("content", entry.content) == entry.content:
            return store.update(entry.id, **changes)
        return _said_now(store, entry, changes)

    config = target.config(writing=True)
    changed = with_its_embedder(
        config,
        change,
        existing=True,
        writing=True,
        instead="Changed without a vector, and found by its words until the application embeds it",
    )
    if changed is None:
        note(f"no entry of {config.binding().resolve()} has the id {one_line(id)}")
        raise typer.Exit(1)
    print_entries([changed], f"Changed for {changed.scope}", json)


def _said_now(store: MemoryStore, entry: MemoryEntry, changes: EntryChanges) -> MemoryEntry | None:
    """The entry with another text, which was said now: it is the newest value, and none of an earlier day."""
    text = check_text("content", changes["content"], allow_blank=False)
    end, now = own_expiry(changes.get("expires_at"), changes.get("ttl")), utcnow()
    changed = replace(
        entry,
        content=text,
        categories=tuple(changes.get("categories", entry.categories)),
        importance=changes.get("importance", entry.importance),
        created_at=now,
        last_accessed=now,
        expires_at=end,
        embedding=None,
        score=None,
    )
    stored = store.replace(changed, create=False, keep=("expires_at",) if end is None else ())
    return store.get(entry.id) if stored else None
