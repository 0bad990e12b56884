"""What was, what somebody wants, and what is not so: a newer statement of these says no new value."""

from __future__ import annotations

from typing import Final

import pytest

from .test_opposites import given

CHANGED: Final = (
    (
        "When does the Dock Road lease end?",
        "The lease on the Dock Road office ends in March 2026.",
        "The Dock Road lease was extended until March 2029.",
    ),
    (
        "When does the Camden shop open?",
        "The Camden shop opens at 9 a.m.",
        "The Camden shop doesn't open until 10 a.m. any more.",
    ),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna used to live in Rome, now she lives in Oslo."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna no longer lives in Rome."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna used to live in Rome."),
    ("Where does Anna work?", "Anna works at Acme.", "Anna left Acme, her former employer, for Globex."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna, formerly of Rome, lives in Oslo."),
    ("Where does Anna live?", "Anna used to live in Rome.", "Anna lives in Rome again."),
    ("What does Otto drink?", "Otto drinks beer.", "Otto used to drink beer and drinks water now."),
    ("Which airline does Eva prefer?", "Eva prefers to fly with KLM.", "Eva would now rather fly with Swiss."),
    ("What does Ben want to drink?", "Ben wants to drink tea.", "Ben wants to drink water."),
    ("Where might Anna move?", "Anna might move to Oslo.", "Anna might move to Bonn."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna lives in Bonn, not in Oslo."),
    ("Where did Anna live as a child?", "Anna lived in Oslo as a child.", "Anna lived in Bergen as a child."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna was living in Rome until last year, now she is in Oslo."),
    ("Where does Ben work?", "Ben works at Acme.", "Ben, who used to work at Acme, joined Globex."),
    ("Is the pool heated?", "The pool is heated.", "The pool is not heated."),
    ("What is the name of the cafe?", "The cafe is called Luna.", "The cafe, formerly Luna, is called Sol."),
    ("Who is the mayor?", "The mayor is Ms. Ito.", "Mr. Abe became mayor after Ms. Ito."),
    (
        "What does Nina want for her birthday?",
        "Nina wants a bike for her birthday.",
        "Nina wants a phone for her birthday.",
    ),
    ("Does Leo play tennis?", "Leo plays tennis.", "Leo does not play tennis."),
    (
        "Who is the contact for invoices?",
        "The contact for invoices is Eva.",
        "Eva has left, the contact for invoices is Jan.",
    ),
    ("What is my seat?", "My seat is 12A.", "My seat is not 12A but 14C."),
    ("Which phone does Pia have?", "Pia has an iPhone.", "Pia has a Pixel instead of the iPhone."),
    ("How much is the rent?", "The rent is 800 euros.", "The rent was raised to 850 euros."),
    (
        "How much is the rent?",
        "The rent is 800 euros.",
        "The rent was 800 euros until May, since June it is 850 euros.",
    ),
    ("Where is the team offsite?", "The team offsite is in Lisbon.", "The team offsite will be in Porto."),
    ("What is the plan for dinner?", "The plan for dinner is pizza.", "The plan for dinner is sushi."),
    (
        "Wer ist der Trainer?",
        "Der Trainer ist Herr Klopp.",
        "Der Trainer ist nicht mehr Herr Klopp, sondern Herr Flick.",
    ),
    ("Wo arbeitet Jan?", "Jan arbeitet bei Acme.", "Jan arbeitet nicht mehr bei Acme."),
    ("Kann Tim schwimmen?", "Tim kann nicht schwimmen.", "Tim kann schwimmen."),
    ("Where do I keep my passport?", "I keep my passport in the desk.", "I moved my passport to the safe."),
    (
        "What is the budget for ads?",
        "The budget for ads is 500 euros.",
        "The budget for ads almost doubled to 950 euros.",
    ),
    ("Who will drive?", "Ali will drive.", "Bea will drive."),
    ("Is Nils coming?", "Nils is coming.", "Nils might not come."),
    ("Is the museum free?", "Admission to the museum is free.", "Admission to the museum costs 5 euros."),
    ("Who cleans the kitchen this week?", "Ali cleans the kitchen this week.", "Bea cleans the kitchen this week."),
)

NO_NEWS: Final = (
    (
        "Where does Lorenzo work?",
        "Lorenzo works at the port in Genoa.",
        "Lorenzo had a meeting at the chamber in Genoa.",
    ),
    ("What did the roof of the Moreaus cost?", "The roof of the Moreaus cost 310.", "The Moreaus spent 28 on a roof."),
    (
        "Which team does Mateo belong to?",
        "Mateo belongs to the infrastructure team.",
        "Mateo helped the security team.",
    ),
    ("What is Alejandro's blood type?", "Alejandro has blood type O.", "Alejandro donated blood at the Red Cross."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna used to live in Oslo."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna previously lived in Oslo."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna lived in Oslo as a child."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna formerly lived in Oslo."),
    ("Where does Anna live?", "Anna lives in Rome.", "Until 2010 Anna lived in Oslo."),
    ("Where does Anna live?", "Anna lives in Rome.", "Before Rome, Anna lived in Oslo."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna lived in Oslo from 2001 to 2005."),
    ("Where does Anna work?", "Anna works at Acme.", "Anna used to work at Globex."),
    ("Where does Anna work?", "Anna works at Acme.", "Anna formerly worked at Globex."),
    ("Who is the CEO of Acme?", "The CEO of Acme is Bea.", "The former CEO of Acme is Carl."),
    ("Who is the CEO of Acme?", "The CEO of Acme is Bea.", "The CEO of Acme was Carl until 2020."),
    ("What car does Ida drive?", "Ida drives a Fiat.", "Ida used to drive a Skoda."),
    ("Wo wohnt Anna?", "Anna wohnt in Rom.", "Anna wohnte früher in Oslo."),
    ("Wo wohnt Anna?", "Anna wohnt in Rom.", "Anna hat früher in Oslo gewohnt."),
    ("Où habite Marie ?", "Marie habite à Lyon.", "Marie habitait autrefois à Nice."),
    ("¿Dónde vive Luis?", "Luis vive en Madrid.", "Luis vivía antes en Sevilla."),
    ("Who is Anna's husband?", "Anna's husband is Karl.", "Anna's ex-husband is Piet."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna wants to live in Oslo."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna would never live in Oslo."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna's parents live in Oslo."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna dreams of living in Oslo."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna might move to Oslo."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna almost moved to Oslo."),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna asked whether Ben lives in Oslo."),
    ("Where does Anna live?", "Anna lives in Rome.", "Does Anna live in Oslo?"),
    ("Where does Anna live?", "Anna lives in Rome.", "Anna did not move to Oslo."),
    ("Where does Ben work?", "Ben works at Acme.", "Ben would love to work at Globex."),
    ("Where does Ben work?", "Ben works at Acme.", "Ben did an internship at Globex in 2015."),
    ("Where does Ben work?", "Ben works at Acme.", "Ben applied for a job at Globex."),
    ("Where does Ben work?", "Ben works at Acme.", "Ben was rejected by Globex."),
    ("Which car does Ida drive?", "Ida drives a Fiat.", "Ida thinks about a Tesla."),
    ("Which car does Ida drive?", "Ida drives a Fiat.", "Ida rented a Skoda for a weekend."),
    ("What is Leo's favourite sport?", "Leo's favourite sport is tennis.", "Leo does not like football."),
    ("What is Leo allergic to?", "Leo is allergic to nuts.", "Leo is not allergic to eggs."),
    ("How much is the rent?", "The rent is 800 euros.", "The rent in 2019 was 650 euros."),
    ("How much is the rent?", "The rent is 800 euros.", "The deposit is 1600 euros."),
    ("Who is Max married to?", "Max is married to Eva.", "Max was once engaged to Lea."),
    ("Where is the office?", "The office is in Bonn.", "The old office was in Ulm."),
    ("Where is the office?", "The office is in Bonn.", "The warehouse is in Ulm."),
    ("When is the concert?", "The concert is on May 3.", "The rehearsal is on May 1."),
    ("Which school does Mia go to?", "Mia goes to Lincoln School.", "Mia's mother went to Jefferson School."),
    ("What is the CEO's name?", "The CEO's name is Bea.", "The CEO's assistant is Carl."),
    ("Wo arbeitet Jan?", "Jan arbeitet bei Acme.", "Jan hat damals bei Globex gearbeitet."),
    ("Wo arbeitet Jan?", "Jan arbeitet bei Acme.", "Jan würde gern bei Globex arbeiten."),
    ("Where was Anna on Monday?", "Anna was in Rome on Monday.", "Anna was in Oslo on Friday."),
    ("What did I pay for the bike?", "I paid 300 euros for the bike.", "I paid 50 euros for the lock."),
    ("What is the guest's name in room 5?", "The guest in room 5 is Ms. Ray.", "The guest in room 7 is Mr. Fox."),
    ("What is the limit for gold members?", "Gold members may borrow 10 books.", "Silver members may borrow 5 books."),
    ("What did Eva order?", "Eva ordered soup.", "Eva ordered salad."),
    (
        "Which medicine must not be combined?",
        "Aspirin must not be combined with ibuprofen.",
        "Aspirin must not be combined with warfarin.",
    ),
)


@pytest.mark.parametrize(("question", "older", "newer"), CHANGED)
def test_what_holds_now_comes_first(question: str, older: str, newer: str) -> None:
    assert given(question, older, newer) == [newer, older]


@pytest.mark.parametrize(("question", "older", "newer"), NO_NEWS)
def test_what_says_no_new_value_stays_behind(question: str, older: str, newer: str) -> None:
    assert given(question, older, newer) == [older, newer]


EVENTS: Final = (
    "Anna sold Karl her bike.",
    "Anna bought a lamp at Ikea.",
    "Anna left the meeting with Karl.",
    "Anna finished the report for Siemens.",
    "Anna gave Karl a book.",
    "Anna closed ticket 12.",
    "Anna picked Karl up.",
    "Anna updated the Jira board.",
    "Anna got a letter from Bonn.",
    "Anna was promoted by Siemens.",
    "Anna has been to Oslo.",
    "Anna returned a parcel to Amazon.",
    "Anna went to Oslo for a weekend.",
    "Anna improved the Berlin report.",
    "Anna cut her finger on Monday.",
    "Anna met Karl recently.",
    "Anna stopped calling Karl.",
    "Anna lately reads Kafka.",
    "Anna corrected the Paris invoice.",
    "Anna extended her visa for Japan.",
    "Anna cancelled the trip to Oslo.",
    "Anna traded stamps with Ben.",
    "Anna was given a prize in Bonn.",
    "Anna raised 300 euros for Unicef.",
    "Anna sold her Fiat.",
    "Anna won against Eva again.",
    "Anna dyed her hair at Salon Ray.",
)


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_of_the_same_person_is_no_new_value(event: str) -> None:
    """It has a word that may tell a change ("sold"), and a name."""
    for question, value in (
        ("Where does Anna live?", "Anna lives in Rome."),
        ("Where does Anna work?", "Anna works at Acme."),
        ("When is Anna's exam?", "Anna's exam is on May 3."),
    ):
        assert given(question, value, event) == [value, event]


FACTS: Final = (
    ("Where does Ben live?", "Ben lives in Cologne."),
    ("What car does Ben drive?", "Ben drives a Honda."),
    ("What is Ben's job?", "Ben is a carpenter."),
    ("Who is Ben's doctor?", "Ben's doctor is Dr. Weber."),
    ("What is Ben allergic to?", "Ben is allergic to shellfish."),
    ("When is Ben's birthday?", "Ben's birthday is on 4 July."),
    ("Which phone does Ben use?", "Ben uses a Pixel."),
    ("How tall is Ben?", "Ben is 182 cm tall."),
    ("What is Ben's salary?", "Ben's salary is 3,400 euros."),
    ("Is Ben married?", "Ben is married."),
    ("What does Ben eat?", "Ben is vegetarian."),
    ("Which school do Ben's kids attend?", "Ben's kids attend Hill School."),
    ("Wo wohnt Ben?", "Ben wohnt in Köln."),
    ("Où habite Ben ?", "Ben habite à Lyon."),
    ("¿Dónde vive Ben?", "Ben vive en Madrid."),
)

DAYS: Final = (
    "Ben now plays chess with Karl.",
    "Ben booked a flight to Oslo.",
    "Ben has a meeting in Berlin on Monday.",
    "Ben likes the film Alien.",
    "Ben took 3 photos in Rome.",
    "Ben ordered a pizza from Luigi.",
    "Ben lost his keys at the Ritz.",
    "Ben wrote a letter to Ms. Lang.",
    "Ben fixed the bike of Eva.",
    "Ben read Dune again.",
    "Ben is going to Vienna tomorrow.",
    "Ben prefers tea.",
    "Ben thanked Dora.",
    "Ben's sister is called Ida.",
    "Ben speaks Danish.",
    "Ben ran 10 km on Friday.",
    "Ben changed the tyre with Karl.",
    "Ben switched off the light.",
    "Ben moved the sofa.",
    "Ben moved the meeting to Friday.",
    "Ben changed his mind.",
    "Ben replaced the lamp.",
    "Ben is happy.",
    "Ben was in Bonn last week.",
    "Ben called Dr. Chen.",
    "Ben has a new hobby: sailing.",
    "Ben hat jetzt einen Hund.",
    "Ben a acheté un vélo à Nice.",
    "Ben compró pan en Lima.",
)


@pytest.mark.parametrize(("question", "fact"), FACTS)
def test_what_somebody_did_is_no_new_value(question: str, fact: str) -> None:
    assert [event for event in DAYS if given(question, fact, event)[0] != fact] == []


OWN_FACTS: Final = (
    ("Where do I live?", "I live in Cologne."),
    ("What car do I drive?", "I drive a Honda."),
    ("What is my job?", "I am a carpenter."),
    ("Who is my doctor?", "My doctor is Dr. Weber."),
    ("What am I allergic to?", "I am allergic to shellfish."),
    ("When is my birthday?", "My birthday is on 4 July."),
    ("Which phone do I use?", "I use a Pixel."),
    ("What is my salary?", "My salary is 3,400 euros."),
    ("Where is my office?", "My office is in Ulm."),
    ("What is my dog called?", "My dog is called Rex."),
    ("Where do you live, user?", "The user lives in Cologne."),
)

OWN_DAYS: Final = (
    "I booked a flight to Oslo.",
    "I have a meeting in Berlin on Monday.",
    "I sold my Fiat.",
    "I bought a lamp at Ikea.",
    "I met Karl again.",
    "I finished the report for Siemens.",
    "I gave Karl a book.",
    "I now play chess with Karl.",
    "I ordered a pizza from Luigi.",
    "I am going to Vienna tomorrow.",
    "I changed my mind.",
    "I moved the sofa.",
    "I started a course with Eva.",
    "I read Dune recently.",
    "I cancelled my trip to Oslo.",
    "I stopped calling Karl.",
    "I was in Bonn last week.",
    "My sister moved to Oslo.",
    "My bike was stolen in Rome.",
    "I got a letter from Bonn.",
    "I switched off the light.",
    "I returned the parcel to Amazon.",
)

OWN_CHANGES: Final = (
    ("Where do I live?", "I live in Cologne.", "I moved to Bonn."),
    ("Where do I live?", "I live in Cologne.", "I am in Bonn now."),
    ("Who is my doctor?", "My doctor is Dr. Weber.", "I switched to Dr. Chen."),
    ("Where is my office?", "My office is in Ulm.", "My office moved to Bonn."),
    ("What car do I drive?", "I drive a Honda.", "I bought a Tesla and sold the Honda."),
    ("What car do I drive?", "I drive a Honda.", "My new car is a Tesla."),
    ("What is my dog called?", "My dog is called Rex.", "My new dog is called Bello."),
    ("Which phone do I use?", "I use a Pixel.", "I replaced the Pixel with an iPhone."),
    ("What is my salary?", "My salary is 3,400 euros.", "I got a raise to 3,800 euros."),
)


@pytest.mark.parametrize(("question", "fact"), OWN_FACTS)
def test_what_one_did_oneself_is_no_new_value(question: str, fact: str) -> None:
    assert [event for event in OWN_DAYS if given(question, fact, event)[0] != fact] == []


@pytest.mark.parametrize(("question", "older", "newer"), OWN_CHANGES)
def test_what_changed_for_oneself_comes_first(question: str, older: str, newer: str) -> None:
    assert given(question, older, newer) == [newer, older]


def test_what_takes_the_place_of_a_newer_value_comes_first() -> None:
    """It has no word of the question, and names only the value before it."""
    values = ["Anna lives in Rome.", "Anna moved to Paris.", "Anna left Paris for Oslo."]

    assert given("Where does Anna live?", *values) == values[::-1]
    assert given("Where does Anna live?", *values, "Anna has settled in Bonn.") == [
        "Anna has settled in Bonn.",
        *values[::-1],
    ]
