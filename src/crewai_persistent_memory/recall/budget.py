"""The best passages of the best entries, and what stands around them, in at most so many characters.

A short text is shown whole or not at all. Of a long one, the passages are shown that have the words of the query, and
the passages beside them; ``[…]`` stands for what is left out. If a text has none of the words (it was found by its
meaning), its beginning is shown.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from operator import attrgetter
from typing import Final, NamedTuple

from ..text.passages import LONGEST, Passage
from .blocks import OWN, Blocks, Indexed, Sentence, indexed, sentences_in
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
        if number in shown.chosen:
            continue
        more = shown.length_of(number)
        price = more if shown.chosen else more + shown.candidate.around
        if price > left:
            if left == budget and left - shown.candidate.around >= LEAST_CUT:
                shown.cut(number, left - shown.candidate.around)
                break
            continue
        if len(shown.passages) > 1 and said.before(at, shown, number):
            continue
        left -= price
        shown.choose(number, more)
        said.note(at, shown, number)
        for beside in (number - 1, number + 1):
            if 0 <= beside < len(shown.passages) and beside not in shown.chosen:
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


class _Shown:
    """A text, and what is chosen of it.

    Attributes:
        candidate: the text.
        passages: of it.
        known: the same with its words, if it is short.
        found: of each passage, the numbers of the query's words that it has.
        chosen: the numbers of the passages that are shown, in their order.
        length: the number of characters that are shown.
    """

    __slots__ = ("_cut", "_joins", "candidate", "chosen", "found", "known", "length", "passages")

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self.known: Indexed | None = indexed(candidate.text)
        self._joins: dict[tuple[int | None, int | None], str] = {} if self.known is None else self.known.joins
        self.passages: Sequence[Passage] = ()
        self.found: list[list[int]] = []
        self.chosen: list[int] = []
        self.length = 0
        self._cut: str | None = None

    @property
    def text(self) -> str | None:
        """What is shown; ``None`` for nothing."""
        return "".join(self._parts()) if self.chosen else self._cut

    def sentences(self, number: int) -> Iterable[Sentence]:
        """The sentences of a passage."""
        if self.known is not None:
            return self.known.sentences(number)
        start, end = self.passages[number]
        return sentences_in(self.candidate.text[start:end])

    def length_of(self, number: int) -> int:
        """The number of characters that one more passage adds to what is shown."""
        start, end = self.passages[number]
        if len(self.passages) == 1 and end - start == len(self.candidate.text):
            return end - start
        before = after = None
        if self.chosen:
            at = bisect(self.chosen, number)
            before = self.chosen[at - 1] if at else None
            after = self.chosen[at] if at < len(self.chosen) else None
        around = len(self._join(before, number)) + len(self._join(number, after))
        return around + end - start - (len(self._join(before, after)) if self.chosen else 0)

    def choose(self, number: int, length: int) -> None:
        insort(self.chosen, number)
        self.length += length

    def cut(self, number: int, room: int) -> None:
        """Show the beginning of one passage alone."""
        whole, passage = self.candidate.text, self.passages[number]
        before = f"{OMISSION} " if _says(whole, 0, passage.start) else ""
        end = passage.start + room - len(before) - len(OMISSION) - 1
        blank = whole.rfind(" ", passage.start + (end - passage.start) // 2, end)
        self._cut = f"{before}{whole[passage.start : end if blank < 0 else blank]} {OMISSION}"

    def _parts(self) -> Iterator[str]:
        before = None
        for number in self.chosen:
            start, end = self.passages[number]
            yield self._join(before, number)
            yield self.candidate.text[start:end]
            before = number
        yield self._join(before, None)

    def _join(self, before: int | None, after: int | None) -> str:
        """What is shown between the passages with these numbers, before the first one, and after the last one."""
        if before is not None and after is not None and after - before > 1:
            return f" {OMISSION} "  # a passage between them says something
        shown = self._joins.get((before, after))
        if shown is None:
            shown = self._joins[before, after] = self._between(
                None if before is None else self.passages[before], None if after is None else self.passages[after]
            )
        return shown

    def _between(self, before: Passage | None, after: Passage | None) -> str:
        whole = self.candidate.text
        if after is None:
            return f" {OMISSION}" if before is not None and _says(whole, before.end, len(whole)) else ""
        if before is None:
            if _says(whole, 0, after.start):
                return f"{OMISSION} "
            return whole[: after.start] if len(self.passages) == 1 else ""
        if _says(whole, before.end, after.start):
            return f" {OMISSION} "
        gap = whole[before.end : after.start]
        return gap if len(gap) <= 2 else "\n\n" if "\n" in gap else " "


def _says(text: str, start: int, end: int) -> bool:
    """Whether there is more than blanks in a part of a text."""
    return end - start > 1_000 or bool(text[start:end].strip())


def _of_passages(texts: Sequence[_Shown], words: QueryWords, budget: int) -> list[tuple[float, int, int]]:
    """Split the long texts where they have the words of the query.

    Returns:
        Every passage, as its negative worth, the number of its text, and its number in it.
    """
    blocks = Blocks(words, [len(each.candidate.text) for each in texts])
    for at, shown in enumerate(texts):
        text, known = shown.candidate.text, shown.known
        last = blocks.scan(at, text, known)
        if len(text) <= LONGEST:
            shown.passages = (Passage(0, len(text)),)
            shown.found.append(last if text.isascii() else words.found_in(text))
    blocks.weigh()
    to_split = {at: shown.candidate.worth for at, shown in enumerate(texts) if not shown.passages}
    if to_split:
        for at, places in blocks.best(to_split, budget).items():
            shown = texts[at]
            if shown.known is None:
                shown.passages = blocks.split(shown.candidate.text, places, budget)
            else:
                shown.passages = shown.known.passages
    queue: list[tuple[float, int, int]] = []
    for at, shown in enumerate(texts):
        if shown.passages and not shown.found:
            if shown.known is not None:
                shown.found = list(map(words.in_index, shown.known.indexes))
            else:
                whole = shown.candidate.text
                shown.found = [words.found_in(whole[start:end]) for start, end in shown.passages]
        worth = shown.candidate.worth
        for number, found in enumerate(shown.found):
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
        self._noted: list[tuple[int, _Shown, int]] = []

    def before(self, at: int, text: _Shown, number: int) -> bool:
        """Whether another text has shown nearly all of a passage, and everything in it that is asked about.

        Args:
            at: the number of the text.
            text: the text.
            number: of the passage.
        """
        for shown_in, shown, shown_number in self._noted:
            for key, _ in self._keys(shown, shown_number):
                self._by.setdefault(key, shown_in)
        self._noted.clear()
        if not self._by:
            return False
        new = 0
        start, end = text.passages[number]
        most = MOST_NEW * (end - start)
        for key, is_asked in self._keys(text, number):
            if self._by.get(key, at) == at:
                new += len(key)
                if is_asked or new > most:
                    return False
        return True

    def note(self, at: int, text: _Shown, number: int) -> None:
        # If all texts are short, nobody asks for the sentences.
        self._noted.append((at, text, number))

    def _keys(self, text: _Shown, number: int) -> Iterator[tuple[str, bool]]:
        """What each sentence is compared by, and whether it has words of the query."""
        terms = [self._words.terms[each] for each in text.found[number]]
        for sentence in text.sentences(number):
            is_asked = False
            for term in terms:
                if term in sentence.words:
                    is_asked = True
                    break
            yield sentence.text if is_asked else sentence.shape, is_asked
