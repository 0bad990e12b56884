"""Random writes of a user, a run and an agent whose memories end, over a store that is away and loses answers.

Whatever is read while the store answers, and what it has at the end, is what the same writes make of a store that is
always there. ``OUTBOX_SEEDS`` is how many runs there are.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import timedelta
from typing import Any, Final

import pytest

from crewai_persistent_memory import (
    NEVER,
    EntryNotFoundError,
    MemoryEntry,
    MemoryStore,
    StoreBusyError,
    StoreUnavailableError,
)
from crewai_persistent_memory.expiry import clock_set_to, now
from crewai_persistent_memory.scope import ScopeBinding

from ..support.calling import until
from ..support.faulty_store import FaultyStore
from .conftest import OpenOutbox
from .test_random import no_pauses

__all__ = ["no_pauses"]

SEEDS: Final = int(os.environ.get("OUTBOX_SEEDS", "6"))
WRITES: Final = 50
RUN: Final = {"user_id": "john", "run_id": "r1"}
READERS: Final[list[dict[str, str]]] = [{"user_id": "john"}, RUN, {**RUN, "agent_id": "waiter"}, {"user_id": "jane"}]

Write = Callable[[MemoryStore], Any]


def a_write(chance: random.Random, number: int, of: int) -> Write:
    """The next write of a reader, as a function of the store that it is for. Each reader saves under ids of its own."""
    own, path = f"{of}{chance.choice('abcd')}", chance.choice(["/", "/work"])
    id = chance.choice([own, f"{chance.randrange(len(READERS))}{chance.choice('abcd')}"])
    moment = now()
    end = chance.choice([None, None, moment + timedelta(hours=1), moment + timedelta(hours=2)])
    entry = MemoryEntry(own, f"text {number}", path=path, created_at=moment, last_accessed=moment, expires_at=end)
    later = moment + timedelta(hours=1.5)
    return chance.choice(
        [
            lambda store: store.put([entry]),
            lambda store: store.put([entry]),
            lambda store: store.put([entry]),
            lambda store: store.replace(entry, create=bool(number % 2), keep=["path"]),
            lambda store: store.update(id, content=f"changed {number}"),
            lambda store: store.update(id, expires_at=later),
            lambda store: store.update(id, expires_at=NEVER),
            lambda store: store.delete(id),
            lambda store: store.delete(path=path),
            lambda store: store.reset(),
        ]
    )


def ended(store: MemoryStore, keep: Any) -> Any:
    """The run's end, or nothing as long as the store's sender does not know that it answers again."""
    try:
        return store.end_run(keep=keep)
    except (StoreUnavailableError, StoreBusyError):
        return None


def seen_by(store: MemoryStore) -> list[tuple[Any, ...]]:
    return sorted((each.id, each.content, each.path, str(each.expires_at), str(each.scope)) for each in store.list())


@pytest.mark.parametrize("repeatable", [True, False], ids=["ids", "no ids"])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_ends_is_what_ends_in_a_store_that_is_always_there(
    seed: int, repeatable: bool, open_outbox: OpenOutbox
) -> None:
    chance, start = random.Random(seed), now()
    behind, model = FaultyStore(repeatable=repeatable), FaultyStore()

    def opened() -> list[MemoryStore]:
        settings: dict[str, Any] = {"over": behind, "recall_timeout": 0.05, "exit_wait": 0.05}
        return [open_outbox(scope=scope, **settings) for scope in READERS]

    direct = [MemoryStore(model, ScopeBinding.of(**scope)) for scope in READERS]
    handles, hours, read = opened(), 0.0, 0
    with ExitStack() as clocks:
        clocks.enter_context(clock_set_to(start))
        for number in range(WRITES):
            what, of = chance.randrange(14), chance.randrange(len(READERS))
            if what < 3:
                behind.away = what == 0
            elif what == 3:
                behind.loses_answers = chance.randrange(3)
            elif what < 6:
                hours += chance.choice([0.6, 1.1])
                clocks.enter_context(clock_set_to(start + timedelta(hours=hours)))
            if READERS[of] is RUN and chance.random() < 0.3:
                behind.away, behind.loses_answers = False, 0  # only the store can answer it
                keep: Any = chance.choice([(), {"path": "/work"}])
                for store in (direct[of], handles[of]):
                    until(lambda store=store, keep=keep: ended(store, keep), bool)
            else:
                write = a_write(chance, number, of)
                for store in (direct[of], handles[of]):
                    with suppress(EntryNotFoundError):
                        write(store)
            if not behind.away and chance.random() < 0.4:
                behind.loses_answers = 0
                for through, always in zip(handles, direct, strict=True):
                    with suppress(StoreUnavailableError):  # its sender does not know yet that it is back
                        assert seen_by(through) == seen_by(always)
                        read += 1
            if chance.random() < 0.05:
                for store in handles:
                    store.close()
                handles = opened()
        behind.away, behind.loses_answers = False, 0
        for store in handles:
            assert store.flush(30)
        assert handles[0].health()["outbox"]["dead_letters"] == 0
        assert list(map(seen_by, handles)) == list(map(seen_by, direct))
    assert read, "nothing was compared in the midst of it"
