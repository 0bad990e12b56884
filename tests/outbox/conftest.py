from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryStore
from crewai_persistent_memory.outbox.backend import OutboxBackend
from crewai_persistent_memory.outbox.shared import OUTBOXES, OutboxSettings
from crewai_persistent_memory.scope import ScopeBinding

from ..support.faulty_store import FaultyStore
from ..support.qdrant_server import QdrantServer, newest

OpenOutbox = Callable[..., MemoryStore]


@pytest.fixture
def behind() -> FaultyStore:
    """The store behind the outbox."""
    return FaultyStore()


@pytest.fixture
def open_outbox(tmp_path: Path, behind: FaultyStore) -> Iterator[OpenOutbox]:
    """Opens a store with an outbox in front of ``behind``."""
    opened: list[MemoryStore] = []

    def open_one(
        user_id: str = "john",
        *,
        over: FaultyStore | None = None,
        include_shared: bool = False,
        scope: dict[str, Any] | None = None,
        **settings: Any,
    ) -> MemoryStore:
        given = {"recall_timeout": 0.5, "exit_wait": 0.5, **settings}
        about = OutboxSettings(tmp_path / "outbox", "the test's store", ("test",), **given)
        binding = ScopeBinding.of(**{"user_id": user_id, **(scope or {})})
        opened.append(MemoryStore(OutboxBackend(over or behind, about), binding, include_shared=include_shared))
        return opened[-1]

    yield open_one
    behind.thaw()
    for store in opened:
        store.close()
    assert not OUTBOXES.keys()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[QdrantServer]:
    """A server of the test's own, to kill, pause and restart."""
    started = QdrantServer(newest(), tmp_path / "qdrant").start()
    yield started
    started.stop()
