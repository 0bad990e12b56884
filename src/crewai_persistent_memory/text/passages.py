"""Split a text into passages: the parts of it that can be found, and shown, by themselves.

The splitter is ``semantic-text-splitter``: it splits at headings and blank lines first, then at sentences, then at
words. A short text is one passage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

SHORTEST: Final = 300
LONGEST: Final = 700
"""Characters of a passage. The splitter fills a passage until its length is between the two, where the text allows."""

_WINDOW: Final = 100_000
"""Characters that the splitter gets at once: 3 ms of work, during which it holds the interpreter's lock."""

_UNBROKEN: Final = re.compile(r"\S{2000,}")
"""A run without a blank, such as Base64. The splitter takes quadratic time over it (16 s for 1 MB)."""


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
    for start, end, unbroken in _parts(text):
        if unbroken:
            yield from (Passage(at, min(at + LONGEST, end)) for at in range(start, end, LONGEST))
        else:
            for offset, chunk in splitter.chunk_indices(text[start:end]):
                yield Passage(start + offset, start + offset + len(chunk))


def _parts(text: str) -> Iterator[tuple[int, int, bool]]:
    """The text as parts for the splitter, and between them the runs without a blank."""
    start = 0
    for run in _UNBROKEN.finditer(text):
        yield from _windows(text, start, run.start())
        yield run.start(), run.end(), True
        start = run.end()
    yield from _windows(text, start, len(text))


def _windows(text: str, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    while end - start > _WINDOW:
        # At a blank line, where there is one in the second half of the window.
        cut = text.rfind("\n\n", start + _WINDOW // 2, start + _WINDOW) + 2
        cut = cut if cut > 1 else text.rfind(" ", start + _WINDOW // 2, start + _WINDOW) + 1
        cut = cut if cut > 0 else start + _WINDOW
        yield start, cut, False
        start = cut
    if start < end:
        yield start, end, False


@lru_cache(maxsize=1)
def _splitter() -> Any:
    from semantic_text_splitter import MarkdownSplitter

    return MarkdownSplitter((SHORTEST, LONGEST))
