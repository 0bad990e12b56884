"""Recalls of another checkout of this package against this one, over the embedded engine, in one run. Prints ratios.

    git worktree add ../before COMMIT
    python -m benchmarks.recalls ../before [--rounds 5] [--alone 100000]

- *crew*: 10,000 memories of 100 users, keywords only. Each recall is of the next user. "Prompt" is a recall by
  CrewAI's code that builds a prompt, which asks for five. "First" are the first ones of each user in a process: what is
  made of their memories is not yet known.
- *alone*: one user has so many memories, with keywords only, and with vectors of 384 dimensions. The embedder takes no
  time.

A figure is the median of its rounds' medians of single calls, in processor time of all threads; a ratio is before
÷ now.
"""

from __future__ import annotations

import json
import logging
import random
import statistics
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from time import process_time
from typing import Annotated, Any

import typer

from benchmarks.compare import compare, median

USERS, MEMORIES, DIMENSIONS = 100, 100, 384
CALLS = 1_000
LENGTHS = {"facts": (6, 14), "notes": (20, 80), "answers": (20, 80), "records": (100, 150)}
"""Words of each memory, at least and at most. An answer has a request before it, as what a crew keeps of a task."""

NOT_FIRST = 20
"""Users of whom something is recalled before the first recalls are measured: code and words are known by then."""


def main(
    before: Annotated[Path, typer.Argument(help="A checkout of the other commit.")],
    rounds: Annotated[int, typer.Option(help="How often each is run.")] = 5,
    alone: Annotated[int, typer.Option(help="Memories of the one user who is alone; 0: leave it out.")] = 100_000,
) -> None:
    """Run both and print the ratios."""
    for what in LENGTHS:
        print(f"\ncrew, {USERS * MEMORIES:,} memories, {what}: {' to '.join(map(str, LENGTHS[what]))} words\n")
        compare(before, rounds, __file__, "crew", what)
    if alone:
        print(f"\none user alone, {alone:,} memories\n")
        compare(before, max(1, rounds // 2), __file__, "alone", str(alone))


def crew(folder: Path, kind: str) -> dict[str, float]:
    """It runs on either checkout, so it uses public names that both have."""
    from crewai_persistent_memory import MemoryEntry, PersistentMemory, open_store

    from crewai.events import crewai_event_bus  # isort: skip (after ours: no telemetry)

    chance = random.Random(7)
    with open_store(path=folder / "store", embedder=None) as store, crewai_event_bus.scoped_handlers():
        asking = []
        for user in range(USERS):
            scoped = store.scoped(user_id=f"user-{user}")
            texts = [memory_of(kind, chance) for _ in range(MEMORIES)]
            said = [SINCE + timedelta(hours=n * 37 % 1999) for n in range(MEMORIES)]
            scoped.put(
                [
                    MemoryEntry(id=str(n), content=each, created_at=when)
                    for n, (each, when) in enumerate(zip(texts, said, strict=True))
                ]
            )
            memory = PersistentMemory(store=scoped)
            # As CrewAI's own code calls it.
            prompting: dict[str, Any] = {"__name__": "crewai.agent.core", "recall": memory.recall}
            exec("def ask(query):\n    return recall(query, limit=5)", prompting)
            queries = [" ".join(each.split()[2:8]) for each in texts]
            asking.append((scoped, memory, prompting["ask"], queries))

        def of(call: Callable[[Any, str], Any]) -> Callable[[int], Any]:
            def asked(n: int) -> Any:
                whose = asking[n % USERS]
                return call(whose, whose[3][n // USERS % MEMORIES])

            return asked

        calls: dict[str, Callable[[Any, str], Any]] = {
            "store.search, 10 hits": lambda whose, query: whose[0].search(query, limit=10),
            "recall, 10 hits": lambda whose, query: whose[1].recall(query, limit=10),
            "recall, 5 hits": lambda whose, query: whose[1].recall(query, limit=5),
            "recall for a prompt": lambda whose, query: whose[2](query),
        }
        first = [seconds(of(calls["recall for a prompt"]), user) for user in range(USERS)][NOT_FIRST:]
        results = {"recall for a prompt, first": statistics.median(first)}
        return results | {what: median(of(call), CALLS, process_time) for what, call in calls.items()}


def seconds(call: Callable[[int], Any], n: int) -> float:
    start = process_time()
    call(n)
    return process_time() - start


def alone(folder: Path, count: int) -> dict[str, float]:
    import numpy

    from crewai_persistent_memory import MemoryEntry, PersistentMemory, open_store

    from crewai.events import crewai_event_bus  # isort: skip (after ours: no telemetry)

    chance, numbers = random.Random(7), numpy.random.default_rng(7)
    texts = [text(chance, 60) for _ in range(count)]
    queries = [" ".join(each.split()[2:8]) for each in texts[:: max(1, count // 50)]]
    results: dict[str, float] = {}

    def embed(batch: list[str]) -> list[Any]:
        return [numbers.normal(size=DIMENSIONS).astype("float32").tolist() for _ in batch]

    for name, embedder in (("keywords", None), ("vectors", embed)):
        with open_store(path=folder / name, embedder=embedder) as store, crewai_event_bus.scoped_handlers():
            scoped = store.scoped(user_id="user")
            for start in range(0, count, 1000):
                batch = texts[start : start + 1000]
                vectors = [None] * len(batch) if embedder is None else embed(batch)
                pairs = zip(batch, vectors, strict=True)
                entries = [MemoryEntry(id=f"{start}-{n}", content=t, embedding=v) for n, (t, v) in enumerate(pairs)]
                scoped.put(entries)
            memory = PersistentMemory(store=scoped)
            if embedder is not None:
                dense = embed(queries)
                results["nearest by vector, 10 hits"] = median(
                    lambda n, dense=dense, scoped=scoped: scoped.nearest(dense[n % len(dense)], limit=10),  # type: ignore[misc]
                    100,
                    process_time,
                )
            for what, call in (("store.search", scoped.search), ("recall", memory.recall)):
                results[f"{what}, 10 hits, {name}"] = median(
                    lambda n, call=call: call(queries[n % len(queries)], limit=10),  # type: ignore[misc]
                    100,
                    process_time,
                )
            memory.close()
    return results


SINCE = datetime(2026, 9, 1)
SYLLABLES = tuple(first + second for first in "bdfglmnprst" for second in "aeiou")


def memory_of(kind: str, chance: random.Random) -> str:
    words = text(chance, chance.randint(*LENGTHS[kind]))
    return f"{text(chance, 12)[:-1]}?\nResult: {words}" if kind == "answers" else words


def text(chance: random.Random, words: int) -> str:
    """Sentences of made-up words. Some words are frequent, most are rare, as in any language."""
    said = []
    for number in range(words):
        rank = int(2_000 * chance.random() ** 3)
        word = SYLLABLES[rank % 55] + SYLLABLES[rank // 55 % 55] + "nt"
        said.append(f"{word}." if number % 12 == 11 else word)
    return " ".join(said).capitalize() + "."


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        logging.disable(logging.ERROR)
        folder, what, argument = Path(sys.argv[2]), sys.argv[3], sys.argv[4]
        print(json.dumps(crew(folder, argument) if what == "crew" else alone(folder, int(argument))))
    else:
        typer.run(main)
