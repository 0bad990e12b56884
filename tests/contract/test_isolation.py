"""Random operations by several scopes, stolen ids, paths and filters included: nothing is ever seen or changed outside
the visibility rule. The expectation is a model that knows the rule and nothing of the store."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crewai_persistent_memory import EntryNotFoundError, MemoryConfig, Scope
from crewai_persistent_memory.backends.qdrant.engine_requests import Everything
from crewai_persistent_memory.scope import ScopeBinding
from crewai_persistent_memory.store.base import MemoryStore
from crewai_persistent_memory.store.factory import open_configured

from ..support.engines import STORES, StoresOfOneKind
from ..support.thorough import IS_THOROUGH

OPERATIONS = 200
EMBEDDED, SERVER, ON_A_VARIANT, IN_MEM0 = (51, 51, 51, 10) if IS_THOROUGH else (25, 5, 2, 1)
EXAMPLES = {kind: IN_MEM0 if kind.startswith("mem0-") else ON_A_VARIANT for kind in STORES}
EXAMPLES.update(embedded=EMBEDDED, server=SERVER)
"""How many times 200 operations on each store. Most are on the engine in this process, which is the server's; the
conditions that a server is sent are made in another module."""

USERS = ["john", "jane", "john/x", "j", None]
SCOPES = [
    Scope.trusted(user, project, run, agent, org)
    for user, project, run, agent, org in itertools.product(
        USERS, ["prod", "prod2"], [None, "r1", "r2"], [None, "chef"], [None, "acme"]
    )
]
IDS = ["a", "b", "c", "john:a", "' OR 1=1 --"]
PATHS = ["/", "/u/1", "/u/10", "/u/1/x", "/u"]
WORDS = ["tea", "nuts", "spain", "france"]
CATEGORIES = ["x", "y"]

scopes = st.sampled_from(SCOPES)
operation = st.fixed_dictionaries(
    {
        "what": st.sampled_from(["add"] * 8 + ["update", "replace", "delete", "reset", "touch"] + ["read"] * 2),
        "scope": scopes,
        "include_shared": st.booleans(),
        "id": st.sampled_from(IDS),
        "path": st.sampled_from(PATHS),
        "word": st.sampled_from(WORDS),
        "category": st.sampled_from(CATEGORIES),
        "filter": st.sets(st.sampled_from(["path", "categories", "metadata", "ids"])),
    }
)


def rule(owner: Scope, reader: Scope, include_shared: bool) -> bool:
    """The visibility rule, written down a second time from the design, so as not to test it against itself."""
    if (owner.org_id, owner.project_id) != (reader.org_id, reader.project_id):
        return False
    if owner.user_id != reader.user_id and not (include_shared and owner.user_id is None):
        return False
    return all(
        theirs is None or theirs == mine
        for theirs, mine in [(owner.run_id, reader.run_id), (owner.agent_id, reader.agent_id)]
    )


class Model:
    """What every scope stored: {(owner, id): fields}."""

    def __init__(self) -> None:
        self.entries: dict[tuple[Scope, str], dict[str, Any]] = {}

    def visible(self, reader: Scope, include_shared: bool, wanted: dict[str, Any]) -> set[tuple[Scope, str]]:
        return {
            key
            for key, entry in self.entries.items()
            if rule(key[0], reader, include_shared) and self.matches(key[1], entry, wanted)
        }

    @staticmethod
    def matches(id: str, entry: dict[str, Any], wanted: dict[str, Any]) -> bool:
        prefix = wanted.get("path", "/")
        return (
            (prefix == "/" or entry["path"] == prefix or entry["path"].startswith(prefix + "/"))
            and ("categories" not in wanted or bool(set(wanted["categories"]) & set(entry["categories"])))
            and ("metadata" not in wanted or entry["metadata"] == wanted["metadata"])
            and ("ids" not in wanted or id in wanted["ids"])
        )

    def specific(self, reader: Scope, id: str) -> tuple[Scope, str] | None:
        """The entry that an id means to a reader: the one whose run and agent are the most specific."""
        found = self.visible(reader, False, {"ids": [id]})
        return max(found, key=lambda key: (key[0].run_id is not None, key[0].agent_id is not None), default=None)


def handle(store: MemoryStore, scope: Scope, include_shared: bool) -> MemoryStore:
    return MemoryStore(store.backend, ScopeBinding.of(scope), include_shared=include_shared, owns_backend=False)


def keys(entries: list[Any]) -> set[tuple[Scope, str]]:
    return {(entry.scope, entry.id) for entry in entries}


def apply(store: MemoryStore, model: Model, op: dict[str, Any]) -> None:
    scope, shared, id = op["scope"], op["include_shared"], op["id"]
    view = handle(store, scope, shared)
    fields = {"path": op["path"], "categories": (op["category"],), "metadata": {"w": op["word"]}}
    values = {"path": op["path"], "categories": [op["category"]], "metadata": {"w": op["word"]}, "ids": [id]}
    wanted = {name: values[name] for name in op["filter"]}
    content = f"{op['word']} of {scope}"
    if op["what"] == "add":
        view.add(content, id=id, **fields)
        model.entries[scope, id] = {**fields, "content": content}
    elif op["what"] in ("update", "replace"):
        key = model.specific(scope, id)
        if op["what"] == "update":
            try:
                view.update(id, content=content, **fields)
                assert key is not None, f"{scope} updated {id!r}, which is not there for it"
            except EntryNotFoundError:
                assert key is None, f"{scope} could not update its own {id!r}"
        else:
            view.replace(view_entry(id, content, fields))
            key = key or (scope, id)
        if key is not None:
            model.entries[key] = {**fields, "content": content}
    elif op["what"] == "delete":
        gone = model.visible(scope, False, wanted or {"ids": [id]})
        assert view.delete(**(wanted or {"ids": [id]})) == len(gone)
        for key in gone:
            del model.entries[key]
    elif op["what"] == "reset":
        gone = model.visible(scope, False, {"path": op["path"]})
        assert view.reset(op["path"]) == len(gone)
        for key in gone:
            del model.entries[key]
    elif op["what"] == "touch":
        view.touch([id])
    else:
        check_reads(view, model, op, wanted)


def view_entry(id: str, content: str, fields: dict[str, Any]) -> Any:
    from crewai_persistent_memory import MemoryEntry

    return MemoryEntry(id=id, content=content, **fields)


def check_reads(view: MemoryStore, model: Model, op: dict[str, Any], wanted: dict[str, Any]) -> None:
    scope, shared, id = op["scope"], op["include_shared"], op["id"]
    expected = model.visible(scope, shared, wanted)
    listed = view.list(limit=10_000, **wanted)
    assert keys(listed) == expected
    assert {entry.content for entry in listed} == {model.entries[key]["content"] for key in expected}
    assert view.count(**wanted) == len(expected)
    scanned = list(view.scan(**wanted))
    assert (len(scanned), keys(scanned)) == (len(expected), expected)
    half = max(1, len(listed) // 2)
    page = view.page(limit=half, **wanted)
    rest = () if page.cursor is None else view.page(cursor=page.cursor, limit=10_000, **wanted).entries
    assert [page.entries, rest] == [tuple(listed[:half]), tuple(listed[half:])]
    with_word = {key for key in expected if model.entries[key]["content"].startswith(op["word"])}
    assert keys(view.search(op["word"], limit=10_000, **wanted)) >= with_word
    assert keys(view.search(" ".join(WORDS), limit=10_000, **wanted)) <= expected
    found = view.get(id)
    ids = model.visible(scope, shared, {"ids": [id]})
    assert (found is None) == (not ids)
    assert found is None or (found.scope, found.id) in ids
    inside = [model.entries[key] for key in model.visible(scope, shared, {"path": op["path"]})]
    assert sum(view.categories(op["path"]).values()) == sum(len(entry["categories"]) for entry in inside)
    assert view.info(op["path"]).count == len(inside)
    prefix = op["path"].rstrip("/") + "/"
    below = {entry["path"][len(prefix) :].split("/")[0] for entry in inside if entry["path"].startswith(prefix)}
    assert set(view.children(op["path"])) == {prefix + child for child in below - {""}}


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
        def run(operations: list[dict[str, Any]]) -> None:
            nonlocal done
            open_any.empty()
            model = Model()
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
