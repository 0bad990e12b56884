"""Entries that say the same take one place of a recall: the newest stands for all of them.

Short texts say the same if they have the same words in the same order. One other word or number makes another fact
("room 12", "room 14").

Long texts, such as daily reports, say the same if nearly all their sentences are equal apart from numbers, and if what
differs is small and is not asked about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from heapq import nsmallest
from typing import Final

from .found import Found

_WORD: Final = re.compile(r"[^\W_]+")

REPORT: Final = 700
"""Characters. A shorter text that differs in one word or number is another fact."""

LONG_REPORT: Final = 2_500
"""Characters. A shorter report that differs in a word, not only in numbers and dates, is another report."""

MOST_OTHER: Final = 0.05
"""The part of a long text, in characters, that may be in sentences with other words."""

MOST_OTHER_WORDS: Final = 0.02
"""How many other words one of two long texts may have, as a part of its words; numbers and dates do not count."""

_MOST_LENGTHS: Final = 1.1
_ONE_SENTENCE: Final = 120
_LONG_SENTENCE: Final = 400
"""Characters of a sentence, on average. A text of longer ones is compared by its words."""
_MARKS: Final = 8
_LETTERS: Final = 6
"""Characters of a word, with the blank."""
_FEW: Final = 1_000
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
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
    groups: dict[str, _Group] = {}
    reports: dict[str, list[_Group]] = {}
    for each in found:
        text = each.entry.content
        key = text if len(text) > REPORT else _key(text)
        group = groups.get(key)
        if group is None and len(text) > REPORT:
            report = _kept_report(text) if len(text) <= _MOST_KEPT else _Report(text)
            if asked is None:
                asked = frozenset(word for word in _words(query) if len(word) > 3 or word.isdigit())
            alike = (one for mark in report.marks for one in reports.get(mark, ()))
            group = next((one for one in alike if one.report is not None and one.report.says(report, asked)), None)
            if group is None:
                group = _Group(report)
                for mark in report.marks:
                    reports.setdefault(mark, []).append(group)
        groups.setdefault(key, group := group or _Group())
        group.members.append(each)
    groups_in_order = dict.fromkeys(groups.values())
    if len(groups_in_order) == len(found):
        return list(found)
    return [each.members[0] if len(each.members) == 1 else each.together() for each in groups_in_order]


@dataclass(eq=False, slots=True)
class _Group:
    """Entries that say the same, best first."""

    report: _Report | None = None
    members: list[Found] = field(default_factory=list)

    def together(self) -> Found:
        best = self.members[0]
        newest = max(self.members, key=lambda each: each.entry.created_at)
        return best._replace(
            entry=newest.entry,
            times=sum(each.times for each in self.members),
            since=min(each.since or each.entry.created_at for each in self.members),
        )


class _Report:
    """A long text, and the set of its sentences with every digit as a zero."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.shapes = frozenset(_sentences(_with_zeros(text)))

    @cached_property
    def sentences(self) -> frozenset[str]:
        return frozenset(_sentences(self.text))

    @cached_property
    def marks(self) -> list[str]:
        """A few sentences. Texts that say the same have at least one of them in common."""
        # nsmallest() is slower, but lets other threads run meanwhile.
        few = len(self.shapes) <= _FEW
        return sorted(self.shapes, key=hash)[:_MARKS] if few else nsmallest(_MARKS, self.shapes, key=hash)

    def says(self, other: _Report, asked: frozenset[str]) -> bool:
        """Whether the two say the same."""
        shorter, longer = sorted((len(self.text), len(other.text)))
        if longer > shorter * _MOST_LENGTHS or not self._nearly(other):
            return False
        differing = self._words_beside(other) ^ other._words_beside(self)
        if differing & asked:
            return False
        telling = sum(1 for word in differing if not _is_of_a_date(word))
        return telling <= (MOST_OTHER_WORDS * shorter / _LETTERS if shorter >= LONG_REPORT else 0)

    def _nearly(self, other: _Report) -> bool:
        """Whether most of each text is in sentences of the other."""
        least = max(MOST_OTHER * len(self.text), _ONE_SENTENCE)
        return all(sum(map(len, alone)) <= least for alone in (self.shapes - other.shapes, other.shapes - self.shapes))

    def _words_beside(self, other: _Report) -> set[str]:
        """The words of the sentences that the other has not."""
        return set(_words(" ".join(self.sentences - other.sentences)))


_MOST_KEPT: Final = 4_000
_kept_report = lru_cache(maxsize=1_024)(_Report)
"""Of a text that is not very long: crews are given the same memories again and again."""


@lru_cache(maxsize=8_192)
def _key(text: str) -> str:
    """The words of a short text."""
    return " ".join(_words(text)) or text


def _with_zeros(text: str) -> str:
    """The text with every digit as a zero."""
    if text.isascii():
        return text.encode().translate(_DIGITS).decode()
    # Not str.translate(), which takes 70 ms for a megabyte, and keeps the interpreter's lock.
    for digit in "123456789":
        text = text.replace(digit, "0")
    return text


def _sentences(text: str) -> list[str]:
    # Not a regular expression: sixty texts of 20 kB are split in 2 ms.
    parts = text.replace("\n", ". ").split(". ")
    return parts if len(parts) * _LONG_SENTENCE > len(text) else text.split()


def _is_of_a_date(word: str) -> bool:
    return word[0].isdigit() or word in _CALENDAR


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
