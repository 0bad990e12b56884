"""Why a recall gives what it gives: it must say what ``recall`` itself does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from crewai_persistent_memory import MemoryEntry, MemoryStore, PersistentMemory, open_store
from crewai_persistent_memory.ranking import RankingWeights
from crewai_persistent_memory.recall.explaining import Decision, Explanation, explained
from crewai_persistent_memory.recall.pipeline import Bounds, given, ordered
from crewai_persistent_memory.validation import utcnow

from ..support.crews import ScriptedLLM, final, memories_in, one_agent_crew

QUESTION = "Where does John live?"


def days_ago(days: float) -> datetime:
    return utcnow() - timedelta(days=days)


@pytest.fixture
def store(kept_store: Path) -> Iterator[MemoryStore]:
    with open_store(path=kept_store, embedder=None) as store:
        john = store.scoped(user_id="john")
        john.put(
            [
                MemoryEntry("berlin", "John lives in Berlin", created_at=days_ago(40)),
                MemoryEntry("rome", "John moved to Rome", created_at=days_ago(2)),
                MemoryEntry("tea-1", "John likes tea", created_at=days_ago(9)),
                MemoryEntry("tea-2", "John likes tea!", created_at=days_ago(3)),
                MemoryEntry("asked", QUESTION, created_at=days_ago(1)),
                MemoryEntry("long", "A report. " + "Many met John in the town hall. " * 300, created_at=days_ago(1)),
            ]
        )
        store.scoped(user_id="jane").add("John lives in Jane's secret house", id="secret")
        yield john


def found_in(store: MemoryStore) -> list[MemoryEntry]:
    return store.search(QUESTION, limit=48)


def by_id(explanations: list[Explanation]) -> dict[str, Explanation]:
    return {each.entry.id: each for each in explanations}


@pytest.mark.parametrize("budget", [200, 260, 1_000, 6_000, None])
def test_it_says_what_is_given(store: MemoryStore, budget: int | None) -> None:
    entries, bounds = found_in(store), Bounds(budget, None, dated=True)
    really = given(ordered(entries, QUESTION), QUESTION, bounds)
    said = explained(entries, QUESTION, bounds, store.weights)
    assert [each.text for each in said if each.place is not None] == [each.text for each in really]
    assert sorted(each.rank for each in said) == list(range(1, len(entries) + 1))


def test_each_decision_has_its_reason(store: MemoryStore) -> None:
    said = by_id(explained(found_in(store), QUESTION, Bounds(6_000, None, dated=True), store.weights))
    assert {id: each.decision for id, each in said.items()} == {
        "rome": Decision.GIVEN,
        "berlin": Decision.GIVEN,
        "tea-2": Decision.GIVEN,
        "tea-1": Decision.SAYS_THE_SAME,
        "asked": Decision.GIVEN_LAST,
        "long": Decision.SHORTENED,
    }
    assert said["berlin"].because_of == "rome"
    assert said["rome"].place == 1
    assert said["rome"].because_of is None
    assert said["tea-1"].because_of == "tea-2"
    assert said["tea-2"].times == 2
    little = by_id(explained(found_in(store), QUESTION, Bounds(70, None, dated=True), store.weights))
    assert little["asked"].decision is Decision.STATES_NOTHING
    assert little["tea-2"].decision is Decision.NO_ROOM
    few = by_id(explained(found_in(store), QUESTION, Bounds(None, 2), store.weights))
    assert few["tea-2"].decision is Decision.BEYOND_LIMIT
    entries = found_in(store)
    bar = next(each.score or 0.0 for each in entries if each.id == "berlin")
    high = by_id(explained(entries, QUESTION, Bounds(None, 9), store.weights, min_score=bar))
    assert (high["rome"].decision, high["rome"].because_of) == (Decision.NEWER, "berlin")
    assert (high["berlin"].place, high["berlin"].because_of) == (2, "rome")
    assert high["tea-2"].decision is Decision.BELOW_MIN_SCORE


def test_an_answer_that_only_quotes_is_told_as_one(store: MemoryStore) -> None:
    store.put([MemoryEntry("answer", "Where does John live?\nResult: John lives in Berlin", created_at=days_ago(0.5))])
    said = by_id(explained(found_in(store), QUESTION, Bounds(6_000, None), store.weights))
    assert said["answer"].place is None
    assert said["answer"].decision is Decision.QUOTES


def test_the_score_is_what_its_parts_make(store: MemoryStore) -> None:
    weights = RankingWeights()
    for each in explained(found_in(store), QUESTION, Bounds(None, 9), weights):
        of_parts = each.relevance * (0.7 + 0.2 * each.age + 0.1 * each.entry.importance)
        assert of_parts == pytest.approx(each.score, abs=1e-6)
        assert 0 <= each.relevance <= 1
    [alone] = explained([MemoryEntry("one", "John lives in Rome", score=0.5)], QUESTION, Bounds(None, 9), None)
    assert alone.relevance == alone.score == 0.5


def test_two_owners_entries_with_one_id_are_two() -> None:
    one = MemoryEntry("same", "John lives in Rome", score=0.5)
    other = replace(one, content="John's dog is called Rex", scope=None, score=0.4)
    with_scope = [replace(one, scope=_scope("r1")), replace(other, scope=_scope(None))]
    said = explained(with_scope, QUESTION, Bounds(None, 9), None)
    assert [(each.rank, each.place, each.text) for each in said] == [(1, 1, one.content), (2, 2, other.content)]


def _scope(run: str | None) -> object:
    from crewai_persistent_memory.scope import Scope

    return Scope("john", run_id=run)


@pytest.mark.crew
def test_a_memory_explains_what_a_crew_is_given(store: MemoryStore) -> None:
    with PersistentMemory(store=store) as memory:
        before = store.get("berlin")
        said = memory.explain_recall(QUESTION)
        assert store.get("berlin") == before  # no access time
        llm = ScriptedLLM(final("Noted."))
        one_agent_crew(llm, QUESTION, memory=memory).kickoff()
        shown = memories_in(llm.prompts[0])
    told = [each.text for each in said if each.text is not None]
    assert len(told) == 5
    assert [text[:60] for text in told if text not in shown] == []
    assert [shown.index(text) for text in told] == sorted(shown.index(text) for text in told)
    assert not any("secret" in each.entry.content for each in said)


def test_it_looks_as_far_as_a_crew_does(store: MemoryStore) -> None:
    """Behind 60 records that state nothing."""
    for number in range(60):
        place = "at " * number  # no two are the same question
        asked = f"Where does John live, {place}home?\nResult: I do not know where John does live."
        store.put([MemoryEntry(f"asked-{number}", asked, created_at=days_ago(50))])
    with PersistentMemory(store=store) as memory:
        given = [each.entry.id for each in memory.explain_recall(QUESTION) if each.place is not None]
    assert given[:2] == ["rome", "berlin"]
