from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import open_store


@pytest.fixture
def on_a_disk() -> Iterator[Path]:
    """A folder on a disk, wherever the others are: for what is about reaching it."""
    with tempfile.TemporaryDirectory(prefix="crewai-memory-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one entry, closed. To make one on a disk takes a second, and to copy it a twentieth of that."""
    path = tmp_path_factory.mktemp("made") / "store"
    with open_store(path=path, user_id="john", embedder=None) as store:
        store.add("kept")
    return path


@pytest.fixture
def path(tmp_path: Path, made_once: Path) -> Path:
    """A store with one entry, closed."""
    path = tmp_path / "store"
    subprocess.run(["cp", "-a", "--sparse=always", str(made_once), str(path)], check=True)
    return path


def opened(path: Path, **options: Any) -> list[str]:
    """The texts of a store that is opened and closed for it."""
    with open_store(path=path, user_id="john", **options) as store:
        return [entry.content for entry in store.list(limit=10_000)]
