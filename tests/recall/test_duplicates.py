"""What is said twice takes one place of a recall; what differs in the word that matters takes two."""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta
from typing import Final
from unicodedata import normalize

import pytest

from crewai_persistent_memory.entry import MemoryEntry
from crewai_persistent_memory.recall.duplicates import each_once
from crewai_persistent_memory.recall.found import Found
from crewai_persistent_memory.recall.signs import differ_in_signs

FIRST_DAY: Final = datetime(2026, 3, 1)


def report(words: int, seed: int = 1) -> str:
    chance = random.Random(seed)
    vocabulary = ["".join(chance.choices("abcdefghiklmnoprstu", k=chance.randint(2, 9))) for _ in range(2_000)]
    return " ".join(chance.choice(vocabulary) + ("." if chance.random() < 0.1 else "") for _ in range(words))


def found(*texts: str) -> list[Found]:
    """Hits, best first, one said each day."""
    return [
        Found(MemoryEntry(id=str(at), content=text, created_at=FIRST_DAY + timedelta(days=at)), 1.0 - at / 1000)
        for at, text in enumerate(texts)
    ]


def test_the_newest_stands_for_all_at_the_place_of_the_best() -> None:
    hits = found("John likes tea.", "Jane likes coffee.", "john likes  TEA", "John likes tea!")

    first, second = each_once(hits)

    assert (first.entry.id, first.times, first.since, first.score) == ("3", 3, FIRST_DAY, 1.0)
    assert (second.entry.id, second.times, second.since) == ("1", 1, None)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("X lives in Paris", "X lives in Rome"),
        ("The meeting is in room 12.", "The meeting is in room 14."),
        ("The deadline is 2026-03-01.", "The deadline is 2026-04-01."),
        ("John likes tea", "John does not like tea"),
        ("Anna writes C#.", "Anna writes C++."),
        ("The freezer is at -18 degrees.", "The freezer is at 18 degrees."),
        ("The parcel weighs < 5 kg.", "The parcel weighs > 5 kg."),
        ("The deposit is 50 €.", "The deposit is 50 $."),
        ("Backup of the ledger: ✅", "Backup of the ledger: ❌"),
        ("Rating of the hotel: ★★★★", "Rating of the hotel: ★"),
        ("Anna is vegan.", "Anna is vegan?"),
        ("The ratio is 1/2.", "The ratio is 1.2."),
        ("The meeting is at 10:30.", "The meeting is at 10.30 euros."),
        ("~~Pay the rent~~", "Pay the rent"),
        ("वह पिता है", "वह पीता है"),
        (f"Backup: ✅\n{report(200)}", f"Backup: ❌\n{report(200)}"),
        (f"Acme. {'The offer of this company was compared with the others. ' * 15}", "x"),
        (
            "Report on Acme.\n" + "\n".join(f"Line {word} of the form." for word in report(40).split()),
            "Report on Globex.\n" + "\n".join(f"Line {word} of the form." for word in report(40).split()),
        ),
    ],
)
def test_facts_that_differ_in_a_word_or_a_number_are_two(one: str, other: str) -> None:
    assert len(each_once(found(one, other))) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Summary: Anna wants the offer by Friday.", "Anna wants the offer by Friday."),
        ("Hi team, the code is 7741.", "The code is 7741."),
        ("Hello! The code is 7741.", "The code is 7741."),
        ("Hi, the code is 7741.", "The code is 7741."),
        ("Hallo, der Kunde nimmt Angebot B.", "Der Kunde nimmt Angebot B."),
        ("**Final Answer:** the deposit is 450 €.", "The deposit is 450 €."),
        ("Please note that refunds take 5 days.", "Refunds take 5 days."),
        ("I'm allergic to nuts.", "I am allergic to nuts!"),
        ("The check-in of Anna is at 9.", "The check in of ANNA is at 9!"),
        ("- The **deposit** is 1,500 euros", "The _deposit_ is 1,500 euros."),
        ("Anna doesn't want to be called.", "Anna does not want to be called."),
        ("Hi team, 🎉 🎉 🎉", "🎉 🎉 🎉"),
        ("Guten Morgen, der Kunde nimmt Angebot B.", "Der Kunde nimmt Angebot B."),
    ],
)
def test_a_greeting_and_a_label_say_nothing_else(one: str, other: str) -> None:
    assert len(each_once(found(one, other))) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna called Ben.", "Ben called Anna."),
        ("The train goes from Cork to Dublin.", "The train goes from Dublin to Cork."),
        ("Only Anna likes tea.", "Anna likes only tea."),
        ("Not all tests passed.", "All tests not passed."),
        ("I like tea.", "You like tea."),
        ("Tower A is closed.", "Tower is closed."),
        ("The deposit is 450 €.", "The deposit is 450 $."),
        ("Total orders: 1,000", "Total orders: 100"),
        ("The limit is 1,5 kg.", "The limit is 15 kg."),
        ("Anna arrives on 5 May.", "Anna arrives on 5 June."),
        ("Anna's birthday is 03.04.", "Anna's birthday is 04.03."),
        ("The score was 3-1.", "The score was 1-3."),
        ("The company that Acme bought is Foo.", "The company that bought Acme is Foo."),
        ("Hi Ben, you owe me 20 euros.", "Hi Tim, you owe me 20 euros."),
        ("Dear Anna, your date is on Monday at 9.", "Dear Karl, your date is on Monday at 9."),
        ("Blood type: A", "Blood type: O"),
        ("Room 5-A", "Room 5-O"),
        ("Anna flies to LA on Monday.", "Anna flies to DEN on Monday."),
        ("Team lead: La", "Team lead: El"),
        ("The plants die.", "The plants."),
        ("The safe word is merci.", "The safe word is gracias."),
        ("User: root", "Answer: root"),
        ("Open ports: 80,443", "Open ports: 80443"),
        ("The password is aBc12.", "The password is abC12."),
        ("The licence is AbCdEf.", "The licence is aBcDeF."),
        ("The mail is anna.berg@x.io.", "The mail is anna-berg@x.io."),
        ("The mail is anna_berg@x.io.", "The mail is anna.berg@x.io."),
        ("The host is db.main.example.", "The host is db-main.example."),
        ("The page is https://x.io/a/b", "The page is https://x.io/a-b"),
        ("The log is in /var/log/app.", "The log is in /var/log-app."),
        ("Work on fix-login.", "Work on fix/login."),
        ("Call get_user.", "Call get-user."),
        ("Rooms 10-12 are free.", "Rooms 10, 12 are free."),
        ("We run version 3.11.", "We run version 3-11."),
        ("Run it if !ready.", "Run it if ready."),
        ("It runs rm -r data.", "It runs rm r data."),
        ("The grade was A- in maths.", "The grade was A in maths."),
        ("We need ~5 bolts.", "We need 5 bolts."),
        ("Note: 5", "5"),
        ("There are a few seats left.", "There are few seats left."),
        ("The mail is anna.a.berg@x.io.", "The mail is anna.berg@x.io."),
        ("> 30 kg of luggage costs extra.", "30 kg of luggage costs extra."),
        ("Les is allergic to nuts.", "Is allergic to nuts."),
        ("Die Leiter ist im Keller.", "Der Leiter ist im Keller."),
        ("Room 12: €80 deposit.", "Room €12: 80 deposit."),
        ("Euro 2020 tickets were sold.", "2020 euro tickets were sold."),
        ("User: Anna", "Anna likes tea"),
        ("Answer: yes", "Answer: no"),
    ],
)
def test_who_to_whom_how_much_and_when_are_told_apart(one: str, other: str) -> None:
    assert len(each_once(found(one, other))) == 2


@pytest.mark.parametrize("text", ["", "***", "…", "-", "()", "   ", "Summary: - - -", "'s", "\ud800"])
def test_a_text_without_a_word_stands_beside_others(text: str) -> None:
    assert len(each_once(found(text, "Anna lives in Rome."))) == 2


def test_texts_of_the_same_words_are_grouped_with_the_one_that_they_repeat() -> None:
    hits = found("Anna called Ben.", "Ben called Anna.", "anna called ben", "Hello all, Ben called Anna!")

    assert [(each.entry.id, each.times) for each in each_once(hits)] == [("2", 2), ("3", 2)]


@pytest.mark.parametrize(
    "again",
    ["- **Anna** likes `tea`.", "“Anna likes tea”", "# Anna likes tea", "> Anna likes tea…", "Anna likes tea\u200b!"],
)
def test_punctuation_and_markdown_say_nothing_else(again: str) -> None:
    assert len(each_once(found("Anna likes tea.", again))) == 1


def test_an_accent_may_be_a_character_of_its_own() -> None:
    text = "Café Müller opens at 9."

    assert len(each_once(found(text, normalize("NFD", text)))) == 1


@pytest.mark.parametrize("words", [150, 600, 3_300])
def test_daily_reports_that_differ_in_dates_and_numbers_take_one_place(words: int) -> None:
    body = report(words)
    days = [
        f"Daily report of 2026-03-{day:02d}.\n{body}\nOpen tickets: {day * 7} ({'+' if day % 2 else '-'}{day}%)."
        for day in range(1, 21)
    ]

    [one] = each_once(found(*days), "What is John allergic to?")

    assert (one.entry.id, one.times, one.since) == ("19", 20, FIRST_DAY)


def test_a_report_with_the_word_that_is_asked_about_keeps_its_place() -> None:
    body = report(3_300)
    hits = found(f"Day 1. {body} John is allergic to nuts.", f"Day 2. {body} All is well today.")

    assert len(each_once(hits, "What did the staff say?")) == 1
    assert len(each_once(hits, "What is John allergic to?")) == 2


def test_other_long_texts_are_kept_apart_and_sixty_take_milliseconds() -> None:
    hits = found(*(report(3_300, seed) for seed in range(60)))

    started = time.process_time()
    assert len(each_once(hits, "What is John allergic to?")) == 60
    assert time.process_time() - started < 0.1


def test_signs_that_follow_no_word() -> None:
    """The same sign twice at the start belongs to no word."""
    assert differ_in_signs("★★★★ in C#", "★★★★ in C++")
    assert not differ_in_signs("✅✅ done", "✅✅ done, later")
