"""What tells of most pairs of texts, without looking further, that they are not about one thing."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Final, NamedTuple

from ..text.kept import Kept
from .change_phrases import tells_a_change
from .end_phrases import WORDS
from .marks import (
    ALL_MARKS,
    CHANGES_ALONE,
    LETTERS,
    MARKS,
    OF_AN_END,
    OF_ONESELF,
    OPENS_A_CHANGE,
    WORD,
    bits_of_written,
    mark_of_written,
    plain_of,
)
from .statements import Statement, names_among


class Look(NamedTuple):
    """What tells of most texts, without looking further, that they are not about one thing.

    Attributes:
        marks, told_marks, is_about_itself, changes: see :class:`Statement`.
        may_end: whether it may tell that something is over.
    """

    marks: int
    told_marks: int
    is_about_itself: bool
    changes: bool
    may_end: bool


def _look_at(text: str) -> Look:
    written = WORD.findall(text)
    if not LETTERS.isdisjoint(written):
        whole = Statement(text)
        return Look(
            whole.marks, whole.told_marks, whole.is_about_itself, whole.changes, not WORDS.isdisjoint(whole.set)
        )
    bits = reduce(or_, map(bits_of_written.__getitem__, written), 0)
    flags = bits >> 2 * MARKS
    changes = bool(flags & CHANGES_ALONE) or (bool(flags & OPENS_A_CHANGE) and tells_a_change(text))
    return Look(bits & ALL_MARKS, bits >> MARKS & ALL_MARKS, bool(flags & OF_ONESELF), changes, bool(flags & OF_AN_END))


look_at: Final = Kept(_look_at, 10_000_000)
"""The look of a short text."""


def marks_in(text: str) -> int:
    """:attr:`Look.marks` of a text, in a third of the time."""
    written = WORD.findall(text)
    if not LETTERS.isdisjoint(written):
        return look_at[text].marks
    return reduce(or_, map(mark_of_written.__getitem__, written), 0)


def names_in(question: str) -> set[str]:
    """:attr:`Statement.names` of a question, without its first word, which begins with a capital letter in any case."""
    first, *others = WORD.findall(question) or [""]
    return set(names_among(others)) - {plain_of[first]}
