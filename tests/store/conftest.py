from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """On a disk, wherever the other tests have their files: what is tested here is what files go through."""
    with tempfile.TemporaryDirectory(prefix="crewai-memory-") as folder:
        yield Path(folder)
