"""Answers of finished tasks, and the sentences of entries that they may quote."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Final

from ..text.kept import Kept, kept_calls
from .asking import asks, sentences_of
from .empty import RESULT
from .phrases import NEGATION, OF_ANSWERS, OFFERS, QUANTITIES
from .relations import SELF, STOP
from .signs import differ_in_signs, is_mixed
from .stems import stem

LONGEST: Final = 4_000
"""Characters. A longer record is a memory of its own. Of a longer source, the sentences with the answer's words."""

SAYS_THE_SAME: Final = 0.7
"""The part of a quoted sentence, in words, that the answer and its request have: then the record adds nothing. With a
smaller part it is shown behind its source."""

NEAR: Final = 0.5
"""The part of a statement's words in another one that speaks of the same thing."""

_MOST_MOVED: Final = 1
"""Words of a quote that may stand at another place than in its source: "allergic to nuts", "to nuts allergic"."""

_MOST_TEXT: Final = 100_000
_MOST_PLACES: Final = 20
_MOST_SENTENCE: Final = 1_000

_WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+(?:[-'’][^\W_]+)*")
_TELLS_NOTHING: Final = STOP | OF_ANSWERS
_ISO_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


_AWAY: Final = frozenset(["off", "out", "down"])
_PAST: Final = frozenset(["was", "were", "had"])
_PRESENT: Final = frozenset(["is", "are", "has", "have"])
_ONE_OF: Final = (
    frozenset(["on", "off"]),
    frozenset(["in", "out"]),
    frozenset(["up", "down"]),
    frozenset(["and", "or", "but"]),
    frozenset(["he", "she"]),
    frozenset(["his", "her"]),
    frozenset(["can", "must", "may", "might", "could", "should", "will", "would"]),
    frozenset(["an", "aus"]),
    frozenset(["auf", "zu"]),
    frozenset(["und", "oder", "aber"]),
    frozenset(["er", "sie"]),
)
"""Small words of which a statement has one, and with another one says something else."""
_SMALL: Final = _AWAY | _PAST | _PRESENT | frozenset().union(*_ONE_OF)


class Sentence:
    """The words of a sentence that tell something, and those whose order matters."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._written = _WORD.findall(text)
        telling = [(each, word) for each in self._written if (word := _told_by[each])]
        self.dates = frozenset([each for each, word in telling if word == _DATE])
        self._telling = [pair for pair in telling if pair[1] != _DATE] if self.dates else telling
        self.words = frozenset(map(_word, self._telling))

    @cached_property
    def ordered(self) -> list[str]:
        return [word for each, word in self._telling if not each.islower()]

    @cached_property
    def sequence(self) -> list[str]:
        """The words that tell something, in their order."""
        return list(map(_word, self._telling))

    @cached_property
    def quantities(self) -> frozenset[str]:
        """Its words that say of how many, or how often, it holds: "all", "only"."""
        return frozenset(map(str.lower, self._written)) & QUANTITIES

    @cached_property
    def small(self) -> frozenset[str]:
        """Its small words of which another one makes another statement: "on", "off"."""
        return frozenset(map(str.lower, self._written)) & _SMALL

    @cached_property
    def codes(self) -> frozenset[str]:
        return frozenset(filter(is_mixed, self._written))

    @cached_property
    def subject(self) -> str:
        first = self._telling[:1]
        return first[0][1] if first and first[0][0][0].isupper() else ""

    @cached_property
    def is_of_oneself(self) -> bool:
        return not SELF.isdisjoint(map(_plain, self._written))

    @cached_property
    def negated(self) -> bool:
        return bool(NEGATION.search(self._text))

    @cached_property
    def asks(self) -> bool:
        return self._text.rstrip(" \"'”“*").endswith(("?", "？"))

    @cached_property
    def longest(self) -> str:
        return in_lower_case(max((each for each, _ in self._telling), key=len, default=""))

    @cached_property
    def _needed(self) -> list[str]:
        """Stems that a sentence must have to say all of it, longest first: all but the name of the one who speaks."""
        return sorted(self.words - {self.subject} or self.words, key=len, reverse=True)

    def may_stand_in(self, texts: Sequence[str]) -> list[int]:
        """The numbers of the texts or sentences, :func:`in_lower_case`, that may say all of it."""
        if not self._needed:
            return []
        first, *others = self._needed  # each is the beginning of its word
        may = [number for number, text in enumerate(texts) if first in text]
        for other in others if may else ():
            may = [number for number in may if other in texts[number]]
        return may

    def is_near(self, other: Sentence) -> bool:
        """Whether the other speaks of the same thing: it has half of its words."""
        return len(self.words & other.words) >= NEAR * len(self.words)

    def may_be_near(self, lowered: str) -> bool:
        """Whether a text, :func:`in_lower_case`, may have a sentence that speaks of the same thing."""
        return sum(map(lowered.__contains__, self.words)) >= NEAR * len(self.words)

    def stands_in(self, other: Sentence, asked: frozenset[str], said_on: str = "") -> bool:
        """Whether the other says all of it: its words, its names and numbers in their order, and no other "not",
        sign or small word.

        Asked about John, an answer names John where he said "I". An answer may name the day when something was said.
        """
        if not self.dates - other.dates <= {said_on}:
            return False
        missing = self.words - other.words
        if missing and not (other.is_of_oneself and missing == {self.subject} and self.subject in asked):
            return False
        if other.asks or self.negated != other.negated or self.words == missing:
            return False
        if not self.quantities <= other.quantities or not self.codes <= other.codes:
            return False
        if _are_contrary(self.small, other.small):
            return False
        common = [word for word in self.ordered if word in other.ordered]
        rest = iter(other.ordered)
        if not all(word in rest for word in common) or differ_in_signs(self._text, other._text):
            return False
        return _moved(self.sequence, other.sequence) <= (0 if self.negated else _MOST_MOVED)

    def covers(self, other: Sentence, asked: frozenset[str]) -> bool:
        """Whether it has nearly all words of the other, with those of the question."""
        return len(other.words & (self.words | asked)) >= SAYS_THE_SAME * len(other.words)


def _are_contrary(said: frozenset[str], source: frozenset[str]) -> bool:
    """Whether the small words of an answer say something else than those of its source."""
    if not said & _AWAY <= source or (not source.isdisjoint(_PAST) and not said.isdisjoint(_PRESENT - source)):
        return True
    return any(
        one and other and one.isdisjoint(other) for one, other in ((said & each, source & each) for each in _ONE_OF)
    )


def _moved(words: Sequence[str], others: Sequence[str]) -> int:
    """How many of the words are at another place among the others, at least."""
    known, in_both = set(words), set(words).intersection(others)
    words, others = [word for word in words if word in in_both], [word for word in others if word in known]
    if len(words) == 1:
        return 0
    # The longest sequence that both have.
    longest = [0] * (len(others) + 1)
    for word in words:
        before = 0
        for at, other in enumerate(others, 1):
            before, longest[at] = longest[at], before + 1 if word == other else max(longest[at], longest[at - 1])
    return len(words) - longest[-1]


class Record:
    """A request and an answer.

    Args:
        content: of the record.
    """

    def __init__(self, content: str) -> None:
        self._request, _, self._answer = content.partition(RESULT)
        self._answered: dict[int, Sentence | None] = {}

    def answered(self) -> Iterator[Sentence]:
        """The statements of the answer. Of most records only the first one is asked for, so each is made when it is.

        One that denies, without a word that can be compared, is among them. It stands nowhere.
        """
        for at, text in enumerate(sentences_of(self._answer)):
            if at not in self._answered:
                sentence = Sentence(text)
                states = not (sentence.asks or OFFERS.match(text)) and (sentence.words or sentence.negated)
                self._answered[at] = sentence if states else None
            statement = self._answered[at]
            if statement is not None:
                yield statement

    @cached_property
    def told(self) -> list[str]:
        """The sentences of the request that do not ask."""
        return [each.strip() for each in sentences_of(self._request) if not asks(each.replace("’", "'"))]

    @cached_property
    def asked(self) -> frozenset[str]:
        """The words of the request."""
        return Sentence(self._request).words


def sentences_with(content: str, statement: Sentence) -> Sequence[Sentence]:
    """The sentences of an entry that may have this statement."""
    if len(content) > LONGEST:
        return [Sentence(text) for text in _around(content[:_MOST_TEXT], statement.longest)]
    texts, lowered = _split[content]
    return [_sentence[texts[number]] for number in statement.may_stand_in(lowered)]


def sentences_near(content: str, statement: Sentence) -> Sequence[Sentence]:
    """The sentences of a short entry that may speak of the same thing as a statement, see :meth:`Sentence.is_near`."""
    if not statement.may_be_near(in_lower_case(content)):
        return ()
    pairs = zip(*_split[content], strict=True)
    return [_sentence[text] for text, lowered in pairs if statement.may_be_near(lowered)]


def _split_short(content: str) -> tuple[Sequence[str], Sequence[str]]:
    """The sentences of a short entry, and the same :func:`in_lower_case`."""
    texts = tuple(sentences_of(content.replace(RESULT, "\n")))
    return texts, tuple(map(in_lower_case, texts))


def _around(text: str, word: str) -> Iterator[str]:
    """The sentences of a long text that have a word."""
    at, lowered = 0, _lowered_long(text)
    for _ in range(_MOST_PLACES):
        at = lowered.find(word, at) if word else -1
        if at < 0 or len(lowered) != len(text):
            return
        start = max(text.rfind(mark, max(0, at - _MOST_SENTENCE), at) for mark in (". ", "! ", "? ", "\n")) + 1
        ends = [end for mark in (". ", "! ", "? ", "\n") if (end := text.find(mark, at, at + _MOST_SENTENCE)) >= 0]
        end = min(ends, default=at + _MOST_SENTENCE)
        yield text[start : end + 1]
        at = end


def in_lower_case(text: str) -> str:
    return text.lower().replace("’", "'").replace("ς", "σ")


_lowered_long: Final = kept_calls(in_lower_case, 64)


def lowered_of(content: str) -> str:
    """What of an entry is looked through, :func:`in_lower_case`."""
    return in_lower_case(content) if len(content) <= LONGEST else _lowered_long(content[:_MOST_TEXT])


def _plain(word: str) -> str:
    word = in_lower_case(word)
    return word[:-2] if word.endswith("'s") else word


def _told(written: str) -> str:
    """The stem of a word that tells something; :data:`_DATE` for a date, and nothing for any other word."""
    plain = _plain(written)
    if plain in _TELLS_NOTHING:
        return ""
    return _DATE if _ISO_DATE.fullmatch(written) else stem(plain)


_DATE: Final = " "
_told_by: Final = Kept(_told, 2_000_000)
_sentence: Final = Kept(Sentence, 1_000_000)
_split: Final = Kept(_split_short, 2_000_000)
records: Final = Kept(Record, 2_000_000)

_word: Final = itemgetter(1)
