"""The command line, ``crewai-memory``: a store without a crew, and the demo."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigurationError, PersistentMemoryError
from ..scope import DEFAULT_PROJECT, Scope

if TYPE_CHECKING:
    from ..config import MemoryConfig, MemoryOptions
    from ..entry import MemoryEntry
    from ..stores.base import MemoryStore

app = typer.Typer(
    help="Memory for CrewAI crews that is kept. Try it without a crew, or run the demo.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

User = Annotated[str | None, typer.Option("--user", "-u", help="Whose memory. Required, unless --shared.")]
Project = Annotated[str | None, typer.Option("--project", "-p", help="Project or stage, such as staging.")]
Run = Annotated[str | None, typer.Option("--run", help="One run or session; seen in that run only.")]
Agent = Annotated[str | None, typer.Option("--agent", help="One agent; seen by that agent only.")]
Org = Annotated[str | None, typer.Option("--org", help="Organisation.")]
Shared = Annotated[
    bool, typer.Option("--shared", help="The project's shared memory; with --user, reads include it as well.")
]
Path = Annotated[
    str | None, typer.Option("--path", help="Folder of the store. Default: CREWAI_MEMORY_PATH, or the data folder.")
]
Url = Annotated[str | None, typer.Option("--url", help="Address of a Qdrant server. Default: QDRANT_URL.")]
Collection = Annotated[str | None, typer.Option("--collection", help="Collection on the server.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="Most results.")]


@app.command()
def remember(
    text: Annotated[str, typer.Argument(help="What to remember.")],
    user: User = None,
    project: Project = None,
    run: Run = None,
    agent: Agent = None,
    org: Org = None,
    shared: Shared = False,
    category: Annotated[list[str] | None, typer.Option("--category", "-c", help="A tag; may be repeated.")] = None,
    importance: Annotated[float, typer.Option(min=0, max=1)] = 0.5,
    path: Path = None,
    url: Url = None,
    collection: Collection = None,
    as_json: Json = False,
) -> None:
    """Remember a text."""
    with _open(user, project, run, agent, org, shared, _place(path, url, collection), writing=True) as store:
        entry = store.add(text, categories=category or [], importance=importance)
        _show([entry], as_json, f"Remembered for {entry.scope}")


@app.command()
def recall(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    user: User = None,
    project: Project = None,
    run: Run = None,
    agent: Agent = None,
    org: Org = None,
    shared: Shared = False,
    limit: Limit = 10,
    path: Path = None,
    url: Url = None,
    collection: Collection = None,
    as_json: Json = False,
) -> None:
    """Recall what is remembered about something, best first."""
    with _open(user, project, run, agent, org, shared, _place(path, url, collection)) as store:
        _show(store.search(query, limit=limit), as_json, f"Recalled for {store.scope}")


@app.command(name="list")
def list_entries(
    user: User = None,
    project: Project = None,
    run: Run = None,
    agent: Agent = None,
    org: Org = None,
    shared: Shared = False,
    limit: Limit = 50,
    path: Path = None,
    url: Url = None,
    collection: Collection = None,
    as_json: Json = False,
) -> None:
    """List what is remembered, newest first."""
    with _open(user, project, run, agent, org, shared, _place(path, url, collection)) as store:
        entries = store.list(limit=limit)
        total = store.count()
        note = f", {len(entries)} of {total}" if total > len(entries) else ""
        _show(entries, as_json, f"Memories of {store.scope}{note}")


@app.command()
def forget(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of the entries, as list shows them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything in this scope, and nothing else.")] = False,
    user: User = None,
    project: Project = None,
    run: Run = None,
    agent: Agent = None,
    org: Org = None,
    shared: Shared = False,
    path: Path = None,
    url: Url = None,
    collection: Collection = None,
    as_json: Json = False,
) -> None:
    """Forget entries by id, or all of a scope."""
    if bool(ids) == everything:
        raise ConfigurationError("forget takes either ids or --all")
    with _open(user, project, run, agent, org, shared, _place(path, url, collection), writing=True) as store:
        count = store.reset() if everything else store.delete(ids=ids)
        if as_json:
            typer.echo(json.dumps({"forgotten": count}))
        else:
            typer.echo(f"Forgot {count} of {store.scope}")
    if ids and count < len(set(ids)):
        raise typer.Exit(1)


@app.command()
def health(
    path: Path = None, url: Url = None, collection: Collection = None, project: Project = None, as_json: Json = False
) -> None:
    """Open the store (creating it if there is none) and say how it is. Exit code 2 if it does not answer."""
    from ..stores.factory import open_store

    options = _place(path, url, collection)
    if project is not None:
        options["project_id"] = project
    with open_store(**options) as store:
        found = store.health()
    if as_json:
        typer.echo(json.dumps(found))
        return
    for name, value in found.items():
        typer.echo(f"{name:16} {'–' if value is None else value}")


@app.command()
def demo(
    llm: Annotated[
        str | None, typer.Option(help="A real model, such as openai/gpt-4o-mini. Left out: a scripted one.")
    ] = None,
    path: Annotated[
        str | None, typer.Option(help="Folder of the store; must be new. Left out: a temporary one.")
    ] = None,
    verbose: Annotated[bool, typer.Option(help="If a process fails, show all it printed.")] = False,
    as_json: Json = False,
) -> None:
    """Two users' crews remember across two processes, and nothing crosses. Exit code 1 if anything does."""
    from .demo import run_demo

    raise typer.Exit(run_demo(llm=llm, path=path, as_json=as_json, verbose=verbose))


def main() -> None:
    """Entry point; errors of this package are one line on stderr and exit code 2."""
    try:
        app()
    except PersistentMemoryError as error:
        typer.secho(f"{type(error).__name__}: {error}", fg="red", err=True)
        sys.exit(2)


def _open(
    user: str | None,
    project: str | None,
    run: str | None,
    agent: str | None,
    org: str | None,
    shared: bool,
    options: MemoryOptions,
    *,
    writing: bool = False,
) -> MemoryStore:
    from ..stores.factory import open_store

    if user is None and not shared:
        raise ConfigurationError("whose memory? Give --user NAME, or --shared for the project's")
    if user is not None and shared and writing:
        raise ConfigurationError("--user and --shared are both given: this changes one memory, leave one out")
    if user is None:
        config = _deployment()
        options["scope"] = Scope.shared(
            project or config.project_id or DEFAULT_PROJECT, run_id=run, agent_id=agent, org_id=org or config.org_id
        )
    else:
        options.update({"user_id": user, "run_id": run, "agent_id": agent, "include_shared": shared})
        if project is not None:
            options["project_id"] = project
        if org is not None:
            options["org_id"] = org
    return open_store(**options)


def _place(path: str | None, url: str | None, collection: str | None) -> MemoryOptions:
    """Which store; what is left out is the environment's."""
    options: MemoryOptions = {}
    if path is not None:
        options["path"] = path
    if url is not None:
        options["url"] = url
    if collection is not None:
        options["collection"] = collection
    return options


def _deployment() -> MemoryConfig:
    from ..config import MemoryConfig

    return MemoryConfig.build()


def _show(entries: Sequence[MemoryEntry], as_json: bool, title: str) -> None:
    if as_json:
        typer.echo(json.dumps([entry.to_dict() for entry in entries], ensure_ascii=False, indent=1))
        return
    if not entries:
        typer.echo(f"{title}: nothing")
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE)
    scored = any(entry.score is not None for entry in entries)
    if scored:
        table.add_column("score", justify="right")
    table.add_column("memory", ratio=1)
    table.add_column("when (UTC)", no_wrap=True)
    table.add_column("id", no_wrap=True)
    for entry in entries:
        # A memory is data, not console markup, and no escape sequences for the terminal either.
        shown = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in entry.content)
        cells = [Text(shown), Text(f"{entry.created_at:%Y-%m-%d %H:%M}"), Text(entry.id)]
        table.add_row(*([f"{entry.score:.2f}"] if scored else []), *cells)
    Console().print(table)
