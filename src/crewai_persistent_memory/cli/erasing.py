"""``crewai-memory erase``: remove a person from a store, with a receipt."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigurationError
from ..wording import memories
from .moving import config_of_all, writing_file
from .output import as_json, note, one_line
from .target import Target, opened

if TYPE_CHECKING:
    from ..transfer.receipt import Receipt


def erase(
    target: Target,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without a question.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only.")] = False,
    receipt: Annotated[str | None, typer.Option("--receipt", help="File for the receipt, as JSON.")] = None,
    key_file: Annotated[
        str | None, typer.Option("--key-file", help="Sign the receipt with the bytes of this file, HMAC-SHA256.")
    ] = None,
    settle: Annotated[
        float, typer.Option("--settle", min=0, max=3600, help="Seconds for which nothing may come back.")
    ] = 2.0,
    json: Annotated[bool, typer.Option("--json", help="Print the receipt.")] = False,
) -> None:
    """Erase a person: --user in all projects, runs and agents, and in this host's outbox. Or a --run, --project, --org.

    The exit code is 1 if something was saved all the time, and is left.
    """
    from ..transfer.erasing import erase as erase_scopes

    if target.shared:
        raise ConfigurationError("--shared: shared memories are erased with their project, by --project")
    scope: Any = target.scope_fields
    named = target.scope_named
    key = None if key_file is None else _key(key_file)
    with opened(config_of_all(target), by_words=True, existing=True) as store, ExitStack() as files:
        planned = erase_scopes(store, dry_run=True, **scope)
        planned.to_json(key)  # what is wrong with the key or the file is told before anything is erased
        if dry_run:
            _show_plan(planned, named, json)
            return
        if receipt is not None and Path(receipt).exists():
            raise ConfigurationError(f"{receipt} is there already: give another name for the receipt")
        out = None if receipt is None else files.enter_context(writing_file(receipt))
        if not yes:
            count = sum(planned.projects.values())
            if not sys.stdin.isatty():
                raise ConfigurationError(f"this would erase {memories(count)} of {named}: add --yes to do it")
            typer.confirm(one_line(f"Erase {memories(count)} of {named}?"), abort=True, err=True)
        done = erase_scopes(store, settle=settle, **scope)
        text = done.to_json(key)
        if out is not None:
            out.write(text + "\n")
    if json:
        typer.echo(text)
    else:
        typer.echo(one_line(f"Erased {memories(done.entries)} of {named}; {done.left} left"))
        typer.echo(f"{done.waiting} writes and {done.dead_letters} dead letters of the outbox went with them")
        typer.echo("What may still have the texts:")
        for each in done.remains:
            typer.echo(f"- {each}")
    if done.left:
        note(
            f"{memories(done.left)} were saved meanwhile, or wait in the outbox for a process that has the store's "
            "embedder (crewai-memory outbox status): stop that, or let it deliver, and erase again"
        )
        raise typer.Exit(1)


def _key(file: str) -> bytes:
    try:
        return Path(file).read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(f"--key-file {file} cannot be read: {error.strerror}") from error


def _show_plan(planned: Receipt, named: str, json: bool) -> None:
    if json:
        typer.echo(as_json({"would_erase": dict(planned.projects), "dry_run": True}))
        return
    counts = ", ".join(f"{memories(count)} in {name}" for name, count in sorted(planned.projects.items()))
    typer.echo(one_line(f"Would erase {counts or memories(0)} of {named}"))
