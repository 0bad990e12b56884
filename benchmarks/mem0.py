"""Mem0 OSS used bare and through this package, and our Qdrant store beside it, in one run. Prints ratios.

    python -m benchmarks.mem0 [--entries 10000] [--markdown docs/benchmarks-mem0.md]

One stub embedder and one stub LLM, in the process, for all three. Mem0 keeps its vectors in its local Qdrant
(``path``). Bare and through us the same ``Memory`` object reads and writes the same memories; they take turns, call by
call.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy
import typer

from crewai_persistent_memory import MemoryEntry, open_store
from crewai_persistent_memory.validation import utcnow

DIMENSIONS, USERS = 384, 100
WORDS = [f"word{i}" for i in range(5000)]
MOST_OVERHEAD, LEAST_ADVANTAGE = 1.1, 5.0


class Embedder:
    """Stands in for a model, for Mem0 and for us: any text has its vector at once. Counts what it is asked."""

    def __init__(self) -> None:
        self._pool = numpy.random.default_rng(7).normal(size=(4096, DIMENSIONS)).astype("float32").tolist()
        self.calls = 0
        self.config = type("Config", (), {"embedding_dims": DIMENSIONS})()

    def __call__(self, texts: list[str]) -> list[list[float]]:
        self.calls += 1
        return [self.vector(text) for text in texts]

    def vector(self, text: str) -> list[float]:
        return self._pool[hash(text) % 4096]  # type: ignore[no-any-return]

    def embed(self, text: str, memory_action: Any = None) -> list[float]:
        self.calls += 1
        return self.vector(text)

    def embed_batch(self, texts: list[str], memory_action: Any = None) -> list[list[float]]:
        return self(texts)


class Extractor:
    """Stands in for Mem0's LLM: one new fact from whatever is said."""

    def __init__(self) -> None:
        self.calls = 0
        self._numbers = itertools.count()

    def generate_response(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        self.calls += 1
        return json.dumps({"memory": [{"id": "0", "text": f"fact {next(self._numbers)}", "attributed_to": "user"}]})


def main(
    entries: Annotated[int, typer.Option(help="Memories, of 100 users.")] = 10_000,
    calls: Annotated[int, typer.Option(help="Calls per measurement.")] = 300,
    markdown: Annotated[str | None, typer.Option(help="Write the table here as well.")] = None,
) -> None:
    """Run everything and print it."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEM0_DIR"] = str(Path(folder) / "mem0")
        rows = measure(Path(folder), entries, calls)
    text = report(rows, entries)
    print(text)
    if markdown:
        Path(markdown).write_text(text, encoding="utf-8")
    overheads = [row["through us"] / row["bare"] for row in rows if row["what"] != "recall, our Qdrant store"]
    advantage = rows[0]["bare"] / rows[-1]["through us"]
    if max(overheads) > MOST_OVERHEAD or advantage < LEAST_ADVANTAGE:
        print(f"missed: overheads {overheads}, advantage {advantage}", file=sys.stderr)
        raise typer.Exit(1)


def measure(folder: Path, entries: int, calls: int) -> list[dict[str, Any]]:
    embedder, extractor = Embedder(), Extractor()
    at = {"api_key": "sk-nobody"}
    config = {
        "vector_store": {
            "provider": "qdrant",
            "config": {"path": str(folder / "vectors"), "embedding_model_dims": DIMENSIONS, "on_disk": True},
        },
        "llm": {"provider": "openai", "config": {"model": "stub", **at}},
        "embedder": {"provider": "openai", "config": {"model": "stub", "embedding_dims": DIMENSIONS, **at}},
        "history_db_path": str(folder / "history.db"),
    }
    chance = numpy.random.default_rng(1)
    texts = [" ".join(WORDS[i] for i in chance.integers(0, len(WORDS), size=20)) for _ in range(entries + 3 * calls)]
    users = [f"user{i % USERS}" for i in range(entries)]
    with closing(open_store(user_id="user0", durability="store", mem0={"local_mem0_config": config})) as through:
        bare = through._service._client()  # type: ignore[attr-defined]
        bare.embedding_model, bare.llm = embedder, extractor
        load(bare, embedder, texts[:entries], users)
        say = {"filters": {"user_id": "user0"}, "top_k": 10, "threshold": 0.0}
        queries = texts[entries:]
        rows = [
            compare(
                "recall",
                lambda text: bare.search(text, **say),
                lambda text: through.search(text, limit=10),
                queries[:calls],
                embedder,
                extractor,
            ),
            compare(
                "save, as it is",
                lambda text: bare.add(text, user_id="user0", infer=False),
                lambda text: through.add(text),
                queries[calls : 2 * calls],
                embedder,
                extractor,
            ),
            compare(
                "save, with extraction",
                lambda text: bare.add([{"role": "user", "content": text}], user_id="user0"),
                lambda text: through.add_messages([{"role": "user", "content": text}]),  # type: ignore[attr-defined]
                queries[2 * calls :],
                embedder,
                extractor,
            ),
        ]
    with open_store(path=folder / "ours", embedder=embedder, fsync="close") as ours:
        for user in sorted(set(users)):
            mine = [MemoryEntry(str(i), texts[i]) for i in range(entries) if users[i] == user]
            ours.scoped(user_id=user).put(mine)
        me = ours.scoped(user_id="user0")
        times, asked = [], embedder.calls
        for text in queries[:calls]:
            start = time.perf_counter()
            me.search(text, limit=10)
            times.append(time.perf_counter() - start)
        row = {"what": "recall, our Qdrant store", "through us": statistics.median(times)}
        rows.append({**row, "embedder": f"{(embedder.calls - asked) / calls:.1f}", "llm": "0.0"})
    return rows


def load(bare: Any, embedder: Embedder, texts: Sequence[str], users: Sequence[str]) -> None:
    """As ``Memory.add`` would store them, but in one go."""
    now = utcnow().isoformat()
    payloads = [
        {"user_id": user, "data": text, "hash": str(hash(text)), "created_at": now, "updated_at": now, "role": "user"}
        for text, user in zip(texts, users, strict=True)
    ]
    for start in range(0, len(texts), 1000):
        part = slice(start, start + 1000)
        bare.vector_store.insert(
            vectors=[embedder.vector(text) for text in texts[part]],
            payloads=payloads[part],
            ids=[str(uuid.uuid4()) for _ in texts[part]],
        )


def compare(
    what: str,
    bare: Callable[[str], Any],
    through: Callable[[str], Any],
    texts: Sequence[str],
    embedder: Embedder,
    extractor: Extractor,
) -> dict[str, Any]:
    """Medians in seconds, and how often the models were asked, for each way."""
    times: dict[str, list[float]] = {"bare": [], "through us": []}
    asked: dict[str, list[tuple[int, int]]] = {"bare": [], "through us": []}
    for number, text in enumerate(texts):
        ways = [("bare", bare), ("through us", through)]
        for name, call in ways if number % 2 else reversed(ways):
            before = (embedder.calls, extractor.calls)
            start = time.perf_counter()
            call(f"{text} {name}")
            times[name].append(time.perf_counter() - start)
            asked[name].append((embedder.calls - before[0], extractor.calls - before[1]))
    means = {name: [sum(column) / len(texts) for column in zip(*each, strict=True)] for name, each in asked.items()}
    return {
        "what": what,
        **{name: statistics.median(each) for name, each in times.items()},
        "embedder": f"{means['bare'][0]:.1f} / {means['through us'][0]:.1f}",
        "llm": f"{means['bare'][1]:.1f} / {means['through us'][1]:.1f}",
    }


def report(rows: list[dict[str, Any]], entries: int) -> str:
    lines = [
        "# Mem0 OSS, bare and through us",
        "",
        f"Python {platform.python_version()}, mem0ai {version('mem0ai')}, {os.cpu_count()} cores; {entries:,} memories "
        f"of {USERS} users, {DIMENSIONS} dimensions, in Mem0's local Qdrant; stub embedder and LLM. Medians. Made by "
        "`python -m benchmarks.mem0`; ratios hold, times are this machine's.",
        "",
        "| | bare, ms | through us, ms | ratio | embedder calls | LLM calls |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        bare = f"{row['bare'] * 1000:.2f}" if "bare" in row else "–"
        ratio = f"{row['through us'] / row['bare']:.2f}" if "bare" in row else ""
        if not ratio:
            ratio = f"{rows[0]['bare'] / row['through us']:.0f} times faster than Mem0's recall"
        lines.append(
            f"| {row['what']} | {bare} | {row['through us'] * 1000:.2f} | {ratio} | {row['embedder']} | {row['llm']} |"
        )
    lines += [
        "",
        f"At most {MOST_OVERHEAD} was asked for, and at least {LEAST_ADVANTAGE:g} times. Embedder and LLM calls are "
        "those of one call, bare / through us. In a run or for an agent a recall through us asks Mem0 once for each "
        "scope that is visible (two for a run), because not every vector store behind Mem0 filters by a list.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    typer.run(main)
