"""The sentences of a long text, as a question is compared with them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from ..text.kept import Kept
from .looks import marks_in

LONGEST: Final = 400
"""Characters. Of a longer text, the sentences are compared that have the words of the question."""

_MOST_TEXT: Final = 20_000
_ENDS: Final = ("! ", "? ", "\n")
_MARK: Final = ". "


class Told:
    """The sentences of a long text.

    Attributes:
        sentences: each, up to the characters that are compared.
    """

    __slots__ = ("_lowered", "_marks", "_starts", "sentences")

    def __init__(self, text: str) -> None:
        text = text[:_MOST_TEXT]
        for mark in _ENDS:  # not a regular expression, which takes ten times as long
            text = text.replace(mark, _MARK)
        self.sentences = [each[:LONGEST] for each in text.split(_MARK)]
        self._lowered = text.lower()
        lengths = [len(each) + len(_MARK) for each in self._lowered.split(_MARK)]
        self._starts = list(accumulate(lengths, initial=0))
        self._marks: dict[int, int] = {}

    def sentences_with(self, stems: Iterable[str]) -> list[int]:
        """The numbers of the sentences that have one of these stems, in their order. A stem is the beginning of its
        word."""
        lowered, starts = self._lowered, self._starts
        found = set()
        for stem in stems:
            at = lowered.find(stem)
            while at >= 0:
                number = bisect_right(starts, at) - 1
                found.add(number)
                at = lowered.find(stem, starts[number + 1])
        return sorted(found)

    def marks(self, number: int) -> int:
        """A bit for each stem of a sentence, see :func:`.statements.marks_of`."""
        marks = self._marks.get(number)
        if marks is None:
            marks = self._marks[number] = marks_in(self.sentences[number])
        return marks


_told: Final = Kept(Told, 4_000_000)


def told_of(text: str) -> Told:
    return _told[text] if len(text) <= _MOST_TEXT else Told(text)
