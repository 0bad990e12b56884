"""``PersistentStorage`` against CrewAI's own ``RAGStorage`` (Chroma), CrewAI <= 1.9.3, on the same texts, in one run.

    python -m benchmarks.contextual [--sizes 1000,10000] [--queries 200] [--markdown docs/benchmarks-contextual.md]

Both are called as CrewAI's memories call them, one text at a time, and embed with the same function: 384 numbers from a
text's hash, so that what is measured is the storage and not a model. Ours separates 100 users, CrewAI's knows none.
Medians of single calls in one process; the embedded store of keywords and vectors, and of keywords only.
"""

from __future__ import annotations

import hashlib
import logging
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy
import typer

from crewai_persistent_memory import PersistentStorage, use_scope

from crewai.memory.storage.rag_storage import RAGStorage  # isort: skip (after ours: no telemetry)
from crewai.rag.embeddings.providers.custom.embedding_callable import CustomEmbeddingFunction  # isort: skip

DIMENSIONS, USERS = 384, 100
Row = dict[str, Any]


def embed(texts: list[str]) -> list[list[float]]:
    return [_vector(text).tolist() for text in texts]


def _vector(text: str) -> Any:
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
    return numpy.random.default_rng(seed).normal(size=DIMENSIONS).astype("float32")


class Embedding(CustomEmbeddingFunction):
    """The same function as Chroma wants it."""

    def __init__(self, **config: Any) -> None:
        pass

    def __call__(self, input: Any) -> Any:
        return [_vector(text) for text in input]


def main(
    sizes: Annotated[str, typer.Option(help="How many texts are stored.")] = "1000,10000",
    queries: Annotated[int, typer.Option(help="Searches per measurement.")] = 200,
    markdown: Annotated[str | None, typer.Option(help="Write the table here as well.")] = None,
) -> None:
    """Run everything and print it."""
    logging.disable(logging.WARNING)
    rows = []
    for count in map(int, sizes.split(",")):
        texts = make_texts(count)
        for name, opened in (("ours", ours), ("ours, keywords only", ours_by_keywords), ("RAGStorage", crewais)):
            folder = Path(tempfile.mkdtemp(prefix="memory-benchmark-"))
            try:
                rows.append({"storage": name, "texts": count, **measure(opened(folder), texts, queries)})
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    text = report(rows)
    print(text)
    if markdown:
        Path(markdown).write_text(text, encoding="utf-8")


def make_texts(count: int) -> list[str]:
    chance = numpy.random.default_rng(7)
    words = chance.integers(0, 5000, size=(count, 60))
    return [" ".join(f"word{word}" for word in row) for row in words]


def ours(folder: Path) -> Any:
    return PersistentStorage(path=folder, embedder=embed)


def ours_by_keywords(folder: Path) -> Any:
    return PersistentStorage(path=folder, embedder=None)


def crewais(folder: Path) -> Any:
    spec: Any = {"provider": "custom", "config": {"embedding_callable": Embedding}}
    return RAGStorage(type="external", embedder_config=spec, path=str(folder))


def measure(storage: Any, texts: list[str], queries: int) -> Row:
    """Seconds of single calls; each text belongs to one of the users, and each search is one of them asking."""
    saves = [timed(number, lambda text=text: storage.save(text, {"n": 1})) for number, text in enumerate(texts)]
    step = max(1, len(texts) // queries)
    asked = list(enumerate(texts))[::step][:queries]
    found = 0
    searches = []
    for number, text in asked:
        result: list[Any] = []
        searches.append(
            timed(number, lambda text=text, result=result: result.extend(storage.search(text[:80], 5, 0.6)))
        )
        found += bool(result)
    if isinstance(storage, PersistentStorage):
        storage.close()
    return {"save": statistics.median(saves) * 1000, "search": statistics.median(searches) * 1000, "found": found}


def timed(number: int, action: Callable[[], Any]) -> float:
    with use_scope(user_id=f"u{number % USERS}"):
        start = time.perf_counter()
        action()
        return time.perf_counter() - start


def report(rows: list[Row]) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("crewai", "chromadb", "qdrant-edge-py"))
    lines = [
        "# Storage of CrewAI until 1.9.3, against CrewAI's own",
        "",
        f"`python -m benchmarks.contextual`, {versions}, Python {platform.python_version()}.",
        "Medians in milliseconds; the ratio is CrewAI's ÷ ours. Both embed with the same stub; ours serves 100 users,",
        "CrewAI's `RAGStorage` knows none.",
        "",
        "| storage | texts | save one | search | save, ratio | search, ratio |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        theirs = next(r for r in rows if r["texts"] == row["texts"] and r["storage"] == "RAGStorage")
        ratios = f"{theirs['save'] / row['save']:.1f} | {theirs['search'] / row['search']:.1f}"
        lines.append(f"| {row['storage']} | {row['texts']:,} | {row['save']:.2f} | {row['search']:.2f} | {ratios} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    typer.run(main)
