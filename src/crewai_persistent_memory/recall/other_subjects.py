"""When the newer of two statements is about another person, or another thing, than what is asked about."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from .asked import Asked
from .opposites import BE
from .relations import NEW, RELATIONS
from .statements import Statement
from .stems import have, stem

_NONE: Final = frozenset[str]()


def is_of_another_person(asked: Asked, older: Statement, newer: Statement, subject: Set[str]) -> bool:
    """Whether one of the two is about somebody whom the subject has: "Anna's brother"."""
    if any(
        word in asked.whole.set and RELATIONS.get(word, _NONE).isdisjoint(newer.relations)
        for word in older.others - newer.set
    ):
        return True  # asked about Anna's brother, the newer one is about Anna
    return any(
        word not in asked.whole.set
        and stem(word) not in subject
        and asked.relations.isdisjoint(RELATIONS.get(word, ()))
        for word in older.others ^ newer.others
    )


def is_of_a_namesake(asked: Asked, older: Statement, newer: Statement) -> bool:
    """Whether the newer statement has another surname or first name: "Anna Roth", asked about "Anna Kern"."""
    names = asked.whole.full_names & older.full_names
    if not names:
        return False
    named = newer.set | {part for word in newer.set for part in word.split("-")}  # "Anna Kern-Roth" was Anna Kern
    return any(
        (first == one and last not in named) or (last == other and first not in named)
        for first, last in names
        for one, other in newer.full_names
    )


def lacks_the_thing(asked: Asked, older: Statement, newer: Statement, subject: Set[str]) -> bool:
    """Whether the newer statement lacks what is asked about: "the large pizza", asked about "the small pizza".

    A newer statement that says that something has changed, or what was before, need not name the thing again. But
    it must not name another thing in the same place.
    """
    if _names_another_relation(asked, older, newer):
        return True
    missing = [
        word
        for word in older.words
        if stem(word) in asked.topic and stem(word) not in subject and not have(newer.stems, stem(word))
    ]
    if not missing:
        return False
    if not newer.changes and all(word in RELATIONS for word in older.set if stem(word) in subject) and subject:
        return True  # "the tank holds", "the can holds": the verb is no subject
    if any(newer.has_in_place_of(word, older, asked.names) for word in missing):
        return True
    if _names_the_value(asked, older, newer, subject):
        return False
    relations = newer.relations & (asked.relations | older.relations)
    told = asked.topic & newer.stems - subject
    if newer.changes:
        is_other_number = older.units and newer.units and older.units.isdisjoint(newer.units)
        return bool(is_other_number) or not (relations or told or any(older.values({*subject, *asked.stems})))
    return not (told or relations - {"liking"})


def _names_another_relation(asked: Asked, older: Statement, newer: Statement) -> bool:
    """Whether the newer statement has another relation in the place of one that is asked about: "Lena's work
    number", asked about "Lena's home number"."""
    words = older.set & asked.whole.set & RELATIONS.keys()
    return any(
        RELATIONS[word].isdisjoint(RELATIONS.get(own, ()))
        for word in words
        if not have(newer.stems, stem(word))
        for own in newer.in_place_of(word, older, asked.names)
        if own in RELATIONS or (own not in NEW and _are_one(newer.word_after(own), older.word_after(word)))
    )


def _are_one(word: str, other: str) -> bool:
    return word == other or (word in BE and other in BE)


def _names_the_value(asked: Asked, older: Statement, newer: Statement, subject: Set[str]) -> bool:
    """Whether the newer statement names what the older one says."""
    known = asked.stems | subject
    names = {each for name in older.names if (each := stem(name)) not in known}
    value = names or older.telling - known
    return bool(value) and value <= newer.stems
