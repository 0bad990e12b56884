"""Who sees what in Mem0, against its own odd ways: written as the attacks they would be."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import pytest

from crewai_persistent_memory import EntryNotFoundError, PersistentMemory, Scope, use_scope
from crewai_persistent_memory.backends.mem0.entities import EVERYONE, NO_RUN, cloud_entities, library_user_id

from ..support.mem0_platform import DEFAULT_KEY, Mem0Platform
from .conftest import OpenMem0, library_of


def contents(store: Any) -> set[str]:
    return {entry.content for entry in store.list()}


def test_france_and_spain(open_mem0: OpenMem0) -> None:
    """Two users of one agent: who asks for the capital of where she lives gets hers, never the other's."""
    store = open_mem0(user_id=None, agent_id="travel-agent")
    said = {"ana": "Ana lives in Spain.", "julie": "Julie lives in France."}
    for user, text in said.items():
        with use_scope(user_id=user):
            store.add_messages([{"role": "user", "content": text}, {"role": "assistant", "content": text}], wait=True)
    for user, text in said.items():
        with use_scope(user_id=user):
            found = {entry.content for entry in store.search("Where does she live, in Spain or in France?")}
            assert found == {text.rstrip(".")} == contents(store)


def test_staging_and_production(open_mem0: OpenMem0) -> None:
    """The same user in both; what staging plays with never reaches production, nor can it reset it."""
    staging = open_mem0(project_id="staging")
    production = open_mem0(project_id="production")
    production.add_messages([{"role": "user", "content": "I am allergic to nuts."}], wait=True)
    staging.add_messages([{"role": "user", "content": "I am allergic to test data."}], wait=True)
    assert contents(production) == {"I am allergic to nuts"}
    assert [e.content for e in staging.search("what am I allergic to?")] == ["I am allergic to test data"]
    assert staging.reset() == 1
    assert contents(production) == {"I am allergic to nuts"}


def test_all_combinations_of_two_users_projects_runs_and_agents(open_mem0: OpenMem0) -> None:
    """Inferred memories of each of 36 owners, read by each: the rule, and nothing else."""
    owners = [
        Scope(user, project, run, agent)
        for user, project, run, agent in itertools.product(
            ["ana", "bob"], ["staging", "production"], [None, "r1", "r2"], [None, "chef", "maid"]
        )
    ]
    store = open_mem0(user_id=None)
    for number, owner in enumerate(owners):
        store.scoped(owner).add_messages([{"role": "user", "content": f"The secret is code-{number}."}], wait=True)
    for reader in owners:
        expected = {
            f"The secret is code-{number}"
            for number, owner in enumerate(owners)
            if (owner.user_id, owner.project_id) == (reader.user_id, reader.project_id)
            and owner.run_id in (None, reader.run_id)
            and owner.agent_id in (None, reader.agent_id)
        }
        assert contents(store.scoped(reader)) == expected
        assert {e.content for e in store.scoped(reader).search("the secret code", limit=100)} == expected


def test_names_that_are_patterns_or_stand_for_something(open_mem0: OpenMem0) -> None:
    """Mem0 takes ``*`` for anybody; blanks, slashes and the words for "nobody" must not become other people."""
    victim = open_mem0(user_id="victim", run_id="r1")
    victim.add("the victim's secret")
    everyone = open_mem0(user_id=None, scope=Scope.shared())
    everyone.add("the team's secret")
    for attacker in ("*", "victim/default//r1", "vic*", EVERYONE, NO_RUN, "VICTIM", "%2A", "a b", "victim%"):
        for run in (None, "*", "r1", NO_RUN):
            store = open_mem0(user_id=attacker, run_id=run)
            assert contents(store) == set(), (attacker, run)
            assert store.search("secret") == []
            assert store.reset() == 0
    assert contents(victim) == {"the victim's secret"}
    assert contents(everyone) == {"the team's secret"}


def test_identities_of_different_owners_differ() -> None:
    names = ["a", "b", "a/b", "", "default", EVERYONE, NO_RUN, "%", "é", " ", "*"]
    fields = [name for name in names if name.strip()]
    owners = {
        Scope.trusted(user, project, run, agent, org)
        for user in [None, *fields]
        for project in fields
        for run, agent, org in itertools.product([None, "a", NO_RUN, "a/b"], [None, "a", "b"], [None, "a", "default"])
    }
    assert len({cloud_entities(owner) for owner in owners}) == len(owners)
    assert len({library_user_id(owner) for owner in owners}) == len(owners)


def test_another_users_id_is_not_a_key(open_mem0: OpenMem0) -> None:
    """Mem0 finds any memory of the account by its id."""
    john, jane = open_mem0(user_id="john"), open_mem0(user_id="jane")
    added = john.add_messages([{"role": "user", "content": "My secret is code-1."}], wait=True)
    id = added.entries[0].id
    assert john.get(id).content == "My secret is code-1"
    assert jane.get(id) is None
    assert jane.delete(id) == 0
    with pytest.raises(EntryNotFoundError):
        jane.update(id, content="mine")
    jane.replace(john.get(id))
    assert john.get(id).content == "My secret is code-1"
    assert john.delete(id) == 1


def test_deletions_go_by_listed_ids(cloud: OpenMem0, mem0_platform: Mem0Platform) -> None:
    store = cloud(project_id="staging")
    store.add("a")
    other = mem0_platform.remember("of another app", user_id="john", app_id="production")
    assert store.reset() == 1
    assert [(method, path) for method, path, _ in mem0_platform.requests if method == "DELETE"] == [
        ("DELETE", "/v1/batch/")
    ]
    assert other in mem0_platform.memories


class TestAPlatformThatLeaks:
    """The second check of every result: filters that are ignored must not become a leak."""

    def test_the_cloud(self, cloud: OpenMem0, mem0_platform: Mem0Platform, caplog: pytest.LogCaptureFixture) -> None:
        cloud(user_id="jane", project_id="p").add("jane's secret")
        john = cloud(user_id="john", project_id="p", run_id="r", include_shared=True)
        john.add("john's own")
        for fields in (
            {"user_id": "john"},
            {"user_id": "john", "app_id": "p"},
            {"user_id": "john", "app_id": "p", "run_id": "r2"},
            {"user_id": "john", "app_id": "p", "run_id": "r", "agent_id": "chef"},
            {"user_id": "everybody", "app_id": "p", "run_id": "r"},
        ):
            mem0_platform.remember("somebody's secret", **fields)
        mem0_platform.filters_are_ignored = True
        try:
            assert contents(john) == {"john's own"}
            assert {e.content for e in john.search("secret own")} == {"john's own"}
            assert john.count() == 1
            assert "outside the scope of the call" in caplog.text
            assert john.reset() == 1
        finally:
            mem0_platform.filters_are_ignored = False
        assert len(mem0_platform.memories) == 6

    def test_the_open_source_library(self, oss: OpenMem0, caplog: pytest.LogCaptureFixture) -> None:
        oss(user_id="jane").add("jane's secret")
        john = oss(user_id="john")
        john.add("john's own")
        vectors = library_of(john).vector_store
        search, listed = vectors.search, vectors.list
        vectors.search = lambda *args, **kwargs: search(*args, **{**kwargs, "filters": None})
        vectors.list = lambda *args, **kwargs: listed(*args, **{**kwargs, "filters": None})
        try:
            assert contents(john) == {"john's own"}
            assert {e.content for e in john.search("secret own")} == {"john's own"}
        finally:
            del vectors.search, vectors.list
        assert "outside the scope of the call" in caplog.text


def test_an_agents_statement_stays_the_users(cloud: OpenMem0, mem0_platform: Mem0Platform) -> None:
    """The platform files what the assistant said under the agent and without the user, if it is given both."""
    store = cloud(agent_id="chef")
    said: Any = [
        {"role": "user", "content": "I am allergic to nuts."},
        {"role": "assistant", "content": "I recommended the soup."},
    ]
    store.add_messages(said, wait=True)
    assert contents(store) == {"I am allergic to nuts", "I recommended the soup"}
    assert {(m["user_id"], m["agent_id"]) for m in mem0_platform.memories.values()} == {("john", None)}


def test_what_staging_hears_does_not_reach_productions_extraction(oss: OpenMem0, openai_server: Any) -> None:
    """Mem0 OSS shows its LLM what is known already, and (until 2.0) lets it change that: only of this owner."""
    oss(project_id="staging").add_messages([{"role": "user", "content": "My secret is code-staging."}])
    oss(project_id="production", run_id="r1").add_messages([{"role": "user", "content": "My secret is code-r1."}])
    production = oss(project_id="production")
    production.add_messages([{"role": "user", "content": "My secret is code-before."}])
    openai_server.prompts.clear()
    production.add_messages([{"role": "user", "content": "My secret is code-now."}])
    assert any("code-before" in prompt for prompt in openai_server.prompts), "its own is shown"
    assert not any("code-staging" in prompt or "code-r1" in prompt for prompt in openai_server.prompts)


def test_what_bare_mem0_stored_is_found_in_the_default_project(oss: OpenMem0) -> None:
    store = oss()
    bare = library_of(store)
    bare.add("John likes tea", user_id="john", infer=False, metadata={"source": "earlier"})
    bare.add("John likes coffee with r1", user_id="john", run_id="r1", infer=False)
    bare.add("Jane likes milk", user_id="jane", infer=False)
    assert "John likes tea" in contents(store)
    assert not any("Jane" in each for each in contents(store))
    assert contents(oss(project_id="staging")) == set()


def test_a_long_lived_memory_serves_many_users(mem0_platform: Mem0Platform) -> None:
    about: Any = {"api_key": DEFAULT_KEY, "host": mem0_platform.url, "wait": True}
    with PersistentMemory(mem0=about) as memory:
        runs = {user: str(uuid.uuid4()) for user in ("john", "jane")}
        for user, run in runs.items():
            with use_scope(user_id=user, run_id=run):
                memory.remember_many([f"{user} likes tea."])
        memory.drain_writes()
        with use_scope(user_id="john"):
            assert memory.recall("tea") == []  # it belongs to a run
            with use_scope(run_id=runs["john"]):
                assert [match.record.content for match in memory.recall("tea")] == ["john likes tea"]
    assert {m["user_id"] for m in mem0_platform.memories.values()} == {"john", "jane"}
