"""The commands of ``crewai-memory``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ..doctor.whereabouts import why_nothing
from ..entry import DEFAULT_IMPORTANCE
from ..errors import ConfigurationError, PersistentMemoryError
from ..validation import MOST_FOUND, check_text
from .copying import copy
from .correcting import Ttl, update
from .doctor import doctor
from .erasing import erase
from .evaluation.command import evaluate
from .forgetting import everything_of, some_of
from .maintenance import backup, check, compact, repair, restore
from .migrating import migrate
from .moving import export, import_
from .outbox import outbox
from .output import as_json, note, one_line, shown
from .purging import purge
from .reading import list_entries, print_entries, recall, show, standard_input
from .reembedding import reembed
from .statistics import stats
from .target import NAMES_A_STORE, Target, opened, takes_target, with_its_embedder
from .undoing import undo

if TYPE_CHECKING:
    from ..entry import MemoryEntry
    from ..store.base import MemoryStore

app = typer.Typer(
    help="Memory for CrewAI crews that is kept. Try it without a crew, or run the demo.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON, with whole ids.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=MOST_FOUND, help="Most results.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        from .. import __version__

        python = ".".join(map(str, sys.version_info[:3]))
        typer.echo(f"crewai-memory {__version__} (CrewAI {version('crewai')}, Python {python})")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the versions.")
    ] = False,
) -> None:
    pass


@app.command()
@takes_target()
def remember(
    target: Target,
    text: Annotated[str, typer.Argument(help="What to remember; - reads it from standard input.")],
    category: Annotated[list[str] | None, typer.Option("--category", "-c", help="A tag; may be repeated.")] = None,
    importance: Annotated[float, typer.Option(min=0, max=1)] = DEFAULT_IMPORTANCE,
    ttl: Ttl = None,
    json: Json = False,
) -> None:
    """Remember a text. Creates the store if there is none."""
    content = check_text("content", standard_input() if text == "-" else text, allow_blank=False)

    def add(store: MemoryStore) -> MemoryEntry:
        return store.add(content, categories=category or [], importance=importance, ttl=ttl)

    entry = with_its_embedder(
        target.config(writing=True),
        add,
        existing=False,
        writing=True,
        instead="Kept without a vector, and found by its words until the application embeds it",
    )
    print_entries([entry], f"Remembered for {entry.scope}", json)


@app.command()
@takes_target()
def forget(
    target: Target,
    ids: Annotated[
        list[str] | None,
        typer.Argument(help="Ids as list shows them, short or whole; - reads them from standard input."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything in this scope, and nothing else.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before --all.")] = False,
    for_good: Annotated[
        bool, typer.Option("--for-good", help="At once, whatever undo_for says; also what was forgotten before.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many would be forgotten.")] = False,
    json: Json = False,
) -> None:
    """Forget entries by id, or all of a scope. With CREWAI_MEMORY_UNDO_FOR, undo brings them back for so long."""
    if bool(ids) == everything:
        raise ConfigurationError("forget takes either ids or --all")
    wanted = [id for given in ids or [] for id in (standard_input().split() if given == "-" else [given])]
    if not all(id.strip() for id in wanted):
        raise ConfigurationError("an id is blank: give ids as list shows them")
    with opened(target.config(writing=True), by_words=True, existing=True, writing=True) as store:
        if everything:
            count, unknown = everything_of(store, yes, for_good=for_good, dry_run=dry_run)
        else:
            count, unknown = some_of(store, wanted, for_good=for_good, dry_run=dry_run)
        if json:
            typer.echo(as_json({"forgotten": 0, "found": count, "dry_run": True} if dry_run else {"forgotten": count}))
        else:
            typer.echo(one_line(f"{'Would forget' if dry_run else 'Forgot'} {count} of {store.scope}"))
            if everything and not count:
                typer.echo(one_line(why_nothing(store)))
        undo_for = store.steps.corrections.undo_for
    if count and undo_for is not None and not for_good and not dry_run:
        note(f"crewai-memory undo brings it back, for {undo_for}")
    for id in unknown:
        note(f"no entry of this scope has the id {one_line(id)}")
    if unknown:
        raise typer.Exit(1)


app.command()(takes_target()(recall))
app.command(name="list")(takes_target()(list_entries))
app.command()(takes_target()(show))
app.command()(takes_target()(update))
app.command()(takes_target()(undo))
app.command(name="eval")(takes_target()(evaluate))
app.command(name="export")(takes_target()(export))
app.command(name="import")(takes_target()(import_))
app.command()(takes_target()(copy))
app.command()(takes_target()(migrate))
app.command(name="erase")(takes_target()(erase))
for _of_a_whole_store in (backup, restore, check, repair, compact, reembed):
    app.command()(takes_target(only=NAMES_A_STORE)(_of_a_whole_store))
app.command(name="purge")(takes_target()(purge))
app.command(name="stats")(takes_target(only=(*NAMES_A_STORE, "user", "org"))(stats))
app.command(name="doctor")(takes_target(only=(*NAMES_A_STORE, "user", "org"))(doctor))
app.add_typer(outbox, name="outbox")


@app.command()
@takes_target(only=NAMES_A_STORE)
def health(target: Target, json: Json = False) -> None:
    """Open the store and say how it is. Exit code 2 if there is none, or it does not answer."""
    from ..config.options import MemoryConfig

    with opened(MemoryConfig.build(**target.store), by_words=True, existing=True) as store:
        found = store.health()
    if json:
        typer.echo(as_json(found))
    else:
        for name, value in found.items():
            typer.echo(one_line(f"{name:16} {'–' if value is None else value}"))
    if found.get("status") == "unavailable":  # a store with an outbox tells it, in place of an error
        raise typer.Exit(2)


@app.command()
def demo(
    llm: Annotated[
        str | None, typer.Option(help="A real model, such as openai/gpt-4o-mini. Left out: a scripted one.")
    ] = None,
    path: Annotated[
        str | None, typer.Option(help="Folder of the store; must be new or empty. Left out: a temporary one.")
    ] = None,
    verbose: Annotated[bool, typer.Option(help="If a process fails, show all it printed.")] = False,
    json: Json = False,
) -> None:
    """Two users' crews remember across two processes, and nothing crosses. Exit code 1 if anything does."""
    from .demo import run_demo

    raise typer.Exit(run_demo(llm=llm, path=path, as_json=json, verbose=verbose))


def main() -> None:
    """Entry point; errors of this package are one line on stderr and exit code 2."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character is given its code, not a traceback.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app()
    except PersistentMemoryError as error:
        typer.secho(shown(f"{type(error).__name__}: {error}"), fg="red", err=True)
        sys.exit(2)
    except OSError as error:  # those of a store are errors of this package; a closed pipe ends in Typer
        typer.secho(shown(f"the result cannot be written: {error}"), fg="red", err=True)
        sys.exit(2)


def _open_closed_streams() -> None:
    """Open the null device for each stream that the shell closed (``>&-``): Python has ``None`` for it.

    The next file that is opened, of a store say, would get the number of the closed stream, and what a library prints
    would be written into that file.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
