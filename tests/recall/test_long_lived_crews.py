"""A crew with a template that has asked for months: its own text states nothing, and a fact is found behind it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from crewai_persistent_memory import MemoryEntry, PersistentMemory
from crewai_persistent_memory.adapters.memory_operations import looking
from crewai_persistent_memory.adapters.version import is_unified
from crewai_persistent_memory.io.steps import Steps
from crewai_persistent_memory.recall.found import Found
from crewai_persistent_memory.recall.frames import Frame, inserted
from crewai_persistent_memory.recall.told_again import last_what_is_told_again
from crewai_persistent_memory.store.operations import Search

from ..support.crews import ScriptedLLM, final, memories_in, needs_unified, one_agent_crew

TEMPLATE: Final = """The Grand Hotel, {today}. Anna of the front desk hands this to you. Dinner is at eight.
Steps:
1. Think about
what the guest likes, is allergic to, and which bay or room they have
2. Answer in {language}
Message: {question}"""
FACT: Final = "Anna keeps the lamp under the stairs of the pier."
QUESTION: Final = "In which bay is the lamp of the boat?"
MONTHS: Final = 100


@pytest.fixture
def memory(kept_store: Path) -> Iterator[PersistentMemory]:
    with PersistentMemory(path=kept_store, user_id="john", embedder=None, fsync="close") as opened:
        yield opened


def inputs(day: int, question: str) -> dict[str, str]:
    return {
        "today": f"{datetime(2026, 3, 1) + timedelta(days=day):%Y-%m-%d}",
        "language": "English",
        "question": question,
    }


def without_answers(memory: PersistentMemory, template: str = TEMPLATE) -> None:
    """The fact, and what a crew with this template has saved since, one question a day."""
    entries = [MemoryEntry("fact", FACT, created_at=datetime(2026, 2, 1))]
    for day in range(MONTHS):
        request = template.format(**inputs(day, QUESTION))
        created_at = datetime(2026, 3, 1) + timedelta(days=day)
        entries.append(MemoryEntry(str(day), f"{request}\nResult: I do not know.", created_at=created_at))
    memory.store.put(entries)


def prompts(
    memory: PersistentMemory, template: str, given: dict[str, str], answer: Any = "I do not know."
) -> list[str]:
    llm = ScriptedLLM(answer if callable(answer) else final(answer))
    options: Any = {"memory": memory} if is_unified() else memory.crew_kwargs(long_term=False)
    one_agent_crew(llm, template, **options).kickoff(inputs=given)
    return llm.prompts


@pytest.mark.crew
@pytest.mark.parametrize("question", [QUESTION, "Where is the lamp of the boat, in which bay?"])
def test_a_fact_comes_before_a_hundred_questions_without_an_answer(memory: PersistentMemory, question: str) -> None:
    without_answers(memory)

    shown = memories_in(prompts(memory, TEMPLATE, inputs(MONTHS, question))[0])

    assert FACT in shown
    assert "Result:" not in shown[: shown.index(FACT)]
    assert len(shown) <= 6_000


@pytest.mark.crew
def test_a_crew_saves_what_its_template_is_recognised_in(memory: PersistentMemory) -> None:
    memory.remember(FACT)
    for day in range(3):
        shown = memories_in(prompts(memory, TEMPLATE, inputs(day, QUESTION))[0])

    assert shown.count("Result:") == 2
    assert "Result:" not in shown[: shown.index(FACT)]


@pytest.mark.crew
@pytest.mark.parametrize(
    "text",
    [
        "The shop ships on Mondays.\nRefunds take 14 days.\n\nQuestion: {}",
        "<context>The shop ships on Mondays.</context><question>{}</question>",
        "I live in Rome. {}",
    ],
)
def test_it_comes_before_a_hundred_texts_of_a_program(memory: PersistentMemory, text: str) -> None:
    """Each is a description of its own, without inputs."""
    entries = [MemoryEntry("fact", FACT, created_at=datetime(2026, 2, 1))]
    for day in range(MONTHS):
        request = text.format(f"In which bay is the lamp of the boat {'at the pier ' * (day % 2)}on day {day}?")
        created_at = datetime(2026, 3, 1) + timedelta(days=day)
        entries.append(MemoryEntry(str(day), f"{request}\nResult: I do not know.", created_at=created_at))
    memory.store.put(entries)
    llm = ScriptedLLM(final("noted"))
    options: Any = {"memory": memory} if is_unified() else memory.crew_kwargs(long_term=False)
    one_agent_crew(llm, text.format(QUESTION), **options).kickoff()

    shown = memories_in(llm.prompts[0])

    assert shown[: shown.index(FACT)].count("Result:") <= 1
    assert "day 99?" in shown


@pytest.mark.crew
@needs_unified
def test_the_memory_tool_finds_it_too(memory: PersistentMemory) -> None:
    without_answers(memory)
    queries = '["In which bay is the lamp of the boat? English", "mast"]'
    look = f'Thought: look\nAction: search_memory\nAction Input: {{"queries": {queries}}}'

    seen = prompts(
        memory, TEMPLATE, inputs(MONTHS, "hello"), lambda prompt: final("noted") if "Observation: F" in prompt else look
    )

    assert FACT in seen[-1].partition("Found memories:")[2]


@pytest.mark.crew
def test_questions_without_a_template_do_not_hide_it_from_a_program(memory: PersistentMemory) -> None:
    without_answers(memory, "{question} Answer in {language}, as on {today}.")

    assert FACT in [match.record.content for match in memory.recall(QUESTION, limit=3)]


@pytest.mark.crew
@pytest.mark.parametrize(
    "said",
    [
        {"question": f"The lamp is new. {QUESTION}"},
        {"language": "Dutch, as the lamp of the boat is from Delft"},
    ],
)
def test_a_fact_in_an_input_keeps_its_place(memory: PersistentMemory, said: dict[str, str]) -> None:
    request = TEMPLATE.format(**{**inputs(0, QUESTION), **said})
    memory.store.put(
        [
            MemoryEntry("told", f"{request}\nResult: I do not know.", created_at=datetime(2026, 3, 1)),
            MemoryEntry("other", "The boat has a mast.", created_at=datetime(2026, 3, 1)),
        ]
    )

    shown = memories_in(prompts(memory, TEMPLATE, inputs(1, QUESTION))[0])

    assert shown.index("Result:") < shown.index("mast")


@pytest.mark.crew
@pytest.mark.parametrize(("length", "further"), [(2_000, [480]), (100_000, [80]), (200_000, [])])
def test_a_further_search_of_long_texts_is_bounded(
    memory: PersistentMemory, length: int, further: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "_MOST_TEXT", 80 * 100_000)
    text = "The lamp of the boat was looked at. " * (length // 36)
    memory.store.put([MemoryEntry(str(at), f"Day {at}. {text}") for at in range(50)])
    limits: list[int] = []

    def counted(operation: Any, execute: Any) -> Steps[Any]:
        if isinstance(operation, Search):
            limits.append(operation.limit)
        return (yield from execute(operation))

    counting = PersistentMemory(store=memory.store.wrap(counted))
    prompts(counting, "{question}", {"question": QUESTION})

    assert limits[0] == 48
    assert [at for at in limits[1:] if at > 48] == pytest.approx(further, abs=2)


def test_the_newest_of_two_requests_tells_a_fact_and_an_answered_one_is_a_memory() -> None:
    def asked(text: str, day: int, answer: str = "I do not know.") -> Found:
        content = f"{text}\nResult: {answer}"
        return Found(MemoryEntry(str(day), content, created_at=datetime(2026, 3, day)), 1.0 - day / 100)

    first = asked("I live in Rome. Where do I park?", 1)
    paris = asked("I live in Paris. Where is the bath?", 2)
    again = asked("I live in Rome. Where is a bus?", 3)
    answered = asked("I live in Rome. Is there a ferry?", 4, "There is a ferry at 9.")
    more = asked("I live in Rome. My cat is ill. Who is the vet?", 5)

    in_order = last_what_is_told_again([first, paris, again, answered])
    assert [(each.entry.id, each.is_empty) for each in in_order] == [
        ("2", False),
        ("3", False),
        ("4", False),
        ("1", True),
    ]
    assert [each.entry.id for each in last_what_is_told_again([more, again])] == ["5", "3"]
    assert last_what_is_told_again([paris, again]) == [paris, again]


class TestATemplate:
    def test_what_was_inserted(self) -> None:
        assert inserted("for Anna: why? Be brief.", "for {name}: {question} Be brief.") == ["", "Anna", "why?", ""]
        assert inserted("x for Anna: why?", "for {name}: {question}") == ["x", "Anna", "why?", ""]
        assert inserted("Hello", "Hello") is None
        assert inserted("of Anna", "for {name}") is None

    def test_inputs_of_the_current_run_and_the_day_are_not_told_again(self) -> None:
        frame = Frame("On {today}, in room {room}: {question}", "On Monday, in room 12: why?")

        assert frame.told_in("On Friday, in room 12: who?") == "who?"
        assert frame.told_in("On Friday, in room 14: why?") == "14"
        assert frame.told_in("On Friday, in room 12: why? And I moved.") == "why? And I moved."
        assert frame.told_in("On Friday") is None
