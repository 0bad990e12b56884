"""Processes that are killed at random moments: every accepted write is in the store exactly once, in order.

``OUTBOX_KILLS`` is how many processes are killed (50 for the whole figure; a few by default).
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import open_store

from ..support.calling import until
from ..support.mem0_platform import DEFAULT_KEY, Mem0Platform
from ..support.programs import Program
from ..support.qdrant_server import QdrantServer

WRITER = Path(__file__).with_name("writer.py")
KILLS = int(os.environ.get("OUTBOX_KILLS", "4"))
AT_ONCE = int(os.environ.get("OUTBOX_PROCESSES", "2"))


class Writers:
    def __init__(self, options: dict[str, Any], file: Path, pause: float) -> None:
        self.options, self.file, self.pause = options, file, pause
        self._running: dict[str, Program] = {}
        self._started = 0

    def start(self, most: int = 0) -> str:
        name = f"writer{self._started}"
        self._started += 1
        command = [
            sys.executable,
            str(WRITER),
            json.dumps(self.options),
            str(self.file),
            name,
            str(most),
            str(self.pause),
        ]
        self._running[name] = Program(command)
        return name

    def accepted(self, name: str = "") -> list[str]:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [line for line in lines if line.startswith(f"{name} ")] if name else lines

    def wait_for_first(self, name: str) -> None:
        try:
            until(lambda: self.accepted(name), bool, 60)
        except AssertionError:
            self._running[name].kill()
            pytest.fail(f"{name} has accepted nothing: {self._running.pop(name).wait()}")

    def kill(self, name: str) -> None:
        process = self._running.pop(name)
        process.kill()
        assert process.wait().returncode < 0, "it has ended before it was killed"

    def wait(self, name: str) -> None:
        assert self._running.pop(name).wait(60).returncode == 0

    def close(self) -> None:
        for name in list(self._running):
            self.kill(name)


@pytest.fixture
def writers(tmp_path: Path) -> Any:
    made: list[Writers] = []

    def make(pause: float = 0.01 * AT_ONCE, **options: Any) -> Writers:
        outbox = {"durability": "outbox", "outbox_path": str(tmp_path / "outbox"), "user_id": "john"}
        made.append(Writers({**outbox, **options}, tmp_path / "accepted", pause))
        return made[-1]

    yield make
    for each in made:
        each.close()


def check(writers: Writers) -> int:
    """Deliver what is left, and compare. Returns how many facts were accepted."""
    with open_store(**writers.options) as store:
        assert store.flush(240), store.health()["outbox"]
        stored = [(entry.id, entry.content) for entry in store.scan()]
    lines = writers.accepted()
    facts = [line for line in lines if " " in line and not line.startswith("counter")]
    counters: dict[str, int] = {}
    for line in lines:
        if line.startswith("counter"):
            id, _, number = line.partition(": ")
            counters[id] = int(number)
    times = Counter(content for id, content in stored if not id.startswith("counter"))
    assert [fact for fact in facts if times[fact] != 1] == []
    assert [content for content, count in times.items() if count > 1] == []
    # One that was accepted in the moment of the kill may not have been noted.
    assert 0 <= len(times) - len(set(facts)) <= writers._started
    found = {id: int(content) for id, content in stored if id.startswith("counter")}
    assert [id for id, last in counters.items() if not last <= found[id] <= last + 1] == [], "the last one is there"
    return len(facts)


def let_live_and_die(writers: Writers, kills: int, chance: random.Random) -> None:
    alive: list[str] = []
    for _ in range(kills):
        while len(alive) < AT_ONCE:
            alive.append(writers.start())
        for name in alive:
            writers.wait_for_first(name)
        time.sleep(chance.uniform(0.0, 0.4))
        writers.kill(alive.pop(chance.randrange(len(alive))))
    for name in alive:
        writers.kill(name)


def qdrant_options(server: QdrantServer, collection: str) -> dict[str, Any]:
    key = {"api_key": server.key} if server.key else {}
    return {"url": server.url, "collection": collection, "embedder": None, "retry_for": 1, **key}


def mem0_options(platform: Mem0Platform) -> dict[str, Any]:
    return {"mem0": {"api_key": DEFAULT_KEY, "host": platform.url, "retry_for": 1}}


def test_on_qdrant(writers: Any, server: QdrantServer, collection: str) -> None:
    made = writers(**qdrant_options(server, collection))
    let_live_and_die(made, KILLS, random.Random(14))
    assert check(made) > 0


def test_on_mem0(writers: Any, mem0_platform: Mem0Platform) -> None:
    made = writers(0.1 * AT_ONCE, **mem0_options(mem0_platform))
    let_live_and_die(made, KILLS, random.Random(14))
    assert check(made) > 0


def test_a_queue_of_a_dead_process_is_delivered_by_the_next(
    writers: Any, own_server: QdrantServer, collection: str
) -> None:
    made = writers(**qdrant_options(own_server, collection))
    own_server.kill()
    made.wait(made.start(20))
    own_server.restart()
    assert check(made) == 20


def test_one_that_lives_takes_over(writers: Any, server: QdrantServer, collection: str) -> None:
    """Nothing has to be accepted for it."""
    made = writers(**qdrant_options(server, collection))
    sender = made.start()
    made.wait_for_first(sender)
    with open_store(**made.options) as store:
        outbox: Any = store.backend
        assert not outbox.outbox.sender.is_sender
        made.kill(sender)
        until(lambda: outbox.outbox.sender.is_sender, bool)
        until(lambda: outbox.outbox.queue.count(), lambda count: count == 0)
    assert check(made) > 0
