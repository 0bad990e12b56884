"""What the commands print. The text of a memory is data: no control sequence in it reaches the terminal."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import typer

from .short_ids import short_ids

if TYPE_CHECKING:
    from ..entry import EarlierText, MemoryEntry

NARROW: Final = 60
"""Columns. On a narrower terminal the table has the texts and their ids only."""

_JOINERS: Final = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
"""Invisible characters that stay: emoji, and Persian and Indic scripts, need them."""


def shown(text: str) -> str:
    """A text of several lines, without escape sequences and without changes of the writing direction."""
    return "".join(c if c.isprintable() or c in "\n\t" or c in _JOINERS else _in_place_of(c) for c in text)


def _in_place_of(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Zl", "Zp"):
        return "\n"
    return " " if category == "Zs" else "\N{REPLACEMENT CHARACTER}"


def one_line(text: str) -> str:
    """A name or an id on one line. Invisible characters are spelled out, so two different ids never look equal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)


def as_json(value: Any) -> str:
    """JSON in which every unprintable character is escaped. A parser reads the same values."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def note(text: str) -> None:
    """Print a remark to stderr, beside the result."""
    typer.secho(shown(text), fg="yellow", err=True)


def show_entry(entry: MemoryEntry) -> None:
    """Print all fields of an entry, a line each, and its text last."""
    about = entry.to_dict()
    content = about.pop("content")
    for name, value in about.items():
        if value is None or value is False or value in ([], {}, ""):
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        typer.echo(one_line(f"{name:14} {text}"))
    typer.echo()
    typer.echo(shown(content))


def show_history(history: Sequence[EarlierText]) -> None:
    """Print what an entry said before, oldest first, and who changed it."""
    for each in history:
        by = [
            f"{name} {value}" for name, value in (("run", each.run_id), ("agent", each.agent_id)) if value is not None
        ]
        when = f"from {each.since:%Y-%m-%d %H:%M} to {each.until:%Y-%m-%d %H:%M} (UTC)"
        typer.echo()
        typer.echo(one_line(", ".join([when, *([f"changed by {' and '.join(by)}"] if by else [])])))
        typer.echo(shown(each.content))
    if not history:
        typer.echo()
        typer.echo("No earlier text is kept: see the option history (CREWAI_MEMORY_HISTORY)")


def show_entries(entries: Sequence[MemoryEntry], title: str, *, scopes: bool = False) -> None:
    """Print a table of entries, with short ids. The column of the texts takes the room that is left.

    Args:
        entries: in their order.
        title: above the table.
        scopes: with whose they are.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    wide = console.width >= NARROW
    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False)
    # Folded, because Rich cuts words that are longer than the column.
    table.add_column("memory", overflow="fold", min_width=16)
    scored = wide and any(entry.score is not None for entry in entries)
    if scored:
        table.add_column("score", justify="right", no_wrap=True)
    if wide:
        table.add_column("when (UTC)", no_wrap=True)
    if scopes:
        table.add_column("whose", overflow="fold", max_width=30)
    table.add_column("id", overflow="fold", max_width=20)
    ids = short_ids([one_line(entry.id) for entry in entries])
    for entry in entries:
        cells = [Text(shown(entry.content))]
        if scored:
            cells.append(Text("" if entry.score is None else f"{entry.score:.2f}"))
        if wide:
            cells.append(Text(f"{entry.created_at:%Y-%m-%d %H:%M}"))
        if scopes:
            cells.append(Text(one_line(str(entry.scope))))
        table.add_row(*cells, Text(ids[one_line(entry.id)]))
    console.print(Text(one_line(title)))
    console.print()
    console.print(table)
