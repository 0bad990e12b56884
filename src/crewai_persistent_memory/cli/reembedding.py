"""``crewai-memory reembed``: another embedder for a store."""

from __future__ import annotations

import sys
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import ConfigurationError
from ..wording import memories
from .moving import telling_progress
from .output import as_json, note, one_line
from .target import Target, opened

if TYPE_CHECKING:
    from ..admin import Reembedded


class Reranker(str, Enum):
    """Whether the store has token vectors."""

    MAXSIM = "maxsim"
    NONE = "none"


def reembed(
    target: Target,
    embedder: Annotated[str, typer.Argument(help="local, provider/model, a spec as JSON, or keywords.")],
    reranker: Annotated[
        Reranker | None, typer.Option(help="maxsim: token vectors, too; none: without. Left out: as the store has it.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Without a question.")] = False,
    passages: Annotated[
        bool, typer.Option("--passages", help="With the embedder it has: vectors for the passages of long texts.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much would be embedded.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Change the embedder of a store, of all its users. After a kill, the same command goes on.

    If the store has this embedder already, the memories without a vector get one. A program that has an embedded store
    open does it with admin.reembed. Exit code 1 if the embedder refuses some of the memories.
    """
    from ..admin import reembed as change_embedder
    from ..config.options import MemoryConfig

    if not embedder.strip():
        raise ConfigurationError("the embedder is blank: give local, provider/model, a spec as JSON, or keywords")
    options = target.store
    options["embedder"] = embedder
    new = MemoryConfig.build(**options).embedder
    tokens: Literal["maxsim", "none"] | None = None if reranker is None else reranker.value
    with (
        opened(MemoryConfig.build(**target.store), by_words=True, existing=True) as store,
        telling_progress("embedded") as tell,
    ):
        if dry_run or not yes:
            planned = change_embedder(store, new, reranker=tokens, dry_run=True, passages=passages)
            what = _planned(planned, embedder, by_words=new is None)
            if dry_run:
                _print(planned._asdict() | {"dry_run": True}, json, what)
                return
            if planned.changed or planned.characters:
                if not sys.stdin.isatty():
                    raise ConfigurationError(f"{what}: add --yes to do it")
                typer.confirm(one_line(f"{what}. Do it?"), abort=True, err=True)
        done = change_embedder(store, new, reranker=tokens, progress=tell, passages=passages)
    said = f"{done.embedded} of {memories(done.entries)} were embedded by {embedder}"
    if new is None:
        said = f"{memories(done.entries)} are found by their words" + (", as before" if not done.changed else "")
    elif done.there:
        said += f", {done.there} had been before"
    _print(done._asdict() | {"dry_run": False}, json, said)
    if done.without:
        note(f"{memories(done.without)} have no vector, because the embedder refuses them: their words find them")
        raise typer.Exit(1)


def _planned(planned: Reembedded, embedder: str, *, by_words: bool) -> str:
    of = memories(planned.entries)
    if by_words:
        return f"the vectors of {of} would be removed" if planned.changed else f"{of} are found by their words already"
    if planned.changed:
        return f"{of} of {planned.characters} characters would be embedded by {embedder}"
    if planned.characters:
        return f"of {of}, {planned.characters} characters have no vector yet, and would be embedded by {embedder}"
    return f"nothing would be embedded: {of} have vectors of {embedder} already"


def _print(values: dict[str, object], json: bool, text: str) -> None:
    typer.echo(as_json(values) if json else one_line(text))
