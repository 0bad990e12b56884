"""How long the other threads of a process stand still while an embedded store is written.

    python -m benchmarks.pauses --policy interval --seconds 20

One thread saves an entry and recalls (which notes when entries were read) once a second; another one wakes up every
millisecond and notes how late it is. What it is late by beyond the same without any store is the pause.
"""

from __future__ import annotations

import tempfile
import threading
import time
from typing import Annotated, Literal

import typer

from crewai_persistent_memory import MemoryEntry, open_store


def main(
    policy: Annotated[Literal["always", "interval", "close"], typer.Option(help="fsync of the store")] = "interval",
    seconds: Annotated[float, typer.Option(help="how long")] = 20.0,
    entries: Annotated[int, typer.Option(help="entries in the store before")] = 2_000,
    folder: Annotated[str | None, typer.Option(help="where the store is made, on a disk")] = None,
) -> None:
    """Measure and print, in milliseconds."""
    late = sorted(lateness(seconds))
    print(f"without a store: {figures(late)}")
    with (
        tempfile.TemporaryDirectory(prefix="h-pauses-", dir=folder) as path,
        open_store(path=f"{path}/s", user_id="john", embedder=None, fsync=policy) as store,
    ):
        store.put([MemoryEntry(id=str(n), content=f"fact {n} " + "word " * 60) for n in range(entries)])
        done = threading.Event()
        saves: list[float] = []

        def write() -> None:
            while not done.is_set():
                start = time.perf_counter()
                store.add("something new " * 20)
                saves.append(time.perf_counter() - start)
                store.touch([entry.id for entry in store.search("fact word", limit=5)])
                done.wait(1.0)

        writer = threading.Thread(target=write)
        writer.start()
        late = sorted(lateness(seconds))
        done.set()
        writer.join()
    saves.sort()
    print(f"fsync={policy!r}: {figures(late)}; a save: median {saves[len(saves) // 2] * 1000:.1f}")


def lateness(seconds: float) -> list[float]:
    late = []
    end = time.perf_counter() + seconds
    while (now := time.perf_counter()) < end:
        time.sleep(0.001)
        late.append(time.perf_counter() - now - 0.001)
    return late


def figures(late: list[float]) -> str:
    at = {name: late[int(len(late) * share)] * 1000 for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))}
    return ", ".join(f"{name} {value:.2f}" for name, value in at.items()) + f", longest {late[-1] * 1000:.1f} ms"


if __name__ == "__main__":
    typer.run(main)
