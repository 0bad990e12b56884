"""Before two texts are compared, or a long expression is tried, a text is looked through for a few letters: they must
be in all that would be found."""

from __future__ import annotations

import unicodedata
from typing import Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from crewai_persistent_memory.recall import change_phrases, other_languages, phrases, said_alike, signs
from crewai_persistent_memory.recall.answers import Sentence, in_lower_case
from crewai_persistent_memory.recall.looks import look_at
from crewai_persistent_memory.recall.said_alike import ending_of, form_of
from crewai_persistent_memory.recall.statements import Statement

from ..support.thorough import IS_THOROUGH

MANY: Final = settings(max_examples=3_000 if IS_THOROUGH else 500, deadline=None, database=None, derandomize=True)


@MANY
@given(st.from_regex(phrases.NO_ANSWER))
def test_what_says_that_there_is_no_answer_has_a_sign_of_it(text: str) -> None:
    if phrases.NO_ANSWER.search(text.lower()):
        assert any(sign in text.lower() for sign in phrases.SIGNS_OF_NO_ANSWER)


@MANY
@given(st.one_of(map(st.from_regex, [other_languages._NO_ANSWER_OF_WORDS, other_languages._NO_ANSWER_OF_SCRIPTS])))
@example("L'nevíme")
def test_so_it_has_in_other_languages(text: str) -> None:
    assert other_languages._has_no_answer(text)


@MANY
@given(st.sampled_from([change_phrases._PHRASE, change_phrases._BECAME]).flatmap(st.from_regex))
def test_what_tells_of_a_change_has_a_word_in_which_that_begins(text: str) -> None:
    assert look_at[text].changes == Statement(text).changes


OF_EACH_WORD: Final = """
    these days|no longer|any more|anymore|as of|from now|put it back|bring it back|brought it back|push it back
    |pushed it back|has been|had been|take over|takes over|taken over|took over|passed on to|handed to|went to|gone to
    |called off|give up|given up|gave up|gaven up|up to|down to|anstelle von|ab sofort|was moved to|were moved to
    |been moved to|got moved to|wurde gezogen to|wurden gezogen to
"""


def test_each_word_in_which_a_change_begins_is_looked_for() -> None:
    phrases = [each.strip() for each in OF_EACH_WORD.split("|")]
    found = {each for each in phrases if change_phrases.tells_a_change(each)}
    assert found == set(phrases)
    assert {each.split()[0] for each in phrases} == change_phrases._OPENING_WORDS
    for each in phrases:
        text = f"Our {each} said so"
        assert look_at[text].changes == Statement(text).changes


SOME: Final = """
    I don't cannot can't won't not do can Anna's Zoë Zoe\u0308 STRASSE straße İzmir tea C# 12 14.5 aBc12 ✅ - ? ’ll
    we've we’re 日本 fi\u200bne l'heure rock'n'roll _x_ ΟΔΟΣ ... liking likes liked
"""
WORDS: Final = st.sampled_from(SOME.split())
TEXTS: Final = st.lists(WORDS, min_size=1, max_size=9).map(" ".join)


def in_another_form(text: str, how: int) -> str:
    forms = (
        text.upper(),
        f"Summary: {text}!!",
        f"**{text}** {'.' * 40}",
        text.replace("n't", " not"),
        text.replace("cannot", "can not"),
        text.replace("'", "’"),
        unicodedata.normalize("NFD", text),
        f"{'word ' * 12}{text}",
    )
    return forms[how % len(forms)]


@MANY
@given(TEXTS, st.integers(0, 7), st.integers(0, 7))
def test_texts_that_say_the_same_have_the_same_last_word(text: str, how: int, then: int) -> None:
    other = in_another_form(in_another_form(text, how), then)
    if form_of(text) == form_of(other):
        assert ending_of(text) == ending_of(other)


@MANY
@given(TEXTS, TEXTS, TEXTS)
def test_a_sentence_that_says_all_of_a_statement_has_its_stems(statement: str, before: str, behind: str) -> None:
    said = Sentence(statement)
    text = f"{before} {statement} {behind}"
    for asked in (frozenset[str](), said.words):
        if said.stands_in(Sentence(text), asked):
            assert said.may_stand_in([in_lower_case(text)]) == [0]


@MANY
@given(TEXTS, TEXTS, st.integers(0, 3))
def test_a_sentence_near_a_statement_has_half_of_its_stems(statement: str, beside: str, left_out: int) -> None:
    said = Sentence(statement)
    text = f"{beside} {' '.join(statement.split()[left_out:])}"
    if said.is_near(Sentence(text)):
        assert said.may_be_near(in_lower_case(text))


@MANY
@given(st.text("aB É.-_/\\@!~1 \n", max_size=12))
@example("x.y")
@example("aB")
def test_a_text_with_a_code_has_the_signs_of_one(text: str) -> None:
    if any(map(signs.is_mixed, signs.WORD_OR_SIGN.findall(text))):
        assert signs.MAY_BE_MIXED.search(text)
    if any(map(said_alike._JOINS.search, said_alike._JOINED.findall(text))):
        assert not set(text).isdisjoint(said_alike._BETWEEN_WORDS) or said_alike._has_an_inner_dot(text)
    if said_alike._SIGN_OF_CODE.search(text):
        assert not set(text).isdisjoint(said_alike._OF_CODE)
