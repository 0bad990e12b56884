"""When the newer of two statements is about another thing than the older one, though both have the same subject."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from ..text.kept import kept_calls
from .asked_values import kind_of
from .marks import OF_OWNERS
from .opposites import STATES, TIMES
from .relations import CHANGES, OTHERS, RELATIONS, STOP
from .statements import Statement
from .stems import have, stem
from .wordlists import ANYTHING, ARTICLES, KINDS, MONEY, OCCASIONS, OF, OURS, PEOPLE, SAYS, SPANS, USUAL

_LATEST: Final = 6
"""Words before a subject that is named by what belongs to it: "The head of the team"."""
_NEAR: Final = 2
_BEGINNING: Final = 6
"""Letters of a stem: "correspond", "correspondence"."""
_IN_GENERAL: Final = re.compile(
    r"\b(?:usual(?:ly)?|normal(?:ly)?|general(?:ly)?|regular(?:ly)?|typical(?:ly)?|as a rule"
    r"|every(?:body|one)|^all\b|^alle\b"
    r"|im allgemeinen|normalerweise|gewöhnlich|d'habitude|en général|normalement|normalmente|en general|todos)\b",
    re.IGNORECASE,
)
_ADDRESS: Final = re.compile(r"\w[@./]\w")
"""Of mail or of the web: it is read as several words."""

_QUOTED: Final = re.compile('"[^"]*"|“[^”]*”|„[^“]*“|«[^»]*»')

_says_in_general = kept_calls(lambda text: bool(_IN_GENERAL.search(_QUOTED.sub("", text))), 4_096)
_NO_STATE: Final = frozenset[int]()


def is_of_another_thing(newer: Statement, older: Statement, question: Statement, subject: Collection[str]) -> bool:
    """Whether the newer statement is about what belongs to the subject, or about one of many, or has another unit.

    Args:
        newer, older, question: the statements.
        subject: the stems of the subject.
    """
    return _is_of_what_belongs_to(newer, older, question, subject) or (
        not newer.changes and any(each(newer, older, question) for each in _TELL_OF_ANOTHER)
    )


def _is_of_what_belongs_to(newer: Statement, older: Statement, question: Statement, subject: Collection[str]) -> bool:
    """Whether the newer statement begins with something, or somebody, of the subject: "Lewis's partner", "the cache of
    Crake"; and the older one is about the subject itself."""
    words = newer.words
    for at, word in enumerate(words[:_LATEST]):
        if stem(word) not in subject:
            continue
        written = newer.written[at].lower()
        is_owner = written.endswith((*OF_OWNERS, "s'")) or (word[-1:] == "s" and word[:-1] in older.set)
        if is_owner and written in map(str.lower, older.written):
            persons = OTHERS.intersection(words[at + 1 : at + 1 + _NEAR])
            if any(_is_another(each, newer, older, question) for each in persons):
                return True
            continue
        if is_owner:
            behind = words[at + 1 : at + 1 + _NEAR]
            ends = (at for at, each in enumerate(behind) if each in STOP or each in older.set.difference(older.names))
            nouns = behind[: next(ends, _NEAR)]
        elif at > 1 and words[at - 1] in OF:
            nouns = [words[at - 2]]
        elif at > 2 and words[at - 2] in OF and words[at - 1] in ARTICLES:
            nouns = [words[at - 3]]
        else:
            continue
        if any(each in OTHERS and _is_another(each, newer, older, question) for each in nouns):
            return True
        if nouns and all(_is_another(each, newer, older, question) for each in nouns):
            return True
    return False


def _is_another(noun: str, newer: Statement, older: Statement, question: Statement) -> bool:
    if noun in STOP or noun in PEOPLE or stem(noun) in question.stems:
        return False
    if have(older.stems, stem(noun)):
        return noun in older.names  # the older value itself: "Malachy's Subaru is red"
    if newer.changes and noun not in OTHERS:
        return False
    return RELATIONS.get(noun, frozenset()).isdisjoint(question.relations | older.relations)


def _is_on_occasion(newer: Statement, older: Statement, question: Statement) -> bool:
    """Whether the newer statement begins with when or for whom it holds, and the older one does not: "on Christmas
    Eve the market is open until 12"."""
    if not newer.words or newer.words[0] not in OCCASIONS:
        return False
    if newer.words[0] == "at" and TIMES.isdisjoint(newer.words[1 : _NEAR + 1]):
        return False
    if older.words[0] in OCCASIONS:
        # "For domestic trips", "for trips abroad"
        asked = [word for word in older.words[1 : _NEAR + 2] if word not in STOP and stem(word) in question.stems]
        return any(word not in RELATIONS and not have(newer.stems, stem(word)) for word in asked)
    told = []
    for word in newer.words[1:_LATEST]:
        if word in STOP or word in ANYTHING:
            continue
        if any(have(stems, stem(word)[:_BEGINNING]) for stems in (older.stems, question.stems)):
            break
        told.append(word)
    else:
        return False
    return bool(told)


def _is_one_of_all(newer: Statement, older: Statement, question: Statement) -> bool:
    """Whether the question, or the older statement, is about what holds in general, and the newer one does not say
    so."""
    is_of_all = _says_in_general(question.text) or _says_in_general(older.text)
    return is_of_all and not _says_in_general(newer.text)


def _tells_more(newer: Statement, older: Statement, question: Statement) -> bool:
    """Whether the newer statement says all that the older one says: it adds something, and changes nothing."""
    known = question.stems
    value = older.telling - known
    names, own = ({stem(name) for name in each.names if name not in STOP | TIMES} for each in (older, newer))
    names.discard(stem(older.words[0]))  # it may have its capital letter as the first word
    own = {name for name in own - known - older.stems if not name[0].isdigit()}
    is_another = own or older.has_number or _ADDRESS.search(newer.text)
    if is_another or (newer.has_number and names <= known):
        return False
    return bool(value) and value <= newer.stems


def _lacks_a_name(newer: Statement, older: Statement, question: Statement) -> bool:
    """Whether the question has a name that the older statement has, and the newer one not: "in Austria"."""
    names = {name for name in question.names if name != question.words[0] and name not in STOP}
    lacking = [name for name in names if have(older.stems, stem(name)) and not have(newer.stems, stem(name))]
    # "Project Basalt" is "Basalt".
    return any(name not in KINDS or not have(newer.stems, stem(question.word_after(name))) for name in lacking)


def _is_told_of_another_person(newer: Statement, older: Statement, question: Statement) -> bool:
    """Whether the older statement is about the one whose memory it is, and the newer one about somebody with a name."""
    if not older.is_about_itself or newer.is_about_itself or not newer.written or kind_of(question.text).somebody:
        return False
    first, word = newer.written[0], newer.words[0]
    is_name = first.istitle() and word not in STOP and word not in RELATIONS and word not in CHANGES
    behind = newer.words[1] if len(newer.words) > 1 else ""
    return is_name and behind in SAYS and not have(older.stems | question.stems, stem(word))


def _is_of_another_owner(newer: Statement, older: Statement, question: Statement) -> bool:
    """Whether the older statement is about something of ours, and the newer one about somebody else's: "our lawyer",
    "Acme's lawyer"."""
    ours = {thing for owner, thing in zip(older.words, older.words[1:], strict=False) if owner in OURS}
    return any(
        thing in ours and owner.endswith(OF_OWNERS) and owner not in question.text
        for owner, thing in zip(newer.written, newer.words[1:], strict=False)
    )


def _is_narrowed(newer: Statement, older: Statement, question: Statement) -> bool:
    """Whether the newer statement is about one of the things that the older one is about: "the head guide"."""
    for at in range(2, len(newer.words)):
        before, qualifier, thing = newer.words[at - 2 : at + 1]
        if before not in ARTICLES or thing in STOP or stem(thing) not in question.stems & older.stems:
            continue
        if qualifier in STOP or qualifier in USUAL or qualifier in CHANGES:
            continue
        if have(older.stems | question.stems, stem(qualifier)) or any(map(str.isdigit, qualifier)):
            continue
        places = [each for each, word in enumerate(older.words) if stem(word) == stem(thing)]
        if all(not each or older.words[each - 1] in STOP for each in places):
            return True
    return False


def _has_another_unit(newer: Statement, older: Statement, _: Statement) -> bool:
    """Whether both have numbers, of other things: "14 columns", "3 indexes"."""
    own, other = _counted(newer), _counted(older)
    if not own or not other or own & other:
        return False
    return not any(own & kind and other & kind for kind in (SPANS, MONEY)) and newer.relations.isdisjoint(
        older.relations
    )


def _counted(statement: Statement) -> frozenset[str]:
    """The stems of what its numbers count: the words behind them that are no names."""
    counted = set[str]()
    for at, word in enumerate(statement.words):
        if not word[0].isdigit():
            continue
        behind = zip(statement.words[at + 1 : at + 1 + _NEAR], statement.written[at + 1 :], strict=False)
        for each, written in behind:
            if each in STOP or not written.isalpha() or written.istitle():
                break
            counted.add(stem(each))
    return frozenset(counted)


def _is_told_of_the_opposite(newer: Statement, older: Statement, question: Statement) -> bool:
    """Whether the question asks for the number of one event, and the newer statement has that of its opposite: "opens
    at 8", "closes at 18"."""
    if not (newer.has_number and older.has_number):
        return False
    asked = (older.stems - newer.stems) & question.stems
    own = frozenset().union(*(_STATES_BY_STEM.get(each, _NO_STATE) for each in newer.stems - older.stems))
    return any(not own.isdisjoint(_STATES_BY_STEM.get(each, _NO_STATE)) for each in asked)


def _by_stem() -> dict[str, frozenset[int]]:
    states: dict[str, frozenset[int]] = {}
    for word, numbers in STATES.items():
        states[stem(word)] = states.get(stem(word), _NO_STATE) | numbers
    return states


_STATES_BY_STEM: Final = _by_stem()

_TELL_OF_ANOTHER: Final = (
    _is_on_occasion,
    _is_one_of_all,
    _tells_more,
    _lacks_a_name,
    _is_told_of_another_person,
    _is_of_another_owner,
    _is_narrowed,
    _has_another_unit,
    _is_told_of_the_opposite,
)
