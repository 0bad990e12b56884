"""Split a text into passages: the parts of it that can be found, and shown, by themselves.

The splitter is ``semantic-text-splitter``: it splits at headings and blank lines first, then at sentences, then at
words. A short text is one passage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from .words import UNSPACED

SHORTEST: Final = 300
LONGEST: Final = 700
"""Characters of a passage. The splitter fills a passage until its length is between the two, where the text allows."""

LONGEST_UNSPACED: Final = 250
"""The same of a script without blanks, in which as many characters say three times as much."""

_WINDOW: Final = 4_000
"""Characters that the splitter gets at once: up to 10 ms of work, during which it holds the interpreter's lock. A
paragraph takes it quadratic time."""

_UNBROKEN: Final = re.compile(r"\S{1000,}")
"""A run without a blank: Base64, or a text in a script without blanks. The splitter takes long over it."""

_ENDS: Final = tuple(re.compile(f".*[{mark}]", re.DOTALL) for mark in (".!?。！？｡।", r"\W_", UNSPACED))
"""Where a run is cut: after a sentence, else after a character that is no letter or digit, else after one of a script
without blanks."""


_IN_UNSPACED: Final = re.compile(f"[{UNSPACED}]")


class Passage(NamedTuple):
    """A part of a text: ``text[start:end]``."""

    start: int
    end: int


def is_one_passage(text: str) -> bool:
    """Whether :func:`passages_of` returns the text whole."""
    return len(text) <= LONGEST


def passages_of(text: str) -> list[Passage]:
    """The passages of a text, in its order.

    Together they hold every character that is not blank. None is longer than :data:`LONGEST` characters. A text
    without any character but blanks has none.
    """
    if is_one_passage(text):
        return [Passage(0, len(text))] if text.strip() else []
    return list(_passages(text))


def _passages(text: str) -> Iterator[Passage]:
    splitter = _splitter()
    for start, end in _windows(text):
        if _UNBROKEN.search(text, start, end):
            yield from _cut(text, start, end)
        else:
            for offset, chunk in splitter.chunk_indices(text[start:end]):
                yield Passage(start + offset, start + offset + len(chunk))


def _windows(text: str) -> Iterator[tuple[int, int]]:
    """The text in parts for the splitter: no call takes long, for it holds the interpreter's lock."""
    start, end = 0, len(text)
    while end - start > _WINDOW:
        middle, most = start + _WINDOW // 2, start + _WINDOW
        # The cut is after the mark, in the second half of the window.
        cuts = ((text.rfind(mark, middle, most), len(mark)) for mark in ("\n\n", "\n", ". ", " "))
        cut = next((at + length for at, length in cuts if at >= 0), most)
        yield start, cut
        start = cut
    if start < end:
        yield start, end


def _cut(text: str, start: int, end: int) -> Iterator[Passage]:
    """A part of a text with hardly a blank, in passages."""
    longest = LONGEST_UNSPACED if _IN_UNSPACED.match(text, (start + end) // 2) else LONGEST
    while end - start > longest:
        middle, most = start + longest // 2, start + longest
        found = (mark.match(text, middle, most) for mark in _ENDS)
        cut = next((match.end() for match in found if match is not None), most)
        yield Passage(start, cut)
        start = cut
    if start < end:
        yield Passage(start, end)


@lru_cache(maxsize=1)
def _splitter() -> Any:
    from semantic_text_splitter import MarkdownSplitter

    return MarkdownSplitter((SHORTEST, LONGEST))
