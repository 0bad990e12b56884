"""Of entries that say the same of the same subject with another value, the newest comes first.

"Anna lives in Rome", and later "Anna moved to Paris": asked where Anna lives, the later one goes to the place of the
earlier one. Nothing is left out, and an entry that no newer one contradicts keeps its place among the others.

There is no model in it: :mod:`.replacing` compares the words of two statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from operator import attrgetter
from typing import Final

from .asked import Asked
from .found import Found
from .long_texts import LONGEST
from .looks import look_at
from .marks import ALL_MARKS
from .replacing import replaces
from .same_relation import MOST_MORE, MOST_MORE_OF_A_CHANGE, is_short
from .statements import together

MOST_COMPARED: Final = 40
"""The best entries that are compared with each other."""

_MOST_LONG_COMPARED: Final = 16
"""The best entries among which long ones are compared: a prompt has room for fewer, and it takes most of a recall's
time to find what they say."""

MOST_BEFORE: Final = 3
"""If more newer entries go before one entry, only short statements do: the others share a topic, not a value."""

LONG: Final = 1_500
"""Characters. Two texts that are both longer are not compared: each tells of many things, and the newer one seldom
takes the place of the whole older one."""

_MOST_OF_VALUES: Final = 4
"""Words in which two statements differ that are one sentence with two values; they may have no word of the question."""

_SAME_TIME: Final = timedelta(seconds=1)
_created_at: Final = attrgetter("entry.created_at")


def newest_first(found: Sequence[Found], query: str) -> list[Found]:
    """The entries, each that a newer one contradicts behind that one.

    Args:
        found: the entries, best first.
        query: what was asked.
    """
    compared = found[:MOST_COMPARED]
    times = list(map(_created_at, compared))
    if not times or max(times) - min(times) < _SAME_TIME:
        return list(found)  # none is newer than another one
    asked = Asked(query)
    told_in: list[list[str]] = []
    is_long, marks, told, own, ends, most = [], [], [], [], [], []
    for at, each in enumerate(compared):
        text = each.entry.content
        if len(text) <= LONGEST:
            parts = [text]
            of_all, beside, about_itself, changes, may_end = look_at[text]
        else:
            parts = asked.told_in(text) if at < _MOST_LONG_COMPARED else []
            of_all, beside, about_itself, changes, may_end = 0, 0, False, False, False
            for part in parts:
                look = look_at[part]
                of_all |= look.marks
                beside |= look.told_marks
                about_itself = about_itself or look.is_about_itself
                changes = changes or look.changes
                may_end = may_end or look.may_end
        told_in.append(parts)
        is_long.append(len(text) > LONG)
        marks.append(of_all)
        told.append(beside & ~asked.marks)
        own.append(about_itself)
        ends.append(may_end)
        most.append(MOST_MORE_OF_A_CHANGE if changes else MOST_MORE)
    order: list[int] = []
    placed: set[int] = set()
    rows = list(zip(range(len(compared)), times, map(ALL_MARKS.__xor__, marks), strict=True))
    for at in range(len(compared)):
        if at in placed:
            continue
        newer: list[int] = []
        soonest, subject, beside = times[at] + _SAME_TIME, marks[at] & asked.subject_marks, told[at]
        values = marks[at] & ~asked.marks
        # Too much beside, or nothing of the question in common: replaces() says no, too, in ten times the time. That
        # no frame is entered here for each pair, or each entry, is a fifth of a recall's time.
        for later, time, missing in rows[at + 1 :]:
            if time < soonest or (beside & missing).bit_count() > most[later]:
                continue
            if later in placed or (is_long[at] and is_long[later]):
                continue
            is_of_one = subject & marks[later] or (own[at] and own[later])
            is_near = is_of_one or (ends[later] and values & marks[later])
            if not is_near and (marks[at] ^ marks[later]).bit_count() > _MOST_OF_VALUES:
                continue
            if (told[later] & rows[at][2]).bit_count() > most[later]:
                continue
            if replaces(asked, together(told_in[at]), together(told_in[later])):
                newer.append(later)
        if len(newer) > MOST_BEFORE:
            newer = [later for later in newer if is_short(asked, together(told_in[at]), together(told_in[later]))]
        if 0 < len(newer) <= MOST_BEFORE:
            # What takes the place of one of them: it may name only that value ("left Paris for Oslo").
            for one in newer:
                soonest, own_words = times[one] + _SAME_TIME, marks[one] & ~marks[at]
                for later, time, _ in rows[at + 1 :]:
                    if time < soonest or not own_words & marks[later] or later in placed or later in newer:
                        continue
                    if replaces(asked, together(told_in[one]), together(told_in[later])):
                        newer.append(later)
        if newer:
            newer.sort(key=times.__getitem__, reverse=True)
            order += newer
            placed.update(newer)
        order.append(at)
        placed.add(at)
    return [*map(compared.__getitem__, order), *found[MOST_COMPARED:]]
