"""The guide's section on what an agent is given: its code runs, and a crew's prompt keeps each of its promises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import ConfigurationError, MemoryEntry, PersistentMemory
from crewai_persistent_memory.adapters.version import is_unified

from ..support.crews import ScriptedLLM, final, memories_in, one_agent_crew

pytestmark = pytest.mark.crew

PAGE = (Path(__file__).parents[2] / "docs" / "recalling.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("# What an agent is given")[2].partition("\n## ")[0]
[CODE] = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
FIRST_DAY = datetime(2026, 3, 1, 12)


@pytest.fixture
def memory(kept_store: Path) -> Iterator[PersistentMemory]:
    with PersistentMemory(path=kept_store, user_id="anna", embedder=None, fsync="close") as opened:
        yield opened


def said(memory: PersistentMemory, *texts: str) -> None:
    """One each day."""
    memory.store.put(
        [MemoryEntry(f"{at}", text, created_at=FIRST_DAY + at * timedelta(days=1)) for at, text in enumerate(texts)]
    )


def given(memory: PersistentMemory, request: str, **inputs: str) -> str:
    """The memories in the prompt of a crew with this task."""
    llm = ScriptedLLM(final("noted"))
    options: Any = {"memory": memory} if is_unified() else memory.crew_kwargs(long_term=False)
    one_agent_crew(llm, request, **options).kickoff(inputs=inputs)
    return memories_in(llm.prompts[0])


def test_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_MEMORY_PATH", str(tmp_path))
    names: dict[str, Any] = {}
    results: list[Any] = []
    recall = PersistentMemory.recall

    def kept(*args: Any, **more: Any) -> Any:
        results.append(recall(*args, **more))
        return results[-1]

    monkeypatch.setattr(PersistentMemory, "recall", kept)
    exec(CODE, names)
    names["memory"].close()

    assert [[match.record.content for match in found] for found in results] == [["Anna lives in Rome."]] * 2 + [[], []]


def test_a_budget_and_passages(memory: PersistentMemory) -> None:
    filler = "The department met on its usual day and went through the list of open points. " * 200
    said(memory, *(f"{filler}\nThe till was short by {day}7 crowns.\n{filler}" for day in range(9)))
    shown = given(memory, "By how many crowns was the till short?")

    assert len(shown) <= 6_000
    assert re.search(r"\[…\]\s+The till was short by \d7 crowns\.\s+\[…\]", shown)


def test_dates_and_the_newest_value_first(memory: PersistentMemory) -> None:
    said(memory, "Anna lives in Rome.", "Anna moved to Paris.")
    shown = given(memory, "Where does Anna live?")

    assert shown.index("[2026-03-02] Anna moved to Paris.") < shown.index("[2026-03-01] Anna lives in Rome.")


def test_each_thing_once(memory: PersistentMemory) -> None:
    said(memory, *["Anna likes tea."] * 3, "What does Anna like?\nResult: Anna likes tea.")
    shown = given(memory, "What does Anna like?")

    assert "[2026-03-03, 3 times since 2026-03-01] Anna likes tea." in shown
    assert shown.count("likes tea") == 1


def test_statements_first(memory: PersistentMemory) -> None:
    said(memory, "The Oslo house has a vault.", "Which number has the vault of the Oslo house?\nResult: I do not know.")
    shown = given(memory, "Which number has the vault of the Oslo house?")

    assert shown.index("has a vault") < shown.index("I do not know")


def test_the_question_and_not_the_task(memory: PersistentMemory) -> None:
    said(memory, "Concierges serve guests politely.", "Anna likes tea.")
    task = "Serve the guests politely. Answer in one sentence: {question}"

    for shown in (
        given(memory, task, question="What does Anna like?"),
        given(memory, task.format(question="What does Anna like?")),
    ):
        assert "Anna likes tea." in shown
        assert "Concierges" not in shown


def test_a_bar(memory: PersistentMemory) -> None:
    said(memory, "Anna likes tea.", "Ben likes milk.")
    with PersistentMemory(store=memory.store, min_score=0.99) as strict:
        assert strict.recall("What does Anna like?") == []
        assert strict.search("What does Anna like?") == []
        assert given(strict, "What does Anna like?").strip() == ""
        assert strict.scope("/").recall("What does Anna like?") == []
    assert memory.recall("What does Anna like?")


@pytest.mark.parametrize("bar", [-0.1, 1.1, "high"])
def test_a_bar_is_between_0_and_1(tmp_path: Path, bar: Any) -> None:
    with pytest.raises(ConfigurationError, match="min_score"):
        PersistentMemory(path=tmp_path, user_id="anna", embedder=None, min_score=bar)


def test_a_bar_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_MEMORY_MIN_SCORE", "0.99")
    with PersistentMemory(path=tmp_path, user_id="anna", embedder=None) as memory:
        said(memory, "Anna likes tea.")
        assert memory.recall("What does Anna like?") == []
        assert memory.store.search("What does Anna like?")
