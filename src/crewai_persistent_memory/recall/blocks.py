"""Where long texts have the words of a query, and their passages there. The rest of them is not split."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ..text.kept import Kept
from ..text.passages import Passage, is_one_passage, passages_of
from .words import QueryWords, index_of, indexes_of, with_zeros

OWN: Final = 0.2
"""The part of an entry's worth that a passage has without any word of the query."""

_BLOCK: Final = 700
_MOST_SCANNED: Final = 1_500_000
"""Characters that are looked through for words: 1 ms for 250,000. If there are more, of the longest texts only a part
is."""

_MOST_SPLIT: Final = 30_000
"""Characters that are split into passages: 1 ms for 30,000. A large budget takes more."""

_LEAST_AROUND: Final = 400
_SPLIT_WHOLE: Final = 6_000
"""Characters. Of a longer text, what is around the best blocks is split."""

_LONGEST_WINDOW: Final = 8_000
_MOST_KEPT: Final = 8_000_000

_ENDS: Final = ("! ", "? ", "\n")


class Sentence(NamedTuple):
    """A sentence of a passage.

    Attributes:
        text: as it is written.
        shape: the same with every digit as a zero.
        words: see :func:`.words.index_of`.
    """

    text: str
    shape: str
    words: str


def sentences_in(passage: str) -> list[Sentence]:
    for mark in _ENDS:  # not a regular expression, which takes ten times as long
        passage = passage.replace(mark, ". ")
    texts = passage.split(". ")
    shapes = with_zeros(passage).split(". ")
    # One object where the two are equal: most sentences have no digit.
    shapes = [text if shape == text else shape for text, shape in zip(texts, shapes, strict=True)]
    return [each for each in map(Sentence, texts, shapes, indexes_of(texts)) if each.text]


class Indexed:
    """A text that is split whole.

    Attributes:
        blocks: of each block that is not ASCII, the text in lower case; of any other, its words.
        is_ascii: of each block.
        joins: what is shown between two neighbours among its passages, by their numbers.
    """

    __slots__ = ("_indexes", "_passages", "_sentences", "_text", "blocks", "is_ascii", "joins")

    def __init__(self, text: str) -> None:
        self._text = text
        self._passages: Sequence[Passage] | None = None
        self._indexes: Sequence[str] = ()
        self._sentences: dict[int, list[Sentence]] | None = None
        self.joins: dict[tuple[int | None, int | None], str] = {}
        parts = [text[start : start + _BLOCK] for start in range(0, len(text), _BLOCK)]
        self.is_ascii = tuple(map(str.isascii, parts))
        self.blocks = tuple([index_of(part) if part.isascii() else part.lower() for part in parts])

    @property
    def passages(self) -> Sequence[Passage]:
        """Its passages. Those of most texts are never asked for."""
        if self._passages is None:
            is_one = is_one_passage(self._text)
            self._passages = (Passage(0, len(self._text)),) if is_one else passages_of(self._text)
        return self._passages

    @property
    def indexes(self) -> Sequence[str]:
        """Of each passage, its words, see :func:`.words.index_of`."""
        if not self._indexes:
            self._indexes = tuple([index_of(self._text[start:end]) for start, end in self.passages])
        return self._indexes

    def sentences(self, number: int) -> list[Sentence]:
        """The sentences of a passage. Most passages are never asked for them."""
        if self._sentences is None:
            self._sentences = {}
        found = self._sentences.get(number)
        if found is None:
            start, end = self.passages[number]
            found = self._sentences[number] = sentences_in(self._text[start:end])
        return found


_passages: Final = Kept(lambda window: passages_of(window), 2_000_000)
_indexed: Final = Kept(Indexed, _MOST_KEPT)


def indexed(text: str) -> Indexed | None:
    """A text with its words, if it is so short that it is split whole; ``None`` for any other."""
    return _indexed[text] if len(text) <= _SPLIT_WHOLE else None


class Blocks:
    """Parts of texts of equal length, and which words of the query each has."""

    def __init__(self, words: QueryWords, lengths: Sequence[int]) -> None:
        """
        Args:
            words: of the query.
            lengths: of the texts.
        """
        self._words = words
        self._most = _most_of_each(lengths)
        self._found: list[tuple[int, int, list[int]]] = []
        self._holding = [0] * len(words)
        self._rarity: list[float] = []
        self._rarities = 0.0
        self.taken = 0

    def scan(self, number: int, text: str, known: Indexed | None) -> list[int]:
        """Look through a text, and return the numbers of the words in its last block."""
        found: list[int] = []
        for start in range(0, min(len(text), self._most), _BLOCK):
            if known is None:
                found = self._words.roughly_in(text[start : start + _BLOCK])
            elif known.is_ascii[start // _BLOCK]:
                found = self._words.in_index(known.blocks[start // _BLOCK])
            else:
                found = self._words.in_lower_case(known.blocks[start // _BLOCK])
            for word in found:
                self._holding[word] += 1
            self._found.append((number, start, found))
        return found

    def weigh(self) -> None:
        """Weigh the words, after all texts were looked through: rare ones tell more."""
        count = len(self._found)
        self._rarity = [math.log(1 + (count - held + 0.5) / (held + 0.5)) if held else 0.0 for held in self._holding]
        self._rarities = sum(self._rarity)

    def best(self, worths: Mapping[int, float], budget: int) -> dict[int, list[int]]:
        """Where the best blocks begin, by the numbers of their texts.

        Half of them are the best of all. In the other half, each text comes first that has no block yet: a log with
        the words in every line would leave nothing to the others.

        Args:
            worths: of the texts that are split, by their numbers.
            budget: the largest number of characters that are shown.
        """
        ranked = sorted(
            [
                (-worths[number] * (OWN * (start == 0) + (1 - OWN) * self.match(found)), number, start)
                for number, start, found in self._found
                if number in worths and (found or start == 0)
            ]
        )
        most = max(_MOST_SPLIT // (_BLOCK + 2 * _LEAST_AROUND), budget // _BLOCK)
        best, others = ranked[: most // 2], ranked[most // 2 :]
        with_one = {number for _, number, _ in best}
        first: list[tuple[float, int, int]] = []
        more: list[tuple[float, int, int]] = []
        for each in others:
            (more if each[1] in with_one else first).append(each)
            with_one.add(each[1])
        places: dict[int, list[int]] = {}
        for _, number, start in [*best, *first, *more][:most]:
            places.setdefault(number, []).append(start)
            self.taken += 1
        return places

    def split(self, text: str, places: Sequence[int], budget: int) -> Sequence[Passage]:
        """The passages of a text that is not split whole, around the best blocks."""
        around = min(budget, max(_LEAST_AROUND, _MOST_SPLIT // (2 * self.taken)))
        return list(_split(text, places, around))

    def match(self, found: Sequence[int]) -> float:
        """How well these words match the query, 0…1: by how rare they are."""
        if not found or not self._rarities:
            return 0.0
        return sum(map(self._rarity.__getitem__, found)) / self._rarities


def _most_of_each(lengths: Sequence[int]) -> int:
    """How many characters are looked through of each text: all of the short ones, and as many of each longer one."""
    left = _MOST_SCANNED
    for at, length in enumerate(sorted(lengths)):
        share = left // (len(lengths) - at)
        if length > share:
            return max(share, 2 * _BLOCK)
        left -= length
    return _MOST_SCANNED


def _split(text: str, places: Sequence[int], around: int) -> Iterator[Passage]:
    """The passages of a text around these places."""
    end = 0
    windows: list[tuple[int, int]] = []
    for place in sorted(places):
        start, end = max(0, place - around), min(len(text), place + _BLOCK + around)
        if windows and start <= windows[-1][1]:
            windows[-1] = (windows[-1][0], end)
        else:
            windows.append((start, end))
    for start, end in windows:
        start, end = _at_a_boundary(text, start), _at_a_boundary(text, end)
        window = text[start:end]
        for passage in _passages[window] if len(window) <= _LONGEST_WINDOW else passages_of(window):
            yield Passage(start + passage.start, start + passage.end)


def _at_a_boundary(text: str, at: int) -> int:
    """The end of the line, the sentence or the word before a place; the place itself if there is none near it."""
    if at in (0, len(text)):
        return at
    for mark in ("\n", ". ", " "):
        found = text.rfind(mark, at - _LEAST_AROUND // 2, at)
        if found >= 0:
            return found + len(mark)
    return at
