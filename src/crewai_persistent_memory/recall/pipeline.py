"""What an agent is given of the entries that a search found: the stages, in their order.

Every stage takes a list and returns a list. :data:`parts` switches stages off, for measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import filterfalse, islice, repeat
from operator import attrgetter, contains
from typing import Final, NamedTuple

from ..entry import MemoryEntry
from ..text.passages import is_one_passage
from .blocks import OWN
from .budget import AFTER_MOST, Candidate, fitted
from .duplicates import each_once
from .empty import RESULT, last_what_is_empty
from .found import Found
from .frames import Frame
from .quotes import behind_their_sources
from .told_again import last_what_is_told_again
from .what_holds import newest_first
from .words import asked_by

FETCHED: Final = 48
"""Entries that a recall asks the store for, at least: for the stages to choose from. A fact is among them behind 20
unanswered questions and 20 reports that have its words; each entry costs about 40 µs."""

CROWDED: Final = 10 * FETCHED
"""Entries that it asks for if hardly any of those states something: a crew that runs for months may have asked the same
thing more often than :data:`FETCHED` without an answer."""

_LEAST_WORTH: Final = 1e-6
_content: Final = attrgetter("entry.content")
_entry, _score, _repeats = attrgetter("entry"), attrgetter("score"), attrgetter("repeats")
_EMPTY: Final = OWN / 4
"""The worth of an entry that states nothing: less than that of a passage without any word of the query."""


@dataclass(frozen=True)
class Parts:
    """Which stages are on.

    Attributes:
        each_once: entries that say the same take one place, and an answer that quotes others gives its place to them.
        empty_last: what states nothing goes behind.
        newest_first: of what says the same of the same subject with another value, the newest comes first.
        passages: of a long text its best passages are shown; without it, a text is shown whole or not at all.
        dates: an agent is told when each memory was said.
        question: a crew searches for the question inside its task, and not for the whole description.
    """

    each_once: bool = True
    empty_last: bool = True
    newest_first: bool = True
    passages: bool = True
    dates: bool = True
    question: bool = True


ALL: Final = Parts()

parts: Final[ContextVar[Parts]] = ContextVar("crewai_persistent_memory_recall_parts", default=ALL)
"""The stages of the current context. Only measurements change it."""


class Given(NamedTuple):
    """What is given of one entry.

    Attributes:
        found: the entry, its score, and how often it was said.
        text: what is shown of it; the whole content, or passages of it, with the date where the agent is told it.
    """

    found: Found
    text: str


@dataclass(frozen=True)
class Bounds:
    """How much is given.

    Attributes:
        budget: the largest sum of what is shown, in characters; ``None`` for whole texts without a bound.
        limit: the largest number of entries; ``None`` for as many as the budget takes.
        dated: each text begins with the date.
        around: for entries, the number of characters that are shown around the text of each; ``None`` for none.
    """

    budget: int | None
    limit: int | None
    dated: bool = False
    around: Callable[[Sequence[MemoryEntry]], list[int]] | None = None


def ordered(
    entries: Sequence[MemoryEntry], query: str, min_score: float = 0.0, frames: Sequence[Frame] = ()
) -> list[Found]:
    """The entries that a search found, in the order in which they matter to an agent.

    Args:
        entries: what a search without a least score found, best first.
        query: what was asked.
        min_score: entries with a lower score are left out. One that says what holds now stays, with its own score,
            before the older entry whose place it takes: else that would be given as if it still held.
        frames: the templates of the current run's tasks, whose own text states nothing.
    """
    on, query = parts.get(), asked_by(query)
    found = []
    for entry in entries:
        found.append(Found(entry, entry.score or 0.0))
    if on.each_once:
        found = behind_their_sources(_with_repeats(each_once(found, query), found))
    if on.empty_last:
        found = last_what_is_empty(found, query, frames)
        if any(map(contains, map(_content, found), repeat(RESULT))):
            found = last_what_is_told_again(found)
    # A question that nobody answered says no newer value.
    stated = len(found)
    while stated and found[stated - 1].is_empty:
        stated -= 1
    if min_score > 0:
        return _above(min_score, found[:stated], query) + [each for each in found[stated:] if each.score >= min_score]
    if not on.newest_first:
        return found
    return newest_first(found[:stated], query) + found[stated:]


def _above(min_score: float, stated: Sequence[Found], query: str) -> list[Found]:
    """The entries that reach a score, each with the newer ones that take its place."""
    enough = [each for each in stated if each.score >= min_score]
    if not enough or not parts.get().newest_first:
        return enough
    below = [each for each in stated if each.score < min_score]
    in_order = newest_first([*enough, *below], query)
    # Of those below, the ones that take no place of one above have stayed behind all of these.
    while in_order[-1].score < min_score:
        in_order.pop()
    return in_order


def _with_repeats(once: list[Found], found: Sequence[Found]) -> list[Found]:
    """The entries, each once, and the long ones that say only nearly the same, at the places of their scores."""
    if len(once) == len(found):
        return once
    kept = {each.entry.content for each in once}
    repeats = [
        each._replace(repeats=True)
        for each in found
        if not is_one_passage(each.entry.content) and each.entry.content not in kept
    ]
    if not repeats:
        return once
    # A reranker's order is not that of the scores.
    places: dict[float, int] = {}
    for at, each in enumerate(found):
        places.setdefault(each.score, at)
    return sorted([*once, *repeats], key=lambda each: places[each.score])


def states_less_than(limit: int, found: Sequence[Found]) -> bool:
    """Whether fewer of these entries than the limit state something of their own."""
    stating = 0
    for each in found:
        stating += not (each.is_empty or each.repeats)
    return stating < limit


def given(found: Sequence[Found], query: str, bounds: Bounds) -> list[Given]:
    """What is shown of the entries, in their order, within the bounds."""
    if bounds.budget is None or bounds.limit is not None:
        found = list(islice(filterfalse(_repeats, found), bounds.limit))
    dates = list(map(date_of, found)) if bounds.dated and parts.get().dates else [""] * len(found)
    if bounds.budget is None:
        return [Given(each, date + each.entry.content) for each, date in zip(found, dates, strict=True)]
    # The order says what matters: the stages change it, and not the scores.
    worths = sorted(map(_score, found), reverse=True)
    around = [0] * len(found) if bounds.around is None else bounds.around(list(map(_entry, found)))
    candidates = []
    for each, date, worth, beside in zip(found, dates, worths, around, strict=True):
        worth *= _EMPTY if each.is_empty else AFTER_MOST if each.repeats else 1.0
        candidates.append(Candidate(each.entry.content, max(worth, _LEAST_WORTH), len(date) + beside))
    # A caller that says how many memories it wants has each of them whole, where all of them fit.
    all_fit = bounds.limit is not None and sum([len(text) + lead for text, _, lead in candidates]) <= bounds.budget
    texts = fitted(candidates, query, bounds.budget, by_passage=parts.get().passages and not all_fit)
    shown = []
    for each, date, text in zip(found, dates, texts, strict=True):
        if text is not None:
            shown.append(Given(each, date + text))
    return shown


def date_of(found: Found) -> str:
    """When an entry was created, how often it was said, and since when; as the beginning of the text that is shown."""
    created = found.entry.created_at.isoformat()[:10]
    if found.times < 2:
        return f"[{created}] "
    since = "" if found.since is None else f" since {found.since.isoformat()[:10]}"
    return f"[{created}, {found.times} times{since}] "
