"""The words of a statement: its subject and its relation, and whether it says that something has changed."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import cached_property, reduce
from operator import or_
from typing import Final

from ..text.kept import kept_calls
from .change_phrases import changes_to, tells_a_change
from .marks import (
    LETTERS,
    OF_FORM,
    OF_OWNERS,
    WORD,
    mark_of,
    plain_of,
    told_mark_of,
)
from .opposites import BE, PREFIXES, STATES, TIMES, denied_by
from .phrases import NEGATION
from .relations import ADDS, CHANGES, EVENTS_OF_CHANGE, MANY, NEW, OTHERS, RELATIONS, SELF, STOP
from .stems import stem
from .wordlists import NO_UNITS, OF, OWNERS, THEIRS, WITH

_DETERMINERS: Final = """
    the a an my our your his her der die das den dem ein eine le la les un une el los las
"""
_ARTICLES: Final = frozenset(_DETERMINERS.split())
_PERSONS: Final = """
    i you he she it we they ich du er sie es wir ihr je tu il elle nous vous
"""
_PRONOUNS: Final = frozenset(_PERSONS.split())
_BEFORE_AN_OWNER: Final = 2
_BEHIND_OF: Final = 2
_COPULA: Final = dict.fromkeys(["is", "are", "was", "were", "be", "been"], "is")
_ADDS: Final = re.compile(
    r"\b(?:as well|an? (?:second|third|further|additional)|one more)\b"
    r"|\b(?:too|both)\b(?![ -]\w)|\bboth\b.* and\b"
    r"|^\W*(?:another|an?other|some other|(?:a|the) (?:other|different)|eine? andere[rs]?|une? autre|otr[oa])\b",
    re.IGNORECASE,
)
_PREPOSITIONS: Final = dict.fromkeys(
    ["of", "on", "in", "at", "for", "from", "with", "by", "under", "above", "behind", "near"], "of"
)
_ALIKE: Final = _COPULA | _PREPOSITIONS

_NO: Final = re.compile(r".*n['’]t")
_NO_PREFIX: Final = re.compile(r"^n['’]")
_OF_TITLES: Final = "mr mrs ms miss dr prof professor sir madam herr frau monsieur madame señor señora"
_TITLES: Final = frozenset(_OF_TITLES.split())


class Statement:
    """The words of an entry that matter for a question.

    One is made of each entry, and of sentences of the long ones, in each recall. Only what all of them are compared by
    is made at once.

    Attributes:
        text: the text.
        written: its words as they are written.
        words: its words in lower case.
        set: the same, each once.
        marks: a bit for each stem, see :func:`marks_of`.
        told_marks: the same of :attr:`telling`, without words of denial.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.written = WORD.findall(text)
        self.words = list(map(plain_of.__getitem__, self.written))
        for at, word in enumerate(self.written):
            if word == "New" and at + 1 < len(self.written) and self.written[at + 1][0].isupper():
                self.words[at] = "=new"  # "New Year", "New York"
            elif word in LETTERS and at:
                self.words[at] = f"={word.lower()}"  # what is a name is no article or pronoun: "tower A", "the US"
        self.set = frozenset(self.words)
        self.marks = reduce(or_, map(mark_of.__getitem__, self.set), 0)
        self.told_marks = reduce(or_, map(told_mark_of.__getitem__, self.set), 0)

    @cached_property
    def names(self) -> list[str]:
        """Its words that begin with a capital letter or a digit, in lower case."""
        return names_among(self.written)

    @cached_property
    def adds(self) -> bool:
        """Whether it says something beside what was said before."""
        return not self.set.isdisjoint(ADDS) or bool(_ADDS.search(self.text))

    @cached_property
    def stems(self) -> frozenset[str]:
        """The words that tell something, without their endings."""
        return frozenset(map(stem, self.set - STOP))

    @cached_property
    def negated(self) -> bool:
        return bool(NEGATION.search(self.text))

    @cached_property
    def affirmed(self) -> frozenset[str]:
        """Its stems, without the words of a negation: "does not like", "likes"."""
        words = (_NO_PREFIX.sub("", word) for word in self.set if not _NO.fullmatch(word))
        return frozenset(stem(word) for word in words if word not in STOP and not NEGATION.fullmatch(word))

    @cached_property
    def states(self) -> frozenset[int]:
        """The numbers of the lists that its words of a state are in: "free", "occupied"."""
        return frozenset().union(*map(STATES.__getitem__, self.set & _STATES))

    @cached_property
    def denied(self) -> frozenset[str]:
        """The stems of what its words deny: "safe" of "unsafe"."""
        return frozenset(stem(each) for word in self.set if word.startswith(PREFIXES) for each in denied_by(word))

    @cached_property
    def heads(self) -> frozenset[str]:
        """The stems of the words that "is" follows."""
        return frozenset(stem(word) for word, verb in zip(self.words, self.words[1:], strict=False) if verb in BE)

    @cached_property
    def parts(self) -> list[tuple[str, str]]:
        """The words that "is" follows, each behind the stem of the word before it: "shop" in "the museum shop is"."""
        rows = zip(self.written, self.written[1:], self.words[2:], strict=False)
        return [
            (stem(whole.lower()), part)
            for whole, part, verb in rows
            if verb in BE and part.islower() and part not in OF_FORM and part not in BE
        ]

    @cached_property
    def times(self) -> frozenset[str]:
        """The stems of its words for times that come again."""
        return frozenset(map(stem, self.set & TIMES))

    @cached_property
    def full_names(self) -> frozenset[tuple[str, str]]:
        """Two words in a row that begin with a capital letter: "Anna Kern"."""
        pairs = zip(self.written, self.written[1:], self.words, self.words[1:], strict=False)
        return frozenset(
            (first, last)
            for written, following, first, last in pairs
            if written[0].isupper() and following[0].isupper() and _is_of_a_name(first) and _is_of_a_name(last)
        )

    @cached_property
    def telling(self) -> frozenset[str]:
        """Its stems, without the words of relations and changes."""
        return frozenset(map(stem, self.set - OF_FORM))

    @cached_property
    def relations(self) -> frozenset[str]:
        return _relations(self.set)

    @cached_property
    def is_about_itself(self) -> bool:
        return not self.set.isdisjoint(SELF)

    @cached_property
    def changes(self) -> bool:
        return not self.set.isdisjoint(CHANGES) or tells_a_change(self.text)

    @cached_property
    def changes_clearly(self) -> bool:
        """Whether it says so with a word that tells no event of its own: "now", "switched", and not "sold"."""
        return not self.set.isdisjoint(_CLEAR_CHANGES) or tells_a_change(self.text)

    @cached_property
    def changes_to(self) -> bool:
        """Whether it says what became of its subject: "was moved to Oslo"."""
        return changes_to(self.text)

    @cached_property
    def of_changes(self) -> frozenset[str]:
        """The relations of its words that only tell that something has changed."""
        return _relations(self.set & CHANGES)

    def values(self, subject: Collection[str]) -> tuple[bool, bool]:
        """Whether it has a name that is not its subject, and whether it has a number."""
        return (
            any(not name[0].isdigit() and stem(name) not in subject for name in self.names),
            self.has_number,
        )

    @cached_property
    def has_number(self) -> bool:
        return any(map(str.isdigit, "".join(self.set)))

    def is_of_many(self, words: Collection[str]) -> bool:
        """Whether one of these words tells what may hold of many things at once: a liking, or what somebody did."""
        return any(
            word in MANY or (word.endswith("ed") and len(word) > 4 and _COPULA.get(self.place_of(word)[-1]) is None)
            for word in words
        )

    def has_in_place_of(self, word: str, other: Statement, names: Collection[str]) -> bool:
        """Whether it has a word of its own where the other statement has this one."""
        return bool(self.in_place_of(word, other, names))

    def in_place_of(self, word: str, other: Statement, names: Collection[str]) -> list[str]:
        """Its own words where the other statement has this one: "the large", "the small".

        What follows a name or a pronoun is a verb, and may be any other one; so may "moved" in "was moved to".
        """
        before = other.place_of(word)
        if before[-1] in _PRONOUNS or before[-1] in names or (self.changes_to and before == ("is",)):
            return []
        own = (each for each in self.set - other.set if each not in STOP and (each not in CHANGES or each in NEW))
        return [each for each in own if self.places[each] == before]

    @cached_property
    def places(self) -> dict[str, tuple[str, ...]]:
        return {word: self.place_of(word) for word in self.set}

    def place_of(self, word: str) -> tuple[str, ...]:
        """The word before a word; before an article, that one too."""
        at = self.words.index(word)
        before = [_ALIKE.get(each, each) for each in ["", "", *map(str.lower, self.written)][at : at + 2]]
        return tuple(before) if before[1] in _ARTICLES else tuple(before[1:])

    def is_before(self, word: str, stems: Collection[str]) -> bool:
        """Whether a word stands between an article and a word with one of these stems: "the red button"."""
        return len(self.place_of(word)) > 1 and stem(self.word_after(word)) in stems

    def word_after(self, word: str) -> str:
        """The word after a word; ``""`` for the last one."""
        return [*self.words, ""][self.words.index(word) + 1]

    @cached_property
    def units(self) -> frozenset[str]:
        """The words behind its numbers."""
        pairs = zip(self.words, self.words[1:], strict=False)
        return frozenset(
            stem(unit)
            for number, unit in pairs
            if number[0].isdigit() and unit.isalpha() and unit not in STOP and unit not in NO_UNITS
        )

    @cached_property
    def others(self) -> frozenset[str]:
        """The persons in it that are named by another one: "brother" in "Anna's brother". Not who is only with
        somebody: "lives with her brother"."""
        return frozenset(word for at, word in enumerate(self.words) if word in OTHERS and self._is_of_another(at))

    def _is_of_another(self, at: int) -> bool:
        if self.written[at].lower().endswith(OF_OWNERS):
            return False  # "a manager's approval"
        before, name = (self.written[each] if 0 <= each < len(self.written) else "" for each in (at - 1, at + 1))
        if name[:1].isupper() and not before[:1].isupper() and f"{self.written[at]} {name}" in self.text:
            return False  # "my son Arlo" is Arlo
        owner = before.lower()
        if owner.endswith(OF_OWNERS) or owner in OWNERS:
            return owner not in THEIRS or at < _BEFORE_AN_OWNER or self.words[at - _BEFORE_AN_OWNER] not in WITH
        behind = self.words[at + 1 : at + _BEHIND_OF + 1]
        return len(behind) == _BEHIND_OF and behind[0] in OF and not behind[1][0].isdigit()


statement = kept_calls(Statement, 4_096)
"""Of a short text: crews are given the same memories again and again."""


def names_among(words: Sequence[str]) -> list[str]:
    return [plain_of[written] for written in words if written[0].isupper() or written[0].isdigit()]


def together(parts: Sequence[str]) -> Statement:
    """Several sentences as one statement."""
    return statement(". ".join(parts))


def _relations(words: frozenset[str]) -> frozenset[str]:
    return frozenset().union(*(RELATIONS.get(word) or _BY_STEM.get(stem(word), frozenset()) for word in words))


def _is_of_a_name(word: str) -> bool:
    return word not in OF_FORM and word not in _TITLES


_STATES: Final = frozenset(STATES)
_CLEAR_CHANGES: Final = CHANGES - EVENTS_OF_CHANGE

_BY_STEM: Final = {each: names for word, names in RELATIONS.items() if len(each := stem(word)) > 4}
