"""When a newer statement takes the place of an older one, for a question.

A statement takes the place of one that has the same words and says the opposite: without "not", with another sign, or
with another state ("free", "occupied"). Otherwise, two statements are taken as two values of one thing if

- both are about the subject of the question: a name in it, or the one whose memory it is;
- both are about its relation: they have its words, or words of the same relation (:mod:`.relations`); or the newer one
  says that something has changed, or names the older value; or the two differ in a name or a number only;
- the newer one does not name another thing where the older one has the thing that is asked about: "the large pizza";
  and no other person of the same first name or surname;
- or the newer one says that the older value is over, with or without the subject;
- the newer one says what is, and not what was or what somebody wants (:mod:`.no_news`);
- and neither says that it stands beside the other ("also").
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Final

from .aligned import names_another, says_another_value
from .asked import Asked
from .asked_values import lacks_what_is_asked
from .ended_values import is_ended
from .no_news import is_no_news
from .other_subjects import is_of_a_namesake, is_of_another_person
from .other_things import is_of_another_thing
from .relations import ONE_AT_A_TIME
from .same_relation import say_two_values
from .statements import Statement
from .turning import is_about_a_part, stands_beside, turns

_DID: Final = re.compile(r"\W*(?:\w+ ){0,4}did\b", re.IGNORECASE)
"""A question for what happened."""


def replaces(asked: Asked, older: Statement, newer: Statement) -> bool:
    """Whether the newer statement takes the place of the older one, for this question."""
    if newer.text == older.text or newer.adds:
        return False
    is_turned = turns(newer, older, asked.stems)
    if older.stems == newer.stems and not is_turned:
        return False
    subject = asked.subject_of(older, newer)
    if is_of_another_person(asked, older, newer, subject or set()) or is_of_a_namesake(asked, older, newer):
        return False
    of_end = is_ended(asked, older, newer)
    if of_end is False and not is_turned:
        return False
    if of_end and _is_news(asked, older, newer):
        return True
    if subject is None:
        # Found by other words than those of the question.
        return bool(says_another_value(newer, older, asked.stems)) and _is_news(asked, older, newer)
    if is_turned:
        return True
    is_other_value = says_another_value(newer, older, asked.stems)
    if is_other_value is None:
        # In this order: most pairs say no two values, and then nothing else is looked at.
        return say_two_values(asked, older, newer, subject) and not (
            is_of_another_thing(newer, older, asked.whole, subject)
            or is_about_a_part(newer, older, subject, asked.stems)
            or _stands_by_itself(asked, older, newer, subject)
        )
    return is_other_value and not _stands_by_itself(asked, older, newer, subject)


def _is_news(asked: Asked, older: Statement, newer: Statement) -> bool:
    return not (_DID.match(asked.text) or is_no_news(newer, older, asked.whole, ()))


def _stands_by_itself(asked: Asked, older: Statement, newer: Statement, subject: Set[str]) -> bool:
    """Whether the newer statement says what stands beside the older one, or what is no news."""
    if stands_beside(newer, older, asked.whole) or is_no_news(newer, older, asked.whole, subject):
        return True
    is_one_at_a_time = not (older.relations & newer.relations).isdisjoint(ONE_AT_A_TIME)
    if _DID.match(asked.text) and ("again" in newer.set or not (newer.changes or is_one_at_a_time)):
        return True  # what happened once stays
    return lacks_what_is_asked(newer, older, asked.whole) or names_another(newer, older, asked.stems)
