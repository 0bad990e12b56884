"""What was, what somebody wants, and what is not so: a newer statement of these says no new value."""

from __future__ import annotations

from typing import Final

import pytest

from .test_opposites import given

CHANGED: Final = (
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
)

NO_NEWS: Final = (
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
)


@pytest.mark.parametrize(("question", "older", "newer"), CHANGED)
def test_what_holds_now_comes_first(question: str, older: str, newer: str) -> None:
    assert given(question, older, newer) == [newer, older]


@pytest.mark.parametrize(("question", "older", "newer"), NO_NEWS)
def test_what_says_no_new_value_stays_behind(question: str, older: str, newer: str) -> None:
    assert given(question, older, newer) == [older, newer]
