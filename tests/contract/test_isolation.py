"""Random operations by several scopes, stolen ids, paths and filters included: nothing is ever seen or changed outside
the visibility rule. The expectation is a model that knows the rule and nothing of the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crewai_persistent_memory import MemoryConfig
from crewai_persistent_memory.backends.qdrant.engine_requests import Everything
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


def test_what_the_engine_returns_against_the_rule_is_dropped_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second check of every result: an engine that ignores its filter must not become a leak."""
    with open_configured(MemoryConfig.build(path=tmp_path / "s", embedder=None)) as store:
        store.scoped(user_id="john").add("john's secret", id="a")
        jane = store.scoped(user_id="jane")
        jane.add("jane's own", id="a")
        backend: Any = jane.backend
        connection = backend.connection

        class Leaking:
            """Answers every question as if it had been asked without conditions, and every id with all entries."""

            def route(self, org_id: str | None, project_id: str) -> Any:
                return connection.route(org_id, project_id)

            def ask(self, request: Any, route: Any) -> Any:
                if hasattr(request, "where"):
                    request = replace(request, where=())
                if type(request).__name__ == "Retrieve":
                    request = Everything((), True)
                return connection.ask(request, route)

            def close(self) -> None:
                connection.close()

        monkeypatch.setattr(backend, "connection", Leaking())
        for found in (jane.search("secret own"), jane.list(), [jane.get("a")], [jane.get("b")]):
            assert all(entry is None or entry.content == "jane's own" for entry in found)
        assert caplog.text.count("outside the scope of the call") == 2
        for found in (jane.scan(), jane.page().entries):
            assert [entry.content for entry in found] == ["jane's own"]
        assert caplog.text.count("outside the scope of the call") == 4
        monkeypatch.undo()  # closing deletes what has expired, by conditions
