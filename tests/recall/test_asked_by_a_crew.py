"""A crew asks its memory with a whole task description; its memory is searched for the question in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import PersistentMemory, open_store, use_scope
from crewai_persistent_memory.io.steps import Steps
from crewai_persistent_memory.store.operations import Search

from ..support.crews import ScriptedLLM, final, one_agent_crew

pytestmark = pytest.mark.crew

FRAME = "You look after the guests of a hotel in Rome. Use what you remember of them. Answer in one sentence: {}"


class Searches:
    """A middleware that keeps what the store is searched for."""

    def __init__(self) -> None:
        self.queries: list[str] = []

    def __call__(self, operation: Any, execute: Any) -> Steps[Any]:
        if isinstance(operation, Search):
            self.queries += operation.queries
        return (yield from execute(operation))


@pytest.fixture
def searches() -> Searches:
    return Searches()


@pytest.fixture
def memory(kept_store: Path, searches: Searches, request: pytest.FixtureRequest) -> Iterator[PersistentMemory]:
    project = request.node.name  # crews of one project are compared with each other
    with open_store(path=kept_store, user_id="john", project_id=project, embedder=None) as store:
        yield PersistentMemory(store=store.wrap(searches))


def llm() -> ScriptedLLM:
    return ScriptedLLM(final("noted"))


def test_of_a_task_with_inputs_the_inputs_are_searched_for(memory: PersistentMemory, searches: Searches) -> None:
    crew = one_agent_crew(llm(), "Serve the guest of the hotel in Rome: {request} Be kind.", memory=memory)

    crew.kickoff(inputs={"request": "a seat at the window, please"})
    crew.kickoff(inputs={"request": "Who is Anna?"})

    assert list(dict.fromkeys(searches.queries)) == ["a seat at the window, please", "Who is Anna?"]


def test_of_a_description_made_before_the_question_is_searched_for(
    memory: PersistentMemory, searches: Searches
) -> None:
    one_agent_crew(llm(), FRAME.format("Which seat does Anna like?"), memory=memory).kickoff()

    assert set(searches.queries) == {"Which seat does Anna like? Rome"}


def test_other_recalls_are_searched_for_as_they_are(memory: PersistentMemory, searches: Searches) -> None:
    memory.recall(FRAME.format("Which seat does Anna like?"))

    assert searches.queries == [FRAME.format("Which seat does Anna like?")]


def test_what_the_queries_of_crews_built_for_each_request_share_is_left_out(
    memory: PersistentMemory, searches: Searches
) -> None:
    for thing in ("boats", "ropes", "lamps", "sails", "masts", "nets", "oars"):
        request = f"Look up the {thing} of captain {thing.title()} in the archive of the old lighthouse company"
        one_agent_crew(llm(), request, memory=memory).kickoff()

    assert searches.queries[-1] == "oars Oars"


@pytest.mark.parametrize(
    ("theirs", "changes"),
    [({}, True), ({"project_id": "theirs"}, False), ({"user_id": "jane"}, False), ({"org_id": "theirs"}, False)],
    ids=str,
)
def test_what_others_ask_changes_nothing(
    kept_store: Path, searches: Searches, theirs: dict[str, str], changes: bool
) -> None:
    """What a crew's requests share is left out of its queries: those of one user, who is not told what others ask."""
    ours = {"user_id": "john", "project_id": f"of {theirs}"}
    request = "Look up the {} of captain {} in the archive of the old lighthouse company"
    with open_store(path=kept_store, embedder=None) as store:
        memory = PersistentMemory(store=store.wrap(searches))
        for thing in ("boats", "ropes", "lamps", "sails", "masts", "nets"):
            with use_scope(**{**ours, **theirs}):
                one_agent_crew(llm(), request.format(thing, thing.title()), memory=memory).kickoff()
        searches.queries.clear()
        with use_scope(**ours):
            one_agent_crew(llm(), request.format("oars", "Oars"), memory=memory).kickoff()

    assert ("old lighthouse company" not in searches.queries[0]) is changes, searches.queries[0]
