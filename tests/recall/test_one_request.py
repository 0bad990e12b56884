"""CrewAI until 1.9.3 asks several memories for one prompt, one after another: the store is asked once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import MemoryEntry, PersistentMemory, open_store
from crewai_persistent_memory.io.steps import Steps
from crewai_persistent_memory.store.operations import Search

from ..support.crews import ScriptedLLM, final, needs_contextual, one_agent_crew

pytestmark = [pytest.mark.crew, needs_contextual]


class Searches:
    """A middleware that counts the requests, and the queries in each."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, operation: Any, execute: Any) -> Steps[Any]:
        if isinstance(operation, Search):
            self.asked.append(tuple(str(each.kind) for each in operation.filters))
        return (yield from execute(operation))


@pytest.fixture
def searches() -> Searches:
    return Searches()


@pytest.fixture
def memory(kept_store: Path, searches: Searches) -> Iterator[PersistentMemory]:
    with open_store(path=kept_store, user_id="john", embedder=None) as store:
        store.put(
            [
                MemoryEntry(id="said", content="The cook of the house is allergic to nuts"),
                MemoryEntry(id="entity", content="cook(person): cooks in the house on Sundays", kind="entity"),
            ]
        )
        yield PersistentMemory(store=store.wrap(searches))


def test_both_memories_of_a_prompt_are_one_request(memory: PersistentMemory, searches: Searches) -> None:
    llm = ScriptedLLM(final("noted"))
    options: dict[str, Any] = memory.crew_kwargs()
    one_agent_crew(llm, "What must one know of the cook of the house?", **options).kickoff()
    assert searches.asked[0] == ("entity", "memory")
    assert [each for each in searches.asked[1:] if "memory" in each] == [], "what is asked later is not the prompt's"
    assert "allergic to nuts" in llm.prompts[0]
    assert "cooks in the house on Sundays" in llm.prompts[0]


def test_each_prompt_asks_anew(memory: PersistentMemory, searches: Searches) -> None:
    for number in (1, 2):
        llm = ScriptedLLM(final("noted"))
        one_agent_crew(llm, "What must one know of the cook of the house?", **memory.crew_kwargs()).kickoff()
        assert len([each for each in searches.asked if "memory" in each]) == number
        memory.store.add(f"The cook of the house has {number} brothers")
    assert "has 1 brothers" in llm.prompts[0]


def test_one_memory_asks_for_itself(memory: PersistentMemory, searches: Searches) -> None:
    llm = ScriptedLLM(final("noted"))
    one_agent_crew(llm, "What must one know of the cook?", **memory.crew_kwargs(long_term=False)).kickoff()
    assert searches.asked == [("memory",)]
    assert "allergic to nuts" in llm.prompts[0]
