"""The one form of a text that is indexed and looked for. What is stored is the text itself.

It is Unicode's NFKC ("ﬁ" is "fi", full width and half width are one, an accent is part of its letter) without what is
not seen: soft hyphens, joiners, marks of direction and variation. So words are found however they were typed, pasted or
set. A zero-width space may stand within a word or between two, so both readings are indexed. Marks that a language
writes at will go too: Arabic and Hebrew vowel points, the Arabic tatweel, and accents that Unicode has no letter for
(the stress in "за́мок"). Letter case is the tokenizer's business.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

PIECE: Final = 4_096
"""Characters that are brought into the form in one go, with the interpreter's lock held."""

# Unicode's Default_Ignorable_Code_Point, but for the Hangul fillers, which stand for a blank.
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
# What no character before it changes or absorbs, and what nearly every text has.
_BEGINS: Final = re.compile("[\x00-\x7f\u1100-\u115f\u2e80-\u3098\u309b-\ud7af\uf900-\ufaff]")


def normal_form(text: str) -> str:
    """``text`` as it is indexed, and looked for."""
    if text.isascii():
        return text
    form = _normal(text) if len(text) <= PIECE else _by_pieces(text)
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
    # First what is not seen, for it may stand between a letter and its accent.
    text = _HIDDEN.sub("", text)
    if not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text)
    return _REMOVED.sub("", text)


def _safe_end(text: str, start: int) -> int:
    """Where a piece ends: before a character that is no part of the one before it, if there is one."""
    end = start + PIECE
    if end >= len(text):
        return len(text)
    found = _BEGINS.search(text[start + 1 : end + 1][::-1])
    return end - found.start() if found is not None else end
