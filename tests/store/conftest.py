from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import open_store


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """On a disk, wherever the other tests have their files: what is tested here is what files go through."""
    with tempfile.TemporaryDirectory(prefix="crewai-memory-") as folder:
        yield Path(folder)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with one entry, closed."""
    path = tmp_path / "store"
    with open_store(path=path, user_id="john", embedder=None) as store:
        store.add("kept")
    return path


def opened(path: Path, **options: Any) -> list[str]:
    """The texts of a store that is opened and closed for it."""
    with open_store(path=path, user_id="john", **options) as store:
        return [entry.content for entry in store.list()]
