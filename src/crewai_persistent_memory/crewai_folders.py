"""Where CrewAI itself keeps memories, and how its files are named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import platformdirs

LONG_TERM: Final = "long_term_memory_storage.db"
"""Long-term memory, until CrewAI 1.9.3."""
CHROMA: Final = "chroma.sqlite3"
"""Short-term and entity memory until CrewAI 1.9.3, and knowledge of every version."""
LANCE_TABLE: Final = "memories.lance"
"""The memory of CrewAI from 1.10 on, as a table of LanceDB: a folder in the folder ``memory``."""


def working_folder() -> Path:
    """The working folder; the root, if it was deleted meanwhile."""
    try:
        return Path.cwd()
    except OSError:
        return Path(os.sep)


def crewai_folders() -> list[Path]:
    """The folders that CrewAI stores in, of every supported version, for this working folder."""
    name = os.environ.get("CREWAI_STORAGE_DIR")
    # CrewAI's appdirs takes a whole path as the name, and platformdirs refuses one.
    base = Path(platformdirs.user_data_dir("any", "CrewAI")).parent / (name or working_folder().name)
    # Since 1.10 the memory is below the variable's folder as it is written, and everything else in the data folder.
    return list(dict.fromkeys([base, *([Path(name)] if name else [])]))
