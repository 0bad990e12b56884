"""``crewai-memory copy``: from project to project, and from store to store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigurationError, StoreMissingError
from ..wording import memories
from .filters import Category, Kind, Since, Under, Until, filters_of
from .moving import chosen_scope, config_of_all, counted, telling_progress
from .output import as_json
from .target import Target, opened, with_its_embedder

if TYPE_CHECKING:
    from ..store.base import MemoryStore
    from ..transfer.importing import Imported

ToPath = Annotated[str | None, typer.Option("--to-path", help="Folder of the other store. Default: the same store.")]
ToUrl = Annotated[str | None, typer.Option("--to-url", help="Address of the other Qdrant server.")]
ToCollection = Annotated[str | None, typer.Option("--to-collection", help="Collection on it.")]
ToProject = Annotated[str | None, typer.Option("--to-project", help="The project that the copies get.")]
ToUser = Annotated[str | None, typer.Option("--to-user", help="The user that the copies get.")]


def copy(
    target: Target,
    to_path: ToPath = None,
    to_url: ToUrl = None,
    to_collection: ToCollection = None,
    to_project: ToProject = None,
    to_user: ToUser = None,
    category: Category = None,
    kind: Kind = None,
    under: Under = None,
    since: Since = None,
    until: Until = None,
    everyone: Annotated[bool, typer.Option("--all", help="Of all users, where no --user is given.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Replace those that are there already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be copied.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Copy memories to another project (--to-project) or store (--to-path, --to-url). It may be done again."""
    from ..entry_filter import EntryFilter
    from ..transfer.copying import copy_entries
    from ..transfer.exporting import entries_of
    from ..transfer.importing import into_an_empty_store

    scope: Any = chosen_scope(target)
    if not everyone and "user_id" not in scope:
        raise ConfigurationError("whose memories? Give --user NAME, or --all")
    other = replace(target, path=to_path, url=to_url, collection=to_collection or target.collection)
    is_same = to_path is None and to_url is None and to_collection is None
    if is_same and to_project is None and to_user is None:
        raise ConfigurationError("where to? Give --to-project, --to-user, --to-path or --to-url")
    if to_path is not None and to_url is not None:
        raise ConfigurationError("--to-path and --to-url are both given: leave one out")
    if to_collection is not None and to_url is None and to_path is None:
        other = replace(other, path=target.path, url=target.url)
    into = {name: value for name, value in (("project_id", to_project), ("user_id", to_user)) if value is not None}
    filter = EntryFilter.of(filters_of(category, kind, under, since, until))

    def work(destination: MemoryStore, *, dry: bool) -> Imported:
        with opened(config_of_all(target), by_words=True, existing=True) as source, telling_progress("copied") as tell:
            return copy_entries(source, destination, into=into, filter=filter, dry_run=dry, progress=tell, **scope)

    config = config_of_all(target if is_same else other)
    try:
        with opened(config, by_words=True, existing=True) as destination:
            planned = work(destination, dry=True)
    except StoreMissingError:
        if is_same:
            raise
        with opened(config_of_all(target), by_words=True, existing=True) as source:
            chosen = (entry for entry in entries_of(source, **scope) if filter.matches(entry))
            planned = into_an_empty_store(chosen, into)  # the other store will be made
    if dry_run:
        _print(planned, json, "Would copy")
        return
    if planned.there and not yes:
        there = f"{memories(planned.there)} of {planned.entries}"
        raise ConfigurationError(f"{there} are there already and would be replaced: add --yes to do it")
    done = with_its_embedder(
        config,
        lambda destination: work(destination, dry=False),
        existing=is_same,
        writing=True,
        instead="Stored without vectors, and found by words until the application embeds them",
    )
    _print(done, json, "Copied")


def _print(done: Imported, json: bool, begin: str) -> None:
    if json:
        typer.echo(as_json({"entries": done.entries, "new": done.new, "there": done.there, "expired": done.expired}))
    else:
        typer.echo(f"{begin} {counted(done)}")
