"""The words of a text in lower case, and bits that tell quickly that two texts have few words in common."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Final
from zlib import crc32

from ..text.kept import Kept
from .change_phrases import may_open
from .end_phrases import WORDS
from .phrases import NEGATION
from .relations import CHANGES, NUMBERS, RELATIONS, SELF, STOP
from .stems import stem

MARKS: Final = 512
ALL_MARKS: Final = (1 << MARKS) - 1
_MOST_WORDS: Final = 2_000_000
WORD: Final = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")
LETTERS: Final = frozenset([*"ADLMSTY", "US", "IT", "LA", "MIT", "UN"])
"""Names that are in lower case among the words of :data:`STOP`."""

OF_ONESELF: Final = 1
CHANGES_ALONE: Final = 2
OPENS_A_CHANGE: Final = 4
OF_AN_END: Final = 8
"""Flags of a word: it is "I" or "my", it tells of a change, a phrase that tells of one may begin with it, a phrase that
tells of an end may have it."""

OF_OWNERS: Final = ("'s", "’s")
"""Ends of the words for those to whom something belongs."""

OF_FORM: Final = STOP | RELATIONS.keys() | CHANGES
"""Words of relations and changes, and words that tell nothing."""


def marks_of(stems: Iterable[str]) -> int:
    """A bit for each stem. Two stems may have the same: what these have beside others is at least what their bits
    have."""
    return reduce(or_, map(_bit_of.__getitem__, stems), 0)


def _bit(stem: str) -> int:
    # Not hash(), which differs from process to process: what a crew is given must not.
    return 1 << crc32(stem.encode("utf-8", "surrogatepass")) % MARKS


def _plain(word: str) -> str:
    word = word.lower()
    return word[:-2] if word.endswith(OF_OWNERS) else NUMBERS.get(word, word)


plain_of: Final = Kept(_plain, _MOST_WORDS)
_bit_of: Final = Kept(_bit, _MOST_WORDS)
mark_of: Final = Kept(lambda word: 0 if word in STOP else _bit(stem(word)), _MOST_WORDS)
mark_of_written: Final = Kept(lambda written: mark_of[plain_of[written]], _MOST_WORDS)
# A statement may have any number of words of denial more than the one of which it says the opposite.
told_mark_of: Final = Kept(
    lambda word: 0 if word in OF_FORM or NEGATION.search(word) else _bit(stem(word)), _MOST_WORDS
)


def _bits(written: str) -> int:
    """What a word adds to the look of a text, in one number: its marks, those that it tells, and its flags."""
    word = plain_of[written]
    flags = (
        OF_ONESELF * (word in SELF)
        | CHANGES_ALONE * (word in CHANGES)
        | OPENS_A_CHANGE * may_open(written)
        | OF_AN_END * (word in WORDS)
    )
    return mark_of[word] | told_mark_of[word] << MARKS | flags << 2 * MARKS


bits_of_written: Final = Kept(_bits, _MOST_WORDS)
