"""The store on a real Qdrant server against a bare ``qdrant-client`` that does the same, in one run. Prints ratios.

    python -m benchmarks.server [--sizes 10000,100000,1000000] [--url http://…] [--markdown docs/benchmarks-server.md]

Without ``--url`` a server is started on loopback from ``.qdrant/`` (``scripts/fetch-qdrant``) or ``QDRANT_BIN``.
384 dimensions, 10,000 users; the embedding itself is not counted. Ours and the bare client take turns, call by call.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy
import typer
from qdrant_client import QdrantClient, models

from crewai_persistent_memory import MemoryEntry, MemoryStore, open_store
from crewai_persistent_memory.backends.qdrant.schema import format_time, tenant_key
from crewai_persistent_memory.embedding import KeywordEncoder
from crewai_persistent_memory.scope import Scope
from tests.support.qdrant_server import QdrantServer, newest

DIMENSIONS, USERS, LARGE = 384, 10_000, 100_000
CLIENTS = (1, 8, 32)
WORDS = [f"word{i}" for i in range(5000)]
AT_MOST = 1.3
Row = dict[str, Any]


class Vectors:
    """Stands in for a model: any text has its vector at once."""

    def __init__(self) -> None:
        self._pool = numpy.random.default_rng(7).normal(size=(4096, DIMENSIONS)).astype("float32").tolist()

    def __call__(self, texts: list[str]) -> list[list[float]]:
        return [self._pool[hash(text) % 4096] for text in texts]


VECTORS = Vectors()
ENCODER = KeywordEncoder()


def text(chance: Any) -> str:
    return " ".join(WORDS[i] for i in chance.integers(0, len(WORDS), size=60))


def main(
    sizes: Annotated[str, typer.Option(help="Entry counts.")] = "10000,100000,1000000",
    url: Annotated[str | None, typer.Option(help="A server that runs already.")] = None,
    calls: Annotated[int, typer.Option(help="Calls per measurement.")] = 400,
    markdown: Annotated[str | None, typer.Option(help="Write the tables here as well.")] = None,
) -> None:
    """Run everything and print it."""
    logging.getLogger("crewai_persistent_memory").setLevel(logging.ERROR)
    with a_server(url) as (address, grpc_port):
        version = httpx.get(address).json()["version"]
        overheads = [row for grpc in (False, True) for row in measure_overhead(address, grpc_port, grpc, calls)]
        print(overheads, file=sys.stderr)
        scale = []
        for size in [int(size) for size in sizes.split(",")]:
            scale += measure_scale(address, grpc_port, size, USERS, calls)
            print(scale[-6:], file=sys.stderr)
        scale += measure_scale(address, grpc_port, LARGE, 1, calls)
    report_text = report(overheads, scale, version)
    print(report_text)
    if markdown:
        Path(markdown).write_text(report_text, encoding="utf-8")
    if any(row["ratio"] > AT_MOST for row in overheads):
        raise typer.Exit(1)


@contextmanager
def a_server(url: str | None) -> Iterator[tuple[str, int]]:
    if url is not None:
        yield url, 6334
        return
    with tempfile.TemporaryDirectory() as folder:
        server = QdrantServer(newest(), Path(folder)).start()
        try:
            yield server.url, server.grpc_port
        finally:
            server.stop()


def open_one(address: str, grpc_port: int, grpc: bool, collection: str, **options: Any) -> MemoryStore:
    return open_store(
        url=address,
        grpc_port=grpc_port,
        prefer_grpc=grpc,
        collection=collection,
        embedder=VECTORS,
        timeout=60,
        durability="store",  # a save is to be the request
        **{"user_id": "user0", **options},
    )


def spread(times: list[float]) -> tuple[float, float]:
    """Median and 95th percentile, in milliseconds."""
    ordered = sorted(times)
    return statistics.median(ordered) * 1000, ordered[int(len(ordered) * 0.95)] * 1000


# -- overhead ------------------------------------------------------------------------------------------------------


def measure_overhead(address: str, grpc_port: int, grpc: bool, calls: int) -> list[Row]:
    collection = f"b-{uuid.uuid4().hex[:8]}"
    chance = numpy.random.default_rng(1)
    bare = QdrantClient(
        url=address,
        grpc_port=grpc_port,
        prefer_grpc=grpc,
        timeout=60,
        check_compatibility=False,
        # The same transport as ours, so that only our layer is compared. Left to itself the client opens a connection
        # for every call to localhost; keeping one, but with gzip on, an answer takes 40 ms (it comes in two segments,
        # and the second waits for a delayed acknowledgement).
        metadata={"Accept-Encoding": "identity"},
        **({} if grpc else {"limits": httpx.Limits(max_keepalive_connections=20)}),
    )
    rows = []
    with open_one(address, grpc_port, grpc, collection) as store:
        for user in range(100):
            entries = [MemoryEntry(id=str(i), content=text(chance)) for i in range(100)]
            handle(store, user).put(entries)
        mine = handle(store, 0)
        scope = mine.scope
        queries = [text(chance)[:60] for _ in range(calls)]
        found: list[tuple[int, int]] = []

        def ours_recall(i: int) -> None:
            found.append((len(mine.search(queries[i])), 0))

        def bare_recall(i: int) -> None:
            found[-1] = (found[-1][0], len(recall_by_hand(bare, collection, scope, queries[i])))

        rows.append(compare("recall", grpc, ours_recall, bare_recall, calls))
        assert all(ours == by_hand == 10 for ours, by_hand in found), "the two do not do the same"
        texts = [text(chance) for _ in range(2 * calls)]
        rows.append(
            compare(
                "save",
                grpc,
                lambda i: mine.add(texts[i]),
                lambda i: save_by_hand(bare, collection, scope, texts[calls + i]),
                calls,
            )
        )
    bare.delete_collection(collection)
    return rows


def handle(store: MemoryStore, user: int) -> MemoryStore:
    from crewai_persistent_memory.scope import ScopeBinding

    return store._view(ScopeBinding.of(user_id=f"user{user}"))


def compare(what: str, grpc: bool, ours: Callable[[int], Any], bare: Callable[[int], Any], calls: int) -> Row:
    times: tuple[list[float], list[float]] = ([], [])
    for i in range(calls):
        for kind, call in enumerate((ours, bare)):
            start = time.perf_counter()
            call(i)
            times[kind].append(time.perf_counter() - start)
    # The first calls open connections.
    ours_ms, bare_ms = (statistics.median(each[20:]) * 1000 for each in times)
    how = "gRPC" if grpc else "REST"
    return {"what": what, "how": how, "ours": ours_ms, "bare": bare_ms, "ratio": ours_ms / bare_ms}


def visible_by_hand(scope: Scope) -> models.Filter:
    tenant = models.FieldCondition(key="tenant", match=models.MatchValue(value=tenant_key(scope)))
    return models.Filter(must=[tenant, models.IsEmptyCondition(is_empty=models.PayloadField(key="owner"))])


def recall_by_hand(client: QdrantClient, collection: str, scope: Scope, query: str) -> list[Any]:
    """Hybrid search with fusion, recency and importance, as one would write it without us."""
    where = visible_by_hand(scope)
    words = ENCODER.query(query)
    sparse = models.SparseVector(indices=words.indices, values=words.values)
    decay = models.DecayParamsExpression(
        x=models.DatetimeKeyExpression(datetime_key="created_at"),
        target=models.DatetimeExpression(datetime=format_time(MemoryEntry(id="x", content="x").created_at)),
        scale=30 * 86400.0,
        midpoint=0.5,
    )
    recency = models.MultExpression(mult=[0.2, models.ExpDecayExpression(exp_decay=decay)])
    weight = models.SumExpression(sum=[0.7, recency, models.MultExpression(mult=[0.1, "importance"])])
    return client.query_points(
        collection,
        prefetch=[
            models.Prefetch(
                prefetch=[
                    models.Prefetch(query=VECTORS([query])[0], using="dense", filter=where, limit=40),
                    models.Prefetch(query=sparse, using="keywords", filter=where, limit=40),
                ],
                query=models.FusionQuery(fusion=models.Fusion.RRF),
                limit=40,
            )
        ],
        query=models.FormulaQuery(formula=models.MultExpression(mult=["$score", weight]), defaults={"importance": 0.5}),
        limit=10,
        with_payload=True,
    ).points


def save_by_hand(client: QdrantClient, collection: str, scope: Scope, content: str) -> None:
    words = ENCODER.document(content)
    vectors: Any = {
        "dense": VECTORS([content])[0],
        "keywords": models.SparseVector(indices=words.indices, values=words.values),
    }
    now = format_time(MemoryEntry(id="x", content="x").created_at)
    payload = {
        "tenant": tenant_key(scope),
        "user_id": scope.user_id,
        "project_id": scope.project_id,
        "content": content,
        "created_at": now,
        "record": '{"id":"…","path":"/","last_accessed":"' + now + '"}',
    }
    point = models.PointStruct(id=str(uuid.uuid4()), vector=vectors, payload=payload)
    client.upsert(collection, points=[point], wait=True)


# -- scale ---------------------------------------------------------------------------------------------------------


def measure_scale(address: str, grpc_port: int, size: int, users: int, calls: int) -> list[Row]:
    collection = f"b-{uuid.uuid4().hex[:8]}"
    open_one(address, grpc_port, False, collection).close()
    start = time.perf_counter()
    workers = 2
    context = multiprocessing.get_context("fork")
    spans = [(users * w // workers, users * (w + 1) // workers) for w in range(workers)]
    loaders = [
        context.Process(target=load, args=(address, grpc_port, collection, size, users, span))
        for span in spans
        if span[0] < span[1]
    ]
    join(loaders)
    loaded = time.perf_counter() - start
    wait_until_green(address, collection)
    rows = []
    for grpc in (False, True):
        for clients in CLIENTS:
            per_client = max(30, calls // clients)
            queue: Any = context.Queue()
            args = (address, grpc_port, grpc, collection, users, per_client, queue)
            processes = [context.Process(target=recall_many, args=(*args, number)) for number in range(clients)]
            start = time.perf_counter()
            for process in processes:
                process.start()
            times = [moment for _ in processes for moment in queue.get()]
            join(processes, started=True)
            p50, p95 = spread(times)
            rows.append(
                {
                    "entries": size,
                    "users": users,
                    "how": "gRPC" if grpc else "REST",
                    "clients": clients,
                    "p50": p50,
                    "p95": p95,
                    "rate": len(times) / (time.perf_counter() - start),
                    "load": size / loaded,
                }
            )
    httpx.delete(f"{address}/collections/{collection}", timeout=60)
    return rows


def join(processes: list[Any], started: bool = False) -> None:
    for process in processes:
        if not started:
            process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise RuntimeError(f"a benchmark process failed with {process.exitcode}")


def load(address: str, grpc_port: int, collection: str, size: int, users: int, span: tuple[int, int]) -> None:
    chance = numpy.random.default_rng(span[0])
    with open_one(address, grpc_port, True, collection) as store:
        each = size // users
        for user in range(*span):
            mine = handle(store, user)
            for first in range(0, each, 1000):
                count = min(1000, each - first)
                mine.put([MemoryEntry(id=str(first + i), content=text(chance)) for i in range(count)])


def recall_many(
    address: str, grpc_port: int, grpc: bool, collection: str, users: int, calls: int, queue: Any, number: int
) -> None:
    chance = numpy.random.default_rng(1000 + number)
    times = []
    with open_one(address, grpc_port, grpc, collection) as store:
        for i in range(calls + 5):
            mine = handle(store, int(chance.integers(0, users)))
            query = text(chance)[:60]
            start = time.perf_counter()
            found = mine.search(query)
            if i >= 5:
                times.append(time.perf_counter() - start)
            assert found, "nothing recalled"
    queue.put(times)


def wait_until_green(address: str, collection: str) -> None:
    while httpx.get(f"{address}/collections/{collection}", timeout=60).json()["result"]["status"] != "green":
        time.sleep(0.5)


def report(overheads: list[Row], scale: list[Row], version: str) -> str:
    lines = [
        "# Benchmarks: Qdrant server",
        "",
        f"Qdrant {version} on loopback, {os.cpu_count()} cores for server and clients together, "
        f"Python {platform.python_version()}, {DIMENSIONS} dimensions, `python -m benchmarks.server`.",
        "",
        "## What our layer costs",
        "",
        "Median of one call, ours and a bare `qdrant-client` that sends the same query or point, taking turns; 10,000",
        f"entries of 100 users. The ratio is to be at most {AT_MOST}.",
        "",
        "| call | over | ours, ms | bare, ms | ratio |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r['what']} | {r['how']} | {r['ours']:.2f} | {r['bare']:.2f} | **{r['ratio']:.2f}** |" for r in overheads
    ]
    lines += [
        "",
        "## Recall at scale",
        "",
        "Hybrid recall of 10 entries. Each client is a process that asks without pause, so many clients on few cores",
        "mostly wait for a core. Loading is saving in calls of up to 1000 entries from two processes, gRPC.",
        "",
        "| entries | users | over | clients | p50, ms | p95, ms | recalls/s | loaded, entries/s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r['entries']:,} | {r['users']:,} | {r['how']} | {r['clients']} | {r['p50']:.1f} | {r['p95']:.1f} "
        f"| {r['rate']:.0f} | {r['load']:.0f} |"
        for r in scale
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    typer.run(main)
