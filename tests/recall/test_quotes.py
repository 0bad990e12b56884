"""A record whose answer only quotes earlier entries gives its place to them; any other record keeps its own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import pytest

from crewai_persistent_memory.entry import MemoryEntry
from crewai_persistent_memory.recall.found import Found
from crewai_persistent_memory.recall.quotes import behind_their_sources

FIRST_DAY: Final = datetime(2026, 3, 1)


def found(*texts: str) -> list[Found]:
    """Hits, said one each day, the last one best."""
    return [
        Found(MemoryEntry(id=text, content=text, created_at=FIRST_DAY + timedelta(days=at)), at / 100)
        for at, text in enumerate(texts)
    ][::-1]


def contents(hits: list[Found]) -> list[str]:
    return [hit.entry.content for hit in hits]


QUOTES: Final = (
    ("My car is red and it is on floor 2.", "Where is my car?", "Your car is red and is on floor 2."),
    ("The shop was open in May.", "When was the shop open?", "It was open in May."),
    ("Tom turned the tap off.", "What of the tap?", "Tom turned the tap off."),
    ("I like a window seat.", "Which seat do I like?", "You like a window seat."),
    ("John likes a window seat", "Which seat does this guest like?", "The guest likes a window seat."),
    ("John likes a window seat", "Which seat does John like?", "A window seat."),
    ("John likes a window seat", "Which seat does John like?", "Window."),
    ("I am allergic to nuts.\nResult: Noted.", "What am I allergic to?", "You are allergic to nuts."),
    ("I am allergic to nuts.", "What is John allergic to?", "John is allergic to nuts. Let me know if you need more!"),
    (
        "The vault opens with 4711. The key is with Anna. The house is old.",
        "How does the vault open?",
        "Based on your memories, the vault opens with 4711.",
    ),
    ("Anna is taller than Ben.", "Who is taller?", "Anna is taller than Ben."),
    ("The fee is 50€.", "What is the fee?", "**The fee is €50.** 😊"),
    ("Anna writes C++ and plays chess.", "What does Anna write and play?", "Anna writes `C++` and plays chess! 🎉"),
    ("I like a window seat.", "Which seat do I like?", "As you said on 2026-03-01, you like a window seat."),
    ("Anna does not eat meat.", "Does Anna eat meat?", "Anna does not eat meat."),
    ("Ich bin gegen Nüsse allergisch.", "Wogegen bin ich allergisch?", "Sie sind allergisch gegen Nüsse."),
    ("Je suis allergique aux noix.", "À quoi suis-je allergique ?", "Vous êtes allergique aux noix."),
    ("我对坚果过敏。", "我对什么过敏？", "您对坚果过敏。"),
    ("私は窓側の席が好きです。", "私はどの席が好きですか？", "窓側の席が好きです。"),
    (
        f"{'The day was calm. ' * 900}The till was short by 37 crowns. {'All is well. ' * 900}",
        "By how much was the till short?",
        "The till was short by 37 crowns.",
    ),
    (
        "Anna likes tea. Anna likes jazz.",
        "You are a concierge. Answer the question.\nQuestion: What does Anna like?",
        "Anna likes tea. Anna likes jazz.",
    ),
)

NEWS: Final = (
    ("The alarm of the shop is on.", "How is the alarm?", "The alarm of the shop is off."),
    ("Tom logged in at 9.", "What did Tom do at 9?", "Tom logged out at 9."),
    ("Tom is in.", "Where is Tom?", "Tom is out."),
    ("The server of the shop is up.", "How is the server?", "The server of the shop is down."),
    ("Tom likes tea or coffee.", "What does Tom like?", "Tom likes tea and coffee."),
    ("All guests but Tom eat fish.", "Who eats fish?", "All guests and Tom eat fish."),
    ("Tom had a dog.", "Has Tom a dog?", "Tom has a dog."),
    ("Tom might come on Friday.", "Does Tom come?", "Tom will come on Friday."),
    ("Tom can swim.", "What of Tom?", "Tom must swim."),
    ("Tom gave Anna his key.", "Which key?", "Tom gave Anna her key."),
    ("Das Licht im Bad ist an.", "Wie ist das Licht?", "Das Licht im Bad ist aus."),
    ("The licence of the tool is AbCdEf.", "What is the licence?", "The licence of the tool is aBcDeF."),
    ("I like a window seat.", "Which seat do I like?", "You like an aisle seat."),
    ("Anna is taller than Ben.", "Who is taller?", "Ben is taller than Anna."),
    ("Anna does not eat meat.", "Does Anna eat meat?", "Anna eats meat."),
    ("Anna äter inte kött.", "Äter Anna kött?", "Anna äter kött."),
    ("Anna spiser ikke kød.", "Hvad spiser Anna?", "Anna spiser kød."),
    ("Anna nu mănâncă carne.", "Ce mănâncă Anna?", "Anna mănâncă carne."),
    ("Анна не ест мясо.", "Что ест Анна?", "Анна ест мясо."),
    ("Anna non mangia carne.", "Che cosa mangia Anna?", "Anna mangia carne."),
    ("Anna không ăn thịt.", "Anna ăn gì?", "Anna ăn thịt."),
    ("Anna likes tea but not coffee.", "What does Anna like?", "Anna likes coffee but not tea."),
    ("Anna eats fish, never meat.", "What does Anna eat?", "Anna eats meat, never fish."),
    ("The ratio is 1/2.", "What is the ratio?", "The ratio is 1.2."),
    ("All doors are closed at night.", "Which doors are closed?", "Some doors are closed at night."),
    ("Anna drinks tea.", "What does Anna drink?", "Anna drinks tea only."),
    (
        "Anna arrives on Monday and leaves on Friday.",
        "When does Anna leave?",
        "Anna leaves on Monday and arrives on Friday.",
    ),
    (
        "The left door opens to the garden, the right door to the hall.",
        "Which door opens to the garden?",
        "The right door opens to the garden, the left door to the hall.",
    ),
    ("Anna eats meat.", "Does Anna eat meat?", "No."),
    ("Anna eats meat.", "Does Anna eat meat?", "Yes."),
    ("The meeting is in room 12.", "Where is the meeting?", "The meeting is in room 14."),
    ("The deadline is 2026-03-09.", "What is the deadline?", "The deadline is 2026-04-01."),
    ("Anna likes tea.", "What does Anna like?", "Anna likes tea and jazz."),
    ("Anna likes tea.", "I moved to Rome. What does Anna like?", "Anna likes tea."),
    ("Anna likes tea.", "What do Anna and Ben like?", "Anna likes tea. Ben likes milk."),
    ("I am allergic to nuts.", "Is John allergic to cats?", "John is allergic to cats."),
    ("The freezer is at -18 degrees.", "How cold is the freezer?", "The freezer is at 18 degrees."),
    ("Anna writes C#.", "What does Anna write?", "Anna writes C++."),
    ("The fee is 50 €.", "What is the fee?", "The fee is $50."),
    ("The parcel weighs > 5 kg.", "How heavy is the parcel?", "The parcel weighs < 5 kg."),
    ("The backup of the ledger is ✅.", "How is the backup?", "The backup of the ledger is ❌."),
    ("Is Anna fond of tea?", "What does Anna like?", "Anna is fond of tea."),
    ("John likes a window seat", "Which seat does John like?", "Noted"),
    ("我对坚果过敏。", "我对花生过敏吗？", "您对花生过敏。"),
)
GREEK: Final = "Karl lives in ΝΙΚΟΣ:ΑΘΗΝΑ today."
CURLY: Final = "The lift doesn’t stop at floor 13."


@pytest.mark.parametrize(("source", "request_", "answer"), QUOTES)
def test_a_quoting_answer_gives_its_place_to_its_source(source: str, request_: str, answer: str) -> None:
    hits = found(source, "Ben likes milk.", f"{request_}\nResult: {answer}")

    assert contents(behind_their_sources(hits)) == [source, "Ben likes milk."]


@pytest.mark.parametrize(("source", "request_", "answer"), NEWS)
def test_an_answer_that_says_something_else_keeps_its_place(source: str, request_: str, answer: str) -> None:
    hits = found(source, "Ben plays chess.", f"{request_}\nResult: {answer}")

    assert behind_their_sources(hits) == hits


@pytest.mark.parametrize("source", [GREEK, CURLY, f"{CURLY} {'It is an old house. ' * 300}"])
def test_an_answer_with_other_apostrophes_and_other_forms_of_a_letter_quotes(source: str) -> None:
    answer = "Karl lives in ΝΙΚΟΣ:ΑΘΗΝΑ today." if source == GREEK else "The lift doesn't stop at floor 13."
    hits = found(source, "Ben likes milk.", f"Which one is it?\nResult: {answer}")

    assert contents(behind_their_sources(hits))[:1] == [source]


@pytest.mark.parametrize(("statements", "quotes"), [(40, True), (41, False)])
def test_an_answer_of_many_statements_is_a_memory_of_its_own(statements: int, quotes: bool) -> None:
    source = " ".join(f"Room {number} is on floor {number + 7}." for number in range(statements))
    hits = found(source, f"Where are the rooms?\nResult: {source}")

    assert (contents(behind_their_sources(hits)) == [source]) is quotes


def test_an_answer_with_a_part_of_its_source_stands_behind_it() -> None:
    source = "Anna lives in Rome with two cats, three dogs and an old parrot."
    record = "Where does Anna live?\nResult: Anna lives in Rome."
    hits = found(source, "Ben likes milk.", record)

    assert contents(behind_their_sources(hits)) == [source, record, "Ben likes milk."]


def test_an_answer_may_quote_several_entries_and_quotes_of_quotes_end_at_the_first() -> None:
    hits = found(
        "Anna likes tea.",
        "Ben likes milk.",
        "What do they like?\nResult: Anna likes tea. Ben likes milk.",
        "What does Anna like?\nResult: Anna likes tea.",
    )

    assert contents(behind_their_sources(hits)) == ["Anna likes tea.", "Ben likes milk."]


def test_another_quote_of_the_source_is_no_news() -> None:
    source = "Anna likes tea, coffee and jazz."
    first = "What does Anna like?\nResult: Anna likes tea."
    second = "Does Anna like jazz?\nResult: Yes, Anna likes jazz."

    assert contents(behind_their_sources(found(source, first, second))) == [source, second, first]


def test_a_source_that_was_said_later_is_none() -> None:
    hits = found("What does Anna like?\nResult: Anna likes tea.", "Anna likes tea.")

    assert behind_their_sources(hits) == hits


def test_a_value_that_came_back_is_news() -> None:
    hits = found(
        "Acme is on the Basic plan.",
        "Acme is on the Gold plan.",
        "Look up Acme's plan.\nResult: Acme is on the Basic plan.",
    )

    assert behind_their_sources(hits) == hits


def test_an_old_value_that_is_quoted_does_not_become_new() -> None:
    hits = found(
        "Anna lives in Rome.", "Anna moved to Paris.", "Where did Anna live before?\nResult: Anna lived in Rome."
    )

    assert contents(behind_their_sources(hits)) == ["Anna lives in Rome.", "Anna moved to Paris."]
