"""Expired entries are deleted in the background, and no failure of that reaches anybody."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryStore, StorePermissionError, StoreUnavailableError, open_store
from crewai_persistent_memory.admin import purge_expired
from crewai_persistent_memory.expiry import clock_set_to, now
from crewai_persistent_memory.scope import ScopeBinding
from crewai_persistent_memory.store import background_purge
from crewai_persistent_memory.store.background_purge import BackgroundPurge, purge

from ..support.calling import until

HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    with open_store(path=tmp_path / "store", user_id="john", embedder=None) as store:
        yield store


def test_a_store_that_is_open_is_purged(store: MemoryStore) -> None:
    store.add("secret", ttl=HOUR)
    store.add("stays")
    with clock_set_to(now() + 2 * HOUR):
        purges = BackgroundPurge(first_after=0)
        purges.watch(store.backend, ScopeBinding())
        until(lambda: purge_expired(store, dry_run=True), lambda left: left == 0)
    assert [entry.content for entry in store.list()] == ["stays"]


def test_an_embedded_store_is_purged_at_close(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with open_store(path=path, user_id="john", embedder=None) as store:
        store.add("secret", ttl=HOUR)
    with clock_set_to(now() + 2 * HOUR):
        open_store(path=path, embedder=None).close()
    with open_store(path=path, user_id="john", embedder=None) as store:
        assert store.list() == []


@pytest.mark.parametrize(
    ("error", "again", "level"),
    [
        (StorePermissionError("no"), False, logging.INFO),
        (StoreUnavailableError("away"), True, logging.WARNING),
    ],
)
def test_a_failure_is_logged(
    store: MemoryStore, caplog: pytest.LogCaptureFixture, error: Exception, again: bool, level: int
) -> None:
    class Failing(type(store.backend)):  # type: ignore[misc]
        def execute(self, operation: Any) -> Any:
            raise error

    caplog.set_level(logging.INFO, "crewai_persistent_memory")
    assert purge(Failing(store.backend.connection), ScopeBinding()) is again  # type: ignore[attr-defined]
    assert [record.levelno for record in caplog.records] == [level]


def test_a_store_that_is_closed_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_store(path=tmp_path / "store", embedder=None) as store:
        pass
    assert purge(store.backend, ScopeBinding()) is False
    assert purge(None, ScopeBinding()) is False
    assert caplog.records == []


def test_every_store_that_a_program_opens_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[Any] = []
    monkeypatch.setattr(background_purge.PURGES, "watch", lambda backend, binding: watched.append(backend))
    with open_store(path=tmp_path / "store", embedder=None) as store:
        assert watched == [store.backend]
