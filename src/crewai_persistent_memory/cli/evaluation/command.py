"""The command ``eval``: read the questions, measure every setting, print."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ...doctor.whereabouts import why_nothing
from ...errors import ConfigurationError, EmbedderMismatchError, EmbedderUnavailableError
from ...wording import memories
from ..moving import telling_progress
from ..output import as_json, note, one_line
from ..target import Target, opened
from .measuring import TEMPLATES, Figures, Setting, Wanted, measure, wanted_of
from .prices import PRICES
from .questions import Question, read_questions
from .report import as_dict, as_svg, show

if TYPE_CHECKING:
    from ...config.options import MemoryConfig
    from ...store.base import MemoryStore

BUDGETS: Final = (2_000, 12_000)
"""Characters of memory in a prompt that are tried beside the memory's own, unless others are given."""

_NAME_IN_BRACES: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_\-]*)\}")
"""What CrewAI takes for the name of an input, in a second pair of braces too."""


def evaluate(
    target: Target,
    file: Annotated[Path, typer.Argument(help="Questions, .json, .jsonl or .csv: question, and ids or words.")],
    task: Annotated[
        list[str] | None,
        typer.Option("--task", help="A task's description with {question} in it; may be repeated."),
    ] = None,
    budget: Annotated[
        list[int] | None, typer.Option("--budget", min=0, help="A recall_budget to try as well; may be repeated.")
    ] = None,
    price: Annotated[
        list[float] | None,
        typer.Option("--price", min=0, help="US$ for a million input tokens, in place of the list of models."),
    ] = None,
    chart: Annotated[Path | None, typer.Option("--chart", help="Write a picture here as well (.svg).")] = None,
    at_least: Annotated[
        float | None,
        typer.Option("--at-least", min=0, max=1, help="Exit code 1 if less stands in the prompt (first setting)."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate recall on your own questions: what is found, what a crew's prompt holds of it, and what that costs.

    Nothing is written. Each question names the ids of memories, or words, that should be found for it.
    """
    templates = _checked_templates(task or TEMPLATES)
    if chart is not None and chart.suffix.lower() != ".svg":
        raise ConfigurationError(f"--chart {chart}: only SVG is written, give a name that ends in .svg")
    if chart is not None and not chart.absolute().parent.is_dir():
        raise ConfigurationError(f"--chart {chart}: there is no folder {chart.absolute().parent}, make it first")
    from ...config.recall import RecallSettings

    for each in budget or ():
        RecallSettings.build({"recall_budget": each})
    questions = read_questions(file)
    config = target.config(writing=False)
    _quiet()
    figures, scope, count = _measured(config, questions, templates, budget or BUDGETS)
    prices = {f"${each:g}": each for each in price} if price else PRICES
    title = one_line(
        f"Recall of {memories(count)} of {scope}: {len(questions)} questions, "
        f"{len(templates)} {'task' if len(templates) == 1 else 'tasks'}"
    )
    if json:
        typer.echo(as_json(as_dict(scope, count, len(questions), len(templates), figures, prices)))
    else:
        show(title, figures, prices)
    if chart is not None:
        chart.write_text(as_svg(title, figures), encoding="utf-8")
    if at_least is not None and figures[0].in_prompt < at_least:
        note(f"{figures[0].in_prompt:.2f} of what should be found stands in the prompt, less than {at_least:.2f}")
        raise typer.Exit(1)


def _measured(
    config: MemoryConfig, questions: Sequence[Question], templates: Sequence[str], budgets: Sequence[int]
) -> tuple[list[Figures], str, int]:
    """The figures of every setting, the scope, and the number of its memories."""
    own = Setting("as it is")

    def measured(store: MemoryStore, *settings: Setting) -> list[Figures]:
        found = []
        for setting in settings:
            with telling_progress(f"asked by a crew, {setting.name}") as tell:
                found.append(measure(store, wanted, templates, setting, tell))
        return found

    more = [Setting(f"budget {each:,}" if each else "no budget", {"recall_budget": each}) for each in budgets]
    try:
        with opened(config, by_words=False, existing=True) as store:
            wanted = _wanted(store, questions)
            figures = measured(store, own, *more)
            scope, count, embeds = str(store.scope), store.count(), store.embedder is not None
    except (EmbedderUnavailableError, EmbedderMismatchError) as error:
        if config.embedder_given:
            raise
        note(f"By words only: {error}")
        with opened(config, by_words=True, existing=True) as store:
            wanted = _wanted(store, questions)
            return measured(store, own, *more), str(store.scope), store.count()
    if embeds:
        with opened(config, by_words=True, existing=True) as store:
            figures += measured(store, Setting("keywords only", by_words=True))
    return figures, scope, count


def _wanted(store: MemoryStore, questions: Sequence[Question]) -> list[Wanted]:
    if not store.count():
        raise ConfigurationError(f"there is nothing to evaluate. {one_line(why_nothing(store))}")
    return wanted_of(store, questions)


def _checked_templates(templates: Sequence[str]) -> list[str]:
    for template in templates:
        names = _NAME_IN_BRACES.findall(template)
        if set(names) - {"question"}:
            raise ConfigurationError(f"--task {template!r}: {{question}} is the only name in braces")
        if not names:
            raise ConfigurationError(f"--task {template!r} has no {{question}}: the question is put in its place")
    return list(templates)


def _quiet() -> None:
    """CrewAI asks about its traces, and logs, while crews run; standard output is for the result."""
    os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")
    logging.getLogger("crewai").setLevel(logging.ERROR)
