"""Adding a backend from outside of the package: what is written for it is one class, and everything works over it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    EntryNotFoundError,
    InvalidEntryError,
    MemoryEntry,
    MemoryStore,
    PersistentMemory,
    Scope,
    operations,
    use_scope,
)
from crewai_persistent_memory.io.steps import Steps
from crewai_persistent_memory.store.operations import Operation

from ..support.crews import ScriptedLLM, final, one_agent_crew
from .sqlite_backend import SqliteBackend


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return MemoryStore.over(SqliteBackend(tmp_path / "memories.db"), user_id="john")


def test_the_operations(store: MemoryStore) -> None:
    store.add("John likes green tea", id="tea", path="/taste")
    store.add("John hates rum", id="rum", importance=0.9)
    assert [entry.id for entry in store.search("which tea does he like")] == ["tea"]
    assert store.search("   ") == []
    assert store.count() == 2
    assert [entry.id for entry in store.list(path="/taste")] == ["tea"]
    assert store.update("tea", content="John likes black tea").content == "John likes black tea"
    with pytest.raises(EntryNotFoundError):
        store.update("coffee", content="?")
    assert store.delete("rum") == 1
    assert store.info().count == 1
    assert store.reset() == 1


def test_pages_and_a_scan(store: MemoryStore) -> None:
    for number in range(5):
        store.add(f"tea {number}", id=f"{number}")
    first = store.page(limit=3)
    rest = store.page(limit=3, cursor=first.cursor)
    assert [entry.id for entry in (*first.entries, *rest.entries)] == ["4", "3", "2", "1", "0"]
    assert rest.cursor is None
    assert {entry.id for entry in store.scan()} == {"0", "1", "2", "3", "4"}


def test_what_it_does_not_do_is_said_or_left_out(store: MemoryStore) -> None:
    entry = store.add("John likes tea")
    store.touch([entry.id])
    assert store.embed_missing() == 0
    assert store.compact() is False
    assert store.embedder is None
    with pytest.raises(InvalidEntryError, match="extracts nothing"):
        store.add_messages([{"role": "user", "content": "I like tea"}])
    with pytest.raises(InvalidEntryError, match="embedding"):
        store.nearest([0.1, 0.2])


def test_a_scope_sees_its_own(store: MemoryStore, tmp_path: Path) -> None:
    store.add("john's secret")
    jane = MemoryStore.over(SqliteBackend(tmp_path / "memories.db"), user_id="jane")
    assert (jane.list(), jane.search("secret"), jane.reset()) == ([], [], 0)
    open_to_all = MemoryStore.over(SqliteBackend(tmp_path / "memories.db"))
    with use_scope(user_id="john"):
        assert [entry.content for entry in open_to_all.list()] == ["john's secret"]


def test_what_a_backend_returns_against_the_rule_is_dropped(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """A backend, or a middleware, that answers with somebody else's entries."""
    jane = Scope(user_id="jane")
    secrets = [MemoryEntry(id=id, content="jane's secret", scope=jane) for id in ("a", "b")]
    secrets.append(MemoryEntry(id="c", content="a secret of nobody"))
    secrets.append(MemoryEntry(id="d", content="a secret of the team", scope=Scope.shared()))
    secrets.append(MemoryEntry(id="e", content="a secret of a run", scope=Scope(user_id="john", run_id="r")))

    def lying(operation: Operation[Any], execute: Any) -> Steps[Any]:
        answers = {
            operations.Search: [secrets],
            operations.List: secrets,
            operations.Get: secrets[0],
            operations.ListPage: operations.Page(tuple(secrets), None),
            operations.Scan: operations.ScanPage(tuple(secrets), None),
            operations.Update: secrets[3],  # of the team
        }
        if type(operation) in answers:
            return answers[type(operation)]
        return (yield from execute(operation))

    liar = store.wrap(lying)
    assert (liar.search("secret"), liar.list(), liar.get("a"), list(liar.scan())) == ([], [], None, [])
    assert liar.page().entries == ()
    assert asyncio.run(liar.asearch("secret")) == []
    assert caplog.text.count("outside the scope of the call") == 5 * len(secrets) + 1
    reading = MemoryStore(store.backend, store.binding, include_shared=True).wrap(lying)
    assert [entry.id for entry in reading.list()] == ["d"], "a read includes the team's memory if it is told to"
    with pytest.raises(EntryNotFoundError):
        reading.update("d", content="a change of what is the team's")


def test_awaited(store: MemoryStore) -> None:
    async def both() -> list[str]:
        await store.aadd("John likes tea")
        return [entry.content for entry in await store.asearch("tea")]

    assert asyncio.run(both()) == ["John likes tea"]


@pytest.mark.crew
def test_a_crew_remembers(store: MemoryStore, tmp_path: Path) -> None:
    with PersistentMemory(store=store) as memory:
        one_agent_crew(
            ScriptedLLM(final("noted: window seat")), "I want a window seat", **memory.crew_kwargs()
        ).kickoff()
    again = MemoryStore.over(SqliteBackend(tmp_path / "memories.db"), user_id="john")
    with PersistentMemory(store=again) as memory:
        llm = ScriptedLLM(final("a window seat"))
        one_agent_crew(llm, "Which seat do I want?", **memory.crew_kwargs()).kickoff()
    assert "I want a window seat" in llm.prompts[0]
