"""The normal form of texts for indexing and search. The stored text itself is not changed.

The form is Unicode's NFKC: "ﬁ" becomes "fi", full width and half width become equal, and an accent is combined with its
letter. Invisible characters are removed: soft hyphens, joiners, marks of direction and variation. Words are thus found
in every spelling that looks the same. A zero-width space may be inside a word or between two words, so both readings
are indexed. Optional marks are removed too: Arabic and Hebrew vowel points, the Arabic tatweel, and accents without a
precomposed letter in Unicode (the stress in "за́мок"). The tokenizer handles letter case.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

PIECE: Final = 4_096
"""Characters per step of normalization, at most. A step holds the interpreter lock."""

STEP: Final = 256
"""The same where the text can be cut. Most steps of a text that has a few typographic quotes are ASCII, and need
nothing."""

# Unicode's Default_Ignorable_Code_Point, except the Hangul fillers, which stand for a blank.
_UNSEEN: Final = (
    "\u00ad\u034f\u061c\u17b4\u17b5\u180b-\u180f\u200c-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_POINTS: Final = "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc"
_ACCENTS: Final = "\u0300-\u036f"
_REMOVED: Final = re.compile(f"[{_UNSEEN}{_POINTS}{_ACCENTS}]+")
_ZERO_WIDTH_SPACE: Final = "\u200b"
_LONGEST_JOINED: Final = 64
_AROUND: Final = "[^\\s\u200b!-/:-@\\[-`{-~]+"
_PERHAPS_ONE_WORD: Final = re.compile(f"{_AROUND}(?:\u200b+{_AROUND})+")
_HIDDEN: Final = re.compile(f"[{_UNSEEN}]+")
# Characters that never combine with the character before them. Nearly every text has some. Not the jamo from U+3131 on:
# in the normal form, a vowel becomes a part of the syllable before it.
_BEGINS: Final = re.compile("[\x00-\x7f\u1100-\u115f\u2e80-\u3098\u309b-\u3130\u3190-\ud7af\uf900-\ufaff]")


def normal_form(text: str) -> str:
    """The normal form of ``text``."""
    if text.isascii():
        return text
    form = _normal(text) if len(text) <= STEP else _by_pieces(text)
    if _ZERO_WIDTH_SPACE in form:
        form = _PERHAPS_ONE_WORD.sub(_both_readings, form).replace(_ZERO_WIDTH_SPACE, " ")
    return form


def _both_readings(match: re.Match[str]) -> str:
    joined = match[0].replace(_ZERO_WIDTH_SPACE, "")
    return f"{match[0]} {joined}" if len(joined) <= _LONGEST_JOINED else match[0]


def _by_pieces(text: str) -> str:
    pieces = []
    start = 0
    while start < len(text):
        end = _safe_end(text, start)
        pieces.append(_normal(text[start:end]))
        start = end
    return "".join(pieces)


def _normal(text: str) -> str:
    if text.isascii():
        return text
    # Invisible characters go first, because one may be between a letter and its accent.
    text = _HIDDEN.sub("", text)
    if not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text)
    return _REMOVED.sub("", text)


def _safe_end(text: str, start: int) -> int:
    """The end of a piece: before a character that does not combine with the previous one, if there is one."""
    for length in (STEP, PIECE):
        end = start + length
        if end >= len(text):
            return len(text)
        found = _BEGINS.search(text[start + 1 : end + 1][::-1])
        if found is not None:
            return end - found.start()
    return end
