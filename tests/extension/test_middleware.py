"""Middleware around every store, and adding one from outside of the package."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crewai_persistent_memory import (
    EntryNotFoundError,
    MemoryEntry,
    MemoryStore,
    PersistentMemory,
    Scope,
    StorePermissionError,
    Trace,
    operations,
    read_only,
    tracing,
)
from crewai_persistent_memory.io.steps import Steps

from ..support.crews import ScriptedLLM, final, one_agent_crew


def test_one_of_somebody_else_counts_and_changes(any_store: MemoryStore) -> None:
    counted: Counter[str] = Counter()

    def in_capitals(operation: operations.Operation[Any], execute: Any) -> Steps[Any]:
        counted[type(operation).__name__] += 1
        if isinstance(operation, operations.Put):
            operation = replace(operation, entries=[replace(e, content=e.content.upper()) for e in operation.entries])
        return (yield from execute(operation))

    wrapped = any_store.wrap(in_capitals)
    assert wrapped.add("John likes tea", id="a").content == "JOHN LIKES TEA", "as it is stored"
    assert wrapped.scoped(run_id="r").get("a") is not None
    found = asyncio.run(wrapped.aget("a"))
    assert found is not None
    assert found.content == "JOHN LIKES TEA"
    assert wrapped.search("tea")
    assert (wrapped.count(), wrapped.reset()) == (1, 1)
    assert counted == {"Put": 1, "Get": 2, "Search": 1, "Count": 1, "Delete": 1}


def test_the_first_is_the_outermost(any_store: MemoryStore) -> None:
    order: list[str] = []

    def noting(name: str) -> Callable[..., Steps[Any]]:
        def note(operation: operations.Operation[Any], execute: Any) -> Steps[Any]:
            order.append(f"{name} in")
            answer = yield from execute(operation)
            order.append(f"{name} out")
            return answer

        return note

    any_store.wrap(noting("inner")).wrap(noting("first"), noting("second")).count()
    assert order == ["first in", "second in", "inner in", "inner out", "second out", "first out"]


def test_operations_are_compared_by_value() -> None:
    """So those that hold entries, changes or messages have no hash."""
    scope = Scope(user_id="john")
    assert operations.Get(scope, False, "a") == operations.Get(scope, False, "a")
    assert len({operations.Get(scope, False, "a"), operations.Get(scope, False, "a")}) == 1
    entry = MemoryEntry(id="a", content="John likes tea")
    for operation in (
        operations.Put(scope, [entry]),
        operations.Replace(scope, entry),
        operations.Update(scope, "a", {"importance": 0.9}),
        operations.AddMessages(scope, [], {}),
    ):
        assert operation == replace(operation)
        with pytest.raises(TypeError, match="unhashable"):
            hash(operation)


class TestReadOnly:
    def test_nothing_is_written(self, any_store: MemoryStore) -> None:
        any_store.add("John likes tea", id="a")
        entry = MemoryEntry(id="b", content="other")
        reader = any_store.wrap(read_only)
        for write in (
            lambda: reader.add("more"),
            lambda: reader.put([entry]),
            lambda: reader.update("a", content="other"),
            lambda: reader.replace(entry),
            lambda: reader.delete("a"),
            lambda: reader.reset(),
            lambda: reader.scoped(run_id="r").add("more"),
            lambda: asyncio.run(reader.aadd("more")),
        ):
            with pytest.raises(StorePermissionError, match="read-only"):
                write()
        reader.touch(["a"])
        assert [entry.content for entry in any_store.list()] == ["John likes tea"]
        assert reader.search("tea")

    def test_a_crew_reads(self, any_store: MemoryStore) -> None:
        any_store.add("John likes tea")
        memory = PersistentMemory(store=any_store.wrap(read_only), infer=False)
        llm = ScriptedLLM(final("tea"))
        one_agent_crew(llm, "What does John like?", **memory.crew_kwargs()).kickoff()
        assert "John likes tea" in llm.prompts[0]
        assert any_store.count() == 1


class TestTracing:
    def test_every_operation_with_its_scope_and_never_a_text(self, any_store: MemoryStore) -> None:
        traces: list[Trace] = []
        traced = any_store.wrap(tracing(traces.append))
        traced.add("a secret likes tea")
        traced.search("secret tea")
        asyncio.run(traced.acount())
        with pytest.raises(EntryNotFoundError):
            traced.update("nobody", content="x")
        assert [trace.operation for trace in traces] == ["Put", "Search", "Count", "Update"]
        assert all(trace.scope == any_store.scope and trace.seconds > 0 and trace.error is None for trace in traces)
        assert [trace.found for trace in traces] == [1, 1, 1, None]
        assert "secret" not in repr(traces)

    def test_what_failed(self, any_store: MemoryStore) -> None:
        traces: list[Trace] = []
        with pytest.raises(StorePermissionError):
            any_store.wrap(tracing(traces.append), read_only).add("a secret")
        assert traces[0].error is StorePermissionError

    def test_a_report_that_fails_changes_nothing(
        self, any_store: MemoryStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(trace: Trace) -> None:
            raise RuntimeError("the collector is away")

        any_store.wrap(tracing(fail)).add("John likes tea")
        assert any_store.count() == 1
        assert "was not reported" in caplog.text


class TestLog:
    """The log at DEBUG: a line for each recall and each save, without any middleware."""

    def lines(self, caplog: pytest.LogCaptureFixture) -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "crewai_persistent_memory"]

    def test_a_recall_and_a_save(self, any_store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
        any_store.add("before it was asked for")
        with caplog.at_level(logging.DEBUG, "crewai_persistent_memory"):
            saved = any_store.add("a secret likes tea")
            asyncio.run(any_store.asearch("who likes secret tea?"))
            with pytest.raises(EntryNotFoundError):
                any_store.update("nobody", content="a secret")
        any_store.search("afterwards")
        put, search, update = (line for line in self.lines(caplog) if line.startswith(("Put", "Search", "Update")))
        for line in (put, search, update):
            assert f" in {any_store.backend!r} for {any_store.scope}: " in line
            assert re.search(r" in \d+\.\d ms$", line)
            assert "secret" not in line
        assert f": 1 entry ({saved.id}) in " in put
        assert re.search(rf": \d (entry|entries) \({saved.id}", search)
        assert ": done in " in update or ": failed with EntryNotFoundError in " in update

    def test_a_crews(self, any_store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
        memory = PersistentMemory(store=any_store, infer=False)
        with caplog.at_level(logging.DEBUG, "crewai_persistent_memory"):
            one_agent_crew(ScriptedLLM(final("a secret")), "a secret?", **memory.crew_kwargs()).kickoff()
        lines = self.lines(caplog)
        assert any(line.startswith("Search") for line in lines)
        assert any(line.startswith("Put") for line in lines)
        assert "secret" not in "".join(lines)

    def test_no_more_than_a_few_ids(self, any_store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG, "crewai_persistent_memory"):
            any_store.put([MemoryEntry(id=f"id{number}", content=f"fact {number}") for number in range(100)])
        [line] = (line for line in self.lines(caplog) if line.startswith("Put"))
        assert "100 entries (id0, id1, " in line
        assert ", id19, …)" in line
