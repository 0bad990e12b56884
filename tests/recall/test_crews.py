"""What a crew is given of its memory: within the budget, with the fact that is asked for, and with dates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import ConfigurationError, MemoryEntry, PersistentMemory, open_store
from crewai_persistent_memory.adapters import deduplication
from crewai_persistent_memory.adapters.version import is_unified
from crewai_persistent_memory.recall.budget import OMISSION

from ..support.crews import ScriptedLLM, final, memories_in, needs_contextual, needs_unified, one_agent_crew

pytestmark = pytest.mark.crew

FILLER = "The {0} department of branch {1} met on its usual day and went through the list of open points number {2}. "
BUDGET = 6_000


def report(number: int, fact: str, words: int = 2_500) -> str:
    lines = [FILLER.format(("sales", "legal", "travel")[at % 3], number, at) for at in range(words // 20)]
    lines.insert(len(lines) // 2, fact)
    return "".join(lines)


@pytest.fixture
def memory(kept_store: Path) -> Iterator[PersistentMemory]:
    with PersistentMemory(path=kept_store, user_id="john", embedder=None, fsync="close") as opened:
        yield opened


def asked(memory: Any, request: str) -> str:
    """The memories in the prompt of a crew with this task."""
    llm = ScriptedLLM(final("noted"))
    options = {"memory": memory}
    if not is_unified():
        options = memory.crew_kwargs(long_term=False)
    one_agent_crew(llm, request, **options).kickoff()
    return memories_in(llm.prompts[0])


class TestTheBudget:
    def test_eight_long_reports(self, memory: PersistentMemory) -> None:
        for number in range(8):
            fact = "The vault of the Oslo house opens with 4711. " if number == 3 else f"Branch {number} is fine. "
            memory.remember(report(number, fact))
        shown = asked(memory, "With which number does the vault of the Oslo house open?")
        assert "opens with 4711" in shown
        assert OMISSION in shown
        assert len(shown) <= BUDGET

    def test_one_memory_of_800_kb(self, memory: PersistentMemory) -> None:
        memory.remember(report(1, "The vault of the Oslo house opens with 4711. ", words=130_000))
        shown = asked(memory, "With which number does the vault of the Oslo house open?")
        assert "opens with 4711" in shown
        assert len(shown) <= BUDGET

    def test_a_daily_report_of_six_days(self, memory: PersistentMemory) -> None:
        memory.remember("Maria is allergic to peanuts")
        sizes = []
        for day in range(6):
            llm = ScriptedLLM(final(report(day, f"The till of day {day} was short by {day}7 crowns. ", words=3_500)))
            options = {"memory": memory} if is_unified() else memory.crew_kwargs(long_term=False)
            one_agent_crew(llm, f"Write the report of day {day}, with all open points", **options).kickoff()
            sizes.append(len(memories_in(llm.prompts[0])))
        assert max(sizes) <= BUDGET
        assert "short by 37 crowns" in asked(memory, "By how many crowns was the till short on day 3?")
        assert "peanuts" in asked(memory, "What is Maria allergic to?")

    def test_many_short_memories(self, memory: PersistentMemory) -> None:
        """As many as the budget takes, and not the five that CrewAI asks for."""
        for number in range(60):
            memory.remember(f"On trip {number} John drank tea in town {number}")
        shown = asked(memory, "Where did John drink tea on his trips?")
        assert shown.count("drank tea") > 20
        assert len(shown) <= BUDGET

    @pytest.mark.parametrize(
        "text",
        ["x" * 10_000, "漢字仮名" * 20_000, "👩‍👩‍👧" * 20_000, "tea \n\n" * 20_000],
        ids=["word", "han", "emoji", "lines"],
    )
    def test_whatever_is_stored(self, memory: PersistentMemory, text: str) -> None:
        memory.remember(f"tea {text}", metadata={"note": "m" * 50_000}, categories=["c" * 1_000])
        memory.remember("John likes tea")
        shown = asked(memory, "tea")
        assert "John likes tea" in shown
        assert len(shown) <= BUDGET

    @pytest.mark.parametrize("budget", [200, 1_000, 20_000])
    def test_it_is_an_option(self, tmp_path: Path, budget: int) -> None:
        options: dict[str, Any] = {"path": tmp_path / "s", "user_id": "john", "embedder": None}
        with PersistentMemory(recall_budget=budget, **options) as memory:
            for number in range(8):
                memory.remember(report(number, "The vault opens with 4711. "))
            shown = asked(memory, "With which number does the vault open?")
        assert budget * 0.5 < len(shown) <= budget

    def test_zero_means_whole_texts(self, tmp_path: Path) -> None:
        options: dict[str, Any] = {"path": tmp_path / "s", "user_id": "john", "embedder": None}
        with PersistentMemory(recall_budget=0, **options) as memory:
            text = report(1, "The vault opens with 4711. ")
            memory.remember(text)
            assert text.strip() in asked(memory, "With which number does the vault open?")

    @pytest.mark.parametrize("budget", [-1, 1, 199, True, False, "many", 6_000.5])
    def test_a_wrong_one_is_refused(self, tmp_path: Path, budget: Any) -> None:
        with pytest.raises(ConfigurationError, match="recall_budget"):
            PersistentMemory(path=tmp_path / "s", user_id="john", embedder=None, recall_budget=budget)
        with (
            open_store(path=tmp_path / "s", user_id="john", embedder=None) as store,
            pytest.raises(ConfigurationError, match="recall_budget"),
        ):
            PersistentMemory(store=store, recall_budget=budget)

    @pytest.mark.parametrize("bar", [True, False])
    def test_a_truth_value_is_no_bar(self, tmp_path: Path, bar: bool) -> None:
        """As a number, ``True`` is 1: no memory would reach it, and nothing would say so."""
        with pytest.raises(ConfigurationError, match="min_score"):
            PersistentMemory(path=tmp_path / "s", user_id="john", embedder=None, min_score=bar)

    def test_the_environment_and_the_store_name_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREWAI_MEMORY_RECALL_BUDGET", "500")
        with open_store(path=tmp_path / "s", user_id="john", embedder=None) as store:
            memory = PersistentMemory(store=store)
            memory.remember(report(1, "The vault opens with 4711. "))
            assert len(asked(memory, "With which number does the vault open?")) <= 500
            assert len(asked(PersistentMemory(store=store, recall_budget=900), "How does the vault open?")) > 500
            assert len(asked(memory.scoped(run_id="r").scope("/"), "How does the vault open?")) <= 500


class TestWhenItWasSaid:
    def test_a_prompt_says_it(self, memory: PersistentMemory) -> None:
        said = datetime(2026, 3, 1, 12)
        memory.store.put([MemoryEntry("m", "John lives in Oslo", created_at=said)])
        assert "[2026-03-01] John lives in Oslo" in asked(memory, "Where does John live?")
        assert memory.store.get("m").content == "John lives in Oslo"  # type: ignore[union-attr]

    def test_a_program_has_it_in_the_record(self, memory: PersistentMemory) -> None:
        memory.remember("John lives in Oslo")
        [match] = memory.recall("Where does John live?")
        assert match.record.content == "John lives in Oslo"
        assert [each["content"] for each in memory.search("Where does John live?")] == ["John lives in Oslo"]


class TestAProgramThatRecalls:
    def test_its_limit_holds(self, memory: PersistentMemory) -> None:
        for number in range(30):
            memory.remember(f"On trip {number} John drank tea in town {number}")
        assert len(memory.recall("tea", limit=3)) == 3
        assert len(memory.search("tea", limit=3)) == 3
        assert [len(each) for each in memory.recall_each(["tea", "town"], limit=2)] == [2, 2]
        assert memory.recall("tea", limit=0) == []

    def test_the_budget_holds_too(self, memory: PersistentMemory) -> None:
        for number in range(8):
            memory.remember(report(number, "The vault opens with 4711. "))
        matches = memory.recall("With which number does the vault open?")
        assert sum(len(match.record.content) for match in matches) <= BUDGET
        assert any("4711" in match.record.content for match in matches)
        found = memory.search("With which number does the vault open?")
        assert sum(len(each["content"]) for each in found) <= BUDGET

    def test_whole_texts(self, memory: PersistentMemory) -> None:
        text = report(1, "The vault opens with 4711. ").strip()
        memory.remember(text)
        [match] = memory.recall("vault", whole=True)
        assert match.record.content == text
        [shown] = memory.recall("vault")
        assert shown.record.id == match.record.id
        assert [entry.content for entry in memory.store.search("vault")] == [text]
        assert [record.content for record in memory.list_records()] == [text]

    @pytest.mark.parametrize("aware", [False, True])
    def test_an_earlier_day(self, memory: PersistentMemory, aware: bool) -> None:
        first = datetime(2026, 3, 1, 12)
        memory.store.put(
            [
                MemoryEntry(f"m{n}", f"John lives in house {n}", created_at=first + n * timedelta(days=1))
                for n in range(3)
            ]
        )
        day = first + timedelta(days=1)
        found = memory.recall("Where does John live?", as_of=day.replace(tzinfo=timezone.utc) if aware else day)
        assert {match.record.id for match in found} == {"m0", "m1"}
        assert [len(each) for each in memory.recall_each(["John", "house"], as_of=first - timedelta(seconds=1))] == [
            0,
            0,
        ]

    def test_an_earlier_day_of_what_is_said_again(
        self, memory: PersistentMemory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The same text is the same memory, with the day when it was said last. With the day as metadata, it is two."""
        for day in (datetime(2026, 3, 1), datetime(2026, 9, 1)):
            monkeypatch.setattr(deduplication, "utcnow", lambda day=day: day)
            memory.remember("John lives in Rome")
            memory.remember("Eva lives in Oslo", metadata={"day": f"{day:%Y-%m-%d}"})
        monkeypatch.undo()
        between = datetime(2026, 5, 1)
        found = [match.record for match in memory.recall("Where do John and Eva live?", as_of=between)]
        assert [(each.content, each.created_at) for each in found] == [("Eva lives in Oslo", datetime(2026, 3, 1))]
        shown = asked(memory, "Where do John and Eva live?")
        assert "[2026-09-01] John lives in Rome" in shown
        assert "[2026-09-01, 2 times since 2026-03-01] Eva lives in Oslo" in shown


@needs_unified
class TestTools:
    def test_all_queries_of_one_call_share_the_budget(self, memory: PersistentMemory) -> None:
        from crewai.tools.memory_tools import create_memory_tools

        for number in range(8):
            memory.remember(report(number, f"The vault of branch {number} opens with 47{number}1. "))
        search = create_memory_tools(memory)[0]
        queries = [f"With which number does the vault of branch {number} open?" for number in range(8)]
        answer = search._run(queries=queries)
        assert answer.startswith("Found memories:\n")
        assert len(answer) <= BUDGET
        assert len(re.findall(r"vault of branch \d opens", answer)) > 4
        assert search._run(queries="nothing of that kind") == "No relevant memories found."


@needs_contextual
class TestSeveralMemoriesOfOnePrompt:
    @pytest.mark.parametrize("awaited", [False, True])
    def test_they_share_the_budget(self, memory: PersistentMemory, awaited: bool) -> None:
        import asyncio

        from crewai_persistent_memory.entry import ENTITY

        for number in range(8):
            text = report(number, f"The vault of branch {number} opens with 47{number}1. ")
            memory.remember(text)
            memory.store.add(f"Vault(place): {text}", kind=ENTITY)
        llm = ScriptedLLM(final("noted"))
        crew = one_agent_crew(llm, "With which number does the vault of branch 3 open?", **memory.crew_kwargs())
        if not awaited:
            crew.kickoff()
        elif hasattr(crew, "akickoff"):
            asyncio.run(crew.akickoff())
        else:
            asyncio.run(crew.kickoff_async())
        shown = memories_in(llm.prompts[0])
        assert "Entities:" in shown
        assert "External memories:" in shown
        assert 0.8 * BUDGET < len(shown) <= BUDGET
