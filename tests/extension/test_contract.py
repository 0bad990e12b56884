"""The contract that this package gives to authors of backends, over the one that stands outside of it."""

from __future__ import annotations

from pathlib import Path

from crewai_persistent_memory import Backend
from crewai_persistent_memory.testing import BackendContract

from .sqlite_backend import SqliteBackend


class TestSqliteBackend(BackendContract):
    def open_backend(self, folder: Path) -> Backend:
        return SqliteBackend(folder / "memories.db")
