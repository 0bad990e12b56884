"""``min_score``: it says what matters enough, and never gives a stale value alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from crewai_persistent_memory import MemoryEntry, MemoryStore, PersistentMemory, open_store
from crewai_persistent_memory.recall.explaining import Decision
from crewai_persistent_memory.recall.pipeline import FETCHED
from crewai_persistent_memory.validation import utcnow

from ..support.crews import ScriptedLLM, final, memories_in, needs_unified, one_agent_crew

pytestmark = pytest.mark.crew

QUESTION: Final = "Where does Anna live?"
OLDER: Final = "Anna lives in Rome."
NEWER: Final = "Anna moved to Paris."


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    """A new one: deleted entries count for how rare a word is until the engine writes its files anew, and the scores
    change at that moment."""
    with open_store(path=tmp_path / "store", user_id="john", embedder=None, fsync="close") as opened:
        yield opened


def say(store: MemoryStore, *texts: str) -> None:
    """Each text a day after the one before."""
    first = utcnow() - timedelta(days=60)
    store.put([MemoryEntry(text[:99], text, created_at=first + timedelta(days=at)) for at, text in enumerate(texts)])


def bar_below(store: MemoryStore, worst: str) -> float:
    """The entry with this text, and those with a better score, reach it, and no other one."""
    scores = sorted((each.score or 0.0, each.content == worst) for each in store.search(QUESTION, limit=FETCHED))
    at = [is_worst for _, is_worst in scores].index(True)
    return (scores[at - 1][0] + scores[at][0]) / 2 if at else scores[0][0] / 2


def barred(store: MemoryStore, worst: str, **options: Any) -> PersistentMemory:
    return PersistentMemory(store=store, min_score=bar_below(store, worst), **options)


def recalled(memory: PersistentMemory, **options: Any) -> list[str]:
    return [match.record.content for match in memory.recall(QUESTION, **options)]


@pytest.mark.parametrize("options", [{}, {"limit": 1}, {"whole": True}], ids=["all", "one", "whole"])
def test_the_newer_value_is_given_with_an_older_one_that_passes(store: MemoryStore, options: dict[str, Any]) -> None:
    say(store, OLDER, NEWER, "Anna likes tea.")
    with barred(store, OLDER) as memory:
        expected = [NEWER, OLDER][: options.get("limit")]
        assert recalled(memory, **options) == expected
        assert [match.record.content for match in asyncio.run(memory.arecall(QUESTION, **options))] == expected
        [each] = memory.recall_each([QUESTION], **options)
        assert [match.record.content for match in each] == expected


def test_a_newer_value_has_its_own_score(store: MemoryStore) -> None:
    say(store, OLDER, NEWER)
    bar = bar_below(store, OLDER)
    with PersistentMemory(store=store, min_score=bar) as memory:
        scores = [match.score for match in memory.recall(QUESTION)]
    assert scores[0] < bar < scores[1]


def test_of_several_newer_values_the_newest_comes_first(store: MemoryStore) -> None:
    say(store, OLDER, NEWER, "Anna moved to Oslo.", "Anna likes tea.")
    with barred(store, OLDER) as memory:
        assert recalled(memory) == ["Anna moved to Oslo.", NEWER, OLDER]


def test_what_replaces_nothing_that_passes_is_left_out(store: MemoryStore) -> None:
    """Neither another thing of the same subject, nor the pair of another question, both of them below the bar."""
    say(store, OLDER, "Anna drinks tea.", "Anna now drinks coffee.", "Bob moved to Oslo.")
    with barred(store, OLDER) as memory:
        assert recalled(memory) == [OLDER]


def test_nothing_above_the_bar_is_nothing(store: MemoryStore) -> None:
    say(store, OLDER, NEWER, QUESTION)
    with PersistentMemory(store=store, min_score=0.99) as memory:
        assert recalled(memory) == []
        assert asyncio.run(memory.arecall(QUESTION)) == []
        assert memory.search(QUESTION) == []
        assert {each.decision for each in memory.explain_recall(QUESTION)} == {Decision.BELOW_MIN_SCORE}


def test_a_question_that_passes_brings_nothing_with_it(store: MemoryStore) -> None:
    say(store, "Anna likes tea.", f"{QUESTION}\nResult: I do not know.", NEWER)
    with barred(store, f"{QUESTION}\nResult: I do not know.") as memory:
        assert recalled(memory) == [f"{QUESTION}\nResult: I do not know."]


def test_an_answer_that_passes_brings_the_memory_that_it_quotes_and_what_holds_now(store: MemoryStore) -> None:
    """The answer has the words of the question, and its source has not."""
    source = "Rome is Anna's town."
    answer = f"{QUESTION}\nResult: {source}"
    say(store, source, answer)
    with barred(store, answer) as memory:
        assert recalled(memory) == [source]
    say(store, source, answer, "Paris is Anna's town now.")
    with barred(store, answer) as memory:
        assert recalled(memory) == ["Paris is Anna's town now.", source]


def test_all_that_an_answer_quotes_passes_with_it(store: MemoryStore) -> None:
    """Its request too: in the place of the answer, the memories say all of it."""
    sources = ["Rome is Anna's town.", "Anna's street is Via Appia.", "Anna is away on Mondays."]
    answer = f"{sources[2]} {QUESTION}\nResult: {sources[0]} {sources[1]}"
    say(store, *sources, "Anna likes tea.", answer)
    with barred(store, answer) as memory:
        assert sorted(recalled(memory)) == sorted(sources)


def test_what_is_said_again_passes_if_one_of_them_does(store: MemoryStore) -> None:
    """The oldest one is the worst."""
    say(store, OLDER, "Anna lives in Rome!")
    with barred(store, "Anna lives in Rome!") as memory:
        assert recalled(memory) == ["Anna lives in Rome!"]
        said = {each.entry.content: each for each in memory.explain_recall(QUESTION)}
    assert said[OLDER].decision is Decision.SAYS_THE_SAME
    assert said["Anna lives in Rome!"].times == 2


def test_a_reranker_gets_what_passes_only(store: MemoryStore) -> None:
    asked: list[list[str]] = []

    def scores(query: str, texts: Sequence[str]) -> list[int]:
        asked.append(sorted(texts))
        return list(range(len(texts)))

    say(store, OLDER, NEWER, "Anna likes tea.", "Anna lives near the river.")
    with barred(store, OLDER, reranker=scores) as memory:
        shown = recalled(memory)
        memory.explain_recall(QUESTION)
    passing = ["Anna lives in Rome.", "Anna lives near the river."]
    assert asked == [passing, passing]
    assert sorted(shown) == sorted([*passing, NEWER])
    assert shown.index(NEWER) < shown.index(OLDER)


def test_a_recall_with_a_bar_looks_once_where_the_rest_is_below_it(store: MemoryStore) -> None:
    """Many are found, and one passes: a second look could only find what is worse."""
    say(
        store,
        *(f"Anna bought pencil {at} in the shop at the corner of the old street." for at in range(50)),
        OLDER,
        NEWER,
    )
    looks = []
    with barred(store, OLDER) as memory:
        steps = memory.store.steps
        search = type(steps).search_many

        def counted(*args: Any, **more: Any) -> Any:
            looks.append(more["limit"])
            return search(*args, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(steps), "search_many", counted)
            assert recalled(memory, limit=3) == [NEWER, OLDER]
    assert len(looks) == 1


def test_a_prompt_and_its_explanation(store: MemoryStore) -> None:
    say(store, OLDER, NEWER, "Anna likes tea.")
    with barred(store, OLDER) as memory:
        said = memory.explain_recall(QUESTION)
        llm = ScriptedLLM(final("Noted."))
        one_agent_crew(llm, QUESTION, memory=memory).kickoff()
        shown = memories_in(llm.prompts[0])
    assert shown.index("Paris") < shown.index("Rome")
    assert "tea" not in shown
    assert [(each.entry.content, each.place, each.decision) for each in said] == [
        (NEWER, 1, Decision.NEWER),
        (OLDER, 2, Decision.GIVEN),
        ("Anna likes tea.", None, Decision.BELOW_MIN_SCORE),
    ]
    assert said[0].because_of == said[1].entry.id
    assert said[1].because_of == said[0].entry.id


@needs_unified
def test_the_tool_of_an_agent(store: MemoryStore) -> None:
    from crewai.tools.memory_tools import create_memory_tools

    say(store, OLDER, NEWER, "Anna likes tea.")
    with barred(store, OLDER) as memory:
        found = create_memory_tools(memory)[0].run(queries=[QUESTION])
    assert found.index("Paris") < found.index("Rome")
    assert "tea" not in found


def test_a_search_with_a_threshold(store: MemoryStore) -> None:
    say(store, OLDER, NEWER, "Anna likes tea.")
    bar = bar_below(store, OLDER)
    with PersistentMemory(store=store, min_score=bar) as memory:
        assert [each["content"] for each in memory.search(QUESTION)] == [NEWER, OLDER]
    with PersistentMemory(store=store) as memory:
        assert [each["content"] for each in memory.search(QUESTION, score_threshold=bar)] == [NEWER, OLDER]
        assert memory.search(QUESTION, score_threshold=0.99) == []


def test_a_reranker_decides_also_where_reports_repeat(store: MemoryStore) -> None:
    """Two near-equal reports brought the order of the scores back."""
    body = " ".join(f"Line {word} of the form was read by Anna." for word in range(100))
    say(store, f"Day 1. {body} All 3 are well.", f"Day 2. {body} All 4 are well.", OLDER, "Anna likes tea.")

    def tea_first(query: str, texts: Sequence[str]) -> list[float]:
        return [float("tea" in text) for text in texts]

    with PersistentMemory(store=store, reranker=tea_first) as memory:
        llm = ScriptedLLM(final("Noted."))
        one_agent_crew(llm, QUESTION, memory=memory).kickoff()
        shown = memories_in(llm.prompts[0])
    assert shown.index("tea") < shown.index("Rome")
