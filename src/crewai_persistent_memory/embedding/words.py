"""Where words begin and end, for the keyword search: what the engine's tokenizer does not know.

The tokenizer takes every run of letters and digits for one word. That is right where words are written apart.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

PIECE: Final = 16_384
"""Characters that are tokenized in one go: 1 to 3 ms."""

LONGEST_WORD: Final = 1_024
"""Characters. Nobody looks for a longer word, and the stemmer takes a time that grows with it."""

# Scripts written without blanks between words. Of those with an alphabet (Thai, Lao, Tibetan, Myanmar, Khmer) three
# characters say about as much as two of the others (kana, bopomofo, Han).
_LETTERS: Final = "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"
_CHARACTERS: Final = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    "\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_UNSPACED: Final = _LETTERS + _CHARACTERS
_RUN: Final = re.compile(f"(?P<letters>[{_LETTERS}]+)|[{_CHARACTERS}]+")
_GROUPED: Final = {"letters": 3, None: 2}
"""How many characters of a run make a term."""
# Hebrew to Sinhala, and Hangul: written with blanks, but a Latin word gets endings and articles without one.
_SPACED: Final = "\u0590-\u0dff\u1100-\u11ff\uac00-\ud7af"
_LATIN_BESIDE: Final = re.compile(f"(?<=[A-Za-z0-9])(?=[{_SPACED}])|(?<=[{_SPACED}])(?=[A-Za-z0-9])")
_LONG_WORD: Final = re.compile(rf"(?<![^\W_])[^\W_]{{{LONGEST_WORD + 1},}}")
# Every one of these ends a word: blanks, ASCII that is no letter or digit, and characters that are words by themselves.
_BOUNDARY: Final = re.compile(rf"[\x00-/:-@\[-`{{-\x7f\s{_UNSPACED}]")


def pieces_of(text: str) -> list[str]:
    """A text as pieces of bounded length, which together have the words of the whole.

    A cut inside a run of a script without blanks repeats its last characters in the next piece: each group of
    characters is in one of the two.
    """
    if len(text) <= PIECE:
        return [text]
    pieces = []
    start = 0
    while start < len(text):
        end, repeated = _within_run(text, _end_of_piece(text, start))
        pieces.append(text[start:end])
        start = end - repeated
    return pieces


def _within_run(text: str, end: int) -> tuple[int, int]:
    """Where a piece ends that would end at ``end``, and how many of its characters the next one repeats."""
    last = _RUN.match(text, end - 1)
    if last is None or last.end() <= end:
        return end, 0  # not within a run
    size = _GROUPED[last.lastgroup]
    for length in range(2, size + 1):
        longer = _RUN.match(text, end - length)
        if longer is None or longer.end() <= end:
            return end - length + 1, 0  # the run begins here, with less than a term
    return end, size - 1


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


def for_document(text: str, *, with_shorter: bool) -> str:
    """A text for the tokenizer, so that it finds the words in it.

    Args:
        text: a document or a piece of one.
        with_shorter: of scripts without blanks, groups of one character less are terms too, for short words.
    """
    return _prepared(text, _terms_and_shorter if with_shorter else _terms)


def for_document_by_characters(text: str) -> str:
    """The same with the characters of scripts without blanks as terms: far fewer different ones."""
    return _prepared(text, lambda run: f" {' '.join(run[0])} ")


def for_query(text: str) -> str:
    """A query for the tokenizer, to match texts prepared by :func:`for_document`."""
    return _prepared(text, _terms_and_whole)


def _prepared(text: str, of_run: Callable[[re.Match[str]], str]) -> str:
    if not text.isascii():
        if not unicodedata.is_normalized("NFC", text):
            # An accent that is a character of its own would end a word.
            text = unicodedata.normalize("NFC", text)
        text = _RUN.sub(of_run, _LATIN_BESIDE.sub(" ", text))
    return _LONG_WORD.sub(_in_parts, text) if len(text) > LONGEST_WORD else text


def _in_parts(match: re.Match[str]) -> str:
    word = match[0]
    return " ".join(word[start : start + LONGEST_WORD] for start in range(0, len(word), LONGEST_WORD))


def _groups(run: str, size: int) -> str:
    return " ".join(run[start : start + size] for start in range(len(run) - size + 1)) if len(run) > size else run


def _terms(run: re.Match[str]) -> str:
    return f" {_groups(run[0], _GROUPED[run.lastgroup])} "


def _terms_and_shorter(run: re.Match[str]) -> str:
    size = _GROUPED[run.lastgroup]
    shorter = _groups(run[0], size - 1) if len(run[0]) >= size else ""
    return f"{_terms(run)}{shorter} "


def _terms_and_whole(run: re.Match[str]) -> str:
    # Entries written by 0.1 have a run as one word.
    whole = run[0] if _GROUPED[run.lastgroup] < len(run[0]) <= 64 else ""
    return f"{_terms(run)}{whole} "
