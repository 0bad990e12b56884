"""What CrewAI itself remembers beside this package: LanceDB, Chroma, its long-term SQLite. Looked at, never changed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ..crewai_folders import CHROMA, LONG_TERM, crewai_folders
from ..wording import memories
from .examined import Examined
from .findings import Finding, Findings, check, note, ok, warning

MOST_FILES: Final = 20_000
"""Of a folder whose size is counted."""


@check("crewai storage", seconds=10)
def what_crewai_remembers(examined: Examined) -> Findings:
    """Name the folders in which CrewAI keeps memories of its own, with their sizes."""
    found = list(dict.fromkeys(_found()))
    for what, place, count, size in found:
        amount = f"{memories(count)}, " if count is not None else ""
        yield _finding(examined, f"CrewAI's own {what} at {place} holds {amount}{_mib(size)}")
    if not found:
        yield ok("CrewAI keeps no memories of its own here")


def _finding(examined: Examined, text: str) -> Finding:
    remedy = "crewai-memory migrate --user NAME --dry-run shows what would come along. It belongs to no user"
    if examined.config is not None and examined.is_empty:
        return warning(
            f"{text}, and this store has none for the project",
            f"A crew with memory=True uses CrewAI's own memory: give it **memory.crew_kwargs(). {remedy}",
        )
    return note(f"{text}. Nothing of it is recalled through this package", remedy)


def _found() -> Iterator[tuple[str, Path, int | None, int]]:
    for base in crewai_folders():
        database = base / LONG_TERM
        if count := _rows(database, "long_term_memories"):
            yield "long-term memory (SQLite)", database, count, _size(database)
        for chroma in sorted([*base.glob(CHROMA), *base.glob(f"*/{CHROMA}")]):
            if count := _rows(chroma, "embeddings"):
                yield "short-term and entity memory, or knowledge (Chroma)", chroma.parent, count, _size(chroma.parent)
        for table in sorted((base / "memory").glob("*.lance")):
            if any((table / "data").glob("*")):
                yield "memory (LanceDB)", table, None, _size(table)
        edge = base / "memory" / "qdrant-edge"
        if edge.is_dir() and any(edge.iterdir()):
            yield "memory (Qdrant Edge)", edge, None, _size(edge)


def _rows(file: Path, table: str) -> int:
    """How many rows a table has, without a lock and without a file beside the database."""
    if not file.is_file():
        return 0
    # A program that has it open may have the newest rows in the file beside it.
    how = "mode=ro" if file.with_name(f"{file.name}-wal").exists() else "mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?{how}", uri=True)) as database:
            return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    except (sqlite3.Error, OSError):
        return 0


def _size(place: Path) -> int:
    files = (
        [place] if place.is_file() else (Path(folder, name) for folder, _, names in os.walk(place) for name in names)
    )
    total = 0
    for file, _ in zip(files, range(MOST_FILES), strict=False):
        try:
            total += file.stat().st_size
        except OSError:
            continue  # it was removed meanwhile
    return total


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
