"""The commands of ``crewai-memory outbox``: what waits on this host for a store, and what a store has refused."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigurationError, PersistentMemoryError
from .output import as_json, one_line

if TYPE_CHECKING:
    from ..outbox.inspection import QueueFile, QueueState

outbox = typer.Typer(help="Writes that wait on this host for a store, and those that a store has refused.")

Folder = Annotated[
    str | None, typer.Option("--outbox-path", help="Folder of the outboxes. Default: CREWAI_MEMORY_OUTBOX_PATH.")
]
Queue = Annotated[str | None, typer.Option("--queue", help="One queue, by its name or the beginning of it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Number = Annotated[
    int | None, typer.Argument(min=1, max=2**63 - 1, help="The number of one of them, as show prints it.")
]


@outbox.command()
def status(outbox_path: Folder = None, queue: Queue = None, json: Json = False) -> None:
    """Print how much waits, for which store, for how long, and why. Exit code 1 if a queue cannot be read."""
    from ..outbox.inspection import QueueFile, age_of

    states, unread = [], dict[str, str]()
    for folder in _folders(outbox_path, queue):
        try:
            with QueueFile(folder) as file:
                states.append(file.state())
        except PersistentMemoryError as error:  # the others are told all the same
            unread[folder.name] = str(error)
    if json:
        found: list[dict[str, object]] = [
            {
                "queue": state.name,
                "store": state.store,
                "writes": state.depth.writes,
                "dead_letters": state.depth.dead,
                "bytes": state.depth.bytes,
                "oldest_seconds": age_of(state.depth),
                "last_error": state.depth.error,
            }
            for state in states
        ]
        found += [{"queue": name, "unread": error} for name, error in unread.items()]
        typer.echo(as_json(found))
    else:
        _show(states, unread)
    if unread:
        raise typer.Exit(1)


def _show(states: Sequence[QueueState], unread: Mapping[str, str]) -> None:
    from ..outbox.inspection import age_of

    for state in states:
        age = age_of(state.depth)
        since = "" if age is None else f", the oldest for {age:.0f} s"
        line = f"{state.name}  {state.store}: {state.depth.writes} wait{since}; {state.depth.dead} dead letters"
        typer.echo(one_line(line))
        if state.depth.error is not None:
            typer.echo(one_line(f"  {state.depth.error}"))
    for name, error in unread.items():
        typer.echo(one_line(f"{name}  {error}"))
    if not states and not unread:
        typer.echo("there is no outbox")


@outbox.command()
def show(
    outbox_path: Folder = None,
    queue: Queue = None,
    dead: Annotated[bool, typer.Option("--dead", help="Dead letters only.")] = False,
    json: Json = False,
) -> None:
    """Print what waits and what was refused, with whose it is. With --json, with the texts."""
    rows = [(file.folder.name, row) for file in _files(outbox_path, queue) for row in file.rows(dead_only=dead)]
    if json:
        typer.echo(as_json([{"queue": name, **asdict(row)} for name, row in rows]))
        return
    for _, row in rows:
        state = "dead" if row.is_dead else "waits"
        owner = " ".join(f"{name}={value}" for name, value in row.scope.items())
        why = "" if row.error is None else f"  {row.error}"
        typer.echo(one_line(f"{row.number:>8} {state:5} {row.kind:8} {row.accepted_at}  {owner}{why}"))


@outbox.command()
def retry(number: Number = None, outbox_path: Folder = None, queue: Queue = None, json: Json = False) -> None:
    """Put dead letters back into the queue. A process that has the store open delivers them."""
    count = sum(file.retry(number) for file in _of_one(outbox_path, queue, number))
    _require_found(number, count, "dead letter")
    _say("put back", count, json)


@outbox.command()
def drop(
    number: Number = None,
    outbox_path: Folder = None,
    queue: Queue = None,
    yes: Annotated[bool, typer.Option("--yes", help="Without it nothing is dropped.")] = False,
    json: Json = False,
) -> None:
    """Delete all dead letters, or one of them or of the waiting writes by its number. They are lost."""
    if not yes:
        raise ConfigurationError("what is dropped is lost: add --yes to do it")
    count = sum(file.drop(number) for file in _of_one(outbox_path, queue, number))
    _require_found(number, count, "dead letter or waiting write")
    _say("dropped", count, json)


def _require_found(number: int | None, count: int, what: str) -> None:
    if number is not None and not count:
        raise ConfigurationError(f"there is no {what} with the number {number}: see crewai-memory outbox show")


def _say(what: str, count: int, json: bool) -> None:
    typer.echo(json_module.dumps({what.replace(" ", "_"): count}) if json else f"{what}: {count}")


def _of_one(outbox_path: str | None, queue: str | None, number: int | None) -> Iterator[QueueFile]:
    """The queues that a command is about. A number is one of one queue."""
    folders = _folders(outbox_path, queue)
    if number is not None and len(folders) > 1:
        raise ConfigurationError("there are several queues: name one with --queue")
    return _opened(folders)


def _files(outbox_path: str | None, queue: str | None) -> Iterator[QueueFile]:
    return _opened(_folders(outbox_path, queue))


def _opened(folders: list[Path]) -> Iterator[QueueFile]:
    from ..outbox.inspection import QueueFile

    for folder in folders:
        with QueueFile(folder) as file:
            yield file


def _folders(outbox_path: str | None, queue: str | None) -> list[Path]:
    from ..config.options import MemoryConfig
    from ..outbox.inspection import queues_in

    if outbox_path is None:
        folder = MemoryConfig.build(durability="outbox").outbox_folder
    elif not outbox_path.strip():
        raise ConfigurationError("--outbox-path is empty: leave it out, or give a value")
    else:
        folder = Path(outbox_path)
    found = queues_in(folder)
    chosen = [each for each in found if queue is None or each.name.startswith(queue)]
    if found and not chosen:
        raise ConfigurationError(f"--queue {queue}: no queue has this name: see crewai-memory outbox status")
    return chosen
