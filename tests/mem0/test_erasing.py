"""An erasure of a person in Mem0: in all projects, runs and agents, and nothing of anybody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import ConfigurationError, MemoryStore, Scope
from crewai_persistent_memory.admin import count_by, erase, survey
from crewai_persistent_memory.backends.mem0.entities import library_owner, library_user_id
from crewai_persistent_memory.expiry import now
from crewai_persistent_memory.transfer.exporting import entries_of

from ..support.clock import in_hours
from ..support.mem0_platform import Mem0Platform
from .conftest import OpenMem0, library_of
from .test_forgetting import bytes_of, told

CANARY = "CANARYNUTS"
OF_JOHN: list[dict[str, str]] = [
    {"user_id": "john"},
    {"user_id": "john", "run_id": "r1"},
    {"user_id": "john", "run_id": "r1", "agent_id": "chef"},
    {"user_id": "john", "project_id": "staging", "agent_id": "chef"},
    {"user_id": "john", "org_id": "acme"},
]
OF_OTHERS: list[dict[str, str]] = [
    {"user_id": user}
    for user in (
        "jane",
        "johnny",
        "JOHN",
        "john/staging",
        "john%2Fstaging",
        "a&user_id=john",
        "everyone",
        "*",
        "no-run",
    )
]


def fill(open_mem0: OpenMem0) -> None:
    for scope in (*OF_JOHN, *OF_OTHERS):
        whose = CANARY if scope in OF_JOHN else "another"
        for number in range(2):
            open_mem0(**scope).add(f"{whose} {number} of {Scope(**scope)}")


def contents(store: MemoryStore) -> list[str]:
    return sorted(entry.content for entry in store.list())


def test_in_all_scopes_and_nobody_else(open_mem0: OpenMem0) -> None:
    fill(open_mem0)
    store = open_mem0()
    planned = erase(store, user_id="john", dry_run=True)
    assert planned.projects == {"default": 8, "staging": 2}
    done = erase(store, user_id="john", settle=0)
    assert (done.entries, done.projects, done.left, done.rounds) == (10, {"default": 8, "staging": 2}, 0, 1)
    for scope in OF_JOHN:
        assert contents(open_mem0(**scope)) == []
    for scope in OF_OTHERS:
        assert len(contents(open_mem0(**scope))) == 2, scope
    assert any("Mem0" in each for each in done.remains)


def test_the_users_of_awkward_names(open_mem0: OpenMem0) -> None:
    fill(open_mem0)
    store, left = open_mem0(), {scope["user_id"] for scope in OF_OTHERS}
    for user in sorted(left):
        assert erase(store, user_id=user, settle=0).entries == 2, user
        left.remove(user)
        for other in left:
            assert len(contents(open_mem0(user_id=other))) == 2, f"{user} took what is {other}'s"
    assert sum(count_by(store, "project_id", user_id="john").values()) == 10


def test_a_project_or_a_run_of_a_person(open_mem0: OpenMem0) -> None:
    fill(open_mem0)
    store = open_mem0()
    assert erase(store, user_id="john", run_id="r1", settle=0).entries == 4
    assert erase(store, user_id="john", project_id="staging", settle=0).entries == 2
    assert survey(store, user_id="john").entries == 4
    assert erase(store, user_id="john", org_id="acme", settle=0).entries == 2
    assert contents(open_mem0()) == [f"{CANARY} {number} of {Scope('john')}" for number in range(2)]


def test_what_has_expired_goes_too(open_mem0: OpenMem0) -> None:
    store = open_mem0()
    store.add(f"{CANARY} for an hour", ttl=3600)
    with in_hours(2):
        assert contents(store) == []
        done = erase(store, user_id="john", settle=0)
    assert (done.entries, done.left) == (1, 0)
    assert contents(store) == [], "also on a clock that is set back"
    assert now()


def test_somebody_has_to_be_named(open_mem0: OpenMem0) -> None:
    fill(open_mem0)
    for scope in ({"project_id": "staging"}, {"run_id": "r1"}):
        with pytest.raises(ConfigurationError, match="give user_id="):
            erase(open_mem0(), settle=0, **scope)
    assert len(contents(open_mem0(**OF_JOHN[1]))) == 4


def test_what_was_stored_without_this_package(cloud: OpenMem0, mem0_platform: Mem0Platform) -> None:
    mem0_platform.remember(CANARY, user_id="john", agent_id="theirs")
    mem0_platform.remember(CANARY, user_id="john", run_id="a run")
    mem0_platform.remember("another", user_id="jane")
    done = erase(cloud(), user_id="john", settle=0)
    assert (done.entries, done.left) == (2, 0)
    assert [each["memory"] for each in mem0_platform.memories.values()] == ["another"]


def test_no_file_of_mem0_oss_has_a_word_of_it(oss: OpenMem0, oss_config: dict[str, Any]) -> None:
    """Memories, their history, and messages of which nothing was remembered."""
    for scope in OF_JOHN:
        oss(**scope).add_messages(told(f"I am allergic to {CANARY}."))
    oss(user_id="john", project_id="other", excludes="secrets").add_messages(told(f"It rains on {CANARY} today."))
    oss(user_id="jane").add_messages(told("I am allergic to JANESNUTS."))
    library_of(oss()).add(f"{CANARY} of a bare Mem0", user_id="john", run_id="theirs", infer=False)
    assert CANARY.encode() in bytes_of(oss_config), "Mem0 keeps texts there: else this tests nothing"
    assert erase(oss(), user_id="john", settle=0).left == 0
    assert CANARY.encode() not in bytes_of(oss_config)
    assert contents(oss(user_id="jane")) == ["I am allergic to JANESNUTS"]
    assert b"JANESNUTS" in bytes_of(oss_config)


def test_an_export_of_a_person_has_all_scopes(open_mem0: OpenMem0, tmp_path: Path) -> None:
    fill(open_mem0)
    found = list(entries_of(open_mem0(), user_id="john"))
    assert {entry.scope for entry in found} == {Scope(**scope) for scope in OF_JOHN}
    assert len(found) == 10


@pytest.mark.parametrize("scope", [*OF_JOHN, *OF_OTHERS, {"user_id": "a/b", "project_id": "c/d", "run_id": "%2F"}])
def test_mem0s_user_leads_back_to_the_owner(scope: dict[str, str]) -> None:
    assert library_owner(library_user_id(Scope(**scope))) == Scope(**scope)


@pytest.mark.parametrize("name", ["a b", "john/x/y/z/0/1", "john/default", "j%C3%BChn/%"])
def test_a_name_of_another_form_is_a_user(name: str) -> None:
    assert library_owner(name) == Scope.trusted(name, "default", None, None, None)
