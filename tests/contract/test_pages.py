"""Reading much: ``scan()`` gives every entry once, ``page()`` continues where the page before ended."""

from __future__ import annotations

import asyncio
import warnings
from base64 import urlsafe_b64decode
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from crewai_persistent_memory import (
    InvalidArgumentError,
    MemoryEntry,
    MemoryStore,
    MissingScopeError,
    Page,
    Scope,
    StoreClosedError,
    use_scope,
)
from crewai_persistent_memory.entry_filter import EntryFilter
from crewai_persistent_memory.store.cursors import Position, opened, sealed
from crewai_persistent_memory.store.middleware import Trace, tracing
from crewai_persistent_memory.store.operations import Scan

from ..fixtures import OpenStore
from ..support.embedders import WordHashEmbedder

NOON = datetime(2026, 5, 1, 12)
SECOND = timedelta(seconds=1)
WRONG = r"cursor is not one that page\(\) returned"


def scan(store: MemoryStore, **arguments: Any) -> list[MemoryEntry]:
    return list(store.scan(**arguments))


def ascan(store: MemoryStore, **arguments: Any) -> list[MemoryEntry]:
    async def read() -> list[MemoryEntry]:
        return [entry async for entry in store.ascan(**arguments)]

    return asyncio.run(read())


def pages(store: MemoryStore, **arguments: Any) -> list[Page]:
    found = [store.page(**arguments)]
    while found[-1].cursor is not None:
        found.append(store.page(cursor=found[-1].cursor, **arguments))
    return found


def apages(store: MemoryStore, **arguments: Any) -> list[Page]:
    async def read() -> list[Page]:
        found = [await store.apage(**arguments)]
        while found[-1].cursor is not None:
            found.append(await store.apage(cursor=found[-1].cursor, **arguments))
        return found

    return asyncio.run(read())


def ids(entries: Any) -> list[str]:
    return [entry.id for entry in entries]


def numbered(count: int, **fields: Any) -> list[MemoryEntry]:
    """Entries of which some have equal times."""
    return [MemoryEntry(id=f"e{i}", content=f"c{i}", created_at=NOON + i // 4 * SECOND, **fields) for i in range(count)]


class TestScan:
    def test_shared_entries_when_asked_for(self, open_any: OpenStore) -> None:
        open_any(scope=Scope.shared("shop")).add("the office closes at six", id="hours", created_at=NOON)
        plain = open_any(user_id="john", project_id="shop")
        reading = open_any(user_id="john", project_id="shop", include_shared=True)
        plain.add("john leaves at five", id="john")
        assert ids(plain.scan()) == ids(plain.page().entries) == ["john"]
        assert sorted(ids(reading.scan())) == ["hours", "john"]
        assert [each.entries[0].scope for each in pages(reading, limit=1)] == [
            Scope("john", "shop"),
            Scope.shared("shop"),
        ]

    @pytest.mark.parametrize("open_any", ["embedded", "server"], indirect=True)
    def test_long_texts(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", embedder=WordHashEmbedder())
        store.put([MemoryEntry(id=f"e{i}", content="x" * 900_000, created_at=NOON) for i in range(8)])
        traces: list[Trace] = []
        found = scan(store.wrap(tracing(traces.append)), with_vectors=True)
        assert sorted(ids(found)) == [f"e{i}" for i in range(8)]
        assert all(len(entry.content) == 900_000 and entry.embedding for entry in found)
        if "EmbeddedEngine" in repr(store):
            assert [(trace.operation, trace.found) for trace in traces] == [("Scan", 5), ("Scan", 3)]
        assert ids(store.page().entries) == ids(store.list())
        assert [len(each.entries) for each in pages(store, limit=3)] == [3, 3, 2]

    @pytest.mark.parametrize("read", [scan, ascan])
    def test_every_entry_that_matches_comes_once(self, open_any: OpenStore, read: Any) -> None:
        store = open_any(user_id="john")
        store.put([*numbered(20, path="/a"), MemoryEntry(id="other", content="x", path="/b")])
        store.scoped(agent_id="chef").add("of an agent", id="chef")
        open_any(user_id="jane").add("jane's", id="e1")
        for size in (1, 7, 200):
            assert sorted(ids(read(store, page_size=size))) == sorted([*(f"e{i}" for i in range(20)), "other"])
        assert sorted(ids(read(store, page_size=7, path="/a"))) == sorted(f"e{i}" for i in range(20))
        assert read(store, ids=[]) == []
        by_id = {entry.id: entry for entry in store.list()}
        assert all(entry == by_id[entry.id] for entry in read(store))

    def test_what_is_there_all_the_time_comes_once_while_others_write(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        store.put(numbered(30))
        seen: list[str] = []
        for number, entry in enumerate(store.scan(page_size=4)):
            seen.append(entry.id)
            if number in (2, 9, 17):
                store.add("new", id=f"new{number}", created_at=NOON)
                store.delete(ids=[entry.id, f"e{number}"], created_before=NOON + 7 * SECOND)
                store.update("e29", importance=number / 20)
                store.touch(["e28"])
                store.compact()
        assert len(seen) == len(set(seen))
        assert set(ids(store.list(ids=[f"e{i}" for i in range(30)]))) <= set(seen)

    def test_with_vectors(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john", embedder=WordHashEmbedder())
        store.put(numbered(5))
        assert [entry.embedding for entry in store.scan(page_size=2)] == [None] * 5
        with_vectors = scan(store, page_size=2, with_vectors=True)
        assert [entry.embedding for entry in with_vectors] == [
            found.embedding for entry in with_vectors if (found := store.get(entry.id))
        ]
        assert all((entry.embedding is not None) == store.capabilities.vectors for entry in with_vectors)

    def test_the_scope_is_that_of_its_start(self, open_any: OpenStore) -> None:
        store = open_any()
        for user in ("john", "jane"):
            store.scoped(user_id=user).put(numbered(6, source=user))
        with use_scope(user_id="john"):
            started = store.scan(page_size=2)
        with use_scope(user_id="jane"):
            read = list(islice(started, 3))
        read += started  # no scope at all
        assert [entry.source for entry in read] == ["john"] * 6
        with pytest.raises(MissingScopeError):
            store.scan()

    def test_the_scope_is_that_of_its_start_awaiting(self, open_any: OpenStore) -> None:
        store = open_any()
        for user in ("john", "jane"):
            store.scoped(user_id=user).put(numbered(6, source=user))

        async def read() -> list[str | None]:
            with use_scope(user_id="john"):
                started = store.ascan(page_size=2)
            sources = []
            async for entry in started:
                with use_scope(user_id="jane"):
                    sources.append(entry.source)
                    sources += [other.source async for other in store.ascan(page_size=4)]
            return sources

        assert asyncio.run(read()) == ["john", *["jane"] * 6] * 6
        with pytest.raises(MissingScopeError):
            store.ascan()

    def test_closed_in_the_midst(self, open_any: OpenStore) -> None:
        with open_any(user_id="john") as store, open_any(user_id="john") as other:
            store.put(numbered(6))
            started = store.scan(page_size=2)
            next(started)
            store.close()
            with pytest.raises(StoreClosedError, match="closed"):
                list(started)
            assert other.count() == 6, "another handle on the same store is open"

    def test_dropped_half_way(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        store.put(numbered(6))

        async def drop() -> None:
            started = store.ascan(page_size=2)
            await anext(started)
            del started
            assert await store.acount() == 6

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            started = store.scan(page_size=2)
            next(started)
            del started
            asyncio.run(drop(), debug=True)
        store.reset()
        assert store.count() == 0

    def test_middleware_sees_each_page(self, open_any: OpenStore) -> None:
        operations: list[Scan] = []

        def watching(operation: Any, execute: Any) -> Any:
            operations.append(operation)
            return (yield from execute(operation))

        store = open_any(user_id="john")
        store.put(numbered(5))
        assert len(scan(store.wrap(watching), page_size=2, path="/")) == 5
        assert {type(each) for each in operations} == {Scan}
        assert [each.scope.user_id for each in operations] == ["john"] * len(operations)
        assert [each.limit for each in operations] == [2] * len(operations)
        assert operations[0].cursor is None


class TestPage:
    @pytest.mark.parametrize("read", [pages, apages])
    def test_pages_are_the_list(self, open_any: OpenStore, read: Any) -> None:
        store = open_any(user_id="john")
        store.put([*numbered(23, path="/a"), MemoryEntry(id="other", content="x", path="/b", created_at=NOON)])
        filters: dict[str, Any]
        for size, filters in (
            (1, {"created_before": NOON + 3 * SECOND, "created_after": NOON}),
            (3, {}),
            (4, {"path": "/a"}),
            (8, {}),
            (24, {}),
        ):
            got = read(store, limit=size, **filters)
            assert [id for each in got for id in ids(each.entries)] == ids(store.list(**filters))
            assert all(len(each.entries) == size for each in got[:-1])
            assert got[-1].entries
        assert read(store, ids=[]) == read(store, path="/none") == [Page((), None)]

    def test_entries_of_one_time(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        store.put([MemoryEntry(id=f"e{i}", content="x", created_at=NOON) for i in range(100)])
        got = pages(store, limit=30)
        assert [id for each in got for id in ids(each.entries)] == ids(store.list())
        assert [len(each.entries) for each in got] == [30, 30, 30, 10]

    def test_the_first_and_the_last_time_there_is(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        times = [datetime.min, datetime.max, datetime.min, datetime.max, NOON]
        store.put([MemoryEntry(id=f"e{i}", content="x", created_at=time) for i, time in enumerate(times)])
        assert [entry.created_at for each in pages(store, limit=1) for entry in each.entries] == sorted(times)[::-1]
        assert ids(store.list(limit=1)) == ids(store.list())[:1]

    def test_writes_in_between_move_no_other_entry(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        store.put(numbered(20))
        first = store.page(limit=6)
        expected = ids(store.list())[6:]
        store.add("newer", id="newer", created_at=NOON + 100 * SECOND)
        store.delete(ids=[*ids(first.entries), expected[0], expected[5]])
        del expected[5], expected[0]
        rest: list[str] = []
        cursor = first.cursor
        while cursor is not None:
            following = store.page(cursor=cursor, limit=6)
            rest += ids(following.entries)
            cursor = following.cursor
        assert rest == expected

    def test_a_cursor_never_leaves_its_scope(self, open_any: OpenStore) -> None:
        store = open_any()
        john, jane = store.scoped(user_id="john"), store.scoped(user_id="jane")
        for each in (john, jane, john.scoped(run_id="r")):
            each.put(numbered(6))
        cursor = john.page(limit=2).cursor
        for other in (jane, john.scoped(run_id="r"), john.scoped(project_id="p"), john.scoped(org_id="o")):
            with pytest.raises(InvalidArgumentError, match=WRONG):
                other.page(cursor=cursor)
            with pytest.raises(InvalidArgumentError, match=WRONG):
                apages(other, cursor=cursor)
        assert len(john.page(cursor=cursor).entries) == 4

    def test_a_cursor_is_the_same_in_every_process(self) -> None:
        position = Position(NOON, "14016037-4921-4ce1-4dae-9a02e4bacf20").text("qdrant")
        cursor = (
            "EbulNSI93nNxZHJhbnQgMjAyNi0wNS0wMVQxMjowMDowMC4wMDAwMDAgMTQwMTYwMzctNDkyMS00Y2UxLTRkYWUtOWEwMmU0YmFjZjIw"
        )
        assert sealed(position, Scope("john"), EntryFilter()) == cursor
        assert opened(cursor, Scope("john"), EntryFilter()) == position

    def test_a_malformed_cursor_is_named(self, open_any: OpenStore) -> None:
        store = open_any(user_id="john")
        store.put([replace(entry, content=f"telling text {entry.id}") for entry in numbered(6)])
        cursor = store.page(limit=2).cursor
        assert cursor is not None
        assert b"telling" not in urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        changed = [cursor[:i] + ("A" if cursor[i] != "A" else "B") + cursor[i + 1 :] for i in range(len(cursor))]
        for bad in [
            "",
            "x",
            "\ud800",
            "é",
            "A" * 100_000,
            cursor[:-1],
            cursor + "A",
            cursor + "=",
            " " + cursor,
            *changed,
        ]:
            with pytest.raises(InvalidArgumentError, match=WRONG):
                store.page(cursor=bad)
        for text in ("", "mem0", "other 2026-05-01T12:00:00.000000 e1", "qdrant 2026-05-01T12:00:00.000000 e1"):
            with pytest.raises(InvalidArgumentError, match=WRONG):
                store.page(cursor=sealed(text, store.scope, EntryFilter()))
        for backend in ("mem0", "qdrant"):
            with pytest.raises(InvalidArgumentError, match=WRONG):
                store.page(cursor=sealed(f"{backend} 2026-13-01T12:00:00.000000 ", store.scope, EntryFilter()))
        for value in (7, b"abc", ["x"]):
            with pytest.raises(InvalidArgumentError, match="cursor must be text or None, got"):
                store.page(cursor=value)  # type: ignore[arg-type]

    @pytest.mark.parametrize("value", [0, -1, 10_001, True, 1.5, "7", None, 10**400])
    def test_bad_input_names_the_field(self, open_any: OpenStore, value: Any) -> None:
        store = open_any(user_id="john")
        with pytest.raises(InvalidArgumentError, match="limit must be a whole number from 1 to 10,000"):
            store.page(limit=value)
        for call in (store.scan, store.ascan):
            with pytest.raises(InvalidArgumentError, match="page_size must be a whole number from 1 to 10,000"):
                call(page_size=value)
            with pytest.raises(InvalidArgumentError, match="unknown filter"):
                call(paths="/a")
