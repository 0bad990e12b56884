"""What a store that is away costs a crew: without an outbox and with one, in one run. Prints a table.

    python -m benchmarks.outages [--seconds 10] [--only NAME]

A step is what CrewAI asks of a memory for one task: a recall and a save. The stores are a real Qdrant server, which is
killed or stopped by signals, and the fake Mem0 platform of the tests. Keywords only.
"""

from __future__ import annotations

import io
import logging
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Annotated, Any, NamedTuple

import typer

from crewai_persistent_memory import PersistentMemory, PersistentMemoryError
from tests.support.mem0_platform import DEFAULT_KEY, Fault, Mem0Platform
from tests.support.qdrant_server import QdrantServer, newest
from tests.support.tcp_proxy import Fault as NetworkFault
from tests.support.tcp_proxy import TcpProxy

FAR = 0.2
"""Seconds that each request of the far store takes longer."""


class Figures(NamedTuple):
    """Of one situation.

    Attributes:
        steps: how many were run.
        longest: seconds of the longest step.
        total: seconds of all steps.
        recall: seconds of a recall, the median.
        save: seconds of a save, the median.
        slow_save: seconds that 95 of 100 saves take at most.
        lost: facts that were saved and are not there.
        doubled: memories that are there twice.
    """

    steps: int
    longest: float
    total: float
    recall: float
    save: float
    slow_save: float
    lost: int
    doubled: int

    def __str__(self) -> str:
        waits = (
            f"recall {self.recall * 1000:.1f} ms, save {self.save * 1000:.1f} ms (p95 {self.slow_save * 1000:.1f}), "
            f"longest step {self.longest:.2f} s, all {self.total:.1f} s"
        )
        return f"{self.steps} steps: {waits}; {self.lost} lost, {self.doubled} doubled"


class Crew:
    """Steps over one memory."""

    def __init__(self, memory: PersistentMemory) -> None:
        self.memory = memory
        self.facts: list[str] = []
        self.recalls: list[float] = []
        self.saves: list[float] = []

    def step(self, fact: str | None = None) -> bool:
        """Returns whether the save was reported as failed."""
        failed = True
        fact = fact or f"John has bought ticket {len(self.facts)}"
        start = perf_counter()
        # CrewAI logs an error of its memory, and goes on.
        with suppress(PersistentMemoryError):
            self.memory.recall("Which tickets has John bought?")
        recalled = perf_counter()
        with suppress(PersistentMemoryError):
            self.memory.remember(fact)
            failed = False
        self.recalls.append(recalled - start)
        self.saves.append(perf_counter() - recalled)
        self.facts.append(fact)
        return failed

    def steps_for(self, seconds: float) -> None:
        end = monotonic() + seconds
        pause = seconds / 10
        while monotonic() < end:
            start = monotonic()
            self.step()
            sleep(max(0.0, min(start + pause, end) - monotonic()))

    def figures(self) -> Figures:
        self.memory.flush(120)
        there = Counter(record.content for record in self.memory.list_records(limit=10_000))
        steps = list(map(sum, zip(self.recalls, self.saves, strict=True)))
        return Figures(
            len(steps),
            max(steps),
            sum(steps),
            statistics.median(self.recalls),
            statistics.median(self.saves),
            sorted(self.saves)[(len(self.saves) * 95 - 1) // 100],
            sum(not there[fact] for fact in set(self.facts)),
            sum(count > 1 for count in there.values()),
        )


def main(
    seconds: Annotated[float, typer.Option(help="How long an outage lasts.")] = 10.0,
    only: Annotated[str, typer.Option(help="A part of the name of a situation.")] = "",
) -> None:
    """Run every situation both ways."""
    logging.disable(logging.ERROR)
    situations: dict[str, Callable[[dict[str, Any], float], Figures]] = {
        f"Qdrant away for {seconds:g} s": qdrant_away,
        f"Qdrant frozen for {seconds:g} s": qdrant_frozen,
        f"Mem0 answers 503 for {seconds:g} s": mem0_unavailable,
        "Mem0 did the work, and its answer was lost; what failed is saved again": mem0_lost_answers,
        "a dead store, three tasks": dead_store,
        f"the store is {FAR * 1000:.0f} ms away": far_store,
        "the store is well, on the same machine": well_store,
    }
    print('| | `durability="store"` | `durability="outbox"` |\n| --- | --- | --- |')
    for name, situation in situations.items():
        if only not in name:
            continue
        cells = []
        for durability in ("store", "outbox"):
            with tempfile.TemporaryDirectory() as folder:
                options: dict[str, Any] = {"user_id": "john", "durability": durability}
                if durability == "outbox":
                    options["outbox_path"] = Path(folder, "outbox")
                with redirect_stdout(io.StringIO()):  # CrewAI draws each save
                    cells.append(str(situation(options, seconds)))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def with_qdrant(act: Callable[[QdrantServer], Figures]) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        server = QdrantServer(newest(), Path(folder)).start()
        try:
            return act(server)
        finally:
            server.stop()


def qdrant_away(options: dict[str, Any], seconds: float) -> Figures:
    def act(server: QdrantServer) -> Figures:
        with PersistentMemory(url=server.url, embedder=None, **options) as memory:
            crew = Crew(memory)
            crew.step()
            server.kill()
            crew.steps_for(seconds)
            server.restart()
            return crew.figures()

    return with_qdrant(act)


def qdrant_frozen(options: dict[str, Any], seconds: float) -> Figures:
    def act(server: QdrantServer) -> Figures:
        with PersistentMemory(url=server.url, embedder=None, **options) as memory:
            crew = Crew(memory)
            crew.step()
            server.pause()
            crew.steps_for(seconds)
            server.resume()
            return crew.figures()

    return with_qdrant(act)


def mem0_unavailable(options: dict[str, Any], seconds: float) -> Figures:
    with Mem0Platform() as platform, PersistentMemory(mem0=_mem0(platform), infer=False, **options) as memory:
        crew = Crew(memory)
        crew.step()
        platform.faults.append(Fault("", 503, times=1_000_000))
        crew.steps_for(seconds)
        platform.faults.clear()
        return crew.figures()


def mem0_lost_answers(options: dict[str, Any], seconds: float) -> Figures:
    with Mem0Platform() as platform, PersistentMemory(mem0=_mem0(platform), **options) as memory:
        crew = Crew(memory)
        for fact in ("I am allergic to nuts", "I like green tea"):
            platform.faults.append(Fault("memories/add|v1/memories/$", 502, acts=True))
            if crew.step(fact):
                crew.step(fact)
            memory.flush(60)
        sleep(1.0)  # the platform extracts in the background
        return crew.figures()


def dead_store(options: dict[str, Any], seconds: float) -> Figures:
    def act(server: QdrantServer) -> Figures:
        with PersistentMemory(url=server.url, embedder=None, **options) as memory:
            crew = Crew(memory)
            memory.recall("anything")
            server.kill()
            for _ in range(3):
                crew.step()
            server.restart()
            return crew.figures()

    return with_qdrant(act)


def far_store(options: dict[str, Any], seconds: float) -> Figures:
    def act(server: QdrantServer) -> Figures:
        proxy = TcpProxy(server.port)
        try:
            with PersistentMemory(url=proxy.url, embedder=None, **options) as memory:
                Crew(memory).step()
                proxy.rule = lambda request: NetworkFault(delay=FAR)
                crew = Crew(memory)
                for _ in range(10):
                    crew.step()
                return crew.figures()
        finally:
            proxy.close()

    return with_qdrant(act)


def well_store(options: dict[str, Any], seconds: float) -> Figures:
    def act(server: QdrantServer) -> Figures:
        with PersistentMemory(url=server.url, embedder=None, **options) as memory:
            Crew(memory).step()
            crew = Crew(memory)
            for _ in range(300):
                crew.step()
            return crew.figures()

    return with_qdrant(act)


def _mem0(platform: Mem0Platform) -> dict[str, Any]:
    return {"api_key": DEFAULT_KEY, "host": platform.url}


if __name__ == "__main__":
    typer.run(main)
