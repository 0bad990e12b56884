"""Texts are looked through for a few letters before a long expression is tried: these must be in all that it finds."""

from __future__ import annotations

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from crewai_persistent_memory.recall import change_phrases, other_languages, phrases
from crewai_persistent_memory.recall.looks import look_at
from crewai_persistent_memory.recall.statements import Statement

MANY: Final = settings(max_examples=1_500, deadline=None, database=None, derandomize=True)


@MANY
@given(st.from_regex(phrases.NO_ANSWER))
def test_what_says_that_there_is_no_answer_has_a_sign_of_it(text: str) -> None:
    if phrases.NO_ANSWER.search(text.lower()):
        assert any(sign in text.lower() for sign in phrases.SIGNS_OF_NO_ANSWER)


@MANY
@given(st.from_regex(other_languages._NO_ANSWER_OF_WORDS))
def test_so_it_has_in_other_languages(text: str) -> None:
    assert other_languages._has_no_answer(text)


@MANY
@given(st.sampled_from([change_phrases._PHRASE, change_phrases._BECAME]).flatmap(st.from_regex))
def test_what_tells_of_a_change_has_a_word_in_which_that_begins(text: str) -> None:
    assert look_at[text].changes == Statement(text).changes
