"""Word boundaries for the keyword search, in the cases that the engine's tokenizer does not handle.

The tokenizer treats every run of letters and digits as one word. That is correct only for scripts with blanks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, NamedTuple

PIECE: Final = 16_384
"""Characters per step of tokenization: 1 to 3 ms."""

LONGEST_WORD: Final = 1_024
"""Characters. Nobody searches for a longer word, and the stemmer's time grows with the length."""

# Scripts without blanks between words: those with an alphabet (Thai, Lao, Tibetan, Myanmar, Khmer), and others (kana,
# bopomofo, Han). One character of the others has about the information of two letters.
_LETTERS: Final = "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"
_CHARACTERS: Final = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
UNSPACED: Final = _LETTERS + _CHARACTERS
_RUN: Final = re.compile(f"(?P<letters>[{_LETTERS}]+)|[{_CHARACTERS}]+")
_SIZES: Final = {"letters": (2, 3, 4), None: (1, 2)}
"""The lengths of the character groups that are terms."""
_MOST_GROUPED: Final = 4
# Hebrew to Sinhala, and Hangul: scripts with blanks, but endings and articles are attached to a Latin word without one.
SPACED: Final = "\u0590-\u0dff\u1100-\u11ff\uac00-\ud7af"
_LATIN_BESIDE: Final = re.compile(f"(?<=[A-Za-z0-9])(?=[{SPACED}])|(?<=[{SPACED}])(?=[A-Za-z0-9])")
_LONG_WORD: Final = re.compile(rf"(?<![^\W_])[^\W_]{{{LONGEST_WORD + 1},}}")
# Characters that end a word: blanks, ASCII other than letters and digits, and characters that are words themselves.
_BOUNDARY: Final = re.compile(rf"[\x00-/:-@\[-`{{-\x7f\s{UNSPACED}]")


class Piece(NamedTuple):
    """A part of a text.

    If the previous piece ends inside a run of a script without blanks, the first ``repeated`` characters repeat its
    end, so that no character group is lost at the boundary.
    """

    text: str
    repeated: int = 0


def pieces_of(text: str) -> list[Piece]:
    """Split a text into pieces of bounded length that together have all its words."""
    if len(text) <= PIECE:
        return [Piece(text)]
    pieces = []
    start = repeated = 0
    while start + repeated < len(text):
        end = _end_of_piece(text, start)
        pieces.append(Piece(text[start:end], repeated))
        repeated = within_run(text, end)
        start = end - repeated
    return pieces


def within_run(text: str, end: int) -> int:
    """Number of characters before ``end`` that form terms with the characters after it. 0 if no run continues there."""
    repeated = 0
    for length in range(1, _MOST_GROUPED):
        run = _RUN.match(text, end - length, end + 1)  # not all of the run: a long one is asked about at each cut
        if run is None or run.end() <= end or length >= max(_SIZES[run.lastgroup]):
            break
        repeated = length
    return repeated


def _end_of_piece(text: str, start: int) -> int:
    end = start + PIECE
    if end >= len(text):
        return len(text)
    window = text[start:end][::-1]
    found = _BOUNDARY.search(window)
    if found is not None and found.end() <= PIECE - 2:
        return end - found.start()
    for offset, character in enumerate(window[: PIECE - 2]):
        if unicodedata.category(character)[0] in "ZPSC":
            return end - offset
    # Inside one word. PIECE is a multiple of LONGEST_WORD, so the word is split at the same places as in a query.
    return end


class Grouping(Enum):
    """The character groups that are terms, in scripts without blanks."""

    ALL = "all"
    LONGEST = "longest"
    CHARACTERS = "characters"


def for_document(piece: Piece, grouping: Grouping) -> str:
    """Prepare a piece of a document for the tokenizer, so that it finds all words."""

    def terms(run: re.Match[str]) -> str:
        sizes = _SIZES[run.lastgroup]
        sizes = {Grouping.ALL: sizes, Grouping.LONGEST: sizes[-1:], Grouping.CHARACTERS: (1,)}[grouping]
        return _groups(run[0], sizes, piece.repeated if run.start() == 0 else 0)

    return _prepared(piece.text, terms)


def for_query(text: str) -> str:
    """Prepare a query for the tokenizer, to match texts prepared by :func:`for_document`."""
    return _prepared(text, _longest_groups)


def as_before(text: str) -> str:
    """A query in the form in which texts were indexed before the normal form existed."""
    return for_query(unicodedata.normalize("NFC", text))


def shorter_groups(text: str) -> list[str]:
    """The character groups of a query that are one and two characters shorter than the longest groups.

    They occur in many texts, and add little if the longer groups match.
    """
    if text.isascii():
        return []
    runs = list(_RUN.finditer(text))
    shorter: list[list[str]] = [[], []]
    for run in runs:
        longest = min(len(run[0]), _SIZES[run.lastgroup][-1])
        sizes = [size for size in reversed(_SIZES[run.lastgroup]) if size < longest]
        for texts, size in zip(shorter, sizes, strict=False):
            texts.append(_groups(run[0], [size]))
    return [" ".join(texts) for texts in shorter if texts]


def _longest_groups(run: re.Match[str]) -> str:
    size = min(len(run[0]), _SIZES[run.lastgroup][-1])
    # Version 0.1 indexed a run as one word.
    whole = run[0] if size < len(run[0]) <= 64 else ""
    return f"{_groups(run[0], [size])}{whole} "


def _prepared(text: str, of_run: Callable[[re.Match[str]], str]) -> str:
    if not text.isascii():
        text = _RUN.sub(of_run, _LATIN_BESIDE.sub(" ", text))
    return _LONG_WORD.sub(_in_parts, text) if len(text) > LONGEST_WORD else text


def _in_parts(match: re.Match[str]) -> str:
    word = match[0]
    return " ".join(word[start : start + LONGEST_WORD] for start in range(0, len(word), LONGEST_WORD))


def _groups(run: str, sizes: Sequence[int], counted: int = 0) -> str:
    """The character groups of a run, except those within its first ``counted`` characters. A run shorter than the
    shortest group is one group."""
    sizes = [size for size in sizes if size <= len(run)] or [len(run)]
    groups = [
        run[start : start + size] for size in sizes for start in range(max(0, counted - size + 1), len(run) - size + 1)
    ]
    return f" {' '.join(groups)} "
