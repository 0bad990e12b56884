"""``recall --explain``: what a crew's prompt would have of what is found, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import typer

from .output import as_json, one_line
from .short_ids import short_ids

if TYPE_CHECKING:
    from ..entry_filter import FilterArgs
    from ..recall.explaining import Explanation
    from ..store.base import MemoryStore

_SHOWN: Final = 120
"""Characters of a memory in the table."""

_WIDE: Final = 110
"""Columns. On a narrower terminal the table has the score alone, without what it is made of."""


def explain_search(store: MemoryStore, query: str, budget: int, filters: FilterArgs) -> list[Explanation]:
    """What a recall within this budget does with each entry that a search finds."""
    from ..recall.explaining import explained, ranking_of
    from ..recall.pipeline import FETCHED, Bounds

    found = store.search(query, limit=FETCHED, **filters)
    return explained(found, query, Bounds(budget, None, dated=True), ranking_of(store))


def print_explanations(explanations: Sequence[Explanation], title: str, json: bool) -> None:
    """Print them, as a table or as JSON."""
    if json:
        typer.echo(as_json([each.to_dict() for each in explanations]))
        return
    if not explanations:
        typer.echo(f"{one_line(title)}: nothing")
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False)
    for name in ("place", "rank"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("memory", overflow="fold", min_width=16)
    numbers = ("score", "relevance", "age", "importance") if console.width >= _WIDE else ("score",)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold", min_width=16)
    table.add_column("id", overflow="fold", max_width=20)
    ids = short_ids([one_line(each.entry.id) for each in explanations])
    for each in explanations:
        values = {
            "score": each.score,
            "relevance": each.relevance,
            "age": each.age,
            "importance": each.entry.importance,
        }
        table.add_row(
            Text("" if each.place is None else str(each.place)),
            Text(str(each.rank)),
            Text(_begin(each.entry.content)),
            *(Text(f"{values[name]:.2f}") for name in numbers),
            Text(_why(each, ids)),
            Text(ids[one_line(each.entry.id)]),
        )
    given = [len(each.text) for each in explanations if each.text is not None]
    console.print(Text(f"{one_line(title)}: {len(given)} of {len(explanations)} given, {sum(given)} characters"))
    console.print()
    console.print(table)


def _why(each: Explanation, ids: dict[str, str]) -> str:
    text = each.decision.value
    if each.times > 1:
        text += f", for {each.times} that say the same"
    if each.because_of is None:
        return text
    other = ids.get(one_line(each.because_of), one_line(each.because_of))
    return f"{text}, behind the newer {other}" if each.place is not None else f"{text} ({other})"


def _begin(text: str) -> str:
    text = one_line(text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
