"""The values of filter fields while several handles change the same entries. What the fields do for an application is
in ``tests/extension/test_filterable_field.py``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import FilterField, MemoryStore, open_store
from crewai_persistent_memory.backends.qdrant.engine_requests import Change, Request, SetPayloads
from crewai_persistent_memory.io.steps import Steps

PRIORITY = FilterField("priority", "integer", lambda entry: entry.metadata.get("priority"))
DUE = FilterField("due", "time", lambda entry: datetime.fromisoformat(entry.metadata["due"]))
LABEL = FilterField("label", "keyword", lambda entry: f"{entry.content}: {entry.metadata.get('colour')}")

MONDAY, TUESDAY, WEDNESDAY = (datetime(2026, 3, day) for day in (2, 3, 4))


def before_the_first(
    kind: type, store: MemoryStore, monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]
) -> None:
    """Do something before the store's engine is asked for something of this kind the first time."""
    connection = store.backend.connection  # type: ignore[attr-defined]
    ask, done = connection.ask, False

    def interrupted(request: Request[Any], route: Any) -> Steps[Any]:
        nonlocal done
        if isinstance(request, kind) and not done:
            done = True
            action()
        return (yield from ask(request, route))

    monkeypatch.setattr(connection, "ask", interrupted)


def ids(entries: Any) -> list[str]:
    return [entry.id for entry in entries]


def test_a_change_in_the_midst_of_a_completion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        open_store(path=tmp_path, user_id="john") as without,
        open_store(path=tmp_path, user_id="john", filter_fields=[DUE]) as other,
        open_store(path=tmp_path, user_id="john", filter_fields=[PRIORITY]) as store,
    ):
        other.add("the report", id="a", metadata={"priority": 1, "due": "2026-03-02"})
        changed = {"priority": 2, "due": "2026-03-03"}
        before_the_first(SetPayloads, store, monkeypatch, lambda: without.update("a", metadata=changed))
        assert store.list(fields={"priority": 1}) == []
        assert ids(store.list(fields={"priority": 2})) == ["a"]
        assert other.list(fields={"due": (MONDAY, TUESDAY)}) == []
        assert ids(other.list(fields={"due": (TUESDAY, WEDNESDAY)})) == ["a"]


def test_a_delete_in_the_midst_of_a_completion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        open_store(path=tmp_path, user_id="john") as without,
        open_store(path=tmp_path, user_id="john", filter_fields=[PRIORITY]) as store,
    ):
        for name in "abc":
            without.add("the report", id=name, metadata={"priority": 1})
        before_the_first(SetPayloads, store, monkeypatch, lambda: without.delete("b"))
        assert sorted(ids(store.list(fields={"priority": 1}))) == ["a", "c"]
        assert store.count() == 2


def test_two_changes_of_what_one_field_is_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        open_store(path=tmp_path, user_id="john", filter_fields=[LABEL]) as one,
        open_store(path=tmp_path, user_id="john", filter_fields=[LABEL]) as two,
    ):
        one.add("roof", id="a", metadata={"colour": "red"})
        before_the_first(Change, one, monkeypatch, lambda: two.update("a", metadata={"colour": "blue"}))
        one.update("a", content="wall")
        assert ids(one.list(fields={"label": "wall: blue"})) == ["a"]
        assert one.count(fields={"label": ["wall: red", "roof: blue"]}) == 0


def test_a_completion_stays_in_the_scope(tmp_path: Path) -> None:
    """A filter of John's neither finds nor completes what is not visible to him."""
    with open_store(path=tmp_path) as without:
        for user in ("john", "jane"):
            without.scoped(user_id=user).add("the report", id="a", metadata={"priority": 1})
            without.scoped(user_id=user, run_id="r").add("in a run", id="b", metadata={"priority": 1})
    with open_store(path=tmp_path, filter_fields=[PRIORITY]) as store:
        assert ids(store.scoped(user_id="john").list(fields={"priority": 1})) == ["a"]
        shard = store.backend.connection._engine._shard  # type: ignore[attr-defined]
        assert shard.info().payload_schema["field_priority"].points == 1
