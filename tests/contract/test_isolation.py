"""Random operations by several scopes, stolen ids, paths and filters included: nothing is ever seen or changed outside
the visibility rule. The expectation is a model that knows the rule and nothing of the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crewai_persistent_memory import MemoryConfig, MemoryEntry, Scope
from crewai_persistent_memory.backends.qdrant.engine_requests import Everything, InScopes, Match, Retrieve
from crewai_persistent_memory.backends.qdrant.schema import TENANT_KEY, forgotten_id, owner_key, point_id, tenant_key
from crewai_persistent_memory.store.factory import open_configured
from crewai_persistent_memory.testing.visibility_model import (
    CATEGORIES,
    FILTERS,
    IDS,
    KINDS,
    PATHS,
    SCOPES,
    WORDS,
    ModelOperation,
    VisibilityModel,
    apply,
    check_reads,
    handle,
)

from ..support.engines import STORES, StoresOfOneKind
from ..support.thorough import IS_THOROUGH

OPERATIONS = 200
EMBEDDED, SERVER, ON_A_VARIANT, IN_MEM0 = (51, 51, 51, 10) if IS_THOROUGH else (25, 5, 2, 1)
EXAMPLES = {kind: IN_MEM0 if kind.startswith("mem0-") else ON_A_VARIANT for kind in STORES}
EXAMPLES.update(embedded=EMBEDDED, server=SERVER)
"""How many times 200 operations on each store. Most are on the engine in this process, which is the server's; the
conditions that a server is sent are made in another module."""

scopes = st.sampled_from(SCOPES)
operation = st.fixed_dictionaries(
    {
        "what": st.sampled_from(KINDS),
        "scope": scopes,
        "include_shared": st.booleans(),
        "id": st.sampled_from(IDS),
        "path": st.sampled_from(PATHS),
        "word": st.sampled_from(WORDS),
        "category": st.sampled_from(CATEGORIES),
        "filter": st.sets(st.sampled_from(FILTERS)),
    }
)


def test_nothing_is_visible_outside_the_rule(open_any: StoresOfOneKind, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["open_any"]
    done = 0
    with open_any() as store:

        @settings(
            max_examples=EXAMPLES[kind],
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        )
        @given(st.lists(operation, min_size=OPERATIONS, max_size=OPERATIONS))
        def run(operations: list[ModelOperation]) -> None:
            nonlocal done
            open_any.empty()
            model = VisibilityModel()
            for op in operations:
                apply(store, model, op)
                done += 1
            for op in operations[::20]:
                check_reads(handle(store, op["scope"], op["include_shared"]), model, op, {})

        run()
    assert done >= OPERATIONS * EXAMPLES[kind]


def test_keys_of_different_owners_differ() -> None:
    """What an engine filters by, places entries by and knows them by; also if a field is made to look like two."""
    names = ["a", "b", "a/b", 'a", "b', "null", "None", "default", " é"]
    fields = [None, *names]
    owners = [
        *(Scope.trusted(user, project, None, None, org) for user in fields for project in names for org in fields),
        *(Scope.trusted(user, "a", run, agent, None) for user in fields for run in names for agent in fields),
        *(Scope.trusted("a", "a", None, agent, org) for agent in names for org in fields),
    ]
    assert len(set(owners)) == len(owners)
    assert len({owner_key(owner) for owner in owners}) == len(owners)
    tenants = {(owner.org_id, owner.project_id, owner.user_id) for owner in owners}
    assert len({tenant_key(owner) for owner in owners}) == len(tenants)
    points = [
        make(owner, id) for make in (point_id, forgotten_id) for owner in owners for id in ("a", 'a", "forgotten')
    ]
    assert len(set(points)) == 4 * len(owners)


class Leaking:
    """An engine that answers every question as if it had been asked without a scope, and every id with all entries."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def route(self, org_id: str | None, project_id: str) -> Any:
        return self._connection.route(org_id, project_id)

    def ask(self, request: Any, route: Any) -> Any:
        if hasattr(request, "where"):
            request = replace(request, where=tuple(each for each in request.where if not isinstance(each, InScopes)))
        if isinstance(request, Retrieve):
            request = Everything((), True)
        return self._connection.ask(request, route)

    def close(self) -> None:
        self._connection.close()


def test_what_the_engine_returns_against_the_rule_is_dropped_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second check of every result: an engine that ignores its filter must not become a leak."""
    by_the_backend = "the engine returned it outside the scope of the call"
    # The store's own check drops it too, and says so in other words: these must be the backend's.
    with open_configured(MemoryConfig.build(path=tmp_path / "s", embedder=None)) as store:
        store.scoped(user_id="john").add("john's secret", id="a")
        store.scoped(Scope.shared()).add("the team's secret", id="a")
        jane = store.scoped(user_id="jane")
        jane.add("jane's own", id="a")
        jane.scoped(run_id="r").add("a secret of the run", id="a")
        backend: Any = jane.backend
        monkeypatch.setattr(backend, "connection", Leaking(backend.connection))
        for found in (jane.search("secret own"), jane.list(), [jane.get("a")], [jane.get("b")]):
            assert all(entry is None or entry.content == "jane's own" for entry in found)
        assert caplog.text.count(by_the_backend) == 2 * 3
        for found in (jane.scan(), jane.page().entries):
            assert [entry.content for entry in found] == ["jane's own"]
        assert caplog.text.count(by_the_backend) == 4 * 3
        assert caplog.text.count("outside the scope of the call") == 4 * 3, "nothing came as far as the store's check"
        monkeypatch.undo()  # closing deletes what has expired, by conditions


def test_what_the_engine_finds_against_the_rule_is_not_brought_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second check of an undo. What the answer leaves out may have been brought back all the same."""
    with open_configured(MemoryConfig.build(path=tmp_path / "s", embedder=None, undo_for=60)) as store:
        john, jane, team = store.scoped(user_id="john"), store.scoped(user_id="jane"), store.scoped(Scope.shared())
        for each in (john, team, jane.scoped(run_id="r"), jane):
            each.add(f"secret of {each.scope}", id="a")
            assert each.delete("a") == 1
        backend: Any = jane.backend
        with monkeypatch.context() as patched:
            patched.setattr(backend, "connection", Leaking(backend.connection))
            assert [entry.content for entry in jane.undo_delete()] == [f"secret of {jane.scope}"]
        for each in (john, team, jane.scoped(run_id="r")):
            assert f"secret of {each.scope}" not in [entry.content for entry in each.list()]
            assert f"secret of {each.scope}" in [entry.content for entry in each.undo_delete()]


def test_every_request_to_the_engine_has_the_scope_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of the two checks, whatever the second one would drop: conditions that the engine applies."""
    asked: list[Any] = []

    class Noting(Leaking):
        def ask(self, request: Any, route: Any) -> Any:
            asked.append(request)
            return self._connection.ask(request, route)

    with open_configured(MemoryConfig.build(path=tmp_path / "s", embedder=None, undo_for=60)) as store:
        owner = Scope("jane", "live", run_id="r")
        jane = store.scoped(owner)
        owners = [owner, Scope("jane", "live")]
        own = set(map(owner_key, owners))
        jane.put([MemoryEntry(id, "a secret", path="/x", categories=("c",)) for id in "abcd"])
        points = {make(each, id) for make in (point_id, forgotten_id) for each in owners for id in "abcd"}
        monkeypatch.setattr(jane.backend, "connection", Noting(jane.backend.connection))  # type: ignore[attr-defined]
        calls: dict[str, Callable[[], Any]] = {
            "search": lambda: jane.search("secret"),
            "nearest": lambda: jane.nearest([], text="secret"),
            "get": lambda: jane.get("a"),
            "list": lambda: jane.list(),
            "page": lambda: jane.page().entries,
            "scan": lambda: list(jane.scan()),
            "count": lambda: jane.count(),
            "categories": lambda: jane.categories(),
            "children": lambda: jane.children("/"),
            "info": lambda: jane.info().count,
            "delete by id": lambda: jane.delete("a"),
            "delete by path": lambda: jane.delete(path="/x"),
            "undo": lambda: jane.undo_delete(),
            "delete for good": lambda: jane.delete(path="/x", for_good=True),
            "reset": lambda: (jane.add("a secret"), jane.reset())[1],
        }
        for name, call in calls.items():
            asked.clear()
            assert call(), name
            wheres = [each.where for each in asked if hasattr(each, "where")]
            assert wheres or name == "get", name
            for retrieved in asked:
                if isinstance(retrieved, Retrieve):
                    assert set(retrieved.ids) <= points, name
            for where in wheres:
                scopes = [each for each in where if isinstance(each, InScopes)]
                of_tenant = Match(TENANT_KEY, (tenant_key(owner),)) in where  # whose entries follow one that is deleted
                assert of_tenant or [set(each.keys) <= own for each in scopes] == [True], (name, where)
        monkeypatch.undo()
