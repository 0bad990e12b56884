"""What leaks, or is not kept, fails with a message that names the leak and the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from crewai_persistent_memory.testing import assert_isolated, assert_survives_restart

from . import crews

pytestmark = [pytest.mark.crew, pytest.mark.usefixtures("here")]


def why_not_isolated(factory: Any, **options: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_isolated(factory, users=["john", "jane"], **options)
    return str(caught.value)


def why_not_kept(factory: Any, **options: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_survives_restart(factory, **options)
    return str(caught.value)


@pytest.mark.parametrize("factory", [crews.of_one_fixed_user, crews.of_a_random_user])
def test_a_memory_of_one_user(factory: Any) -> None:
    why = why_not_isolated(factory)
    assert "ScopeConflictError" in why
    assert "The memory is fixed to a user of its own" in why
    assert "Leave user_id out of PersistentMemory(...)" in why


def test_one_user_in_place_of_each() -> None:
    """No error, no warning: everybody simply reads what everybody said."""
    why = why_not_isolated(crews.of_a_shared_user)
    assert "A leak: one prompt has something of the users 'john' and 'jane'" in why
    assert "one user after the other" in why
    assert "my secret word is canary" in why, "the place in the prompt"
    assert "The memory is fixed to user_id='everybody' for everybody" in why
    assert "use_scope(user_id=...)" in why


def test_the_memory_of_a_team() -> None:
    why = why_not_isolated(crews.of_the_team)
    assert "A leak" in why
    assert "Scope.shared(...), the memory of a whole team" in why


def test_a_random_user_for_each_request() -> None:
    why = why_not_isolated(crews.of_a_random_user_for_each_request)
    assert "User 'john' does not recall what 'john' has told the crew" in why
    assert "It was stored for user_id=" in why
    assert "never from uuid4()" in why


def test_without_a_scope() -> None:
    why = why_not_isolated(crews.without_scope)
    assert "MissingScopeError" in why
    assert "The crew was started without a user" in why


def test_a_scope_of_its_own_around_the_kickoff() -> None:
    why = why_not_isolated(crews.renaming_users)
    assert "A leak: one prompt has something of the users 'john' and 'jane'" in why


def test_a_leak_beside_the_memory() -> None:
    crews.NOTES.clear()
    why = why_not_isolated(crews.noting_in_the_module)
    assert "A leak: one prompt has something of the users 'john' and 'jane'" in why
    assert "keep nothing of a request in a module" in why


@pytest.mark.parametrize(
    ("factory", "where"),
    [
        (crews.repeating_earlier_answers, "something of user 'john' is in the output for 'jane'"),
        (crews.leaving_it_where_it_is_recalled, "something of user 'jane' is in what is recalled by 'john'"),
        (crews.leaving_it_where_it_is_listed, "something of user 'jane' is in the list of memories of 'john'"),
    ],
)
def test_a_leak_that_no_prompt_has(factory: Any, where: str) -> None:
    assert where in why_not_isolated(factory)


@pytest.mark.parametrize("check", [why_not_isolated, why_not_kept])
def test_memory_of_crewai(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")  # without one, CrewAI until 1.9.3 builds no such crew
    why = check(crews.with_crewais_memory)
    assert "CrewAI's own memory, which knows no users" in why
    assert "crew_kwargs()" in why


@pytest.mark.parametrize("check", [why_not_isolated, why_not_kept])
def test_no_memory(check: Any) -> None:
    why = check(crews.without_memory)
    assert "it has no memory" in why
    assert "crew_kwargs()" in why


class TestNotKept:
    def test_a_random_user(self) -> None:
        why = why_not_kept(crews.of_a_random_user_for_each_request)
        assert "is not in the prompt of its LLM nor in recall in the second one" in why
        assert "It was stored for user_id=" in why
        assert "never from uuid4()" in why

    def test_another_folder_in_each_process(self) -> None:
        why = why_not_kept(crews.in_a_folder_of_its_own)
        assert "Nothing was remembered there" in why
        assert "CREWAI_MEMORY_PATH" in why
        why = why_not_kept(crews.in_a_folder_of_its_own, own_store=True)
        assert "The first process kept it in" in why
        assert "give both the same path= or url=" in why

    def test_a_memory_that_only_reads(self) -> None:
        assert "It was not stored at all. Is the memory read-only" in why_not_kept(crews.that_only_reads)

    def test_a_question_in_other_words(self) -> None:
        why = why_not_kept(crews.by_crew_kwargs, told="I cannot eat {canary}.", asked="Any allergies?")
        assert "It is stored, and was not found by 'Any allergies?'" in why
        assert "give told= and asked= in the words of your crew" in why

    def test_nothing_gets_to_the_crew(self) -> None:
        why = why_not_kept(crews.without_a_placeholder)
        assert "the crew has no {placeholder}" in why
        assert 'inputs={"request": "{text}"}' in why


@pytest.mark.parametrize("check", [why_not_isolated, why_not_kept])
@pytest.mark.parametrize(
    ("factory", "told"),
    [
        (crews.that_raises, "could not build the crew. LookupError: no such guest house"),
        (crews.that_returns_nothing, "crew_factory returned a NoneType, not a crewai.Crew"),
    ],
)
def test_no_crew(check: Any, factory: Any, told: str) -> None:
    assert told in check(factory)
