"""The best passages of the best entries, and what stands around them, in at most so many characters.

A short text is shown whole or not at all. Of a long one, the passages are shown that have the words of the query, and
the passages beside them; ``[…]`` stands for what is left out. If a text has none of the words (it was found by its
meaning), its beginning is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from operator import attrgetter
from typing import Final, NamedTuple

from ..text.passages import LONGEST, Passage
from .blocks import OWN, Blocks
from .words import QueryWords

OMISSION: Final = "[…]"

BESIDE: Final = 0.6
"""The worth of a passage beside a chosen one, as a part of the worth of that one."""

MOST_OF_ONE: Final = 0.5
"""The part of the budget after which other entries go before more passages of one."""

AFTER_MOST: Final = 0.1
"""The worth of these passages, as a part of what it would be."""

LEAST_CUT: Final = 80
"""Characters. A passage is not cut to fewer."""

MOST_NEW: Final = 0.1
"""The part of a passage, in characters, that may be new in one that is left out because another text has said it."""

_ENDS: Final = ("! ", "? ", "\n")
_DIGITS: Final = str.maketrans("123456789", "000000000")


class Candidate(NamedTuple):
    """A text that may be shown.

    Attributes:
        text: the text.
        worth: more than 0; how much it matters, compared with the others.
        around: the number of characters that are shown with it.
    """

    text: str
    worth: float
    around: int = 0


_text: Final = attrgetter("text")


def fitted(candidates: Sequence[Candidate], query: str, budget: int, *, by_passage: bool = True) -> list[str | None]:
    """What is shown of each text; ``None`` for nothing.

    Args:
        candidates: the texts, best first.
        query: what is asked.
        budget: the largest sum of the lengths of all shown texts, and of what is shown with them.
        by_passage: show passages of long texts; otherwise texts are shown whole as long as the best one fits.
    """
    if not by_passage or max(map(len, map(_text, candidates)), default=0) <= LONGEST:
        whole = _whole(candidates, budget)
        if whole is not None:
            return whole
    texts = [_Shown(each) for each in candidates]
    words = QueryWords(query)
    queue = _of_passages(texts, words, budget)
    heapify(queue)
    said = _Said(words)
    left = budget
    waiting: set[tuple[int, int]] = set()
    while queue and left > 0:
        worth, at, number = heappop(queue)
        shown = texts[at]
        if shown.length > MOST_OF_ONE * budget and (at, number) not in waiting:
            waiting.add((at, number))
            heappush(queue, (worth * AFTER_MOST, at, number))
            continue
        price = shown.price_with(number)
        if price is None:
            continue
        if price > left:
            if left == budget and left - shown.candidate.around >= LEAST_CUT:
                shown.cut(number, left - shown.candidate.around)
                break
            continue
        telling = shown.telling[number]
        if len(shown.passages) > 1 and said.before(at, shown.passage(number), telling=telling):
            continue
        left -= price
        shown.choose(number)
        said.note(at, shown.passage(number), telling=telling)
        for beside in (number - 1, number + 1):
            if 0 <= beside < len(shown.passages) and not shown.is_chosen(beside):
                heappush(queue, (worth * BESIDE, at, beside))
    return [each.text for each in texts]


def _whole(candidates: Sequence[Candidate], budget: int) -> list[str | None] | None:
    """The texts as they are, best first, as far as they fit; ``None`` if not even the first does."""
    shown: list[str | None] = []
    for each in candidates:
        price = len(each.text) + each.around
        if price > budget and not shown:
            return None
        shown.append(each.text if price <= budget else None)
        budget -= price if price <= budget else 0
    return shown


@dataclass
class _Shown:
    """A text, and what is chosen of it."""

    candidate: Candidate
    passages: Sequence[Passage] = ()
    telling: list[bool] = field(default_factory=list)
    """Of each passage, whether it has a word of the query."""
    chosen: list[int] = field(default_factory=list)
    length: int = 0
    text: str | None = None

    def __post_init__(self) -> None:
        if len(self.candidate.text) <= LONGEST:
            self.passages = (Passage(0, len(self.candidate.text)),)

    def is_chosen(self, number: int) -> bool:
        return number in self.chosen

    def passage(self, number: int) -> str:
        start, end = self.passages[number]
        return self.candidate.text[start:end]

    def price_with(self, number: int) -> int | None:
        """The number of characters that one more passage costs; ``None`` if it is chosen."""
        if number in self.chosen:
            return None
        length = sum(map(len, self._parts(sorted([*self.chosen, number]))))
        return length - self.length + (0 if self.chosen else self.candidate.around)

    def choose(self, number: int) -> None:
        self.chosen = sorted([*self.chosen, number])
        self.text = "".join(self._parts(self.chosen))
        self.length = len(self.text)

    def cut(self, number: int, room: int) -> None:
        """Show the beginning of one passage alone."""
        whole, passage = self.candidate.text, self.passages[number]
        before = f"{OMISSION} " if _says(whole, 0, passage.start) else ""
        end = passage.start + room - len(before) - len(OMISSION) - 1
        blank = whole.rfind(" ", passage.start + (end - passage.start) // 2, end)
        self.text = f"{before}{whole[passage.start : end if blank < 0 else blank]} {OMISSION}"

    def _parts(self, chosen: Sequence[int]) -> Iterator[str]:
        whole, end = self.candidate.text, 0
        for number in chosen:
            passage = self.passages[number]
            if _says(whole, end, passage.start):
                yield f" {OMISSION} " if end else f"{OMISSION} "
            elif end:
                gap = whole[end : passage.start]
                yield gap if len(gap) <= 2 else "\n\n" if "\n" in gap else " "
            elif len(self.passages) == 1:
                yield whole[: passage.start]
            yield whole[passage.start : passage.end]
            end = passage.end
        if _says(whole, end, len(whole)):
            yield f" {OMISSION}"


def _says(text: str, start: int, end: int) -> bool:
    """Whether there is more than blanks in a part of a text."""
    return end - start > 1_000 or bool(text[start:end].strip())


def _of_passages(texts: Sequence[_Shown], words: QueryWords, budget: int) -> list[tuple[float, int, int]]:
    """Split the long texts where they have the words of the query.

    Returns:
        Every passage, as its negative worth, the number of its text, and its number in it.
    """
    blocks = Blocks(words)
    for at, shown in enumerate(texts):
        blocks.scan(at, shown.candidate.text)
    for at, places in blocks.best([each.candidate.worth for each in texts]).items():
        if not texts[at].passages:
            text = texts[at].candidate.text
            texts[at].passages = blocks.split(text, places, budget)
    queue: list[tuple[float, int, int]] = []
    for at, shown in enumerate(texts):
        whole, worth = shown.candidate.text, shown.candidate.worth
        for number, (start, end) in enumerate(shown.passages):
            found = words.found_in(whole[start:end])
            shown.telling.append(bool(found))
            match = blocks.match(found)
            if match or number == 0:
                queue.append((-worth * (OWN + (1 - OWN) * match), at, number))
    return queue


class _Said:
    """The sentences that are shown, so that reports of one form do not repeat each other.

    A sentence with words of the query is compared as it is, any other without its numbers.
    """

    def __init__(self, words: QueryWords) -> None:
        self._words = words
        self._by: dict[str, int] = {}

    def before(self, number: int, passage: str, *, telling: bool) -> bool:
        """Whether another text has shown nearly all of this passage, and everything in it that is asked about.

        Args:
            number: of the text.
            passage: of it.
            telling: the passage has a word of the query.
        """
        if not self._by:
            return False
        new = 0
        for length, key, is_asked in self._keys(passage, telling):
            if self._by.get(key, number) == number:
                new += length
                if is_asked or new > MOST_NEW * len(passage):
                    return False
        return True

    def note(self, number: int, passage: str, *, telling: bool) -> None:
        for _, key, _ in self._keys(passage, telling):
            self._by.setdefault(key, number)

    def _keys(self, passage: str, telling: bool) -> Iterator[tuple[int, str, bool]]:
        for mark in _ENDS:  # not a regular expression, which takes ten times as long
            passage = passage.replace(mark, ". ")
        for sentence in passage.split(". "):
            if sentence:
                is_asked = telling and bool(self._words.found_in(sentence))
                yield len(sentence), sentence if is_asked else sentence.translate(_DIGITS), is_asked
