"""Where words begin and end, for the keyword search: what the engine's tokenizer does not know.

The tokenizer takes every run of letters and digits for one word. That is right where words are written apart.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from itertools import pairwise
from typing import Final

PIECE: Final = 16_384
"""Characters that are tokenized in one go: 1 to 3 ms."""

LONGEST_WORD: Final = 1_024
"""Characters. Nobody looks for a longer word, and the stemmer takes a time that grows with it."""

# Scripts written without blanks between words: Thai, Lao, Myanmar, Khmer, Tibetan, kana, bopomofo and Han.
_UNSPACED: Final = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3038-\u303b"
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_RUN: Final = re.compile(f"[{_UNSPACED}]+")
_LONG_WORD: Final = re.compile(rf"(?<![^\W_])[^\W_]{{{LONGEST_WORD + 1},}}")
_IN_RUN: Final = re.compile(f"[{_UNSPACED}]")
# Every one of these ends a word: blanks, ASCII that is no letter or digit, and characters that are words by themselves.
_BOUNDARY: Final = re.compile(rf"[\x00-/:-@\[-`{{-\x7f\s{_UNSPACED}]")


def pieces_of(text: str) -> list[str]:
    """A text as pieces of bounded length, which together have the words of the whole.

    Where a cut falls between two characters that make a pair, both pieces have the first of them.
    """
    if len(text) <= PIECE:
        return [text]
    pieces = []
    start = 0
    while start < len(text):
        end = _end_of_piece(text, start)
        following = end
        if end < len(text) and _IN_RUN.match(text, end - 1) and _IN_RUN.match(text, end):
            following = end - 1
            if not _IN_RUN.match(text, end - 2):
                end -= 1  # by itself it would be a word of one character
        pieces.append(text[start:end])
        start = following
    return pieces


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
    # A part of one word. PIECE is a multiple of LONGEST_WORD, so its parts are those that it has in a query.
    return end


def for_document(text: str, *, singly: bool) -> str:
    """A text for the tokenizer, so that it finds the words in it.

    Args:
        text: a document or a piece of one.
        singly: each character of scripts without blanks is a word too, which finds words of one character.
    """
    return _prepared(text, _pairs_and_characters if singly else _pairs)


def for_document_by_characters(text: str) -> str:
    """The same, each character of scripts without blanks being a word, and no pairs: far fewer different words."""
    return _prepared(text, lambda match: f" {' '.join(match[0])} ")


def for_query(text: str) -> str:
    """A query for the tokenizer, to match texts prepared by :func:`for_document`."""
    return _prepared(text, _pairs_and_whole)


def _prepared(text: str, of_run: Callable[[re.Match[str]], str]) -> str:
    if len(text) > LONGEST_WORD:
        text = _LONG_WORD.sub(_in_parts, text)
    if text.isascii():
        return text
    if not unicodedata.is_normalized("NFC", text):
        # An accent that is a character of its own would end a word.
        text = unicodedata.normalize("NFC", text)
    return _RUN.sub(of_run, text)


def _in_parts(match: re.Match[str]) -> str:
    word = match[0]
    return " ".join(word[start : start + LONGEST_WORD] for start in range(0, len(word), LONGEST_WORD))


def _pairs(match: re.Match[str]) -> str:
    run = match[0]
    pairs = map("".join, pairwise(run)) if len(run) > 1 else run
    return f" {' '.join(pairs)} "


def _pairs_and_characters(match: re.Match[str]) -> str:
    return f"{_pairs(match)}{' '.join(match[0])} " if len(match[0]) > 1 else _pairs(match)


def _pairs_and_whole(match: re.Match[str]) -> str:
    # Entries written by 0.1 have a run as one word.
    return f"{_pairs(match)}{match[0]} " if 2 < len(match[0]) <= 64 else _pairs(match)
