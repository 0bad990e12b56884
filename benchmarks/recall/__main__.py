"""The command: see the package's docstring."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from . import conversations
from .cases import Cases
from .embedders import embedder_of
from .measuring import Setting, measure
from .report import as_text
from .sets import own_sets

Result = dict[str, Any]


def main(
    conversations: Annotated[
        str | None, typer.Option(envvar="RECALL_CONVERSATIONS", help="A file of conversations with questions.")
    ] = None,
    sets: Annotated[str, typer.Option(help="Names of sets, with commas; 'all'.")] = "all",
    settings: Annotated[
        list[str] | None, typer.Option(help="An option of the store, name=value (JSON or text); may be repeated.")
    ] = None,
    parts_off: Annotated[
        list[str] | None, typer.Option(help="A part of recall to switch off; may be repeated.")
    ] = None,
    embedder: Annotated[str | None, typer.Option(help="A name, or onnx:/folder. Left out: keywords.")] = None,
    sample: Annotated[int, typer.Option(help="Questions of each set that a crew asks in each wording; 0: all.")] = 60,
    wordings: Annotated[str, typer.Option(help="Of the task, with commas; 'all'.")] = "all",
    moved: Annotated[bool, typer.Option(help="Store the memories as if they were new, not years old.")] = False,
    before: Annotated[
        str | None, typer.Option(help="A checkout to compare with, by its own src: ratios are printed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure recall on every set, bare and as a crew asks."""
    logging.getLogger("crewai").setLevel(logging.ERROR)
    start = time.process_time()
    options = dict(map(_read, settings or []))
    setting = Setting({**_embedder(embedder)}, options | _switches(parts_off or []), moved)
    asked = None if wordings == "all" else wordings.split(",")
    results: list[Result] = []
    for cases in _sets(sets, conversations):
        figures, rows = measure(cases, setting, sample, *([asked] if asked else []))
        results.append(
            {
                "set": cases.name,
                "about": cases.about,
                "sizes": cases.sizes,
                "figures": figures,
                "asked": [
                    {
                        "wording": r.wording,
                        "form": r.form,
                        "evidence": r.evidence,
                        "characters": sum(r.characters) / len(r.characters),
                    }
                    for r in rows
                ],
            }
        )
    if as_json:
        print(json.dumps(results))
        return
    earlier = _run_with(before) if before else None
    print(as_text(results, earlier))
    print(f"{time.process_time() - start:.0f} s of CPU")


def _sets(names: str, file: str | None) -> list[Cases]:
    known = {cases.name: cases for cases in own_sets()}
    if file:
        known |= {cases.name: cases for cases in conversations.load(Path(file))}
    if names == "all":
        return list(known.values())
    wanted = names.split(",")
    if unknown := [name for name in wanted if name not in known]:
        raise typer.BadParameter(f"there is no set {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in wanted]


def _read(setting: str) -> tuple[str, Any]:
    name, equals, value = setting.partition("=")
    if not equals:
        raise typer.BadParameter(f"--settings {setting}: write name=value")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _switches(parts: list[str]) -> dict[str, Any]:
    if parts:
        raise typer.BadParameter("no part can be switched off yet")
    return {}


def _embedder(name: str | None) -> dict[str, Any]:
    embedder = embedder_of(name)
    return {} if embedder is None else {"embedder": embedder}


def _run_with(checkout: str) -> list[Result]:
    """The same command over the source of another checkout, without options that it may not have."""
    arguments, skip = [], False
    for argument in sys.argv[1:]:
        if skip:
            skip = False
        elif argument in ("--before", "--settings", "--parts-off"):
            skip = True
        else:
            arguments.append(argument)
    environment = {**os.environ, "PYTHONPATH": str(Path(checkout) / "src")}
    command = [sys.executable, "-m", "benchmarks.recall", "--json", *arguments]
    made = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: list[Result] = json.loads(made.stdout)
    return found


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
