"""``crewai-memory export`` and ``import``: memories as a file, and back."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from ..errors import ConfigurationError, StoreMissingError
from ..wording import memories
from .output import as_json, one_line
from .target import Target, opened, with_its_embedder

if TYPE_CHECKING:
    from ..config.options import MemoryConfig
    from ..store.base import MemoryStore
    from ..transfer.importing import Imported

STANDARD = "-"


def export(
    target: Target,
    file: Annotated[str, typer.Argument(help="File to write; - writes to standard output.")],
    everyone: Annotated[bool, typer.Option("--all", help="Of all users, where no --user is given.")] = False,
    vectors: Annotated[bool, typer.Option("--vectors", help="With vectors, which are most of the file.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Say as JSON how many; beside an export on standard output, on stderr.")
    ] = False,
) -> None:
    """Write memories as JSON Lines: of one user, in all runs, agents and projects; or of --all.

    --project, --org, --run and --agent choose among them.
    """
    from ..transfer.exporting import export_entries

    chosen = chosen_scope(target)
    if not everyone and "user_id" not in chosen:
        raise ConfigurationError("whose memories? Give --user NAME, or --all")
    path = Path(file)
    if file != STANDARD and path.exists() and not force:
        raise ConfigurationError(f"{file} is there already: give another name, or --force to overwrite it")
    with (
        opened(config_of_all(target), by_words=True, existing=True) as store,
        writing_file(file) as out,
        telling_progress("exported") as tell,
    ):
        count = export_entries(store, out, with_vectors=vectors, progress=tell, **chosen)
    said = as_json({"file": file, "entries": count}) if json else one_line(f"Exported {memories(count)} to {file}")
    typer.echo(said, err=file == STANDARD)


def import_(
    target: Target,
    file: Annotated[str, typer.Argument(help="An export; - reads standard input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file, and say what would come.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Store the memories of an export, each in its scope. Doing it again changes nothing.

    --user, --project, --org, --run and --agent are given to all of them, in place of their own.
    """
    from ..transfer.importing import check, import_entries

    into = chosen_scope(target)
    with ExitStack() as stack:
        path = Path(file) if file != STANDARD else stack.enter_context(_standard_input())
        with _reading(path, file) as lines:
            checked = check(lines, into)  # nothing is stored of a file that is not whole

        def work(store: MemoryStore) -> Imported:
            with _reading(path, file) as lines, telling_progress("imported") as tell:
                return import_entries(store, lines, dry_run=dry_run, progress=tell, into=into)

        if dry_run:
            try:
                with opened(config_of_all(target), by_words=True, existing=True) as store:
                    done = work(store)
            except StoreMissingError:  # it would be made
                done = checked
        else:
            done = with_its_embedder(
                config_of_all(target),
                work,
                existing=False,
                writing=True,
                instead="Stored without vectors, and found by words until the application embeds them",
            )
    if json:
        typer.echo(
            as_json(
                {
                    "entries": done.entries,
                    "new": done.new,
                    "there": done.there,
                    "expired": done.expired,
                    "dry_run": dry_run,
                }
            )
        )
    else:
        begin = "Would import" if dry_run else "Imported"
        typer.echo(f"{begin} {counted(done)}")


def counted(done: Imported) -> str:
    """What an import or a copy did, in words."""
    expired = f", {done.expired} expired and left out" if done.expired else ""
    return f"{memories(done.entries)}: {done.new} new, {done.there} there already{expired}"


def chosen_scope(target: Target) -> dict[str, str]:
    if target.shared:
        raise ConfigurationError("--shared: shared memories are exported with their project, by --project and --all")
    return target.scope_fields


def config_of_all(target: Target) -> MemoryConfig:
    """Of the store, for all scopes: that of the target is a filter here, or what entries get."""
    from ..config.options import MemoryConfig

    options: Any = {name: value for name, value in target.store.items() if name != "project_id"}
    return MemoryConfig.build(**options)


@contextmanager
def _standard_input() -> Iterator[Path]:
    """Standard input as a file, which can be read twice: to check it, and then to store it."""
    with tempfile.NamedTemporaryFile(prefix="crewai-memory-import-") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield Path(copy.name)


@contextmanager
def _reading(path: Path, named: str) -> Iterator[Iterator[str]]:
    try:
        with open(path, encoding="utf-8-sig", newline="\n") as lines:
            yield iter(lines)
    except OSError as error:
        raise ConfigurationError(f"{named} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{named} is not UTF-8 (byte {error.start})") from error


@contextmanager
def writing_file(file: str) -> Iterator[TextIO]:
    """A file for its owner only. It has its name when it is whole, so an export that failed overwrites nothing."""
    if file == STANDARD:
        yield sys.stdout
        return
    path = Path(file)
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ConfigurationError(f"{file} is no plain file: give another name, or - for standard output")
    part: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        part = Path(name)
        with open(descriptor, "w", encoding="utf-8", newline="\n") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


@contextmanager
def telling_progress(what: str) -> Iterator[Callable[[int], None]]:
    """Counts on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return

    def tell(count: int) -> None:
        sys.stderr.write(f"\r{what}: {count}")
        sys.stderr.flush()

    yield tell
    sys.stderr.write("\r\x1b[K")
