"""Whether two statements say two values of what is asked, by their words: the same relation, a change, or one form."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from .asked import Asked
from .asked_values import has_another_of_the_kind, names_another_person
from .opposites import TIMES
from .other_subjects import lacks_the_thing
from .relations import BEST, COUNTED, LISTED, MANY, RELATIONS, STOP, UNITS
from .statements import Statement
from .stems import have_one, stem
from .turning import are_somewhere, swaps

MOST_MORE: Final = 5
"""Words that one of two statements may have beside those of the other, of the question and of its relation. A statement
with more tells a story, and not a value."""

MOST_MORE_OF_A_CHANGE: Final = 7
"""The same, where the newer statement says that something has changed."""

_OF_NONE: Final = frozenset(["date", "size"])
"""Relations that a statement of a change may have besides those of the question: "since May", "60 percent"."""

_MOST_MORE_OF_MANY: Final = 2
"""The same, where there are many newer ones."""


def say_two_values(asked: Asked, older: Statement, newer: Statement, subject: Set[str]) -> bool:
    """Whether the two statements say two values of one thing.

    Args:
        asked: the question.
        older, newer: the statements.
        subject: the stems of their subject.
    """
    most = MOST_MORE_OF_A_CHANGE if newer.changes else MOST_MORE
    if _most_more(asked, older, newer) > most or lacks_the_thing(asked, older, newer, subject):
        return False
    if swaps(newer, older):
        return True
    told = asked.stems - subject
    # Several words of the question in both tell more than the subject: "the budget of the team".
    has_value = _has_such_a_value(asked, older, newer, subject)
    # So does a name of several words, if both have a value beside it.
    has_both = has_value and any(older.values({*subject, *asked.stems}))
    alike = _topics_in_both(asked, older, newer, of_names=newer.changes or has_both) > 1
    of_words = alike or have_one(older.stems, told), alike or have_one(newer.stems, told)
    relations = older.relations & newer.relations
    shared = {word for word in older.set & newer.set if word not in STOP and stem(word) not in subject}
    likings = {word for word in older.set & newer.set if "liking" in RELATIONS.get(word, ())}
    many = shared - COUNTED if older.units & newer.units else shared
    is_of_many = older.is_of_many(many | likings) or not LISTED.isdisjoint(older.set & newer.set)
    is_single = newer.changes or not (is_of_many and newer.set.isdisjoint(BEST))
    if all(of_words) or (has_value and (asked.relations & relations or (any(of_words) and relations))):
        is_left_out = _is_left_out(asked, older, newer)
        return is_single and (not is_left_out or has_another_of_the_kind(newer, older, asked.whole, subject))
    is_asked = of_words[0] or not asked.relations.isdisjoint(older.relations)
    passing = {stem(word) for word in shared if word in MANY or word in UNITS}
    named = (older.stems & newer.stems) - subject - asked.stems - passing
    if (named and (newer.changes or is_asked)) and has_value:
        return True
    if newer.changes and (relations or (newer.changes_to and has_value and _says_no_more(asked, newer, subject))):
        return True
    if newer.changes and is_asked and has_value and not _tells_another(asked, newer, subject):
        # A person who moved may work where they did; a thing that was moved runs elsewhere.
        told_of = newer.relations - newer.of_changes if subject.isdisjoint(asked.name_stems) else newer.relations
        return not told_of or not told_of.isdisjoint(asked.relations | older.relations)
    if not is_single:
        return False
    # It says that what is asked about has changed: "Dan swapped his phone"; or names the value that does not hold.
    is_of_topic = told & newer.stems or _names_part_of_the_value(asked, older, newer, subject)
    if (
        newer.changes_clearly
        and has_value
        and is_of_topic
        and newer.relations <= _OF_NONE | asked.relations | older.relations | newer.of_changes
    ):
        return True
    is_of_thing = subject and not asked.name_stems & subject and asked.stems & older.stems <= newer.stems
    if is_of_thing and newer.changes_clearly and has_both:
        return True
    if names_another_person(newer, older, asked.whole, subject) or has_another_of_the_kind(
        newer, older, asked.whole, subject
    ):
        return True
    is_open = asked.stems == subject and (relations or shared or are_somewhere(newer, older, asked.whole))
    return bool(is_open) or _is_of_one_form(asked, older, newer, subject)


def _topics_in_both(asked: Asked, older: Statement, newer: Statement, *, of_names: bool) -> int:
    """The number of things of the question that both statements name.

    Args:
        asked, older, newer: the question and the statements.
        of_names: count each word of a name of several words.
    """
    common = asked.stems & older.stems & newer.stems
    if of_names:
        return len(common)
    # "Dr. Quist", "the Lapwing project", "ticket 310": a name and what is beside it are one thing.
    rows = zip(older.written, older.written[1:], older.words, older.words[1:], strict=False)
    parts = {
        stem(second)
        for one, other, first, second in rows
        if stem(first) in common and (_is_a_name(one) or _is_a_name(other))
    }
    return len(common - parts)


def _is_of_one_form(asked: Asked, older: Statement, newer: Statement, subject: Set[str]) -> bool:
    """Whether the older statement has only a value beside what the newer one, too, says of the subject."""
    known = {*subject, *asked.stems}
    had, has = older.values(known), newer.values(known)
    of_values = {stem(name) for name in older.names} | {each for each in older.stems if each[0].isdigit()}
    is_value = any(old and new for old, new in zip(had, has, strict=True))
    is_of_change = newer.changes and not _tells_another(asked, newer, subject)
    return is_value and older.stems - of_values <= (newer.stems | asked.stems if is_of_change else newer.stems)


def _names_part_of_the_value(asked: Asked, older: Statement, newer: Statement, subject: Set[str]) -> bool:
    """Whether the newer statement has a word of what the older one says of the subject: "dropped chemistry"."""
    words = {stem(word) for word in older.set & newer.set if word not in TIMES}
    return bool(words & older.telling - asked.stems - subject)


def _tells_another(asked: Asked, newer: Statement, subject: Set[str]) -> bool:
    """Whether a statement of a change tells another event of somebody: "Anna sold Karl her bike"."""
    if not asked.name_stems.issuperset(subject):
        return False
    return not newer.changes_clearly or bool(newer.telling - asked.stems - subject - set(map(stem, newer.names)))


def _says_no_more(asked: Asked, newer: Statement, subject: Set[str]) -> bool:
    """Whether a statement of a change ("was moved to") says of the subject only to what."""
    verb, value = 1, 1
    return len(newer.telling - asked.stems - subject) <= verb + value and newer.relations <= newer.of_changes


def is_short(asked: Asked, older: Statement, newer: Statement) -> bool:
    """Whether two statements have little beside what they have in common and their values."""
    return _most_more(asked, older, newer) <= _MOST_MORE_OF_MANY


def _most_more(asked: Asked, older: Statement, newer: Statement) -> int:
    pairs = ((older, newer), (newer, older))
    return max(len(one.telling - other.stems - asked.stems) for one, other in pairs)


def _is_left_out(asked: Asked, older: Statement, newer: Statement) -> bool:
    """Whether the newer statement lacks the relation that is asked about, and says nothing of a change."""
    relations = asked.relations & older.relations
    relations = relations - {"liking"} or relations
    if not relations or newer.changes:
        return False
    # A word of both that tells a relation may be the subject: "the flat costs", "the flat measures".
    in_both = frozenset[str]().union(*(RELATIONS.get(word, ()) for word in older.set & newer.set))
    kept = relations & newer.relations
    return not kept or (kept <= in_both and not relations <= in_both)


def _has_such_a_value(asked: Asked, older: Statement, newer: Statement, subject: Set[str]) -> bool:
    """Whether the newer statement has a name where the older one has one, and a number where that has one."""
    known = {*subject, *asked.stems}
    return all(it for had, it in zip(older.values(known), newer.values(known), strict=True) if had)


def _is_a_name(written: str) -> bool:
    return written[0].isupper() or written[0].isdigit()
