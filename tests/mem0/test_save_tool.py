"""An agent that uses CrewAI's "save to memory" tool, on Mem0's default: it adds later, and may find nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from crewai_persistent_memory import PersistentMemory

from ..support.crews import ScriptedLLM, final, needs_unified, one_agent_crew
from ..support.mem0_platform import DEFAULT_KEY, Mem0Platform

pytestmark = pytest.mark.crew

FACT = "The guest is allergic to nuts"


@pytest.fixture
def memory(mem0_platform: Mem0Platform) -> Iterator[PersistentMemory]:
    with PersistentMemory(user_id="john", mem0={"api_key": DEFAULT_KEY, "host": mem0_platform.url}) as opened:
        yield opened


def saving_llm(fact: str) -> ScriptedLLM:
    """Saves until the tool says that it is saved, as a model does."""

    def answer(prompt: str) -> str:
        if "Saved to memory" in prompt.rpartition("Observation")[2]:
            return final("saved")
        return f'Thought: keep it\nAction: save_to_memory\nAction Input: {{"contents": ["{fact}"]}}'

    return ScriptedLLM(answer)


@needs_unified
@pytest.mark.parametrize("fact", [FACT, "It rains today"], ids=["remembered later", "not worth remembering"])
def test_one_fact_is_added_once(mem0_platform: Mem0Platform, memory: PersistentMemory, fact: str) -> None:
    one_agent_crew(saving_llm(fact), "Note it", memory=memory).kickoff()
    saved = [add for add in mem0_platform.adds if fact in str(add["messages"]) and len(add["messages"]) == 1]
    assert len(saved) == 1


@pytest.mark.parametrize("fact", [FACT, "It rains today"], ids=["remembered later", "not worth remembering"])
def test_a_record_says_what_was_accepted(mem0_platform: Mem0Platform, memory: PersistentMemory, fact: str) -> None:
    record = memory.remember(fact, "/diet", ["food"], {"table": 4}, 0.9, "waiter", True)
    assert record is not None
    said = (record.content, record.scope, record.categories, record.metadata, record.source, record.private)
    assert said == (fact, "/diet", ["food"], {"table": 4}, "waiter", True)
    assert record.importance == 0.9
    assert memory.store.get(record.id) is None, "no entry has this id (yet)"


def test_with_wait_it_is_the_memory_that_was_made(mem0_platform: Mem0Platform) -> None:
    about: Any = {"api_key": DEFAULT_KEY, "host": mem0_platform.url, "wait": True}
    with PersistentMemory(user_id="john", mem0=about) as memory:
        record = memory.remember("I am allergic to nuts. It rains today.")
        assert record is not None
        kept = memory.store.get(record.id)
        assert kept is not None
        assert kept.content == record.content == "I am allergic to nuts"


def test_read_only_gives_none(mem0_platform: Mem0Platform) -> None:
    about: Any = {"api_key": DEFAULT_KEY, "host": mem0_platform.url}
    with PersistentMemory(user_id="john", mem0=about, read_only=True) as memory:
        assert memory.remember(FACT) is None
    assert mem0_platform.adds == []
