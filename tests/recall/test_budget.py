"""What is shown of entries within a budget of characters."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crewai_persistent_memory.entry import MemoryEntry
from crewai_persistent_memory.recall import asked, blocks, duplicates, pipeline
from crewai_persistent_memory.recall.budget import OMISSION, Candidate, fitted
from crewai_persistent_memory.recall.found import Found
from crewai_persistent_memory.recall.words import QueryWords
from crewai_persistent_memory.text.passages import Passage, passages_of

FILLER = "The weather was fine and nothing happened that anybody would write down. "
FACT = "The code of the vault is 4711."
BUDGET = 6_000


def long_text(fact: str = FACT, before: int = 300, after: int = 300) -> str:
    return f"{FILLER * before}\n\n{fact}\n\n{FILLER * after}"


def spent(candidates: list[Candidate], shown: list[str | None]) -> int:
    return sum(len(text) + each.around for each, text in zip(candidates, shown, strict=True) if text is not None)


def is_shown_of(shown: str, whole: str) -> bool:
    """Whether every part between two marks stands in the text."""
    parts = [" ".join(part.split()) for part in shown.split(OMISSION)]
    plain = " ".join(whole.split())
    return all(part in plain for part in parts)


def test_one_text_does_not_take_the_budget_from_the_others() -> None:
    report = " ".join(f"Point {number}: the vault was checked, and its code was not changed." for number in range(200))
    shown = fitted([Candidate(report, 1.0), Candidate(long_text(), 0.2)], "vault code", BUDGET)
    assert FACT in (shown[1] or "")


def test_a_long_log_with_the_words_everywhere_leaves_room_for_the_others() -> None:
    log = "".join(f"Entry {n}: the code of the vault was changed again. {FILLER * 7}\n" for n in range(60))
    logs = [Candidate(f"{log}{number}", 1.0 - number / 100) for number in range(3)]
    shown = fitted([*logs, Candidate(long_text(), 0.9)], "what is the code of the vault?", BUDGET)
    assert FACT in (shown[-1] or "")


def test_a_text_of_megabytes_does_not_keep_the_others_from_being_looked_through() -> None:
    log = "".join(f"Entry {n}: the vault was closed by the night shift. {FILLER * 6}\n" for n in range(3_500))
    shown = fitted([Candidate(log, 1.0), Candidate(long_text(), 0.9)], "what is the code of the vault?", BUDGET)
    assert FACT in (shown[-1] or "")


@pytest.mark.parametrize("short_texts", [19, 20, 45])
def test_short_texts_leave_a_long_one_the_room_that_they_do_not_need(short_texts: int) -> None:
    short = [Candidate(f"The vault number {number} has a code.", 1.0) for number in range(short_texts)]
    shown = fitted([*short, Candidate(long_text(), 0.9)], "what is the code of the vault?", BUDGET)
    assert None not in shown[:-1]
    assert FACT in (shown[-1] or "")


def test_a_larger_budget_is_filled_with_more_texts() -> None:
    houses = [f"{first}{second}" for first in ("North", "South", "East", "West") for second in "abcdefghijkl"]
    texts = [f"Report of {each}.\n\n{f'House {each} stood empty. ' * 45}\n\nThe code is {each}." for each in houses]
    candidates = [Candidate(text, 1.0) for text in texts]
    for budget in (20_000, 60_000):
        shown = fitted(candidates, "what is the code?", budget)
        assert spent(candidates, shown) > 0.9 * min(budget, sum(map(len, texts)))


def test_short_texts_are_shown_whole_best_first_as_far_as_they_fit() -> None:
    candidates = [Candidate(f"John likes tea number {number}", 1 - number / 100, 10) for number in range(100)]
    shown = fitted(candidates, "tea", 500)
    texts = [text for text in shown if text is not None]
    assert texts == [each.text for each in candidates[: len(texts)]]
    assert 450 < spent(candidates, shown) <= 500


def test_a_short_text_stays_as_it_is() -> None:
    text = "  John:\n\n\tlikes   tea \n"
    assert fitted([Candidate(text, 1)], "tea", 500) == [text]


def test_the_passage_with_the_words_is_shown_with_what_stands_around_it() -> None:
    [shown] = fitted([Candidate(long_text(), 1)], "what is the code of the vault?", BUDGET)
    assert shown is not None
    assert FACT in shown
    assert FILLER * 3 + FACT in " ".join(shown.split())
    assert f" {OMISSION} " in shown
    assert shown.endswith(f" {OMISSION}")
    assert is_shown_of(shown, long_text())


def test_what_is_left_out_is_marked_between_the_passages() -> None:
    text = long_text("The code of the vault is 4711.") + long_text("The vault was opened in Oslo.")
    [shown] = fitted([Candidate(text, 1)], "code of the vault in Oslo", 1_500)
    assert shown is not None
    first, second = shown.index("4711"), shown.index("Oslo")
    assert first < shown.index(OMISSION, first) < second


def test_a_text_without_any_of_the_words_is_shown_from_its_beginning() -> None:
    text = "Kommentar eins. " * 2_000
    [shown] = fitted([Candidate(text, 1)], "quarterly figures", BUDGET)
    assert shown is not None
    assert text.startswith(shown.removesuffix(f" {OMISSION}"))
    assert len(shown) > BUDGET * 0.8


def test_the_fact_of_one_of_eight_long_reports_is_shown() -> None:
    candidates = [Candidate(long_text(f"Report {n}: all is well."), 1 - n / 10, 20) for n in range(7)]
    candidates.append(Candidate(long_text(), 0.2, 20))
    shown = fitted(candidates, "what is the code of the vault?", BUDGET)
    assert any(FACT in (text or "") for text in shown)
    assert spent(candidates, shown) <= BUDGET


def among(before: str, fact: str, after: str) -> str:
    return f"{before * 2_000}{fact}{after * 2_000}"


@pytest.mark.parametrize(
    ("text", "query", "fact"),
    [
        (among("今日は天気です。", "金庫の番号は四七一一です。", "何もない。"), "金庫の番号は", "四七一一"),
        (among("Всё спокойно. ", "Код сейфа: 4711. ", "Тишина и покой. "), "код от сейфа", "4711"),
        (among("Nichts Neues. ", "Der Schlüssel zum Tresor: 4711. ", "Ruhe. "), "SCHLUSSEL TRESOR", "4711"),
        (among("😀 👩‍👩‍👧 nothing. ", "The vault 🔑 is 4711. ", "👍🏽 fine. "), "vault", "4711"),
    ],
    ids=["japanese", "russian", "german", "emoji"],
)
def test_in_any_script(text: str, query: str, fact: str) -> None:
    [shown] = fitted([Candidate(text, 1)], query, BUDGET)
    assert shown is not None
    assert fact in shown
    assert len(shown) <= BUDGET


def test_one_word_of_ten_thousand_characters() -> None:
    [shown] = fitted([Candidate("x" * 10_000, 1)], "x", BUDGET)
    assert shown is not None
    assert 0 < len(shown) <= BUDGET


def test_the_best_text_is_cut_if_no_passage_of_it_fits() -> None:
    shown = fitted([Candidate(FILLER * 8, 1, 40), Candidate("tea", 0.5, 40)], "weather", 200)
    assert shown[0] is not None
    assert shown[0].endswith(f" {OMISSION}")
    assert len(shown[0]) + 40 <= 200


@pytest.mark.parametrize("room", [0, -1], ids=["fits", "is a character too long"])
def test_a_caller_that_names_a_limit_gets_whole_texts_if_all_of_them_fit(room: int) -> None:
    texts = [f"{'The harvest was good in the valley. ' * 50}The vault of house {n} opens with 4711." for n in range(3)]
    found = [Found(MemoryEntry(str(number), text), 0.5) for number, text in enumerate(texts)]
    budget = sum(map(len, texts[:2])) + room
    shown = [each.text for each in pipeline.given(found, "vault 4711", pipeline.Bounds(budget, 2))]
    assert (shown == texts[:2]) is (room == 0)
    assert sum(map(len, shown)) <= budget


def test_nothing_fits_into_nothing() -> None:
    assert fitted([Candidate("tea", 1, 40)], "tea", 0) == [None]
    assert fitted([], "tea", 100) == []


def test_whole_texts_only() -> None:
    shown = fitted(
        [Candidate("tea", 1), Candidate(long_text(), 0.9), Candidate("figs", 0.1)], "vault", 300, by_passage=False
    )
    assert shown == ["tea", None, "figs"]


TEXTS = st.one_of(
    st.text(max_size=3_000),
    st.text(st.sampled_from("ab .\n"), max_size=4_000),
    st.integers(1, 3_000).map(lambda size: "word " * size),
    st.integers(1, 9_000).map(lambda size: "\n" * size + "x" * size),
    st.integers(1, 3_000).map(lambda size: "漢字仮名" * size),
    st.integers(1, 3_000).map(lambda size: "👩‍👩‍👧" * size),
)


@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(st.tuples(TEXTS, st.floats(1e-6, 1), st.integers(0, 400)), max_size=12),
    query=st.one_of(st.text(max_size=60), st.just("word ab x 漢字")),
    budget=st.integers(1, 8_000),
)
def test_the_budget_holds_whatever_is_stored(texts: list[tuple[str, float, int]], query: str, budget: int) -> None:
    candidates = [Candidate(*each) for each in texts]
    shown = fitted(candidates, query, budget)
    assert len(shown) == len(candidates)
    assert spent(candidates, shown) <= budget
    for each, text in zip(candidates, shown, strict=True):
        assert text is None or OMISSION in text or " ".join(text.split()) == " ".join(each.text.split())
        assert text is None or is_shown_of(text, each.text)


@pytest.mark.parametrize(
    "text",
    [FILLER * 14_000, "Тишина и покой, ничего нового. " * 30_000, "x" * 1_000_000, "\n" * 1_000_000],
    ids=["english", "russian", "one word", "blank"],
)
def test_of_texts_of_a_megabyte_little_is_read(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[str] = Counter()
    roughly_in, found_in = QueryWords.roughly_in, QueryWords.found_in

    def looked_through(words: QueryWords, passage: str) -> list[int]:
        read["roughly"] += len(passage)
        return roughly_in(words, passage)

    def compared(words: QueryWords, passage: str) -> list[int]:
        read["by word"] += len(passage)
        return found_in(words, passage)

    def split(text: str) -> list[Passage]:
        read["split"] += len(text)
        return passages_of(text)

    monkeypatch.setattr(QueryWords, "roughly_in", looked_through)
    monkeypatch.setattr(QueryWords, "found_in", compared)
    monkeypatch.setattr(blocks, "passages_of", split)
    query = "what was the code of the vault in the house of the weather that nobody would write about"
    fitted([Candidate(text, 1)] * 40, query, BUDGET)
    # Of forty million characters.
    assert read["roughly"] <= 1_600_000
    assert read["by word"] <= 1_800_000
    assert read["split"] <= 100_000


def test_of_a_query_of_a_megabyte_the_beginning_and_the_end_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words are looked for in one call, which would keep the interpreter's lock for 100 ms."""
    read: list[str] = []
    statement, words = asked.statement, duplicates._words

    def stated(text: str) -> Any:
        read.append(text)
        return statement(text)

    def said(text: str) -> list[str]:
        read.append(text)
        return words(text)

    monkeypatch.setattr(asked, "statement", stated)
    monkeypatch.setattr(duplicates, "_words", said)
    entries = [
        MemoryEntry(id=text, content=text, score=0.5, created_at=datetime(2026, 3, day))
        for day, text in enumerate(("green tea", "black tea"), 1)
    ]
    query = "Which tea? " + "tea and coffee " * 70_000 + "Which tea?"
    assert len(pipeline.ordered(entries, query)) == 2
    assert read
    assert max(map(len, read)) < 10_000
