"""The commands that read: ``recall``, ``list`` and ``show``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from heapq import nlargest
from typing import TYPE_CHECKING, Annotated

import typer

from ..doctor.whereabouts import why_nothing
from ..errors import ConfigurationError
from ..validation import DEFAULT_BUDGET, LEAST_BUDGET, MOST_FOUND
from .entry_ids import EntryIds
from .explaining import explain_search, print_explanations
from .filters import Category, Kind, Since, Under, Until, filters_of
from .moving import config_of_all
from .output import as_json, note, one_line, show_entries, show_entry, show_history
from .reach import AllProjects, AllRuns, Everywhere, Reach, reach_of
from .target import Target, opened, with_its_embedder

if TYPE_CHECKING:
    from ..entry import MemoryEntry
    from ..entry_filter import EntryFilter, FilterArgs
    from ..store.base import MemoryStore

Json = Annotated[bool, typer.Option("--json", help="Print JSON, with whole ids.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=MOST_FOUND, help="Most results.")]


def recall(
    target: Target,
    query: Annotated[str, typer.Argument(help="What to look for; - reads it from standard input.")],
    category: Category = None,
    kind: Kind = None,
    under: Under = None,
    since: Since = None,
    until: Until = None,
    all_runs: AllRuns = False,
    all_projects: AllProjects = False,
    everywhere: Everywhere = False,
    limit: Limit = 10,
    explain: Annotated[
        bool, typer.Option("--explain", help="What a crew's prompt would have, and why, of all that is found.")
    ] = False,
    budget: Annotated[
        int | None,
        typer.Option(
            "--budget", min=LEAST_BUDGET, help=f"With --explain: the recall_budget, {DEFAULT_BUDGET} if left out."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Recall what is remembered about something, best first. By words, if the store's embedder is not at hand."""
    question = standard_input() if query == "-" else query
    if not question.strip():
        raise ConfigurationError("the query is blank: say what to look for, or use list")
    if budget is not None and not explain:
        raise ConfigurationError("--budget is of --explain: add it, or leave --budget out")
    filters = filters_of(category, kind, under, since, until)
    if reach := reach_of(target, all_runs, all_projects, everywhere):
        if explain:
            raise ConfigurationError("--explain is about one prompt, and so of one scope: leave it out, or name one")
        _recall_in(reach, target, question, filters, limit, json)
        return

    def search(store: MemoryStore) -> None:
        if explain:
            print_explanations(
                explain_search(store, question, budget or DEFAULT_BUDGET, filters), f"Recalled for {store.scope}", json
            )
            return
        found = store.search(question, limit=limit, **filters)
        print_entries(found, f"Recalled for {store.scope}", json, nothing_in=None if filters else store)

    with_its_embedder(target.config(writing=False), search, existing=True, instead="By words only")


def list_entries(
    target: Target,
    category: Category = None,
    kind: Kind = None,
    under: Under = None,
    since: Since = None,
    until: Until = None,
    all_runs: AllRuns = False,
    all_projects: AllProjects = False,
    everywhere: Everywhere = False,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List what is remembered, newest first."""
    filters = filters_of(category, kind, under, since, until)
    if reach := reach_of(target, all_runs, all_projects, everywhere):
        from ..entry_filter import EntryFilter

        _list_in(reach, target, EntryFilter.of(filters), limit, json)
        return
    with opened(target.config(writing=False), by_words=True, existing=True) as store:
        entries = store.list(limit=limit, **filters)
        title = _title(f"Memories of {store.scope}", len(entries), store.count(**filters))
        print_entries(entries, title, json, nothing_in=None if filters else store)


def _list_in(reach: Reach, target: Target, filter: EntryFilter, limit: int, json: bool) -> None:
    from ..transfer.exporting import entries_of

    count = 0

    def matching() -> Iterable[MemoryEntry]:
        nonlocal count
        for entry in entries_of(store, with_vectors=False, **reach.fields):
            if entry.scope is not None and reach.includes(entry.scope) and filter.matches(entry):
                count += 1
                yield entry

    with opened(config_of_all(target), by_words=True, existing=True) as store:
        _note_what_waits(store, "listed")
        entries = nlargest(limit, matching(), key=lambda entry: entry.created_at)
    title = _title(f"Memories of {target.scope_named}, {reach.named}", len(entries), count)
    print_entries(entries, title, json, scopes=True)


def _recall_in(reach: Reach, target: Target, query: str, filters: FilterArgs, limit: int, json: bool) -> None:
    from ..transfer.searching import search_scopes

    def search(store: MemoryStore) -> list[MemoryEntry]:
        _note_what_waits(store, "looked through for other scopes")
        return search_scopes(store, query, limit=limit, filters=filters, of=reach.includes, **reach.fields)

    entries = with_its_embedder(config_of_all(target), search, existing=True, instead="By words only")
    print_entries(entries, f"Recalled for {target.scope_named}, {reach.named}", json, scopes=True)


def _note_what_waits(store: MemoryStore, done: str) -> None:
    if store.capabilities.outbox and store.health()["outbox"]["writes"]:
        note(f"what waits in this host's outbox is not {done}")


def show(
    target: Target,
    id: Annotated[str, typer.Argument(help="Its id as list shows it, short or whole.")],
    history: Annotated[bool, typer.Option("--history", help="And what it said before, oldest first.")] = False,
    json: Json = False,
) -> None:
    """Show all that is known of one memory. Exit code 1 if there is none with this id."""
    with opened(target.config(writing=False), by_words=True, existing=True) as store:
        if history and not store.capabilities.keeps_history:
            raise ConfigurationError(f"--history: {store.backend!r} keeps no earlier texts that can be read here")
        found = EntryIds(store).find(id)
        entry = None if found is None else store.get(found)
        scope = store.scope
    if entry is None:
        note(f"no entry of {scope} has the id {one_line(id)}")
        raise typer.Exit(1)
    earlier = [each.to_dict() for each in entry.history]
    if json:
        typer.echo(as_json(entry.to_dict() | ({"history": earlier} if history else {})))
        return
    show_entry(entry)
    if history:
        show_history(entry.history)


def print_entries(
    entries: list[MemoryEntry],
    title: str,
    json: bool,
    *,
    nothing_in: MemoryStore | None = None,
    scopes: bool = False,
) -> None:
    """Print entries, as a table or as JSON.

    Args:
        entries: in their order.
        title: of the table.
        json: as JSON.
        nothing_in: a store that holds none of them, to say why.
        scopes: with whose they are.
    """
    if json:
        typer.echo(as_json([entry.to_dict() for entry in entries]))
    elif entries:
        show_entries(entries, title, scopes=scopes)
    else:
        typer.echo(f"{one_line(title)}: nothing")
    if not entries and nothing_in is not None:
        typer.echo(one_line(why_nothing(nothing_in)), err=json)


def standard_input() -> str:
    """What is on standard input.

    Raises:
        ConfigurationError: it is not UTF-8.
    """
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"standard input is not UTF-8 (byte {error.start}): convert it first") from None


def _title(begin: str, shown: int, total: int) -> str:
    return begin + (f", {shown} of {total}" if total > shown else "")
