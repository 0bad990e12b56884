"""Folders as CrewAI leaves them, where the CrewAI that writes them is not installed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

KEPT = Path(__file__).parents[1] / "transfer" / "crewai-1.9.3"
ALLERGIC = "I am allergic to nuts. Book a table."
"""What the user has told the crew of the kept folder, first."""
WINE = "Which wine do I like? Final Answer: red?"
ENTITY = "John(person): hates coriander"


def folder_of_193(folder: Path) -> Path:
    """What CrewAI 1.9.3 has written: short-term and entity memory in Chroma, and long-term memory."""
    folder.mkdir(parents=True)
    for name, kept in (("chroma.sqlite3", "chroma"), ("long_term_memory_storage.db", "long_term")):
        with closing(sqlite3.connect(folder / name)) as database:
            database.executescript((KEPT / f"{kept}.sql").read_text(encoding="utf-8"))
    return folder


def add_short_term(folder: Path, told: Iterable[tuple[str, str]]) -> None:
    """More short-term memories of the kept crew, as pairs of a request and an output."""
    with closing(sqlite3.connect(folder / "chroma.sqlite3")) as database, database:
        [(segment,)] = database.execute(
            "SELECT segments.id FROM segments JOIN collections ON collections.id = segments.collection "
            "WHERE name LIKE 'memory_short_term%' AND scope = 'METADATA'"
        )
        for number, (request, output) in enumerate(told, 1000):
            values = [number, segment, f"document {number}", 3, "2026-05-01 12:00:00"]
            database.execute("INSERT INTO embeddings VALUES (?, ?, ?, ?, ?)", values)
            for key, text in (("observation", request), ("chroma:document", output)):
                database.execute(
                    "INSERT INTO embedding_metadata VALUES (?, ?, ?, NULL, NULL, NULL)", [number, key, text]
                )


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its bytes and the time of its last change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in [folder, *folder.rglob("*")]
    }
