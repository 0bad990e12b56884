"""Ways to give a crew one persistent memory, on whatever CrewAI is installed."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from .. import CREWAI_FOLDER

ENTITY = {"name": "John", "type": "person", "description": "hates coriander", "relationships": ["guest of the hotel"]}
EVALUATION = {"suggestions": ["answer in one line"], "quality": 8, "entities": [ENTITY]}
"""What CrewAI until 1.9.3 is told of an answer when it asks for its quality."""


def files_of_crewai() -> set[str]:
    """Everything CrewAI has written into its folders, the one of this test and the one it took when it was imported,
    without what this package keeps there."""
    roots = (Path(os.environ["CREWAI_STORAGE_DIR"]), CREWAI_FOLDER)
    found = {str(path.relative_to(root)) for root in roots for path in root.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith("persistent-memory")}


def long_term_rows() -> list[tuple[str, str]]:
    """Task and metadata of each row of CrewAI's long-term memory."""
    file = Path(os.environ["CREWAI_STORAGE_DIR"], "long_term_memory_storage.db")
    if not file.exists():
        return []
    with sqlite3.connect(file) as connection:
        return connection.execute("SELECT task_description, metadata FROM long_term_memories").fetchall()


def no_local_vectors() -> bool:
    """Neither Chroma nor LanceDB has a folder."""
    return not any(name.endswith((".sqlite3", ".lance", ".bin")) or "/" in name for name in files_of_crewai())


def told(memory: Any) -> list[str]:
    """What is kept, oldest first."""
    return [entry.content for entry in reversed(memory.store.list())]


class ForeignStorage:
    """A storage that somebody wrote for CrewAI until 1.9.3."""

    def __init__(self) -> None:
        self.saved: list[tuple[Any, dict[str, Any]]] = []

    def save(self, value: Any, metadata: dict[str, Any]) -> None:
        self.saved.append((value, metadata))

    def search(self, query: str, limit: int, score_threshold: float) -> list[dict[str, Any]]:
        return [{"content": str(value)} for value, _ in self.saved][:limit]

    def reset(self) -> None:
        self.saved.clear()
