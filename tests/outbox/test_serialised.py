"""An operation comes back from the queue exactly as it was accepted."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crewai_persistent_memory import EntryFilter, FilterField, MemoryEntry, Scope, operations
from crewai_persistent_memory.outbox.serialised import (
    from_text,
    kind_of,
    scope_of,
    scope_to_text,
    to_text,
    unknown_fields,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
IDS = TEXTS.filter(str.strip)
TIMES = st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
SCOPES = st.builds(Scope.trusted, st.none() | IDS, IDS, st.none() | IDS, st.none() | IDS, st.none() | IDS)
ENTRIES = st.builds(
    MemoryEntry,
    id=IDS,
    content=TEXTS,
    path=st.just("/a/b") | st.just("/"),
    categories=st.lists(TEXTS, max_size=3).map(tuple),
    metadata=st.dictionaries(TEXTS, JSON, max_size=3),
    importance=st.floats(0, 1),
    created_at=TIMES,
    last_accessed=TIMES,
    source=st.none() | TEXTS,
    private=st.booleans(),
    kind=IDS,
    embedding=st.none() | st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=5),
)
CHANGES: Any = st.fixed_dictionaries(
    {},
    optional={
        "content": TEXTS,
        "categories": st.lists(TEXTS, max_size=2),
        "metadata": st.dictionaries(TEXTS, JSON, max_size=2),
        "importance": st.floats(0, 1),
        "source": st.none() | TEXTS,
        "private": st.booleans(),
    },
)
FILTERS = st.builds(
    EntryFilter,
    path=st.none() | st.just("/a"),
    categories=st.none() | st.lists(TEXTS, min_size=1, max_size=2).map(tuple),
    metadata=st.none() | st.dictionaries(TEXTS, JSON, max_size=2),
    created_before=st.none() | TIMES,
    created_after=st.none() | TIMES,
    ids=st.none() | st.lists(IDS, max_size=2).map(tuple),
    include_private=st.booleans(),
    reader=st.none() | TEXTS,
    kind=st.none() | TEXTS,
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": IDS}),
    min_size=1,
    max_size=3,
)
OPERATIONS = (
    st.builds(operations.Put, SCOPES, st.lists(ENTRIES, max_size=3), st.booleans())
    | st.builds(operations.Replace, SCOPES, ENTRIES, st.booleans(), st.frozensets(st.sampled_from(["path", "kind"])))
    | st.builds(operations.Update, SCOPES, IDS, CHANGES)
    | st.builds(operations.Delete, SCOPES, FILTERS)
    | st.builds(operations.AddMessages, SCOPES, MESSAGES, CHANGES, st.none() | st.booleans())
)


@settings(max_examples=300, deadline=None)
@given(OPERATIONS)
def test_every_operation_comes_back(operation: Any) -> None:
    scope = scope_of(scope_to_text(operation.scope))
    assert from_text(kind_of(operation), to_text(operation), scope) == _owned(operation)


def _owned(operation: Any) -> Any:
    """The operation with entries that say whose they are, as what is read from a queue does."""
    if isinstance(operation, operations.Put):
        return replace(operation, entries=[replace(entry, scope=operation.scope) for entry in operation.entries])
    if isinstance(operation, operations.Replace):
        return replace(operation, entry=replace(operation.entry, scope=operation.scope))
    return operation


PRIORITY = FilterField("priority", "integer", lambda entry: entry.metadata.get("priority"))
DUE = FilterField("due", "time", lambda entry: None)


def test_conditions_on_fields_of_the_application() -> None:
    known = {"priority": PRIORITY, "due": DUE}
    asked: Any = {"fields": {"priority": [1, 2], "due": (None, datetime(2026, 1, 1))}}
    delete = operations.Delete(Scope("john"), EntryFilter.of(asked, known))
    assert from_text("delete", to_text(delete), delete.scope, known) == delete


def test_a_field_that_this_process_does_not_know() -> None:
    delete = operations.Delete(Scope("john"), EntryFilter.of({"fields": {"priority": 1}}, {"priority": PRIORITY}))
    restored = from_text("delete", to_text(delete), delete.scope)
    assert unknown_fields(restored) == ["priority"]
    assert isinstance(restored, operations.Delete)
    assert not restored.filter.matches(MemoryEntry("a", "tea", metadata={"priority": 1}))


@pytest.mark.parametrize("vector", [[0.1, 1e-308, -0.0, 3], [1.0] * 1536])
def test_vectors_are_exact(vector: list[float]) -> None:
    put = operations.Put(Scope("john"), [MemoryEntry("a", "tea", embedding=vector)])
    restored = from_text("put", to_text(put), put.scope)
    assert isinstance(restored, operations.Put)
    assert list(restored.entries[0].embedding or ()) == vector
