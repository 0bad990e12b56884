"""What is free is not occupied: a newer opposite comes first. What is said of another thing or day keeps its place."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import pytest

from crewai_persistent_memory.entry import MemoryEntry
from crewai_persistent_memory.recall.found import Found
from crewai_persistent_memory.recall.what_holds import newest_first

FIRST_DAY: Final = datetime(2026, 3, 1)

CHANGED: Final = (
    (
        "What is the status of Acorn Dental's account?",
        "Acorn Dental's account is active.",
        "Acorn Dental's account was suspended for non-payment.",
    ),
    ("Is invoice 4711 open?", "The invoice 4711 is open.", "Invoice 4711 was paid on 3 May."),
    ("Is room 12 free?", "Room 12 is free.", "Room 12 is occupied."),
    ("Is room 12 free?", "Room 12 is occupied.", "Room 12 is free."),
    ("Is the bridge safe?", "The bridge is safe.", "The bridge is unsafe."),
    ("Is the bridge safe?", "The bridge is unsafe.", "The bridge is safe."),
    ("Is the shop open?", "The shop is open.", "The shop is closed."),
    ("Is the shop open?", "The shop is closed.", "The shop is open."),
    ("Is Anna vegan?", "Anna is vegan.", "Anna is not vegan any more."),
    ("Is Anna vegan?", "Anna is vegan.", "Anna is no longer vegan."),
    ("What does Anna eat?", "Anna is vegan.", "Anna is not vegan any more."),
    ("Is Piet employed?", "Piet is unemployed.", "Piet is employed."),
    ("Is Piet employed?", "Piet is employed.", "Piet is unemployed."),
    ("Is Anna married?", "Anna is single.", "Anna is married."),
    ("Is Anna married?", "Anna is married.", "Anna is single."),
    ("Is Anna single?", "Anna is single.", "Anna is married."),
    ("Is the server up?", "The server is up.", "The server is down."),
    ("Is the light on?", "The light is on.", "The light is off."),
    ("Is Bob available on Monday?", "Bob is available on Monday.", "Bob is unavailable on Monday."),
    ("Is Bob available?", "Bob is available.", "Bob is busy."),
    ("Is the account active?", "The account is active.", "The account is inactive."),
    ("Is the account active?", "The account is inactive.", "The account is active."),
    ("Is the contract valid?", "The contract is valid.", "The contract is invalid."),
    ("Is the flat furnished?", "The flat is furnished.", "The flat is unfurnished."),
    ("Is feature X enabled?", "Feature X is enabled.", "Feature X is disabled."),
    ("Is the door locked?", "The door is locked.", "The door is unlocked."),
    ("Is the invoice paid?", "The invoice is unpaid.", "The invoice is paid."),
    ("Is the task complete?", "The task is incomplete.", "The task is complete."),
    ("Is the pool full?", "The pool is full.", "The pool is empty."),
    ("Is Anna pregnant?", "Anna is pregnant.", "Anna is not pregnant any more."),
    ("Is the patient stable?", "The patient is stable.", "The patient is unstable."),
    ("Is the patient alive?", "The patient is alive.", "The patient is dead."),
    ("Is the museum open on Mondays?", "The museum is open on Mondays.", "The museum is closed on Mondays."),
    ("Does Anna smoke?", "Anna smokes.", "Anna is a non-smoker."),
    ("Is Tom healthy?", "Tom is healthy.", "Tom is ill."),
    ("Is Tom a smoker?", "Tom is a smoker.", "Tom is a non-smoker."),
    ("Ist das Zimmer frei?", "Das Zimmer ist frei.", "Das Zimmer ist belegt."),
    ("Ist der Laden offen?", "Der Laden ist offen.", "Der Laden ist geschlossen."),
    ("Ist Anna verheiratet?", "Anna ist ledig.", "Anna ist verheiratet."),
    ("Ist die Brücke sicher?", "Die Brücke ist sicher.", "Die Brücke ist unsicher."),
    ("Le magasin est-il ouvert ?", "Le magasin est ouvert.", "Le magasin est fermé."),
    ("¿Está abierta la tienda?", "La tienda está abierta.", "La tienda está cerrada."),
    ("What is the status of room 12?", "Room 12 is free.", "Room 12 is occupied."),
    ("Can I book room 12?", "Room 12 is free on Friday.", "Room 12 is taken on Friday."),
    ("Is Anna still employed?", "Anna is employed at Siemens.", "Anna is unemployed."),
    ("What is Anna's marital status?", "Anna is single.", "Anna is married."),
    ("Is the milk fresh?", "The milk is fresh.", "The milk is sour."),
    ("How is Anna?", "Anna is healthy.", "Anna is sick."),
    ("Is parking free?", "Parking is free.", "Parking is paid."),
    ("Is the printer working?", "The printer is broken.", "The printer is working."),
    ("Is the printer working?", "The printer is working.", "The printer is broken."),
    ("Is the heating on in the office?", "The heating in the office is on.", "The heating in the office is off."),
    ("Is the road to Bern open?", "The road to Bern is blocked.", "The road to Bern is open."),
    ("Is Ali at home?", "Ali is at home.", "Ali is away."),
    ("Is the vendor approved?", "The vendor is approved.", "The vendor is rejected."),
    ("Is the vendor approved?", "The vendor is unapproved.", "The vendor has been approved."),
    ("Is room 12 free?", "Room 12 is free.", "Room 12 is occupied by Mr. Kern."),
    ("Is room 12 free?", "Room 12 is free.", "Room 12 is occupied until Friday."),
    ("Is room 12 free?", "Room 12 is free.", "Room 12 is now occupied."),
    ("Is room 12 free?", "Room 12 is free.", "Room 12 has been booked."),
    ("Is table 4 available tonight?", "Table 4 is available tonight.", "Table 4 is reserved tonight."),
    ("Is the heating on?", "The heating is on.", "The heating is off now."),
    ("Is the boiler working?", "The boiler in the cellar is broken.", "The boiler in the cellar has been repaired."),
    ("Is Lena sick?", "Lena is sick.", "Lena is well again."),
    ("Is Lena ill?", "Lena is ill.", "Lena has recovered."),
    ("Is the fence high voltage safe to touch?", "The fence is safe to touch.", "The fence is unsafe to touch."),
    ("Are pets allowed?", "Pets are allowed in the hotel.", "Pets are forbidden in the hotel."),
    ("Is the passport valid?", "My passport is valid.", "My passport is invalid."),
    ("Ist die Heizung an?", "Die Heizung ist an.", "Die Heizung ist aus."),
    ("Ist Karl gesund?", "Karl ist gesund.", "Karl ist krank."),
    ("Ist der Pass gültig?", "Der Pass ist gültig.", "Der Pass ist ungültig."),
    ("Paul est-il marié ?", "Paul est célibataire.", "Paul est marié."),
    ("La puerta, ¿está abierta?", "La puerta está cerrada.", "La puerta está abierta."),
    ("Är bron säker?", "Bron är säker.", "Bron är osäker."),
    ("Czy pokój 12 jest wolny?", "Pokój 12 jest wolny.", "Pokój 12 jest zajęty."),
    ("Is my subscription active?", "My subscription is active.", "My subscription is paused."),
    ("Is Omar available in May?", "Omar is available in May.", "Omar is not available in May."),
    ("Was Rosa's visa approved?", "Rosa's visa is pending.", "Rosa's visa was approved."),
    ("Is shipping free?", "Shipping is free.", "Shipping is no longer free."),
    ("Is Kim full-time?", "Kim works full-time.", "Kim works part-time."),
    ("Does Kim work remote?", "Kim works remote.", "Kim works onsite."),
    ("Bor Anna i Rom?", "Anna bor i Rom.", "Anna bor inte i Rom."),
    ("Bor Anna i Rom?", "Anna bor i Rom.", "Anna bor ikke i Rom."),
    ("Anna abita a Roma?", "Anna abita a Roma.", "Anna non abita a Roma."),
    ("Czy Anna mieszka w Rzymie?", "Anna mieszka w Rzymie.", "Anna nie mieszka w Rzymie."),
    ("Woont Anna in Rome?", "Anna woont in Rome.", "Anna woont niet in Rome."),
    ("Анна живёт в Риме?", "Анна живёт в Риме.", "Анна не живёт в Риме."),
    ("Anna locuiește la Roma?", "Anna locuiește la Roma.", "Anna nu locuiește la Roma."),
    ("Anna Rómában él?", "Anna Rómában él.", "Anna nem Rómában él."),
    ("Asuuko Anna Roomassa?", "Anna asuu Roomassa.", "Anna ei asu Roomassa."),
)

BOTH_HOLD: Final = (
    ("Is room 12 free?", "Room 12 is free.", "Room 14 is occupied."),
    ("Is the bridge safe?", "The bridge is safe.", "The tunnel is unsafe."),
    ("Is the shop open?", "The shop is open.", "The office is closed."),
    ("Is the shop open on Monday?", "The shop is open on Monday.", "The shop is closed on Sunday."),
    ("When is the shop open?", "The shop is open on Monday.", "The shop is closed on Sunday."),
    ("Is Anna vegan?", "Anna is vegan.", "Anna is tall."),
    ("What is Anna like?", "Anna is kind.", "Anna is tired."),
    ("How is the hotel?", "The hotel is clean.", "The hotel is expensive."),
    ("How is the hotel?", "The hotel is quiet.", "The hotel is cheap."),
    ("Is Piet employed?", "Piet is employed.", "Mia is unemployed."),
    ("Is the front door locked?", "The front door is locked.", "The back door is unlocked."),
    ("Is Anna married?", "Anna is married.", "Anna is happy."),
    ("Is Anna married?", "Anna is married.", "Anna is a doctor."),
    ("Is the pool heated?", "The pool is heated.", "The pool is outdoors."),
    ("Is breakfast free?", "Breakfast is free.", "Breakfast is served from 7."),
    (
        "Is the lift in the north wing working?",
        "The lift in the north wing is working.",
        "The lift in the south wing is broken.",
    ),
    ("Is gate A open?", "Gate A is open.", "Gate B is closed."),
    ("Is the invoice of Kern paid?", "The invoice of Kern is paid.", "The invoice of Roth is unpaid."),
    ("Is the milk fresh?", "The milk is fresh.", "The bread is old."),
    ("Is the car red?", "The car is red.", "The car is fast."),
    ("Is Tom healthy?", "Tom is healthy.", "Tom's dog is ill."),
    ("Is the contract signed?", "The contract is signed.", "The contract is long."),
    ("What is the soup like?", "The soup is hot.", "The soup is spicy."),
    ("How is the new laptop?", "The laptop is fast.", "The laptop is loud."),
    ("Is the meeting public?", "The meeting is public.", "The meeting is short."),
    ("Is the tenant of flat 3 single?", "The tenant of flat 3 is single.", "The tenant of flat 5 is married."),
    ("Is the museum open?", "The museum is open.", "The museum shop is closed."),
    ("Is the light in the kitchen on?", "The light in the kitchen is on.", "The light in the hall is off."),
    ("Is the pool open?", "The pool is open.", "The pool bar is closed."),
    ("When is the pool open?", "The pool is open in summer.", "The pool is closed in winter."),
    ("When is the pool open?", "The pool is open in the morning.", "The pool is closed in the evening."),
    ("When can I call Anna?", "Anna is free on Monday.", "Anna is busy on Tuesday."),
    ("Is Anna free on Monday?", "Anna is free on Monday.", "Anna is busy on Tuesday."),
    ("Is Anna free?", "Anna is free in the morning.", "Anna is busy in the afternoon."),
    ("Is the back door locked?", "The back door is locked.", "The door is unlocked."),
    ("Is Anna's car broken?", "Anna's car is broken.", "Anna's bike is working."),
    ("Is printer 3 working?", "Printer 3 is working.", "Printer 4 is broken."),
    ("Is Tom's brother married?", "Tom's brother is married.", "Tom is single."),
    ("Is Tom married?", "Tom is married.", "Tom's brother is single."),
    ("Is tap water safe in Rome?", "Tap water is safe in Rome.", "Tap water is unsafe in Cairo."),
    ("Is the soup hot?", "The soup is hot.", "The juice is cold."),
    ("Is smoking allowed on the terrace?", "Smoking is allowed on the terrace.", "Smoking is forbidden in the rooms."),
    ("Which seats are free?", "Seat 12 is free.", "Seat 14 is taken."),
    ("Is visa needed for Japan?", "A visa is optional for Japan.", "A visa is required for China."),
    ("Is Mia's first flight early?", "Mia's first flight is early.", "Mia's second flight is late."),
    ("Was darf man im Park?", "Grillen ist im Park erlaubt.", "Grillen ist im Hof verboten."),
    ("Ist Zimmer 12 frei?", "Zimmer 12 ist frei.", "Zimmer 14 ist belegt."),
    ("Wann ist der Laden offen?", "Der Laden ist montags offen.", "Der Laden ist sonntags geschlossen."),
    ("La salle 2 est-elle libre ?", "La salle 2 est libre.", "La salle 3 est occupée."),
    ("¿Está abierta la oficina?", "La oficina está abierta el lunes.", "La oficina está cerrada el domingo."),
    ("What is Ana's income?", "Ana's income is 40000 euros.", "Ana's come with 2 cats."),
    ("What does Omar drink?", "Omar drinks coffee in the morning.", "Omar drinks tea in the evening."),
    ("What does Omar eat for lunch?", "Omar eats rice for lunch.", "Omar eats soup for dinner."),
    ("Where is Mia on Monday?", "Mia is in Rome on Monday.", "Mia is in Oslo on Friday."),
    ("Who is on duty on Saturday?", "Ali is on duty on Saturday.", "Mia is on duty on Sunday."),
    ("What is the price in summer?", "The room costs 90 euros in summer.", "The room costs 60 euros in winter."),
)


def given(question: str, *texts: str) -> list[str]:
    """The texts, each said a day after the one before, in the order in which an agent is given them."""
    found = [
        Found(MemoryEntry(text, text, created_at=FIRST_DAY + timedelta(days=at)), 1.0 - at / 1000)
        for at, text in enumerate(texts)
    ]
    return [each.entry.content for each in newest_first(found, question)]


@pytest.mark.parametrize(("question", "older", "newer"), CHANGED)
def test_the_newer_one_of_two_opposites_comes_first(question: str, older: str, newer: str) -> None:
    assert given(question, older, newer) == [newer, older]


@pytest.mark.parametrize(("question", "older", "newer"), BOTH_HOLD)
def test_what_is_said_of_another_thing_or_day_keeps_its_place(question: str, older: str, newer: str) -> None:
    assert given(question, older, newer) == [older, newer]


def test_opposites_in_turn() -> None:
    states = ["Room 12 is free.", "Room 12 is occupied.", "Room 12 is vacant.", "Room 12 is reserved."]

    assert given("Is room 12 free?", *states) == states[::-1]
