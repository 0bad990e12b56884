"""What Mem0 holds of a user, in a store in Qdrant: also what was stored there without this package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import ConfigurationError, InvalidArgumentError, MemoryStore, Scope, open_store
from crewai_persistent_memory.admin import copy_entries, entries_of, migrate_store, undo_migration

from ..support.mem0_platform import Mem0Platform
from .conftest import OpenMem0, library_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    with open_store(path=tmp_path / "target", embedder=None) as opened:
        yield opened


def held(store: MemoryStore, **scope: Any) -> dict[str, Scope | None]:
    return {entry.content: entry.scope for entry in entries_of(store, **scope)}


def test_what_this_package_has_stored(open_mem0: OpenMem0, store: MemoryStore) -> None:
    mem0 = open_mem0()
    kept = mem0.add("I like tea", id="tea", categories=["food"], metadata={"n": {"deep": 1}}, importance=0.9)
    open_mem0(user_id="jane").add("Jane's secret")
    planned = migrate_store(mem0, store, dry_run=True, user_id="john")
    assert held(store) == {}
    assert migrate_store(mem0, store, user_id="john") == planned
    assert (planned.found, planned.new, dict(planned.sources)) == (1, 1, {"mem0": 1})
    [entry] = entries_of(store)
    assert (entry.id, entry.content, entry.scope) == ("tea", "I like tea", Scope("john"))
    assert (entry.categories, entry.metadata["n"], entry.importance) == (("food",), {"deep": 1}, 0.9)
    assert entry.created_at == kept.created_at
    assert migrate_store(mem0, store, user_id="john").there == 1
    assert undo_migration(store, planned.id, user_id="john") == 1
    assert held(store) == {}


def test_what_others_have_stored_in_the_cloud(cloud: OpenMem0, store: MemoryStore, mem0_platform: Mem0Platform) -> None:
    mem0_platform.remember("plain", user_id="john", metadata={"by": "their program"})
    mem0_platform.remember("in an app", user_id="john", app_id="their app")
    mem0_platform.remember("in a run", user_id="john", run_id="r/1/2")
    mem0_platform.remember("of an agent", user_id="john", agent_id="chef")
    mem0_platform.remember("another user", user_id="johnny")
    mem0_platform.remember("an agent's alone", agent_id="chef")
    mem0 = cloud(user_id="john", project_id="p", run_id="no-run", org_id="acme")
    mem0.add("ours")
    done = migrate_store(mem0, store, user_id="john")
    assert held(store) == {
        "plain": Scope("john"),
        "in an app": Scope("john", "their app"),
        "in a run": Scope("john", run_id="r/1/2"),
        "of an agent": Scope("john", agent_id="chef"),
        "ours": Scope("john", "p", run_id="no-run", org_id="acme"),
    }
    [plain] = [entry for entry in entries_of(store) if entry.content == "plain"]
    assert plain.metadata["by"] == "their program"
    assert sum(done.owners.values()) == done.found == 5
    into = {"user_id": "jo", "project_id": "default", "run_id": None, "agent_id": None, "org_id": None}
    assert migrate_store(mem0, store, into=into, user_id="john").new == 5
    assert set(held(store, user_id="jo").values()) == {Scope("jo")}
    assert migrate_store(mem0, store, dry_run=True, user_id="john", project_id="p").found == 1


def test_a_name_that_could_be_another_users(cloud: OpenMem0, mem0_platform: Mem0Platform, store: MemoryStore) -> None:
    """This package writes the user "a b" as "a%20b" in Mem0, and others as it is."""
    cloud(user_id="a b").add("of a b")
    mem0_platform.remember("of a b, by others", user_id="a b")
    assert sorted(held(cloud(), user_id="a b")) == ["of a b", "of a b, by others"]
    for other in ("a%20b", "a*", "*", "everyone"):
        assert held(cloud(), user_id=other) == {}


def test_a_platform_that_ignores_filters_gives_nobody_elses(
    cloud: OpenMem0, mem0_platform: Mem0Platform, caplog: pytest.LogCaptureFixture
) -> None:
    mem0_platform.remember("plain", user_id="john")
    mem0_platform.remember("Jane's secret", user_id="jane")
    mem0_platform.filters_are_ignored = True
    assert list(held(cloud(), user_id="john")) == ["plain"]
    assert "dropped 1 memories" in caplog.text


def test_what_others_have_stored_in_the_library(oss: OpenMem0, store: MemoryStore) -> None:
    mem0 = oss()
    mem0.list()
    library_of(mem0).add("in a run", user_id="john", run_id="r1", infer=False)
    library_of(mem0).add("another user", user_id="johnny", infer=False)
    oss(run_id="r2").add("ours, in a run")
    oss().add("ours")
    assert migrate_store(mem0, store, user_id="john", run_id="r2").new == 1
    assert held(store) == {"ours, in a run": Scope("john", run_id="r2")}
    assert migrate_store(mem0, store, user_id="john").new == 2
    assert held(store) == {
        "in a run": Scope("john", run_id="r1"),
        "ours": Scope("john"),
        "ours, in a run": Scope("john", run_id="r2"),
    }


def test_a_copy_without_a_mark(open_mem0: OpenMem0, store: MemoryStore) -> None:
    mem0 = open_mem0()
    mem0.add("I like tea", id="tea")
    assert copy_entries(mem0, store, user_id="john").new == 1
    [entry] = entries_of(store)
    assert (entry.id, entry.metadata) == ("tea", {})
    with pytest.raises(ConfigurationError, match="cannot list across users: give user_id="):
        copy_entries(mem0, store)
    with pytest.raises(InvalidArgumentError, match="has no memories of user_id=nobody"):
        migrate_store(mem0, store, user_id="nobody")
    with pytest.raises(InvalidArgumentError, match="into: project"):
        migrate_store(mem0, store, into={"project": "p"}, user_id="john")


def test_into_mem0_and_back(open_mem0: OpenMem0, store: MemoryStore) -> None:
    store.scoped(user_id="john").add("I like tea", id="tea")
    mem0 = open_mem0()
    mem0.add("mine before", id="mine")
    done = migrate_store(store, mem0, user_id="john")
    assert (done.new, dict(done.sources)) == (1, {"qdrant": 1})
    assert migrate_store(store, mem0, user_id="john").there == 1
    assert sorted(entry.content for entry in mem0.list()) == ["I like tea", "mine before"]
    with pytest.raises(ConfigurationError, match="give user_id="):
        undo_migration(mem0, done.id)
    assert undo_migration(mem0, done.id, user_id="john") == 1
    assert [entry.content for entry in mem0.list()] == ["mine before"]
