"""A newer statement about something else, or of one occasion, says no new value; the same with another value does."""

from __future__ import annotations

from typing import Final

import pytest

from .test_opposites import given

BESIDE: Final = (
    ("Which plan does the customer have?", "The customer is on the Basic plan.", "Another customer upgraded to Pro."),
    (
        "When is the project deadline?",
        "The project deadline is March 15.",
        "The project budget was extended by April 30.",
    ),
    # What belongs to the subject, or somebody of it.
    ("Where does Lewis work?", "Lewis works in Lyon.", "Lewis's business partner works in Nice."),
    ("Where is Crake hosted?", "Crake is hosted in Ireland.", "The image cache of Crake is hosted in Milan."),
    ("What make is Malachy's car?", "Malachy drives a Subaru.", "Malachy's Subaru is dark red."),
    ("What is Hugo's role?", "Hugo was promoted to director.", "Hugo's colleague Jess was promoted to team lead."),
    # One of many.
    (
        "When do requests time out?",
        "Requests time out after 10 seconds.",
        "The PDF request times out after 60 seconds.",
    ),
    ("What do guides wear?", "Guides wear green.", "The head guide wears white."),
    # An occasion.
    ("When is the market open?", "The market is open until 14.", "On Christmas Eve the market is open until 12."),
    ("What does the entry cost?", "The entry costs 12.", "For students the entry costs 7."),
    ("When do offices usually close?", "Offices usually close at 18.", "The Madrid office closes at 15 on that day."),
    # Another thing in the same place.
    (
        "How long is the warranty in the EU?",
        "The warranty in the EU is two years.",
        "The warranty in the US is one year.",
    ),
    ("What is the web server?", "The Redpoll web server is cedar.", "The Redpoll mail server is maple."),
    ("Is Dr. Abel on the paper?", "Dr. Abel is a co-author of the paper.", "Dr. Kern is a co-author of the paper."),
    # Another unit, or another kind of value.
    ("How many columns has the table?", "The table has 14 columns.", "The table has 3 indexes."),
    ("How long is the review?", "The review lasts 45 minutes.", "The review starts at 14:00."),
    ("On which day is the demo?", "The demo is on Wednesday.", "The demo begins at noon."),
    ("When does the shop open?", "The shop opens at 10.", "The shop closes at 19."),
    # A detail.
    (
        "Who is our partner in Kenya?",
        "Our partner in Kenya is Acacia.",
        "Acacia, our partner in Kenya, was founded in 1988.",
    ),
    ("Does Hill have a contract?", "Hill has a support contract.", "The support contract of Hill covers Sundays."),
    # History and wishes.
    (
        "What is the product called?",
        "The product is called Nimbus.",
        "During the beta phase the product was called Drizzle.",
    ),
    ("What does the drill cost?", "The drill costs 119.", "Two years ago the drill cost 99."),
    ("What does Ben drive?", "Ben drives a Golf.", "Ben scrapped the Vespa of Ida."),
    ("How much does the tank hold?", "The tank holds 50 litres.", "The can holds 5 litres."),
    ("Where does Freya live?", "Freya lives in Oslo.", "Freya would like to live in Lisbon one day."),
    ("At what time is the standup?", "The standup is at 9:15.", "Jakob suggested holding the standup at 11:00."),
    # One more of several.
    ("Which languages does the bot speak?", "The bot speaks Dutch.", "The bot speaks Polish."),
    ("In which city is an office?", "We have an office in Nairobi.", "We have an office in Montevideo."),
    ("Does the gateway accept HTTP/1.1?", "The gateway accepts HTTP/1.1.", "The gateway accepts HTTP/2."),
)

CHANGED: Final = (
    (
        "Which phase is Project Basalt in?",
        "Project Basalt is in the design phase.",
        "Basalt has entered the testing phase.",
    ),
    ("How many joined the pilot?", "The pilot study enrolled 48 people.", "The pilot study enrolled 52 people."),
    ("How heavy is Simon?", "Simon eats no nuts and weighs 82 kg.", "Simon eats no nuts and weighs 77 kg."),
    (
        "How long can a customer return it?",
        "Refunds are accepted within 14 days.",
        "Refunds are accepted within 30 days.",
    ),
    ("What does Devin do for a living?", "Devin works as a paramedic.", "Devin works as a flight nurse."),
    ("Where does the retreat take place?", "The retreat takes place in Bergen.", "The retreat takes place in Tromsø."),
    ("Who is on call?", "The on-call engineer this week is Tom.", "The on-call engineer this week is Ngozi."),
    (
        "Which post does Goh hold?",
        "Wei-Lin Goh is treasurer of the rowing club.",
        "Wei-Lin Goh is secretary of the rowing club.",
    ),
    (
        "What is the offsite limit?",
        "We may spend 8,000 pounds on the offsite.",
        "There are 6,500 pounds for the offsite.",
    ),
    ("Who is my boss?", "My boss is Gwen.", "I report to Matteo."),
    ("Where does Aunt Winnie live?", "Aunt Winnie lives with her sister in Cardiff.", "Aunt Winnie lives in Swansea."),
    ("Which framework has the site?", "The site is written in Angular.", "The site has been rewritten in Svelte."),
    ("What plan does the user have?", "The user has plan Basic.", "The user has plan Pro."),
    ("Which role does Tom have?", "Tom has the role of tester.", "Tom has the role of team lead."),
    ("When is the flight?", "The flight is at 9.", "The flight was cancelled."),
    ("When is the trip?", "The trip is in June.", "The trip is called off."),
    ("How much does shipping cost?", "Shipping costs 5 euros.", "Shipping is now free of charge."),
    ("When are reports sent?", "Reports are sent at 8.", "Reports are sent weekly."),
    ("What is Lisa's email?", "Lisa's email is lisa@a.com.", "Lisa's email is lisa@b.com."),
    ("Is the test suite passing?", "The test suite is failing.", "The test suite is passing."),
    ("Who handles ticket 5518?", "Ticket 5518 is assigned to Imogen.", "Ticket 5518 was passed on to Rashid."),
)


@pytest.mark.parametrize(("question", "older", "newer"), BESIDE)
def test_what_is_said_of_something_else_keeps_its_place(question: str, older: str, newer: str) -> None:
    assert given(question, older, newer) == [older, newer]


@pytest.mark.parametrize(("question", "older", "newer"), CHANGED)
def test_the_same_with_another_value_comes_first(question: str, older: str, newer: str) -> None:
    assert given(question, older, newer) == [newer, older]
