"""Whether a statement says the opposite of another one, in the same words; or the same of another day."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from .opposites import STATES, UNTIL, denied_by
from .relations import CHANGES, STOP
from .signs import differ_in_signs
from .statements import Statement
from .stems import stem

_MOST_BEHIND: Final = 2
"""Words that one of two opposite statements may have behind its state: "occupied by Mr. Kern"."""


def turns(newer: Statement, older: Statement, asked: Collection[str]) -> bool:
    """Whether the newer statement has the words of the older one, and says something else.

    It says "not", has another sign or an opposite ("safe", "unsafe"; "free", "occupied"), or tells a change the other
    way round ("from Rome to Paris").

    Args:
        newer, older: the statements.
        asked: the stems of the question.
    """
    if newer.negated != older.negated:
        return newer.affirmed == older.affirmed
    if newer.stems == older.stems and (_is_changed_back(newer, older) or differ_in_signs(newer.text, older.text)):
        return True
    return bool(_opposites(newer, older)) and _is_of_the_same(newer, older, asked)


def stands_beside(newer: Statement, older: Statement, *, asks_when: bool) -> bool:
    """Whether each says something else of another day: "open on Monday", "closed on Sunday"."""
    if not older.times or not newer.times or not older.times.isdisjoint(newer.times):
        return False
    of_changes = newer.set & CHANGES
    if newer.changes and not (of_changes and of_changes <= STATES.keys()):
        return False  # "closed" alone tells no change
    if _opposites(newer, older):
        return True
    other, own = older.stems - newer.stems - older.times, newer.stems - older.stems - newer.times
    return bool(other and own) and not asks_when


def is_about_a_part(newer: Statement, older: Statement, subject: Collection[str], asked: Collection[str]) -> bool:
    """Whether the newer statement is about something of the subject, and the older one about the subject itself: "the
    museum shop is closed", "the museum is open"."""
    return any(
        whole in subject and whole in older.heads and part not in older.set and stem(part) not in asked
        for whole, part in newer.parts
    )


def _is_changed_back(newer: Statement, older: Statement) -> bool:
    return newer.changes and newer.names != older.names and sorted(newer.names) == sorted(older.names)


def _opposites(newer: Statement, older: Statement) -> tuple[str, str] | None:
    """A word of the newer statement and its opposite in the older one."""
    if not (newer.states & older.states or newer.denied & older.stems or older.denied & newer.stems):
        return None
    for new in newer.set - older.set:
        for old in older.set - newer.set:
            if not STATES.get(new, _NO_STATE).isdisjoint(STATES.get(old, _NO_STATE)):
                return new, old
            if stem(old) in map(stem, denied_by(new)) or stem(new) in map(stem, denied_by(old)):
                return new, old
    return None


_NO_STATE: frozenset[int] = frozenset()


def _is_of_the_same(newer: Statement, older: Statement, asked: Collection[str]) -> bool:
    """Whether two statements with opposites are about the same thing: apart from these, one of them has no word more
    than the other, or a few behind its state, which are not asked about."""
    opposites = _opposites(newer, older)
    assert opposites is not None
    rests = []
    for one, other, state in ((newer, older, opposites[0]), (older, newer, opposites[1])):
        of_other = {*other.stems, stem(state)}
        behind = one.words[one.words.index(state) :]
        rest = {word for word in one.set - other.set - STOP - CHANGES if stem(word) not in of_other}
        if rest and not (state not in STOP and len(rest) <= _MOST_BEHIND and rest.issubset(behind)):
            return False
        rests.append(rest)
    if all(rests) or any(stem(word) in asked for word in rests[1]):
        return False
    is_for_now = newer.changes or not newer.set.isdisjoint(UNTIL)
    return is_for_now or not any(stem(word) in newer.times for word in rests[0])
