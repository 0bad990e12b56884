"""Every operation is driven both ways: a blocking call and its awaited twin ask the same, and get the same answer.

So the contract calls a store in another way only where its backend waits in a way of its own.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from typing import Any

import pytest

from crewai_persistent_memory import FilterField, MemoryEntry, MemoryStore, PathInfo, Scope, StoreError, operations
from crewai_persistent_memory.io.steps import Call, Steps
from crewai_persistent_memory.store.backend import Backend, Capabilities

NOON = datetime(2026, 5, 1, 12)
SEEN = MemoryEntry(id="a", content="John likes tea", scope=Scope(user_id="john"), created_at=NOON, last_accessed=NOON)
ANSWERS: dict[str, Any] = {
    "Put": None,
    "Replace": True,
    "Update": SEEN,
    "Delete": 3,
    "UndoDelete": [SEEN],
    "Touch": None,
    "EmbedMissing": 2,
    "CompleteFields": True,
    "AddMessages": operations.AddedMessages((SEEN,)),
    "Search": [[SEEN]],
    "Nearest": [SEEN],
    "Get": SEEN,
    "List": [SEEN],
    "ListPage": operations.Page((SEEN,), None),
    "Scan": operations.ScanPage((SEEN,), None),
    "Count": 1,
    "CountCategories": {"drinks": 1},
    "ListChildren": ("/a",),
    "DescribePath": PathInfo("/", 1, (), None, None, ()),
    "DescribeEmbedder": None,
    "Compact": True,
    "Health": {"engine": "recorded"},
    "CountPending": 3,
    "Flush": True,
    "CountScopes": {},
}
CALLS: dict[str, Callable[[Any], Any]] = {
    "add": lambda call: call("John likes tea", id="a", created_at=NOON),
    "put": lambda call: call([SEEN]),
    "replace": lambda call: call(SEEN),
    "update": lambda call: call("a", importance=0.9),
    "delete": lambda call: call("a"),
    "undo_delete": lambda call: call("a", path="/a"),
    "reset": lambda call: call("/a"),
    "end_run": lambda call: call(keep={"kind": "entity"}),
    "add_messages": lambda call: call([{"role": "user", "content": "I like tea"}], wait=True),
    "touch": lambda call: call(["a"]),
    "embed_missing": lambda call: call(),
    "compact": lambda call: call(),
    "search": lambda call: call("tea", limit=3, path="/a"),
    "search_many": lambda call: call(["tea"], limit=3),
    "nearest": lambda call: call([1.0, 0.0], limit=3),
    "get": lambda call: call("a"),
    "list": lambda call: call(limit=3, categories=["drinks"]),
    "page": lambda call: call(limit=3),
    "count": lambda call: call(kind="memory", fields={"length": 14}),
    "categories": lambda call: call("/a"),
    "children": lambda call: call("/a"),
    "info": lambda call: call("/a"),
    "health": lambda call: call(),
    "pending": lambda call: call(),
    "flush": lambda call: call(5.0),
}


class Recording(Backend):
    """Notes every operation and how it was waited for. ``fails`` is raised in place of an answer."""

    capabilities = Capabilities(**{field.name: True for field in fields(Capabilities)})

    def __init__(self) -> None:
        self.seen: list[tuple[operations.Operation[Any], str]] = []
        self.fails: Exception | None = None

    def execute(self, operation: operations.Operation[Any], /) -> Steps[Any]:
        def answer(way: str) -> Any:
            self.seen.append((operation, way))
            if self.fails is not None:
                raise self.fails
            return ANSWERS[type(operation).__name__]

        async def awaited() -> Any:
            await asyncio.sleep(0)
            return answer("awaiting")

        return (yield Call(lambda: answer("blocking"), awaited))

    def close(self) -> None:
        self.seen.append((operations.Health, "closed"))  # type: ignore[arg-type]

    def asked(self, way: str) -> list[operations.Operation[Any]]:
        """Takes what was asked since the last time, all of it in this way."""
        seen, self.seen = self.seen, []
        assert [how for _, how in seen] == [way] * len(seen)
        return [operation for operation, _ in seen]


@pytest.fixture
def backend() -> Recording:
    return Recording()


@pytest.fixture
def store(backend: Recording) -> MemoryStore:
    fields = [FilterField("length", "integer", lambda entry: len(entry.content))]
    return MemoryStore.over(backend, user_id="john", run_id="r", filter_fields=fields)


def with_twins() -> set[str]:
    public = {name for name, _ in inspect.getmembers(MemoryStore, callable) if not name.startswith("_")}
    return {name for name in public if f"a{name}" in public and name not in ("close", "scan")}


def test_no_call_is_left_out() -> None:
    assert set(CALLS) == with_twins()


@pytest.mark.parametrize("method", CALLS)
def test_the_same_is_asked_and_answered(store: MemoryStore, backend: Recording, method: str) -> None:
    call, twin = getattr(store, method), getattr(store, f"a{method}")
    assert inspect.signature(call).parameters == inspect.signature(twin).parameters
    answer = CALLS[method](call)
    blocking = backend.asked("blocking")
    awaited = asyncio.run(CALLS[method](twin))
    assert blocking
    assert backend.asked("awaiting") == blocking
    assert answer == awaited


@pytest.mark.parametrize("method", CALLS)
def test_the_same_error_is_raised(store: MemoryStore, backend: Recording, method: str) -> None:
    backend.fails = StoreError("it has failed")
    with pytest.raises(StoreError, match="it has failed"):
        CALLS[method](getattr(store, method))
    with pytest.raises(StoreError, match="it has failed"):
        asyncio.run(CALLS[method](getattr(store, f"a{method}")))


def test_a_scan_and_the_end(store: MemoryStore, backend: Recording) -> None:
    async def read() -> list[MemoryEntry]:
        return [entry async for entry in store.ascan(page_size=3)]

    blocking = list(store.scan(page_size=3))
    asked = backend.asked("blocking")
    assert blocking == asyncio.run(read()) == [SEEN]
    assert backend.asked("awaiting") == asked
    store.close()
    assert backend.asked("closed")
    asyncio.run(store.aclose())
    assert backend.asked("closed")


def test_every_operation_was_among_them(store: MemoryStore, backend: Recording) -> None:
    for method, call in CALLS.items():
        call(getattr(store, method))
    list(store.scan())
    assert store.embedder is None
    asked = {type(operation).__name__ for operation in backend.asked("blocking")}
    of_a_user = {
        name
        for name, made in vars(operations).items()
        if inspect.isclass(made) and issubclass(made, operations.Operation) and not made.__subclasses__()
    }
    of_the_operator = {"BackUp", "CountScopes", "EraseScopes", "ListProjects", "PurgeExpired", "Reembed", "ScanScopes"}
    assert of_a_user - asked <= of_the_operator, "which admin.py asks, blocking only"
