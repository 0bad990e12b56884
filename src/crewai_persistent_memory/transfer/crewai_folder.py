"""What there is of CrewAI's memory in a folder, whichever version wrote it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..crewai_folders import CHROMA, LANCE_TABLE, LONG_TERM
from ..errors import InvalidArgumentError
from .chroma_database import chroma_part
from .lancedb_table import lancedb_part
from .long_term import LongTerm, survey_of
from .sources import Part


@dataclass(frozen=True)
class CrewAIFolder:
    """CrewAI's memory in a folder.

    Attributes:
        parts: what can be migrated; each may be empty.
        stays: names of what is beside it and is no memory, such as collections of knowledge.
        long_term: long-term memory, which is only shown.
    """

    parts: tuple[Part, ...]
    stays: tuple[str, ...]
    long_term: LongTerm | None


def look_into(source: str | os.PathLike[str]) -> CrewAIFolder:
    """Find CrewAI's memory.

    Args:
        source: the folder that CrewAI stores in, its folder ``memory``, or one of ``memories.lance``,
            ``chroma.sqlite3`` and ``long_term_memory_storage.db``.

    Raises:
        InvalidArgumentError: there are no files of it, or they cannot be read.
    """
    place = Path(source)
    parts, stays, long_term = [lancedb_part(table) for table in _tables(place)], list[str](), None
    if (chroma := _file(place, CHROMA)) is not None:
        part, stays = chroma_part(chroma)
        parts += [part] if part is not None else []
    if (results := _file(place, LONG_TERM)) is not None:
        long_term = survey_of(results)
    if not parts and chroma is None and long_term is None:
        raise InvalidArgumentError(f"{place}: {_why_nothing(place)}")
    return CrewAIFolder(tuple(parts), tuple(stays), long_term)


def is_there(folder: Path) -> bool:
    """Whether there are files of CrewAI's memory in a folder, whatever is in them."""
    return bool(_tables(folder)) or any(_file(folder, name) is not None for name in (CHROMA, LONG_TERM))


def _tables(place: Path) -> list[Path]:
    if place.suffix == ".lance":
        return [place] if _is_folder(place) else []
    return [
        table
        for folder in (place, place / "memory")
        for table in sorted(folder.glob("*.lance"))
        if _is_folder(table) and (table / "_versions").exists()
    ]


def _file(place: Path, name: str) -> Path | None:
    file = place if place.name == name else place / name
    try:
        return file if file.is_file() else None
    except OSError as error:
        raise InvalidArgumentError(f"{place} cannot be read: {error.strerror}") from error


def _is_folder(place: Path) -> bool:
    try:
        return place.is_dir()
    except OSError as error:
        raise InvalidArgumentError(f"{place} cannot be read: {error.strerror}") from error


def _why_nothing(place: Path) -> str:
    if not place.exists():
        return "there is no such folder. CREWAI_STORAGE_DIR names CrewAI's; crewai-memory doctor finds it"
    if (place / "store.json").exists():
        return "this is a store of this package, and no folder of CrewAI's: use crewai-memory copy"
    if (place / "qdrant-edge").is_dir() or (place / "memory" / "qdrant-edge").is_dir():
        return "CrewAI keeps its memory in Qdrant Edge here, which is not migrated: LanceDB and Chroma are"
    return f"there is neither {LANCE_TABLE} nor {CHROMA} nor {LONG_TERM} here: give the folder that CrewAI stores in"
