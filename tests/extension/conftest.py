from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crewai_persistent_memory import MemoryStore
from crewai_persistent_memory.store.factory import open_configured

from ..support.engines import STORES, VARIANTS


@pytest.fixture(params=sorted(STORES.keys() - VARIANTS))
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MemoryStore]:
    """John's store of each kind. Transports and versions of one engine differ below what is tried here."""
    kind = STORES[request.param]
    with open_configured(kind.config(request, tmp_path, embedder=None, user_id="john")) as store:
        yield store
    kind.remove(request, tmp_path)
