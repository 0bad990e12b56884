"""Two statements of one form: which says the opposite of the other one or its new value, and which stands beside it."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple

from ..text.kept import Kept, kept_calls
from .opposites import EVENTS, STATES, UNTIL, WHERE, denied_by
from .relations import CHANGES, ONE_AT_A_TIME, STOP
from .signs import differ_in_signs
from .statements import Statement
from .stems import stem

_MOST_BEHIND: Final = 2
"""Words that one of two opposite statements may have behind its state: "occupied by Mr. Kern"."""

_OF_CHANGES: Final = STOP | CHANGES
_NO_STATE: Final = frozenset[int]()
_MANY: Final = re.compile(
    r"\W*(?:(?:which|what) (?!does|was|has|hours|times|news|series|species)(?-i:[a-zà-ÿ]\w*[^\Wsui]s)|quel(?:le)?s"
    r"|cuáles)\b",
    re.IGNORECASE,
)
_SOMEWHERE: Final = re.compile(
    r"\b(?:is|are|was|were|ist|sind|est|sont|está|están) (?:now |currently |jetzt )?"
    r"(?:at|in|on|under|behind|near|with|by|inside|outside|above|below|im|am|auf|unter|bei|beim|hinter|neben|à|au|dans|sur"
    r"|chez|sous|en|sobre|bajo)\b",
    re.IGNORECASE,
)
_asks_for_many: Final = kept_calls(lambda text: bool(_MANY.match(text)), 1_024)
"""Whether a question asks for things of which there are several: "which tools"."""


class _Opposes(NamedTuple):
    """What a word may be the opposite of: the lists of states that it is in, and the stems of what it denies."""

    states: frozenset[int]
    denied: frozenset[str]


_NOTHING: Final = _Opposes(frozenset(), frozenset())
_opposes: Final = Kept(
    lambda word: _Opposes(STATES.get(word, _NO_STATE), frozenset(map(stem, denied_by(word)))), 1_000_000
)


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
    opposites = _opposites(newer, older)
    return opposites is not None and _is_of_the_same(newer, older, opposites, asked)


def stands_beside(newer: Statement, older: Statement, question: Statement) -> bool:
    """Whether the newer statement says something beside the older one: of another day ("open on Monday", "closed on
    Sunday"), of another event ("born", "promoted"), or another one of the things that the question asks for."""
    if not (older.set & EVENTS) <= newer.set:
        return True
    of_changes = newer.set & CHANGES
    if newer.changes and not (of_changes and of_changes <= STATES.keys()):
        return False  # "closed" alone tells no change
    if _asks_for_many(question.text):
        return True
    if not older.times or not newer.times or not older.times.isdisjoint(newer.times):
        return False
    if not older.times.isdisjoint(question.times) or _opposites(newer, older):
        return True
    other, own = older.stems - newer.stems - older.times, newer.stems - older.stems - newer.times
    return bool(other and own) and "date" not in question.relations


def swaps(newer: Statement, older: Statement) -> bool:
    """Whether the newer statement has one other word in the same place, and says that this has changed, or tells a
    relation of which there is one: "works as a nurse", "works as a teacher"."""
    own, other = newer.set - older.set - _OF_CHANGES, older.set - newer.set - STOP
    if len(own) != 1 or len(other) != 1:
        return False
    [new], [old] = own, other
    return newer.places[new] == older.places[old] and (
        newer.changes or bool(older.relations & newer.relations & ONE_AT_A_TIME)
    )


def are_somewhere(newer: Statement, older: Statement, question: Statement) -> bool:
    """Whether both statements answer the question where something is."""
    return not question.set.isdisjoint(WHERE) and all(_SOMEWHERE.search(each.text) for each in (newer, older))


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
    others = older.set - newer.set
    with_opposites = [old for old in others if _opposes[old] != _NOTHING]
    for new in newer.set - older.set:
        of_new = _opposes[new]
        for old in with_opposites if of_new == _NOTHING else others:
            of_old = _opposes[old]
            if not of_new.states.isdisjoint(of_old.states):
                # "The red button", "the green button": two buttons.
                return None if newer.is_before(new, older.stems) and older.is_before(old, newer.stems) else (new, old)
            if stem(old) in of_new.denied or stem(new) in of_old.denied:
                return new, old
    return None


def _is_of_the_same(newer: Statement, older: Statement, opposites: tuple[str, str], asked: Collection[str]) -> bool:
    """Whether two statements with opposites are about the same thing: apart from these, one of them has no word more
    than the other, or a few behind its state, which are not asked about."""
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
