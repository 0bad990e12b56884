"""The sentences of a long text, as a question is compared with them."""

from __future__ import annotations

from typing import Final

from ..text.kept import Kept
from .statements import marks_in

LONGEST: Final = 400
"""Characters. Of a longer text, the sentences are compared that have the words of the question."""

_MOST_TEXT: Final = 20_000
_ENDS: Final = ("! ", "? ", "\n")


class Told:
    """The sentences of a long text.

    Attributes:
        lowered: the text in lower case.
        sentences: each, up to the characters that are compared.
        lowered_sentences: each whole, in lower case.
    """

    __slots__ = ("_marks", "lowered", "lowered_sentences", "sentences")

    def __init__(self, text: str) -> None:
        text = text[:_MOST_TEXT]
        for mark in _ENDS:  # not a regular expression, which takes ten times as long
            text = text.replace(mark, ". ")
        self.lowered = text.lower()
        self.sentences = [each[:LONGEST] for each in text.split(". ")]
        self.lowered_sentences = self.lowered.split(". ")
        self._marks: dict[int, int] = {}

    def marks(self, number: int) -> int:
        """A bit for each stem of a sentence, see :func:`.statements.marks_of`."""
        marks = self._marks.get(number)
        if marks is None:
            marks = self._marks[number] = marks_in(self.sentences[number])
        return marks


_told: Final = Kept(Told, 4_000_000)


def told_of(text: str) -> Told:
    return _told[text] if len(text) <= _MOST_TEXT else Told(text)
