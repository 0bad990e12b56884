"""When a newer statement takes the place of an older one, for a question.

A statement takes the place of one that has the same words and says the opposite: without "not", with another sign, or
with another state ("free", "occupied"). Otherwise, two statements are taken as two values of one thing if

- both are about the subject of the question: a name in it, or the one whose memory it is;
- both are about its relation: they have its words, or words of the same relation (:mod:`.relations`); or the newer one
  says that something has changed, or names the older value; or the two differ in a name or a number only;
- the newer one does not name another thing where the older one has the thing that is asked about: "the large pizza";
  and no other person of the same first name or surname;
- the newer one says what is, and not what was or what somebody wants (:mod:`.no_news`);
- and neither says that it stands beside the other ("also").
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cached_property
from operator import itemgetter
from typing import Final

from .aligned import names_another, says_another_value
from .asked_values import has_another_of_the_kind, lacks_what_is_asked, names_another_person
from .long_texts import told_of
from .marks import marks_of
from .no_news import is_no_news
from .other_things import is_of_another_thing
from .relations import BEST, COUNTED, LISTED, MANY, NEW, ONE_AT_A_TIME, RELATIONS, STOP, UNITS
from .statements import Statement, marks_in, names_in, statement
from .stems import have, have_one, stem
from .turning import are_somewhere, is_about_a_part, stands_beside, swaps, turns

MOST_MORE: Final = 5
"""Words that one of two statements may have beside those of the other, of the question and of its relation. A statement
with more tells a story, and not a value."""

MOST_MORE_OF_A_CHANGE: Final = 7
"""The same, where the newer statement says that something has changed."""

MOST_MORE_OF_MANY: Final = 2
"""The same, where there are many newer ones."""

_MOST_SENTENCES: Final = 3
_place: Final = itemgetter(1)
_NONE: Final = frozenset[str]()
_DID: Final = re.compile(r"\W*(?:\w+ ){0,4}did\b", re.IGNORECASE)


def _is_a_name(written: str) -> bool:
    return written[0].isupper() or written[0].isdigit()


class Question:
    """What is asked, as statements are compared with it.

    Only what tells most pairs of statements apart is made at once: of most questions nothing else is needed.

    Attributes:
        marks: a bit for each of its stems, see :func:`.marks.marks_of`.
        subject_marks: the same, with its names.
    """

    def __init__(self, query: str) -> None:
        self._query = query
        self.marks = marks_in(query)
        self._names = names_in(query)
        self._name_stems = set(map(stem, self._names))
        self.subject_marks = self.marks | marks_of(self._name_stems)

    @cached_property
    def _whole(self) -> Statement:
        return statement(self._query)

    @cached_property
    def _stems(self) -> frozenset[str]:
        return self._whole.stems

    @cached_property
    def _relations(self) -> frozenset[str]:
        return self._whole.relations

    @cached_property
    def _topic(self) -> set[str]:
        return set(map(stem, self._whole.set - STOP - RELATIONS.keys()))

    def told_in(self, text: str) -> list[str]:
        """The sentences of a long text that have most words of the question, in their order."""
        told = told_of(text)
        scored = []
        for at in told.sentences_with(self._stems):
            if common := (told.marks(at) & self.marks).bit_count():
                scored.append((-common, at))
        best = sorted(scored)[:_MOST_SENTENCES]
        return [told.sentences[at] for at in sorted(map(_place, best))]

    def replaces(self, older: Statement, newer: Statement) -> bool:
        """Whether the newer statement takes the place of the older one."""
        is_turned = turns(newer, older, self._stems)
        if newer.adds or (older.stems == newer.stems and not is_turned):
            return False
        subject = self._subject(older, newer)
        if subject is None:
            is_same = says_another_value(newer, older, self._stems) and not is_no_news(newer, older, self._whole, ())
            return bool(is_same) and not _DID.match(self._query)
        if self._is_of_another(older, newer, subject) or self._is_of_a_namesake(older, newer):
            return False
        if is_turned:
            return True
        if stands_beside(newer, older, self._whole) or is_no_news(newer, older, self._whole, subject):
            return False
        is_one_at_a_time = not (older.relations & newer.relations).isdisjoint(ONE_AT_A_TIME)
        if _DID.match(self._query) and ("again" in newer.set or not (newer.changes or is_one_at_a_time)):
            return False  # what happened once stays
        if lacks_what_is_asked(newer, older, self._whole) or names_another(newer, older, self._stems):
            return False
        is_another_value = says_another_value(newer, older, self._stems)
        if is_another_value is not None:
            return is_another_value
        if is_of_another_thing(newer, older, self._whole, subject):
            return False
        if is_about_a_part(newer, older, subject, self._stems):
            return False
        most = MOST_MORE_OF_A_CHANGE if newer.changes else MOST_MORE
        if self._most_more(older, newer) > most or self._is_of_another_thing(older, newer, subject):
            return False
        if swaps(newer, older):
            return True
        told = self._stems - subject
        # Several words of the question in both tell more than the subject: "the budget of the team".
        alike = self._topics_in_both(older, newer) > 1
        of_words = alike or have_one(older.stems, told), alike or have_one(newer.stems, told)
        relations = older.relations & newer.relations
        shared = {word for word in older.set & newer.set if word not in STOP and stem(word) not in subject}
        likings = {word for word in older.set & newer.set if "liking" in RELATIONS.get(word, ())}
        many = shared - COUNTED if older.units & newer.units else shared
        is_of_many = older.is_of_many(many | likings) or not LISTED.isdisjoint(older.set & newer.set)
        is_single = newer.changes or not (is_of_many and newer.set.isdisjoint(BEST))
        has_value = self._has_such_a_value(older, newer, subject)
        if all(of_words) or (has_value and (self._relations & relations or (any(of_words) and relations))):
            is_left_out = self._is_left_out(older, newer)
            return is_single and (not is_left_out or has_another_of_the_kind(newer, older, self._whole, subject))
        is_asked = of_words[0] or not self._relations.isdisjoint(older.relations)
        passing = {stem(word) for word in shared if word in MANY or word in UNITS}
        named = (older.stems & newer.stems) - subject - self._stems - passing
        if (named and (newer.changes or is_asked)) and has_value:
            return True
        if newer.changes and (relations or (newer.changes_to and has_value and self._says_no_more(newer, subject))):
            return True
        if newer.changes and is_asked and has_value and not self._tells_another(newer, subject):
            is_other = newer.relations and newer.relations.isdisjoint(self._relations | older.relations)
            return not is_other
        if not is_single:
            return False
        if newer.changes_clearly and has_value and any(older.values({*subject, *self._stems})):
            if subject and not self._name_stems & subject and self._stems & older.stems <= newer.stems:
                return True
        if names_another_person(newer, older, self._whole, subject) or has_another_of_the_kind(newer, older, self._whole, subject):
            return True
        is_open = self._stems == subject and (relations or shared or are_somewhere(newer, older, self._whole))
        return bool(is_open) or self._is_of_one_form(older, newer, subject)

    def _topics_in_both(self, older: Statement, newer: Statement) -> int:
        """The number of things of the question that both statements name. A name of several words is one."""
        common = self._stems & older.stems & newer.stems
        if newer.changes:
            return len(common)
        # "Dr. Quist", "the Lapwing project", "ticket 310": a name and what is beside it are one thing.
        rows = zip(older.written, older.written[1:], older.words, older.words[1:], strict=False)
        parts = {
            stem(second)
            for one, other, first, second in rows
            if stem(first) in common and (_is_a_name(one) or _is_a_name(other))
        }
        return len(common - parts)

    def _is_of_one_form(self, older: Statement, newer: Statement, subject: Collection[str]) -> bool:
        """Whether the older statement has only a value beside what the newer one, too, says of the subject."""
        known = {*subject, *self._stems}
        had, has = older.values(known), newer.values(known)
        of_values = {stem(name) for name in older.names} | {each for each in older.stems if each[0].isdigit()}
        is_value = any(old and new for old, new in zip(had, has, strict=True))
        is_of_change = newer.changes and not self._tells_another(newer, subject)
        return is_value and older.stems - of_values <= (newer.stems | self._stems if is_of_change else newer.stems)

    def _tells_another(self, newer: Statement, subject: Collection[str]) -> bool:
        """Whether a statement of a change tells another event of somebody: "Anna sold Karl her bike"."""
        if not self._name_stems.issuperset(subject):
            return False
        return not newer.changes_clearly or bool(
            newer.telling - self._stems - set(subject) - set(map(stem, newer.names))
        )

    def _says_no_more(self, newer: Statement, subject: Collection[str]) -> bool:
        """Whether a statement of a change ("was moved to") says of the subject only to what."""
        verb, value = 1, 1
        return len(newer.telling - self._stems - set(subject)) <= verb + value and newer.relations <= newer.of_changes

    def is_short(self, older: Statement, newer: Statement) -> bool:
        """Whether two statements have little beside what they have in common and their values."""
        return self._most_more(older, newer) <= MOST_MORE_OF_MANY

    def _most_more(self, older: Statement, newer: Statement) -> int:
        pairs = ((older, newer), (newer, older))
        return max(len(one.telling - other.stems - self._stems) for one, other in pairs)

    def _is_left_out(self, older: Statement, newer: Statement) -> bool:
        """Whether the newer statement lacks the relation that is asked about, and says nothing of a change."""
        asked = self._relations & older.relations
        asked = asked - {"liking"} or asked
        if not asked or newer.changes:
            return False
        # A word of both that tells a relation may be the subject: "the flat costs", "the flat measures".
        in_both = frozenset[str]().union(*(RELATIONS.get(word, ()) for word in older.set & newer.set))
        return asked.isdisjoint(newer.relations) or (asked & newer.relations <= in_both and not asked <= in_both)

    def _is_of_another(self, older: Statement, newer: Statement, subject: Collection[str]) -> bool:
        """Whether one of the two is about somebody whom the subject has: "Anna's brother"."""
        if any(
            word in self._whole.set and RELATIONS.get(word, _NONE).isdisjoint(newer.relations)
            for word in older.others - newer.set
        ):
            return True  # asked about Anna's brother, the newer one is about Anna
        return any(
            word not in self._whole.set
            and stem(word) not in subject
            and self._relations.isdisjoint(RELATIONS.get(word, ()))
            for word in older.others ^ newer.others
        )

    def _is_of_a_namesake(self, older: Statement, newer: Statement) -> bool:
        """Whether the newer statement has another surname or first name: "Anna Roth", asked about "Anna Kern"."""
        asked = self._whole.full_names & older.full_names
        if not asked:
            return False
        named = newer.set | {part for word in newer.set for part in word.split("-")}  # "Anna Kern-Roth" was Anna Kern
        return any(
            (first == one and last not in named) or (last == other and first not in named)
            for first, last in asked
            for one, other in newer.full_names
        )

    def _is_of_another_thing(self, older: Statement, newer: Statement, subject: Collection[str]) -> bool:
        """Whether the newer statement lacks what is asked about: "the large pizza", asked about "the small pizza".

        A newer statement that says that something has changed, or what was before, need not name the thing again. But
        it must not name another thing in the same place.
        """
        if self._names_another_relation(older, newer):
            return True
        missing = [
            word
            for word in older.words
            if stem(word) in self._topic and stem(word) not in subject and not have(newer.stems, stem(word))
        ]
        if not missing:
            return False
        if any(newer.has_in_place_of(word, older, self._names) for word in missing):
            return True
        if self._names_the_value(older, newer, subject):
            return False
        relations = newer.relations & (self._relations | older.relations)
        told = self._topic & newer.stems - set(subject)
        if newer.changes:
            is_other_number = older.units and newer.units and older.units.isdisjoint(newer.units)
            return bool(is_other_number) or not (relations or told or any(older.values({*subject, *self._stems})))
        return not (told or relations - {"liking"})

    def _names_another_relation(self, older: Statement, newer: Statement) -> bool:
        """Whether the newer statement has another relation in the place of one that is asked about: "Lena's work
        number", asked about "Lena's home number"."""
        asked = (word for word in older.set & self._whole.set & RELATIONS.keys() if not have(newer.stems, stem(word)))
        return any(
            RELATIONS[word].isdisjoint(RELATIONS.get(own, ()))
            for word in asked
            for own in newer.in_place_of(word, older, self._names)
            if own in RELATIONS or (own not in NEW and newer.word_after(own) == older.word_after(word))
        )

    def _names_the_value(self, older: Statement, newer: Statement, subject: Collection[str]) -> bool:
        """Whether the newer statement names what the older one says."""
        known = self._stems | set(subject)
        names = {each for name in older.names if (each := stem(name)) not in known}
        value = names or older.telling - known
        return bool(value) and value <= newer.stems

    def _has_such_a_value(self, older: Statement, newer: Statement, subject: Collection[str]) -> bool:
        """Whether the newer statement has a name where the older one has one, and a number where that has one."""
        known = {*subject, *self._stems}
        return all(it for had, it in zip(older.values(known), newer.values(known), strict=True) if had)

    def _subject(self, older: Statement, newer: Statement) -> set[str] | None:
        """The stems of the subject that the question and both statements have; ``None`` if there is none."""
        common = self._name_stems & older.stems & newer.stems
        if common:
            return common
        own = (self._whole.is_about_itself, older.is_about_itself, newer.is_about_itself)
        if all(own) or (all(own[1:]) and not self._names):
            return set()
        if self._names and any(name in older.stems or name in newer.stems for name in self._name_stems):
            return None
        return set(self._stems & older.stems & newer.stems) or None
