"""A search in all scopes of a person, over every store."""

from __future__ import annotations

import pytest

from crewai_persistent_memory import ConfigurationError
from crewai_persistent_memory.admin import search_scopes

from ..fixtures import OpenStore

SCOPES = [
    {"user_id": "john"},
    {"user_id": "john", "run_id": "r1"},
    {"user_id": "john", "run_id": "r1", "agent_id": "chef"},
    {"user_id": "john", "project_id": "staging"},
    {"user_id": "jane"},
    {"user_id": "jane", "run_id": "r1"},
]


def test_each_entry_once_with_its_owner(open_any: OpenStore) -> None:
    store = open_any()
    for number, scope in enumerate(SCOPES):
        owner = store.scoped(**scope)
        owner.add(f"green tea {number}", kind="entity" if number else "memory")
        owner.flush()
    found = search_scopes(store, "green tea", limit=20, user_id="john")
    assert sorted(entry.content for entry in found) == [f"green tea {number}" for number in range(4)]
    for entry in found:
        expected = SCOPES[int(entry.content[-1])]
        assert entry.scope is not None
        assert {name: getattr(entry.scope, name) for name in expected} == expected
    scores = [entry.score or 0.0 for entry in found]
    assert scores == sorted(scores, reverse=True)
    one = search_scopes(store, "green tea", filters={"kind": "memory"}, user_id="john")
    assert [entry.content for entry in one] == ["green tea 0"]
    of_staging = search_scopes(store, "green tea", of=lambda owner: owner.project_id == "staging", user_id="john")
    assert [entry.content for entry in of_staging] == ["green tea 3"]
    assert len(search_scopes(store, "green tea", limit=2, user_id="john")) == 2


def test_a_blank_query(open_any: OpenStore) -> None:
    store = open_any()
    store.scoped(user_id="john").add("green tea")
    store.scoped(user_id="john").flush()
    assert search_scopes(store, " ", user_id="john") == store.scoped(user_id="john").search(" ") == []


def test_of_everybody(open_any: OpenStore) -> None:
    store = open_any()
    for user in ("john", "jane"):
        store.scoped(user_id=user).add("green tea")
        store.scoped(user_id=user).flush()
    if not store.capabilities.counts_scopes:
        with pytest.raises(ConfigurationError, match="cannot list across users: give user_id="):
            search_scopes(store, "green tea")
        return
    found = search_scopes(store, "green tea")
    assert {entry.scope.user_id for entry in found if entry.scope is not None} == {"john", "jane"}
