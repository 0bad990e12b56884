"""Adding a field that entries can be filtered by, from outside of the package: on every store, and one of somebody
else's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import (
    ConfigurationError,
    FilterField,
    InvalidArgumentError,
    InvalidEntryError,
    MemoryConfig,
    MemoryEntry,
    MemoryStore,
    PersistentMemory,
    Scope,
    StorePermissionError,
    Trace,
    open_store,
    operations,
    read_only,
    tracing,
)
from crewai_persistent_memory.backends.qdrant import field_completion
from crewai_persistent_memory.io.steps import Steps
from crewai_persistent_memory.store.factory import open_configured

from ..support.engines import STORES
from .sqlite_backend import SqliteBackend


def due_of(entry: MemoryEntry) -> datetime | None:
    due = entry.metadata.get("due")
    return None if due is None else datetime.fromisoformat(due)


PRIORITY = FilterField("priority", "integer", lambda entry: entry.metadata.get("priority"))
TEAMS = FilterField("teams", "keyword", lambda entry: entry.metadata.get("teams"))
DUE = FilterField("due", "time", due_of)
LENGTH = FilterField("length", "integer", lambda entry: len(entry.content))
FIELDS = [PRIORITY, TEAMS, DUE, LENGTH]

MONDAY = datetime(2026, 3, 2)
DAY = timedelta(days=1)

Open = Callable[..., MemoryStore]


@pytest.fixture(params=["embedded", "server", "mem0-cloud"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens handles on one place."""
    kind, handles = STORES[request.param], []

    def open_one(fields: Any = FIELDS, **options: Any) -> MemoryStore:
        given = {"embedder": None, "user_id": "john", "filter_fields": fields, **options}
        handles.append(open_configured(kind.config(request, tmp_path, **given)))
        return handles[-1]

    yield open_one
    for handle in handles:
        handle.close()
    kind.remove(request, tmp_path)


def ids(entries: Any) -> set[str]:
    return {entry.id for entry in entries}


def fill(store: MemoryStore) -> None:
    store.add("the report is late", id="a", metadata={"priority": 1, "teams": ["sales", "it"], "due": "2026-03-02"})
    store.add("the report is wrong", id="b", metadata={"priority": 2, "teams": ["hr"], "due": "2026-03-03T12:00:00"})
    store.add("the report is long", id="c", metadata={"priority": 3, "due": "2026-03-04"})
    store.add("the report is there", id="d")


def test_reads_and_deletes_filter_by_it(opened: Open) -> None:
    store = opened()
    fill(store)
    jane = opened(user_id="jane")
    jane.add("the report of jane is late", id="j", metadata={"priority": 1, "teams": ["it"]})

    assert ids(store.list(fields={"priority": [1, 3]})) == {"a", "c"}
    assert ids(store.list(fields={"priority": 2})) == {"b"}
    assert ids(store.list(fields={"teams": ["it", "hr"]})) == {"a", "b"}
    assert ids(store.list(fields={"length": [len("the report is late")]})) == {"a", "c"}
    assert ids(store.list(fields={"due": (MONDAY, MONDAY + DAY)})) == {"a"}
    assert ids(store.list(fields={"due": (MONDAY + DAY, None)})) == {"b", "c"}
    assert ids(store.list(fields={"due": (None, MONDAY + 2 * DAY)})) == {"a", "b"}, "the end is exclusive"
    assert ids(store.list(fields={"priority": [1, 2], "teams": "hr"})) == {"b"}, "all conditions hold"
    assert ids(store.search("report", fields={"priority": [1, 2]})) == {"a", "b"}
    assert ids(store.search("report", limit=1, fields={"priority": [3]})) == {"c"}, "before the limit"
    assert ids(store.scan(fields={"priority": [1, 2]})) == {"a", "b"}
    assert ids(store.page(fields={"priority": [1, 2]}).entries) == {"a", "b"}
    assert store.count(fields={"priority": [1, 2]}) == 2
    assert asyncio.run(store.acount(fields={"priority": [1, 2]})) == 2
    assert ids(jane.list(fields={"priority": [1, 2, 3]})) == {"j"}

    assert store.list(fields={"priority": []}) == []
    assert store.delete(fields={"priority": []}) == 0, "an empty list is not every entry"
    with pytest.raises(InvalidArgumentError, match="needs an id or a filter"):
        store.delete(fields={})
    assert store.delete(fields={"teams": ["it"]}) == 1
    assert (ids(store.list()), ids(jane.list())) == ({"b", "c", "d"}, {"j"})


def test_a_change_of_an_entry_changes_it(opened: Open) -> None:
    store = opened()
    fill(store)
    store.update("a", metadata={"priority": 3})
    store.update("b", content="a longer report")
    entry = store.get("c")
    assert entry is not None
    store.put([MemoryEntry(id="d", content="anew", metadata={"priority": 1})])
    assert ids(store.list(fields={"priority": [3]})) == {"a", "c"}
    assert ids(store.list(fields={"teams": ["sales", "it"]})) == set(), "its metadata has no team any more"
    assert ids(store.list(fields={"length": [len("a longer report")]})) == {"b"}
    assert ids(store.list(fields={"priority": 2})) == {"b"}
    assert ids(store.list(fields={"priority": 1})) == {"d"}
    store.replace(MemoryEntry(id="c", content=entry.content, metadata={"teams": "sales"}))
    assert ids(store.list(fields={"priority": 3})) == {"a"}
    assert ids(store.list(fields={"teams": ["sales"]})) == {"c"}


def test_entries_of_before_and_of_those_who_do_not_know_it(opened: Open) -> None:
    """Handles with other fields and without any save and change entries between the filters."""
    without = opened(fields=())
    fill(without)
    store = opened(fields=[PRIORITY, TEAMS])
    other = opened(fields=[DUE, PRIORITY])
    assert ids(store.list(fields={"priority": [1, 2]})) == {"a", "b"}
    assert ids(other.list(fields={"due": (MONDAY, MONDAY + DAY)})) == {"a"}
    without.update("a", metadata={"priority": 9, "due": "2026-03-04"})
    without.add("more", id="e", metadata={"priority": 9})
    other.update("b", metadata={"priority": 9, "teams": ["it"]})
    assert store.count(fields={"priority": 9}) == 3
    assert ids(store.list(fields={"teams": ["it", "hr"]})) == {"b"}
    assert ids(other.list(fields={"due": (MONDAY, None)})) == {"a", "c"}
    with pytest.raises(InvalidArgumentError, match=r"without a filter field 'due'.*filter_fields=\[.*priority, teams"):
        store.list(fields={"due": (MONDAY, None)})
    with pytest.raises(InvalidArgumentError, match=r"'priority'.*it has none"):
        without.scoped(run_id="r").delete(fields={"priority": 1})


def test_a_run_and_the_shared_memory(opened: Open) -> None:
    store = opened(include_shared=True)
    store.scoped(run_id="r").add("in a run", id="r", metadata={"priority": 1})
    store.scoped(run_id="s").add("in another", id="s", metadata={"priority": 1})
    store.add("his", id="h", metadata={"priority": 1})
    assert ids(store.list(fields={"priority": 1})) == {"h"}
    assert ids(store.scoped(run_id="r").list(fields={"priority": 1})) == {"h", "r"}


def refuses_writes(operation: operations.Operation[Any], execute: Any) -> Steps[Any]:
    """A middleware of somebody else's."""
    if operation.writes:
        raise StorePermissionError("not here")
    return (yield from execute(operation))


def passes_over_completion(operation: operations.Operation[Any], execute: Any) -> Steps[Any]:
    if isinstance(operation, operations.CompleteFields):
        return None
    return (yield from execute(operation))


ALWAYS_SEVEN = FilterField("priority", "integer", lambda entry: 7)
"""As somebody might define the field by mistake, or to mislead others."""

NOT_WRITING = pytest.mark.parametrize("middleware", [read_only, refuses_writes, passes_over_completion])


@NOT_WRITING
def test_a_handle_that_may_not_write_filters_and_writes_nothing(opened: Open, middleware: Any) -> None:
    fill(opened(fields=()))
    reader = opened(fields=[ALWAYS_SEVEN]).wrap(middleware)
    assert ids(reader.list(fields={"priority": 7})) == {"a", "b", "c", "d"}
    assert ids(reader.list(fields={"priority": [1, 2, 3]})) == set()
    assert asyncio.run(reader.acount(fields={"priority": 7})) == 4
    store = opened(fields=[PRIORITY])
    assert ids(store.list(fields={"priority": 7})) == set()
    assert ids(store.list(fields={"priority": [1, 2, 3]})) == {"a", "b", "c"}


@NOT_WRITING
def test_every_read_of_a_handle_that_may_not_write(opened: Open, middleware: Any) -> None:
    """Some entries have the values of both fields, some of one, some of none, and some those of before a change."""
    store = opened(fields=[PRIORITY, DUE])
    fill(store)
    without = opened(fields=())
    metadata = {"priority": 2, "due": "2026-03-04"}
    without.update("a", metadata=metadata)
    without.add("a page of the report", id="e", metadata=metadata, path="/sales/q1", categories=["late"])
    opened(fields=[PRIORITY]).add("the report again", id="f", metadata=metadata)
    reader = opened(fields=[PRIORITY, DUE]).wrap(middleware)
    second = {"priority": 2}
    both = {**second, "due": (MONDAY + 2 * DAY, None)}
    assert ids(reader.list(fields=second)) == {"a", "b", "e", "f"}
    assert ids(reader.list(fields=both)) == {"a", "e", "f"}
    assert ids(reader.list(fields={"priority": 1})) == set(), "what it was before"
    assert ids(reader.search("report", fields=second)) == {"a", "b", "e", "f"}
    assert [ids(found) for found in reader.search_many(["report", "page"], paths=[None, "/sales"], fields=both)] == [
        {"a", "e", "f"},
        {"e"},
    ]
    assert ids(reader.scan(page_size=2, fields=both)) == {"a", "e", "f"}
    first = reader.page(limit=2, fields=both)
    rest = reader.page(limit=2, fields=both, cursor=first.cursor)
    assert (len(first.entries), ids([*first.entries, *rest.entries])) == (2, {"a", "e", "f"})
    assert reader.count(fields=both) == 3
    assert (reader.count(fields={**both, "priority": []}), reader.count(ids=["e"], fields=both)) == (0, 1)


@pytest.mark.parametrize("middleware", [passes_over_completion])
def test_a_delete_misses_none_and_takes_no_other(opened: Open, middleware: Any) -> None:
    fill(opened(fields=()))
    assert opened(fields=[PRIORITY]).wrap(middleware).delete(fields={"priority": [1, 3]}) == 2
    assert ids(opened().list()) == {"b", "d"}


def test_a_user_writes_nothing_into_the_shared_memory(opened: Open) -> None:
    """Each user's own function counts for this user, until one who may write there has filtered."""
    shared = {"user_id": None, "scope": Scope.shared()}
    opened(fields=(), **shared).add("the shared report", id="s", metadata={"priority": 1})
    opened(fields=()).add("his report", id="h", metadata={"priority": 1})
    john = opened(fields=[ALWAYS_SEVEN], include_shared=True)
    assert ids(john.list(fields={"priority": 7})) == {"h", "s"}
    assert ids(john.scoped(run_id="r").search("report", fields={"priority": 7})) == {"h", "s"}
    jane = opened(fields=[PRIORITY], include_shared=True, user_id="jane")
    assert ids(jane.list(fields={"priority": 1})) == {"s"}
    assert ids(jane.list(fields={"priority": 7})) == set()
    operator = opened(fields=[PRIORITY], **shared)
    assert operator.count(fields={"priority": 1}) == 1
    if operator.capabilities.stores_fields:
        assert ids(john.list(fields={"priority": 7})) == {"h"}, "what is stored holds"


def test_what_is_written_is_seen_by_middleware(opened: Open) -> None:
    fill(opened(fields=()))
    traces: list[Trace] = []
    store = opened(fields=[PRIORITY]).wrap(tracing(traces.append))
    assert store.count() == 4
    assert store.count(fields={"priority": [1, 2]}) == 2
    asked = ["CompleteFields", "Count"] if store.capabilities.stores_fields else ["Count"]
    assert [trace.operation for trace in traces] == ["Count", *asked]
    assert operations.CompleteFields.writes


def test_too_many_entries_for_a_handle_that_may_not_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_completion, "MOST_COMPUTED", 3)
    with open_store(path=tmp_path, user_id="john") as without:
        fill(without)
    with open_store(path=tmp_path, user_id="john", filter_fields=[PRIORITY]) as store:
        reader = store.wrap(read_only)
        with pytest.raises(StorePermissionError, match=r"more than 3 entries.*'priority'.*once.*may write"):
            reader.count(fields={"priority": 1})
        assert store.count(fields={"priority": 1}) == 1
        assert reader.count(fields={"priority": 1}) == 1


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"priority": "high"}, "'priority' must be a whole number of 64 bits, got str"),
        ({"priority": True}, "'priority' must be a whole number"),
        ({"priority": 2**63}, "'priority' must be a whole number"),
        ({"teams": [7]}, "'teams' must be text"),
        ({"due": "tomorrow"}, "'due': its value cannot be made of entry .*ValueError"),
    ],
)
def test_a_value_that_is_none_of_its_kind(tmp_path: Path, metadata: dict[str, Any], words: str) -> None:
    with open_store(path=tmp_path, user_id="john", filter_fields=FIELDS) as store:
        store.add("tea", id="a", metadata={"priority": 1})
        for write in (
            lambda: store.add("rum", metadata=metadata),
            lambda: store.put([MemoryEntry(id="b", content="rum", metadata=metadata)]),
            lambda: store.replace(MemoryEntry(id="a", content="rum", metadata=metadata)),
            lambda: store.update("a", metadata=metadata),
        ):
            with pytest.raises(InvalidEntryError, match=words):
                write()
        assert [entry.content for entry in store.list(fields={"priority": 1})] == ["tea"]


def test_a_stored_entry_with_a_bad_value_is_found_without_the_field(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_store(path=tmp_path, user_id="john") as store:
        store.put([MemoryEntry(id=str(n), content="tea", metadata={"priority": n or "none"}) for n in range(600)])
    with open_store(path=tmp_path, user_id="john", filter_fields=[PRIORITY]) as store:
        assert store.count(fields={"priority": list(range(600))}) == 599, "over several pages"
        assert "'priority'" in caplog.text
        caplog.clear()
        assert (store.count(fields={"priority": 7}), store.count()) == (1, 600)
        assert not caplog.text, "nothing is completed twice"


def test_a_store_that_is_written_anew_keeps_it(tmp_path: Path) -> None:
    with open_store(path=tmp_path, user_id="john", filter_fields=[PRIORITY]) as store:
        fill(store)
        assert store.compact()
        assert ids(store.list(fields={"priority": [1, 2]})) == {"a", "b"}
    with open_store(path=tmp_path, user_id="john", filter_fields=[PRIORITY]) as store:
        assert ids(store.list(fields={"priority": [1, 2]})) == {"a", "b"}


def test_what_is_asked_wrongly(tmp_path: Path) -> None:
    with open_store(path=tmp_path, user_id="john", filter_fields=FIELDS) as store:
        for asked in ({"priority": "1"}, {"priority": [1.0]}, {"due": MONDAY}, {"due": (None, None)}, {"teams": 7}):
            [name] = asked
            with pytest.raises(InvalidArgumentError, match=f"'{name}'"):
                store.list(fields=asked)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgumentError, match="fields must be a mapping"):
            store.search("tea", fields=["priority"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "kind", "value", "words"),
    [
        ("Priority", "integer", len, "'Priority': a name has"),
        ("a.b", "integer", len, "a name has"),
        ("", "integer", len, "a name has"),
        ("priority", "number", len, "kind is one of keyword, integer, time"),
        ("priority", "integer", "priority", "'priority': value must be a function"),
    ],
)
def test_what_is_defined_wrongly(name: str, kind: Any, value: Any, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        FilterField(name, kind, value)


def test_what_is_given_wrongly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_MEMORY_FILTER_FIELDS", "priority")
    for given in (PRIORITY, "priority", [PRIORITY, "due"], [PRIORITY, FilterField("priority", "keyword", due_of)]):
        with pytest.raises(ConfigurationError, match="filter_fields"):
            MemoryConfig.build(path=tmp_path, filter_fields=given)  # type: ignore[arg-type]
    assert MemoryConfig.build(path=tmp_path).filter_fields == (), "not from the environment"


def test_of_another_kind_than_before(opened: Open) -> None:
    before = opened(fields=[PRIORITY])
    before.add("tea", id="a", metadata={"priority": 1})
    as_text = FilterField("priority", "keyword", lambda entry: str(entry.metadata["priority"]))
    if before.capabilities.vectors:
        with pytest.raises(ConfigurationError, match=r"index (of another kind )?on 'field_priority'"):
            opened(fields=[as_text])
    else:  # nothing is kept
        assert ids(opened(fields=[as_text]).list(fields={"priority": "1"})) == {"a"}


def test_a_backend_of_somebody_else(tmp_path: Path) -> None:
    store = MemoryStore.over(SqliteBackend(tmp_path / "memories.db"), user_id="john", filter_fields=FIELDS)
    fill(store)
    assert ids(store.scoped(run_id="r").search("report", fields={"priority": [1, 2]})) == {"a", "b"}
    assert ids(store.list(fields={"due": (MONDAY, MONDAY + DAY)})) == {"a"}
    assert store.delete(fields={"teams": "hr"}) == 1


@pytest.mark.crew
def test_a_memory_of_a_crew(tmp_path: Path) -> None:
    with PersistentMemory(path=tmp_path, user_id="john", infer=False, filter_fields=[PRIORITY]) as memory:
        memory.remember("the report is late", metadata={"priority": 1})
        memory.remember("the report is long", metadata={"priority": 2})
        assert [entry.content for entry in memory.store.list(fields={"priority": 1})] == ["the report is late"]
