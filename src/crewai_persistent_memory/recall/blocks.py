"""Where long texts have the words of a query, and their passages there. The rest of them is not split."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from ..text.passages import Passage, passages_of
from .words import QueryWords

OWN: Final = 0.2
"""The part of an entry's worth that a passage has without any word of the query."""

_BLOCK: Final = 700
_MOST_SCANNED: Final = 1_500_000
"""Characters that are looked through for words: 1 ms for 250,000. Of the texts after that, the beginning."""

_MOST_SPLIT: Final = 30_000
"""Characters that are split into passages: 1 ms for 30,000."""

_LEAST_AROUND: Final = 400
_SPLIT_WHOLE: Final = 1_500
"""Characters. Of a longer text, what is around the best blocks is split."""


class Blocks:
    """Parts of texts of equal length, and which words of the query each has."""

    def __init__(self, words: QueryWords) -> None:
        self._words = words
        self._left = _MOST_SCANNED
        self._found: list[tuple[int, int, list[int]]] = []
        self._holding = [0] * len(words)
        self._rarity: list[float] = []
        self.taken = 0

    def scan(self, number: int, text: str) -> None:
        length = min(len(text), max(self._left, 2 * _BLOCK))
        self._left -= length
        for start in range(0, length, _BLOCK):
            found = self._words.roughly_in(text[start : start + _BLOCK])
            for word in found:
                self._holding[word] += 1
            self._found.append((number, start, found))

    def best(self, worths: Sequence[float]) -> dict[int, list[int]]:
        """Where the best blocks begin, by the numbers of their texts."""
        count = len(self._found)
        self._rarity = [math.log(1 + (count - held + 0.5) / (held + 0.5)) if held else 0.0 for held in self._holding]
        ranked = sorted(
            (
                (-worths[number] * (OWN * (start == 0) + (1 - OWN) * self.match(found)), number, start)
                for number, start, found in self._found
                if found or start == 0
            )
        )
        places: dict[int, list[int]] = {}
        for _, number, start in ranked[: _MOST_SPLIT // (_BLOCK + 2 * _LEAST_AROUND)]:
            places.setdefault(number, []).append(start)
            self.taken += 1
        return places

    def split(self, text: str, places: Sequence[int], budget: int) -> Sequence[Passage]:
        """The passages of a text around the best blocks; of a short one, all."""
        if len(text) <= _SPLIT_WHOLE:
            return _kept_passages(text)
        around = min(budget, max(_LEAST_AROUND, _MOST_SPLIT // (2 * self.taken)))
        return list(_split(text, places, around))

    def match(self, found: Sequence[int]) -> float:
        """How well these words match the query, 0…1: by how rare they are."""
        total = sum(self._rarity)
        return sum(self._rarity[word] for word in found) / total if total else 0.0


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
        for passage in passages_of(text[start:end]):
            yield Passage(start + passage.start, start + passage.end)


_kept_passages = lru_cache(maxsize=4_096)(passages_of)
"""Of a text that is split whole: crews are given the same memories again and again."""


def _at_a_boundary(text: str, at: int) -> int:
    """The end of the line, the sentence or the word before a place; the place itself if there is none near it."""
    if at in (0, len(text)):
        return at
    for mark in ("\n", ". ", " "):
        found = text.rfind(mark, at - _LEAST_AROUND // 2, at)
        if found >= 0:
            return found + len(mark)
    return at
