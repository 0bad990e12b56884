"""Another checkout of this package against this one, in one run. Prints ratios.

    git worktree add ../before COMMIT
    python -m benchmarks.compare ../before [--entries 10000] [--rounds 5] [--url http://127.0.0.1:6333]

Each round runs both checkouts, one after the other, each in a process and a store of its own, with the same work: 100
users, keywords only. A figure is the median of its rounds' medians of single calls; a ratio is before ÷ now. For the
embedded engine it is the calling thread's processor time, which other work on the machine does not change much.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, thread_time
from typing import Annotated, Any

import typer

USERS = 100
CALLS = 200


def main(
    before: Annotated[Path, typer.Argument(help="A checkout of the other commit.")],
    entries: Annotated[int, typer.Option(help="Entries in the store.")] = 10_000,
    rounds: Annotated[int, typer.Option(help="How often each is run.")] = 5,
    url: Annotated[str | None, typer.Option(help="A Qdrant server, in place of the embedded engine.")] = None,
) -> None:
    """Run both and print the ratios."""
    print(f"{'server' if url else 'embedded'}, {entries:,} entries, {USERS} users, {rounds} rounds\n")
    compare(before, rounds, __file__, str(entries), url or "")


def compare(before: Path, rounds: int, script: str, *arguments: str) -> None:
    """Run a script over both checkouts and print the ratios of what it prints.

    Args:
        before: a checkout of the other commit.
        rounds: how often each is run.
        script: it prints the seconds of what it measures as JSON, in its last line.
        arguments: of the script, after ``--work`` and a folder.
    """
    found: dict[str, dict[str, list[float]]] = {}
    sources = {"before": before / "src", "now": Path(__file__).parents[1] / "src"}
    for number in range(rounds):
        # Whoever is first in a round is last in the next one.
        for name in list(sources) if number % 2 else reversed(list(sources)):
            for what, seconds in measured(sources[name], script, *arguments).items():
                found.setdefault(what, {}).setdefault(name, []).append(seconds * 1000)
    print("| | before, ms | now, ms | before ÷ now |\n| --- | ---: | ---: | ---: |")
    for what, both in found.items():
        old, new = statistics.median(both["before"]), statistics.median(both["now"])
        print(f"| {what} | {old:.3f} | {new:.3f} | {old / new:.2f} |")


def measured(source: Path, script: str, *arguments: str) -> dict[str, float]:
    """One run of one checkout in a process of its own."""
    folder = tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    # CrewAI prints a panel for every save where it may, which takes longer than the save.
    quiet = {"CREWAI_DISABLE_TELEMETRY": "true", "CREWAI_TESTING": "true", "OTEL_SDK_DISABLED": "true"}
    try:
        done = subprocess.run(
            [sys.executable, script, "--work", folder, *arguments],
            env={**os.environ, **quiet, "PYTHONPATH": f"{source}{os.pathsep}{Path(__file__).parents[1]}"},
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def work(folder: Path, entries: int, url: str) -> dict[str, float]:
    """What is measured. It runs on either checkout, so it uses public names that both have."""
    import logging
    import uuid

    from crewai_persistent_memory import MemoryEntry, PersistentMemory, open_store

    from crewai.events import crewai_event_bus  # isort: skip (after ours: no telemetry)

    logging.disable(logging.ERROR)
    options: dict[str, Any] = {"embedder": None, "durability": "store"}
    options |= {"url": url, "collection": f"compare-{uuid.uuid4().hex[:8]}"} if url else {"path": folder / "store"}
    results: dict[str, float] = {}
    with open_store(**options) as whole, crewai_event_bus.scoped_handlers():
        for user in range(USERS):
            texts = [f"Report {n} of user {user} about {WORDS[n % len(WORDS)]} tea" for n in range(entries // USERS)]
            store = whole.scoped(user_id=f"user-{user}")
            store.put([MemoryEntry(id=str(n), content=text) for n, text in enumerate(texts)])
        store = whole.scoped(user_id="user-7")
        memory = PersistentMemory(store=store)
        some = [MemoryEntry(id=f"new-{n}", content=f"Another report about tea {n}") for n in range(100)]
        calls: dict[str, Callable[[int], Any]] = {
            "recall, 10 hits": lambda n: memory.recall(f"{WORDS[n % len(WORDS)]} tea", limit=10),
            "remember": lambda n: memory.remember(f"The {n}th thing that was said about {WORDS[n % len(WORDS)]}"),
            "store.search, 10 hits": lambda n: store.search(f"{WORDS[n % len(WORDS)]} tea", limit=10),
            "store.add": lambda n: store.add(f"Said {n} times: {WORDS[n % len(WORDS)]}"),
            "store.get": lambda n: store.get(str(n % 50)),
            "store.update": lambda n: store.update(str(n % 50), importance=0.7),
            "store.list, 20": lambda n: store.list(limit=20),
            "store.count": lambda n: store.count(),
            "store.put of 100": lambda n: store.put(some),
        }
        for what, call in calls.items():
            results[what] = median(call, 20 if "put" in what else CALLS, perf_counter if url else thread_time)
        memory.close()
    return results


def median(call: Callable[[int], Any], times: int, clock: Callable[[], float]) -> float:
    for n in range(5):
        call(n)
    seconds = []
    for n in range(times):
        start = clock()
        call(n)
        seconds.append(clock() - start)
    return statistics.median(seconds)


WORDS = ("green", "black", "white", "herbal", "iced", "sweet", "strong", "weak", "hot", "cold")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        print(json.dumps(work(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])))
    else:
        typer.run(main)
