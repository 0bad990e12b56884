"""An answer that quotes memory is not a new memory: it gives its place to the entry that it quotes.

A crew that answers from its memory has its request and its answer saved, as every crew has. The answer then says what
an earlier entry says, with a newer date, and with the words of a question. Of a record whose request only asks, and
whose every statement stands in earlier entries that were found too, a recall shows these entries in its place.
In doubt an answer is a memory of its own: nothing is deleted, and a search gives it always.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import Final

from .empty import RESULT, asks, sentences_of
from .found import Found
from .kept import Kept
from .phrases import NEGATION, OF_ANSWERS, OFFERS
from .relations import SELF, STOP
from .statements import marks_of, stem

LONGEST: Final = 4_000
"""Characters. A longer record is a memory of its own. Of a longer source, the sentences with the answer's words."""

SAYS_THE_SAME: Final = 0.7
"""The part of a quoted sentence, in words, that the answer and its request have: then the record adds nothing. With a
smaller part it is shown behind its source."""

_NEAR: Final = 0.5
"""The part of an answer's words in a statement that speaks of the same thing."""
_NONE: Final = 0
"""The bits of an entry that may have any word: none is missing."""
_MOST_TEXT: Final = 100_000
_MOST_PLACES: Final = 20
_MOST_SENTENCE: Final = 1_000

_WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+(?:[-'’][^\W_]+)*")
_TELLS_NOTHING: Final = STOP | OF_ANSWERS
_ISO_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def behind_their_sources(found: Sequence[Found]) -> list[Found]:
    """The entries, without the records that only quote others of them.

    Args:
        found: the entries, best first.

    Returns:
        The quoted entries stand at the place of the best record that quotes them. A record that has only a part of what
        it quotes stands directly behind its source.
    """
    sources: dict[int, _Quote] = {}
    records = []
    for at, each in enumerate(found):
        if RESULT in each.entry.content and len(each.entry.content) <= LONGEST:
            records.append(at)
    if not records:
        return list(found)
    missing = [~_marks[text] if len(text := each.entry.content) <= LONGEST else _NONE for each in found]
    times = [each.entry.created_at for each in found]
    by_time = sorted(range(len(found)), key=times.__getitem__)
    in_order = [times[number] for number in by_time]
    for at in sorted(records, key=times.__getitem__):
        earlier = by_time[: bisect_left(in_order, times[at])]
        if not _may_quote(found, at, earlier, missing):
            continue
        if (quote := _quote(found, at, earlier, missing, sources)) is not None:
            sources[at] = sources[quote.source] if quote.source in sources and quote.says_the_same else quote
    if not sources:
        return list(found)
    followers: dict[int, list[int]] = {}
    order: dict[int, None] = {}
    for at in range(len(found)):
        while at in sources:
            if not sources[at].says_the_same and at not in followers.setdefault(sources[at].source, []):
                followers[sources[at].source].append(at)
            at = sources[at].source
        order.setdefault(at)
    return [found[at] for first in order for at in _with_followers(first, followers)]


@dataclass(frozen=True)
class _Quote:
    source: int
    says_the_same: bool


def _with_followers(at: int, followers: dict[int, list[int]]) -> Iterator[int]:
    yield at
    for follower in followers.get(at, ()):
        yield from _with_followers(follower, followers)


def _may_quote(found: Sequence[Found], at: int, earlier: Sequence[int], missing: Sequence[int]) -> bool:
    """Whether each statement of a record may stand in an entry. Of most records, the first one does not."""
    statements = _answers[found[at].entry.content]
    for bits, longest in statements:
        for number in earlier:
            if missing[number] == _NONE:
                if longest and longest in _lowered(found[number].entry.content[:_MOST_TEXT]):
                    break
            elif (bits & missing[number]).bit_count() <= 1:
                break
        else:
            return False
    return bool(statements)


def _quote(
    found: Sequence[Found], at: int, earlier: Sequence[int], missing: Sequence[int], known: Collection[int]
) -> _Quote | None:
    """Which entry a record quotes, if it states nothing else.

    Args:
        found: the entries.
        at: the number of the record.
        earlier: the numbers of the entries that were said before, oldest first.
        missing: of each entry, a bit for each word that it has not.
        known: the numbers of earlier records that quote.
    """
    record = _record(found[at].entry.content)
    if record is None:
        return None
    quoted: list[_Quote] = []
    for statement in record.answered:
        # The name of the one who speaks may be missing.
        bits = statement.marks
        may_have = [number for number in earlier if (bits & missing[number]).bit_count() <= 1]
        quote = next(
            (
                _Quote(number, statement.covers(sentence, record.asked))
                for number in may_have
                for sentence in _sentences_with(found[number].entry.content, statement)
                if statement.stands_in(sentence, record.asked, f"{found[number].entry.created_at:%Y-%m-%d}")
            ),
            None,
        )
        if quote is None or _is_told_otherwise(found, statement, quote.source, at, record.asked, known):
            return None
        quoted.append(quote)
    if not all(any(told in found[number].entry.content for number in earlier) for told in record.told):
        return None
    return _Quote(quoted[0].source, all(quote.says_the_same for quote in quoted))


def _is_told_otherwise(
    found: Sequence[Found],
    statement: _Sentence,
    source: int,
    record: int,
    asked: frozenset[str],
    known: Collection[int],
) -> bool:
    """Whether something else was said of the same thing after the source. The answer is news then."""
    since, until = found[source].entry.created_at, found[record].entry.created_at
    return any(
        len(statement.words & sentence.words) >= _NEAR * len(statement.words)
        for number, each in enumerate(found)
        if number not in known and since < each.entry.created_at < until and len(each.entry.content) <= LONGEST
        for sentence in _parsed(each.entry.content)
        if not statement.stands_in(sentence, asked) and not sentence.asks
    )


class _Sentence:
    """The words of a sentence that tell something, and those whose order matters."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._written = _WORD.findall(text)
        telling = [(each, word) for each in self._written if (word := _told_by[each])]
        self.dates = frozenset([each for each, word in telling if word == _DATE])
        self._telling = [pair for pair in telling if pair[1] != _DATE] if self.dates else telling
        self.words = frozenset(map(_word, self._telling))

    @cached_property
    def marks(self) -> int:
        return marks_of(self.words)

    @cached_property
    def ordered(self) -> list[str]:
        return [word for each, word in self._telling if not each.islower()]

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
        return max((each for each, _ in self._telling), key=len, default="").lower()

    def stands_in(self, other: _Sentence, asked: frozenset[str], said_on: str = "") -> bool:
        """Whether the other says all of it: its words, its names and numbers in their order, and no other "not".

        Asked about John, an answer names John where he said "I". An answer may name the day when something was said.
        """
        if not self.dates - other.dates <= {said_on}:
            return False
        missing = self.words - other.words
        if missing and not (other.is_of_oneself and missing == {self.subject} and self.subject in asked):
            return False
        if other.asks or self.negated != other.negated or self.words == missing:
            return False
        common = [word for word in self.ordered if word in other.ordered]
        rest = iter(other.ordered)
        return all(word in rest for word in common)

    def covers(self, other: _Sentence, asked: frozenset[str]) -> bool:
        """Whether it has nearly all words of the other, with those of the question."""
        return len(other.words & (self.words | asked)) >= SAYS_THE_SAME * len(other.words)


class _Record:
    """A request and an answer.

    Attributes:
        answered: the statements of the answer, at least one.
    """

    def __init__(self, request: str, answered: Sequence[_Sentence]) -> None:
        self._request = request
        self.answered = answered

    @cached_property
    def told(self) -> list[str]:
        """The sentences of the request that do not ask."""
        return [each.strip() for each in sentences_of(self._request) if not asks(each.replace("’", "'"))]

    @cached_property
    def asked(self) -> frozenset[str]:
        """The words of the request."""
        return _Sentence(self._request).words


@lru_cache(maxsize=2_048)
def _record(content: str) -> _Record | None:
    """``None`` for a record whose answer states nothing that can be compared."""
    request, _, answer = content.partition(RESULT)
    statements = []
    for text in sentences_of(answer):
        sentence = _Sentence(text)
        if sentence.asks or OFFERS.match(text):
            continue
        if sentence.words:
            statements.append(sentence)
        elif sentence.negated:
            return None
    return _Record(request, statements) if statements else None


def _sentences_with(content: str, statement: _Sentence) -> Sequence[_Sentence]:
    """The sentences of an entry that may have this statement."""
    if len(content) > LONGEST:
        return [_Sentence(text) for text in _around(content[:_MOST_TEXT], statement.longest)]
    return _parsed(content)


@lru_cache(maxsize=2_048)
def _parsed(content: str) -> tuple[_Sentence, ...]:
    return tuple(map(_Sentence, sentences_of(content.replace(RESULT, "\n"))))


def _marks_in(content: str) -> int:
    """A bit for each word of an entry that tells something."""
    words = set(map(_told_by.__getitem__, _WORD.findall(content.replace(RESULT, "\n"))))
    return marks_of(words - {"", _DATE})


def _answers_of(content: str) -> tuple[tuple[int, str], ...]:
    """Of each statement that a record answers: a bit for each of its words, and the longest of them."""
    record = _record(content)
    return () if record is None else tuple([(each.marks, each.longest) for each in record.answered])


def _around(text: str, word: str) -> Iterator[str]:
    """The sentences of a long text that have a word."""
    at, lowered = 0, _lowered(text)
    for _ in range(_MOST_PLACES):
        at = lowered.find(word, at) if word else -1
        if at < 0 or len(lowered) != len(text):
            return
        start = max(text.rfind(mark, max(0, at - _MOST_SENTENCE), at) for mark in (". ", "! ", "? ", "\n")) + 1
        ends = [end for mark in (". ", "! ", "? ", "\n") if (end := text.find(mark, at, at + _MOST_SENTENCE)) >= 0]
        end = min(ends, default=at + _MOST_SENTENCE)
        yield text[start : end + 1]
        at = end


_lowered = lru_cache(maxsize=64)(str.lower)


def _plain(word: str) -> str:
    word = word.lower().replace("’", "'")
    return word[:-2] if word.endswith("'s") else word


def _told(written: str) -> str:
    """The stem of a word that tells something; :data:`_DATE` for a date, and nothing for any other word."""
    plain = _plain(written)
    if plain in _TELLS_NOTHING:
        return ""
    return _DATE if _ISO_DATE.fullmatch(written) else stem(plain)


_DATE: Final = " "
_told_by: Final = Kept(_told, 2_000_000)
_marks: Final = Kept(_marks_in, 6_000_000)
_answers: Final = Kept(_answers_of, 2_000_000)
_word: Final = itemgetter(1)
