"""Taking out, erasing and bringing back a whole store: times, memory, and whether it comes back as it was.

    python -m benchmarks.moving --entries 100000

Each step is a process of its own, whose largest memory is measured. The store is embedded, with vectors of 256 numbers.
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from crewai_persistent_memory import MemoryEntry, MemoryStore, Scope, open_store
from crewai_persistent_memory.admin import copy_entries, entries_of, erase, export_entries, import_entries
from tests.support.embedders import WordHashEmbedder

BATCH = 500
START = datetime(2026, 1, 1)


def fill(folder: Path, count: int) -> Any:
    chance = random.Random(7)
    with opened(folder / "store") as store:
        for first in range(0, count, BATCH):
            owner = Scope(f"user {first // BATCH % 50}", run_id=None if first // BATCH % 3 else f"run {first}")
            store.scoped(owner).put(
                [
                    MemoryEntry(
                        f"entry {number}",
                        f"fact {number}: town {chance.randrange(10_000)} has a market on day {chance.randrange(31)}",
                        created_at=START + timedelta(seconds=number, microseconds=chance.randrange(10**6)),
                        metadata={"number": number, "of": {"which": chance.random()}},
                        categories=(f"tag {number % 7}",),
                        importance=chance.randrange(100) / 100,
                    )
                    for number in range(first, min(first + BATCH, count))
                ]
            )
    return count


def export(folder: Path, count: int) -> Any:
    with opened(folder / "store") as store, (folder / "file").open("w", encoding="utf-8") as file:
        return export_entries(store, file, with_vectors=True)


def erase_all(folder: Path, count: int) -> Any:
    with opened(folder / "store") as store:
        done = erase(store, project_id="default", settle=0)
        return {"erased": done.entries, "left": done.left}


def bring_back(folder: Path, count: int) -> Any:
    with opened(folder / "store") as store, (folder / "file").open(encoding="utf-8") as lines:
        return import_entries(store, lines).new


def copy(folder: Path, count: int) -> Any:
    with opened(folder / "store") as store, opened(folder / "copy") as target:
        return copy_entries(store, target).new


def digest(folder: Path, count: int) -> Any:
    """Of every entry, with its vector in the half precision in which it is kept."""
    total = 0
    with opened(folder / "store") as store:
        for entry in entries_of(store, with_vectors=True):
            about = {**entry.to_dict(), "vector": [round(value, 3) for value in entry.embedding or ()]}
            total ^= int.from_bytes(hashlib.blake2b(json.dumps(about, sort_keys=True).encode()).digest(), "big")
    return f"{total:x}"[:16]


STEPS: dict[str, Callable[[Path, int], Any]] = {
    "fill": fill,
    "digest": digest,
    "export": export,
    "copy": copy,
    "erase": erase_all,
    "import": bring_back,
}
ORDER = ["fill", "digest", "export", "copy", "erase", "import", "digest"]


def opened(folder: Path) -> MemoryStore:
    return open_store(path=folder, embedder=WordHashEmbedder())


def main(
    entries: Annotated[int, typer.Option(help="How many.")] = 100_000,
    folder: Annotated[str | None, typer.Option(help="Where the stores are made.")] = None,
    step: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run all steps, and print a table."""
    if step is not None:
        start = time.perf_counter()
        answer = STEPS[step](Path(folder or ""), entries)
        seconds, most = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        typer.echo(json.dumps([answer, seconds, most]))
        return
    print("| step | answer | s | largest memory, MB |\n| --- | --- | ---: | ---: |")
    with tempfile.TemporaryDirectory(dir=folder) as made:
        answers = []
        for name in ORDER:
            command = [sys.executable, "-m", "benchmarks.moving", "--entries", str(entries), "--folder", made]
            done = subprocess.run([*command, "--step", name], check=True, capture_output=True, text=True)
            answer, seconds, most = json.loads(done.stdout.splitlines()[-1])
            answers.append(answer)
            print(f"| {name} | {answer} | {seconds:.1f} | {most:.0f} |", flush=True)
        print(f"the file: {(Path(made) / 'file').stat().st_size >> 20} MiB")
        print("it came back as it was" if answers[1] == answers[-1] else "IT CAME BACK OTHERWISE")


if __name__ == "__main__":
    typer.run(main)
