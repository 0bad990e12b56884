"""What reading much costs: a page costs the same wherever it begins, and a scan needs the memory of one page."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, MemoryStore, open_store
from crewai_persistent_memory.backends.qdrant.server.client import RetryingClient

from ..fixtures import OpenStore

NOON = datetime(2026, 5, 1, 12)
LIMIT = 10


class Counted:
    """How many points the engine has given, below everything that this package does with them."""

    points = 0

    def of_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        call = RetryingClient.call

        def counting(client: RetryingClient, method: str, *args: Any, **kwargs: Any) -> Any:
            answer = yield from call(client, method, *args, **kwargs)
            self.points += len(answer[0]) if method == "scroll" else len(answer) if method == "retrieve" else 0
            return answer

        monkeypatch.setattr(RetryingClient, "call", counting)

    def of_embedded(self, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        reader = store.backend.connection._engine._reader  # type: ignore[attr-defined]
        shard, counted = reader.shard, self

        class CountingShard:
            def __getattr__(self, name: str) -> Any:
                return getattr(shard, name)

            def scroll(self, request: Any) -> Any:
                answer = shard.scroll(request)
                counted.points += len(answer[0])
                return answer

            def retrieve(self, *args: Any, **kwargs: Any) -> Any:
                answer = shard.retrieve(*args, **kwargs)
                counted.points += len(answer)
                return answer

        monkeypatch.setattr(reader, "shard", CountingShard())


@pytest.mark.parametrize("open_any", ["embedded", "server"], indirect=True)
@pytest.mark.parametrize(
    ("time_of", "first", "others"),
    [
        pytest.param(lambda number: number, LIMIT + 1, LIMIT + 1, id="each time once"),
        # The first page finds the equal times, then takes them in their order; the others only take them.
        pytest.param(lambda number: 0, 2 * LIMIT + 1, LIMIT, id="one time"),
    ],
)
def test_the_hundredth_page_costs_what_the_first_does(
    open_any: OpenStore, time_of: Callable[[int], int], first: int, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_any(user_id="john")
    store.put(
        [MemoryEntry(id=str(n), content="x", created_at=NOON + timedelta(seconds=time_of(n))) for n in range(1100)]
    )
    counted = Counted()
    if "EmbeddedEngine" in repr(store):
        counted.of_embedded(store, monkeypatch)
    else:
        counted.of_server(monkeypatch)
    costs, cursor = [], None
    for _ in range(100):
        counted.points = 0
        page = store.page(cursor=cursor, limit=LIMIT)
        cursor = page.cursor
        costs.append(counted.points)
    assert costs == [first, *[others] * 99]
    counted.points = 0
    store.list(limit=LIMIT, offset=99 * LIMIT)
    assert counted.points > 99 * LIMIT, "what a list costs there: it is counted"


def peak_of(read: Callable[[], object]) -> int:
    """The most bytes that Python's objects need at once while this reads."""
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def embed(texts: list[str]) -> list[list[float]]:
    return [[1.0, float(len(text))] for text in texts]


def test_a_scan_needs_the_memory_of_one_page(tmp_path: Path) -> None:
    def scan() -> None:
        assert sum(entry.embedding is not None for entry in store.scan(with_vectors=True)) == count

    peaks, count = [], 0
    with open_store(path=tmp_path / "store", user_id="john", embedder=embed) as store:
        for more in (2_000, 6_000):
            store.put([MemoryEntry(id=str(n), content=f"fact {n}") for n in range(count, count + more)])
            count += more
            peaks.append(peak_of(scan))
        assert peaks[1] < 1.2 * peaks[0]
        assert peak_of(lambda: store.list(limit=5_000)) > 5 * peaks[1], "what a list needs: it is measured"
