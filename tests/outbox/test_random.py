"""Random writes over a store that is away, loses answers and forgets its sender, while the clock jumps.

Whatever happens in between, the store ends with what the same writes make of a store that is always there.
``OUTBOX_SEEDS`` is how many runs there are.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, MemoryStore, PersistentMemoryError, Scope
from crewai_persistent_memory import validation as original
from crewai_persistent_memory.outbox import breaker, deliveries, lanes
from crewai_persistent_memory.scope import ScopeBinding

from ..support.faulty_store import FaultyStore
from .conftest import OpenOutbox

SEEDS = int(os.environ.get("OUTBOX_SEEDS", "12"))
WRITES = 60
USERS, IDS, PATHS = ("john", "jane"), "abcdef", ("/", "/work", "/home")
JUMPS = (timedelta(days=1), timedelta(hours=-3), timedelta(days=-40), timedelta(seconds=-1))

_utcnow = original.utcnow


class Clock:
    """The time of every module of the package."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.offset = timedelta()
        for name, module in list(sys.modules.items()):
            if name.startswith("crewai_persistent_memory") and getattr(module, "utcnow", None) is _utcnow:
                monkeypatch.setattr(module, "utcnow", self.now)

    def now(self) -> datetime:
        return _utcnow() + self.offset


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (breaker, lanes):
        for name in ("FIRST_PROBE", "FIRST_PAUSE", "LONGEST_PAUSE"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, 0.01)
    for name in ("SETTLING", "SETTLING_MESSAGES"):
        monkeypatch.setattr(deliveries, name, 0.0)


Write = Callable[[MemoryStore], Any]


def a_write(chance: random.Random, number: int, now: datetime) -> Write:
    """The next write, as a function of the store that it is for."""
    id, path = chance.choice(IDS), chance.choice(PATHS)
    entry = MemoryEntry(id, f"text {number}", path=path, created_at=now, last_accessed=now)
    return chance.choice(
        [
            lambda store: store.put([entry]),
            lambda store: store.put([entry]),
            lambda store: store.replace(entry, create=bool(number % 2), keep=["path"]),
            lambda store: store.update(id, content=f"changed {number}"),
            lambda store: store.update(id, path=path),
            lambda store: store.delete(id),
            lambda store: store.delete(path=path),
            lambda store: store.delete(created_before=now),
            lambda store: store.reset(),
        ]
    )


def something_happens(chance: random.Random, behind: FaultyStore, clock: Clock) -> None:
    what = chance.randrange(12)
    if what == 0:
        behind.away = True
    elif what in (1, 2):
        behind.away = False
    elif what == 3:
        behind.loses_answers = chance.randrange(3)
    elif what == 4:
        clock.offset += chance.choice(JUMPS)


def contents(store: FaultyStore) -> dict[tuple[Scope, str], tuple[str, str]]:
    return {key: (entry.content, entry.path) for key, entry in store.entries.items()}


@pytest.mark.parametrize("repeatable", [True, False], ids=["ids", "no ids"])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_store_ends_as_if_it_had_always_been_there(
    seed: int, repeatable: bool, open_outbox: OpenOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, clock = random.Random(seed), Clock(monkeypatch)
    behind, model = FaultyStore(repeatable=repeatable), FaultyStore()
    settings: dict[str, Any] = {"over": behind, "recall_timeout": 0.05, "exit_wait": 0.05}
    direct = {user: MemoryStore(model, ScopeBinding.of(user_id=user)) for user in USERS}
    handles = {user: open_outbox(user, **settings) for user in USERS}
    for number in range(WRITES):
        something_happens(chance, behind, clock)
        user = chance.choice(USERS)
        write = a_write(chance, number, clock.now())
        for store in (direct[user], handles[user]):
            with suppress(PersistentMemoryError):  # an update of what is not there
                write(store)
        if chance.random() < 0.05:
            for store in handles.values():
                store.close()
            handles = {user: open_outbox(user, **settings) for user in USERS}
    behind.away, behind.loses_answers = False, 0
    for store in handles.values():
        assert store.flush(30)
    assert handles["john"].health()["outbox"]["dead_letters"] == 0
    assert contents(behind) == contents(model)
