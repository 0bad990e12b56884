"""Entries that say the same take one place of a recall: the newest stands for all of them.

Short texts say the same if they have the same words and signs (:mod:`.said_alike`). One other word, number or sign
makes another fact ("room 12", "room 14"; "C#", "C++"; "-18", "18"; "✅", "❌"). Punctuation and Markdown do not count,
apart from the question mark, as a question is no statement, and from the signs inside of an address, a path or a code.

Long texts, such as daily reports, say the same if nearly all their sentences are equal apart from numbers, and if what
differs is small and is not asked about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from heapq import nsmallest
from operator import attrgetter
from typing import Final
from zlib import crc32

from ..text.kept import Kept, kept_calls
from .found import Found
from .said_alike import ending_of, key_of
from .signs import OF_NUMBERS, WORD_OR_SIGN
from .words import with_zeros

REPORT: Final = 700
"""Characters. A shorter text that differs in one word or number is another fact."""

LONG_REPORT: Final = 2_500
"""Characters. A shorter report that differs in a word, not only in numbers and dates, is another report."""

MOST_OTHER: Final = 0.05
"""The part of a long text, in characters, that may be in sentences with other words."""

MOST_OTHER_WORDS: Final = 0.02
"""How many other words one of two long texts may have, as a part of its words; numbers and dates do not count."""

_MOST_LENGTHS: Final = 1.1
_content: Final = attrgetter("entry.content")
_ONE_SENTENCE: Final = 120
_LONG_SENTENCE: Final = 400
"""Characters of a sentence, on average. A text of longer ones is compared by its words."""
_MARKS: Final = 8
_LETTERS: Final = 6
"""Characters of a word, with the blank."""
_FEW: Final = 1_000
_CALENDAR_NAMES: Final = """
    january february march april may june july august september october november december jan feb mar apr jun jul aug
    sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun am pm
    januar februar märz mai juni juli oktober dezember montag dienstag mittwoch donnerstag freitag samstag sonntag
    janvier février mars avril juin juillet août septembre octobre novembre décembre lundi mardi mercredi jeudi vendredi
    samedi dimanche enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre lunes
    martes miércoles jueves viernes sábado domingo
"""
_CALENDAR: Final = frozenset(_CALENDAR_NAMES.split())


def each_once(found: Sequence[Found], query: str = "") -> list[Found]:
    """The entries, each thing once, in their order.

    Args:
        found: the entries, best first.
        query: what was asked. Long texts that differ in one of its words are kept apart.

    Returns:
        Of entries that say the same: the newest, at the place and with the score of the best, with their number and
        the time of the oldest.
    """
    if len(found) < 2:
        return list(found)
    asked: frozenset[str] | None = None
    groups: dict[str | int, list[Found]] = {}
    reports = _Reports()
    for each, key in zip(found, _keys(found), strict=True):
        text = each.entry.content
        key = reports.repeats.get(text, key)
        if key in groups:
            groups[key].append(each)
            continue
        if len(text) > REPORT:
            marks = _marks[text] if len(text) <= _MOST_KEPT else _marks_of(text)
            report = None
            for one in reports.alike(marks):
                if asked is None:
                    asked = frozenset(word for word in _words(query) if len(word) > 3 or word.isdigit())
                report = report or _report_of(text)
                if one.says(report, asked):
                    reports.repeats[text] = one.text
                    groups[one.text].append(each)
                    break
            else:
                reports.add(text, marks)
                groups[key] = [each]
            continue
        groups[key] = [each]
    if len(groups) == len(found):
        return list(found)
    return [members[0] if len(members) == 1 else _together(members) for members in groups.values()]


def _keys(found: Sequence[Found]) -> list[str | int]:
    """What says whether two texts are the same: a number of the words and signs of a short one, else the text."""
    texts = list(map(_content, found))
    of_ending = Counter([_endings[text] for text in texts if len(text) <= REPORT])
    # A text with an ending that no other one has is no repetition.
    return [_numbers[text] if len(text) <= REPORT and of_ending[_endings[text]] > 1 else text for text in texts]


def _together(members: Sequence[Found]) -> Found:
    """Entries that say the same, best first, as one."""
    newest = max(members, key=lambda each: each.entry.created_at)
    return members[0]._replace(
        entry=newest.entry,
        times=sum(each.times for each in members),
        since=min(each.since or each.entry.created_at for each in members),
    )


class _Reports:
    """Long texts that say different things, by their marks.

    Attributes:
        repeats: of each text that says the same as an earlier one, that one.
    """

    def __init__(self) -> None:
        self.repeats: dict[str, str] = {}
        self._reports: list[tuple[str, tuple[int, ...]]] = []
        self._known: set[int] = set()
        self._made: dict[str, _Report] = {}

    def add(self, text: str, marks: tuple[int, ...]) -> None:
        self._reports.append((text, marks))
        self._known.update(marks)

    def alike(self, marks: tuple[int, ...]) -> Iterator[_Report]:
        """Those that have one of these marks. Most texts have no mark of another one."""
        if self._known.isdisjoint(marks):
            return
        for text in dict.fromkeys(text for mark in marks for text, own in self._reports if mark in own):
            if text not in self._made:
                self._made[text] = _report_of(text)
            yield self._made[text]


class _Report:
    """A long text, and the set of its sentences with every digit as a zero."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.shapes = _shapes(text)

    @cached_property
    def sentences(self) -> frozenset[str]:
        return frozenset(_sentences(self.text))

    def says(self, other: _Report, asked: frozenset[str]) -> bool:
        """Whether the two say the same."""
        shorter, longer = sorted((len(self.text), len(other.text)))
        if longer > shorter * _MOST_LENGTHS or not self._nearly(other):
            return False
        differing = self._words_beside(other) ^ other._words_beside(self)
        if differing & asked:
            return False
        telling = sum(1 for word in differing if not _is_of_a_number(word))
        return telling <= (MOST_OTHER_WORDS * shorter / _LETTERS if shorter >= LONG_REPORT else 0)

    def _nearly(self, other: _Report) -> bool:
        """Whether most of each text is in sentences of the other."""
        least = max(MOST_OTHER * len(self.text), _ONE_SENTENCE)
        return all(sum(map(len, alone)) <= least for alone in (self.shapes - other.shapes, other.shapes - self.shapes))

    def _words_beside(self, other: _Report) -> set[str]:
        """The words of the sentences that the other has not."""
        return set(_words(" ".join(self.sentences - other.sentences)))


def _shapes(text: str) -> frozenset[str]:
    return frozenset(_sentences(with_zeros(text)))


def _marks_of(text: str) -> tuple[int, ...]:
    """The numbers of a few sentences. Texts that say the same have at least one of them in common."""
    # Not hash(), which differs from process to process: what a crew is given must not.
    numbers = {crc32(shape.encode("utf-8", "surrogatepass")) for shape in _shapes(text)}
    # nsmallest() is slower, but lets other threads run meanwhile.
    return tuple(sorted(numbers)[:_MARKS] if len(numbers) <= _FEW else nsmallest(_MARKS, numbers))


def _report_of(text: str) -> _Report:
    return _kept_report(text) if len(text) <= _MOST_KEPT else _Report(text)


_MOST_KEPT: Final = 4_000
_kept_report = kept_calls(_Report, 1_024)
_marks: Final = Kept(_marks_of, 10_000_000)

_numbers: Final = Kept(key_of, 4_000_000)
_endings: Final = Kept(ending_of, 4_000_000)


def _sentences(text: str) -> list[str]:
    # Not a regular expression: sixty texts of 20 kB are split in 2 ms.
    parts = text.replace("\n", ". ").split(". ")
    return parts if len(parts) * _LONG_SENTENCE > len(text) else text.split()


def _is_of_a_number(word: str) -> bool:
    return word[0].isdigit() or word in OF_NUMBERS or word in _CALENDAR


def _words(text: str) -> list[str]:
    return WORD_OR_SIGN.findall(text.lower())
