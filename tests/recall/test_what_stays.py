"""What was said once stays in the prompt, whatever a crew saves afterwards: quotes, questions, daily reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest

from crewai_persistent_memory import MemoryEntry, PersistentMemory
from crewai_persistent_memory.adapters.version import is_unified

from ..support.crews import ScriptedLLM, final, memories_in, one_agent_crew
from ..support.embedders import WordHashEmbedder

pytestmark = pytest.mark.crew

BUDGET: Final = 6_000
FACT: Final = "The vault of the Oslo house opens with 4711."
LONG_REQUEST: Final = (
    "Please write a letter to the new tenants of our houses. " * 30
    + FACT
    + " Mention the garden, the parking lots and the opening hours of the office. " * 30
)
ASKED: Final = ("{}", "Hello! {}", "Answer the guest's question: {}", "Please help me. {}", "Question: {} Be brief.")
QUESTIONS: Final = (
    "With which number does the vault of the Oslo house open?",
    "How does one open the vault of the Oslo house?",
    "What opens the vault in the Oslo house?",
    "Which number has the vault of the Oslo house?",
)


WITH_VECTORS: Final = pytest.param(WordHashEmbedder(), marks=[pytest.mark.ends, pytest.mark.repeated])
"""CrewAI before 1.10 passes texts, and sees no vector."""


@pytest.fixture(params=[None, WITH_VECTORS], ids=["keywords", "embedder"])
def memory(kept_stores: Callable[[Any], Path], request: pytest.FixtureRequest) -> Iterator[PersistentMemory]:
    path = kept_stores(request.param)
    with PersistentMemory(path=path, user_id="john", embedder=request.param, fsync="close") as opened:
        yield opened


def ran(memory: PersistentMemory, request: str, answer: str | Callable[[str], str]) -> str:
    """Run a crew with this task and this answer.

    Returns:
        The memories in its prompt.
    """
    llm = ScriptedLLM(answer if callable(answer) else final(answer))
    options: Any = {"memory": memory} if is_unified() else memory.crew_kwargs(long_term=False)
    one_agent_crew(llm, request, **options).kickoff()
    return memories_in(llm.prompts[0])


def test_a_fact_stays_through_questions_without_answers_and_daily_reports(memory: PersistentMemory) -> None:
    ran(memory, LONG_REQUEST, "The letter is written.")
    for request in [form.format(question) for form in ASKED for question in QUESTIONS]:
        ran(memory, request, "I do not know.")
    point = "Point {} of the Oslo house, its vault and its number was checked and is open."
    body = " ".join(map(point.format, range(60)))
    for day in range(1, 21):
        ran(memory, f"Write the report of day {day}.", f"Report of day {day}.\n{body}\nOpen points: {day * 7}.")

    for question in QUESTIONS:
        shown = ran(memory, question, "I do not know.")
        assert FACT in shown
        assert len(shown) <= BUDGET


def test_an_answer_that_quotes_memory_does_not_stand_in_the_prompt_beside_it(memory: PersistentMemory) -> None:
    memory.remember(FACT)
    memory.remember("The garden of the Oslo house is locked at night.")
    for request in [form.format(question) for form in ASKED for question in QUESTIONS]:
        prompt = ran(memory, request, FACT)

    assert prompt.count("4711") == 1
    assert "locked at night" in prompt
    assert memory.recall(QUESTIONS[0])[0].record.content == FACT
    assert sum("\nResult:" in record.content for record in memory.list_records()) == 20  # nothing is lost


def test_an_answer_that_adds_something_is_a_memory(memory: PersistentMemory) -> None:
    memory.remember(FACT)
    ran(memory, QUESTIONS[0], "The vault of the Oslo house opens with 4711, and the key turns left.")

    assert "the key turns left" in ran(memory, QUESTIONS[1], "noted")


def test_a_quote_of_an_old_value_does_not_make_it_new(memory: PersistentMemory) -> None:
    memory.store.put(
        [
            MemoryEntry("1", "Anna lives in Rome.", created_at=datetime(2026, 3, 1)),
            MemoryEntry("2", "Anna moved to Paris.", created_at=datetime(2026, 3, 5)),
        ]
    )
    ran(memory, "Where did Anna live before?", "Anna lived in Rome.")

    shown = ran(memory, "Where does Anna live?", "noted")
    assert shown.index("Paris") < shown.index("Rome")
