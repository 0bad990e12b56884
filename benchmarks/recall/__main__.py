"""The command: see the package's docstring."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer

from . import conversations, pairs
from .asking import WORDINGS
from .cases import Cases
from .document import document, parts_in_turn, weights_on_halves
from .embedders import embedder_of
from .measuring import Setting, measure
from .parts import PARTS, without
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
    write: Annotated[Path | None, typer.Option(help="Write the document with every table here.")] = None,
) -> None:
    """Measure recall on every set, bare and as a crew asks."""
    logging.getLogger("crewai").setLevel(logging.ERROR)
    start = time.process_time()
    if unknown := [name for name in parts_off or [] if name not in PARTS]:
        raise typer.BadParameter(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    options = dict(map(_read, settings or []))
    chosen = _sets(sets, conversations)
    asked = list(WORDINGS) if wordings == "all" else wordings.split(",")
    of_the_store = {name: options[name] for name in ("reranker",) if name in options}
    setting = Setting({**_embedder(embedder), **of_the_store}, options, moved)
    if write is not None:
        _write(write, chosen, setting, embedder, sample, asked, before)
        print(f"{write}: {time.process_time() - start:.0f} s of CPU")
        return
    with without(parts_off or []):
        results = [_result(cases, setting, sample, asked) for cases in chosen]
    if as_json:
        print(json.dumps(results))
        return
    print(as_text(results, _run_with(before, embedder) if before else None))
    print(f"{time.process_time() - start:.0f} s of CPU")


def _result(cases: Cases, setting: Setting, sample: int, wordings: list[str]) -> Result:
    figures, rows = measure(cases, setting, sample, wordings)
    asked = [
        {
            "wording": row.wording,
            "form": row.form,
            "evidence": row.evidence,
            "characters": sum(row.characters) / len(row.characters),
        }
        for row in rows
    ]
    return {"set": cases.name, "about": cases.about, "sizes": cases.sizes, "figures": figures, "asked": asked}


def _write(
    file: Path,
    sets: list[Cases],
    setting: Setting,
    embedder: str | None,
    sample: int,
    wordings: list[str],
    before: str | None,
) -> None:
    """Write the document after each table: the results, the parts, the weights."""
    settings = {"keywords": Setting({}, setting.memory, setting.moved)}
    if embedder:
        settings[LABELS.get(embedder.partition(":")[0], embedder)] = setting
    with ThreadPoolExecutor(1) as beside:
        running = {}
        if before:
            for name, each in settings.items():
                running[name] = beside.submit(_run_with, before, embedder if each.store else None)
        now = {name: [_result(cases, each, sample, wordings) for cases in sets] for name, each in settings.items()}
        then = {name: each.result() for name, each in running.items()}
    few = [name for name in ("letter",) if name in wordings] or wordings[:1]
    of_parts = [cases for cases in sets if cases.name in OF_PARTS] or sets
    old = file.read_text(encoding="utf-8") if file.exists() else ""
    more: list[str] = []
    file.write_text(document(now, then, more, sample, old), encoding="utf-8")
    more.append(parts_in_turn(of_parts, setting, sample, few))
    file.write_text(document(now, then, more, sample, old), encoding="utf-8")
    more.append(weights_on_halves(of_parts, setting, sample))
    more.append(pairs.section())
    file.write_text(document(now, then, more, sample, old), encoding="utf-8")


OF_PARTS = ("turns", "sessions", "tasks", "reworded", "changing")
"""The sets for the tables of parts and weights. In the other sets nothing is missed."""

LABELS = {"onnx": "MiniLM (int8)"}


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


def _embedder(name: str | None) -> dict[str, Any]:
    embedder = embedder_of(name)
    return {} if embedder is None else {"embedder": embedder}


_NOT_BEFORE = ("--before", "--settings", "--parts-off", "--write", "--embedder")


def _run_with(checkout: str, embedder: str | None = None) -> list[Result]:
    """The same command over the source of another checkout, without options that it may not have."""
    arguments, skip = [], False
    for argument in sys.argv[1:]:
        if skip:
            skip = False
        elif argument in _NOT_BEFORE:
            skip = True
        else:
            arguments.append(argument)
    if embedder:
        arguments += ["--embedder", embedder]
    environment = {**os.environ, "PYTHONPATH": str(Path(checkout) / "src")}
    command = [sys.executable, "-m", "benchmarks.recall", "--json", *arguments]
    made = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: list[Result] = json.loads(made.stdout)
    return found


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
