"""When the newer of two statements is about another thing than the older one, though both have the same subject."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from .opposites import STATES
from .relations import CHANGES, OTHERS, RELATIONS, STOP
from .statements import Statement
from .stems import have, stem

_OF: Final = frozenset(["of", "de", "du", "del", "della", "da", "do", "di", "von", "des"])
_LATEST: Final = 6
"""Words before a subject that is named by what belongs to it: "The head of the team"."""
_NEAR: Final = 2
_DETERMINERS: Final = frozenset("the a an der die das ein eine le la les un une el los las il o".split())
_USUAL: Final = frozenset(
    "final official current actual whole main own full total usual preferred favourite favorite daily weekly monthly annual"
    " replacement updated revised yearly default regular general next latest first maximum minimum".split()
)
_OCCASIONS: Final = frozenset(
    "on in during for when over im am an in während für wenn bei en le pendant pour quand si durante para cuando el".split()
)
_ANYTHING: Final = frozenset("anything everything all any moment time future".split())
_SPANS: Final = frozenset(map(stem, "second minute hour day week month year".split()))
_MONEY: Final = frozenset(map(stem, "euro eur dollar usd pound gbp franc chf".split()))
_NO_STATE: Final = frozenset[int]()


def is_of_another_thing(newer: Statement, older: Statement, question: Statement, subject: Collection[str]) -> bool:
    """Whether the newer statement is about what belongs to the subject, or about one of many, or has another unit.

    Args:
        newer, older, question: the statements.
        subject: the stems of the subject.
    """
    return (
        is_of_what_belongs_to(newer, older, question, subject)
        or (not newer.changes and (_is_on_occasion(newer, older, question) or _is_narrowed(newer, older, question) or _has_another_unit(newer, older)))
        or (not newer.changes and _is_told_of_the_opposite(newer, older, question))
    )


def is_of_what_belongs_to(newer: Statement, older: Statement, question: Statement, subject: Collection[str]) -> bool:
    """Whether the newer statement begins with something, or somebody, of the subject: "Lewis's partner", "the cache of
    Crake"; and the older one is about the subject itself."""
    words = newer.words
    for at, word in enumerate(words[:_LATEST]):
        if stem(word) not in subject:
            continue
        written = newer.written[at].lower()
        is_owner = written.endswith(("'s", "’s", "s'")) or (word[-1:] == "s" and word[:-1] in older.set)
        if is_owner and written in map(str.lower, older.written):
            behind = set(words[at + 1 : at + 1 + _NEAR]) & OTHERS
            if any(_is_another(each, newer, older, question) for each in behind):
                return True
            continue
        if is_owner:
            behind = words[at + 1 : at + 1 + _NEAR]
            ends = (at for at, each in enumerate(behind) if each in STOP or each in older.set.difference(older.names))
            nouns = behind[: next(ends, _NEAR)]
        elif at > 1 and words[at - 1] in _OF:
            nouns = [words[at - 2]]
        elif at > 2 and words[at - 2] in _OF and words[at - 1] in _DETERMINERS:
            nouns = [words[at - 3]]
        else:
            continue
        if nouns and all(_is_another(each, newer, older, question) for each in nouns):
            return True
    return False


def _is_another(noun: str, newer: Statement, older: Statement, question: Statement) -> bool:
    if noun in STOP or stem(noun) in question.stems:
        return False
    if have(older.stems, stem(noun)):
        return noun in older.names  # the older value itself: "Malachy's Subaru is red"
    if newer.changes and noun not in OTHERS:
        return False
    return RELATIONS.get(noun, frozenset()).isdisjoint(question.relations | older.relations)


def _is_on_occasion(newer: Statement, older: Statement, question: Statement) -> bool:
    """Whether the newer statement begins with when or for whom it holds, and the older one does not: "on Christmas Eve the
    market is open until 12"."""
    if not newer.words or newer.words[0] not in _OCCASIONS or older.words[0] == newer.words[0]:
        return False
    told = []
    for word in newer.words[1:_LATEST]:
        if word in STOP or word in _ANYTHING:
            continue
        if stem(word) in older.stems | question.stems:
            break
        told.append(word)
    else:
        return False
    return bool(told)


def _is_narrowed(newer: Statement, older: Statement, question: Statement) -> bool:
    """Whether the newer statement is about one of the things that the older one is about: "the head guide"."""
    for at in range(2, len(newer.words)):
        before, qualifier, thing = newer.words[at - 2 : at + 1]
        if before not in _DETERMINERS or thing in STOP or stem(thing) not in question.stems & older.stems:
            continue
        if qualifier in STOP or qualifier in _USUAL or qualifier in CHANGES:
            continue
        if have(older.stems | question.stems, stem(qualifier)) or any(map(str.isdigit, qualifier)):
            continue
        places = [each for each, word in enumerate(older.words) if stem(word) == stem(thing)]
        if all(not each or older.words[each - 1] in STOP for each in places):
            return True
    return False


def _has_another_unit(newer: Statement, older: Statement) -> bool:
    """Whether both have numbers, of other things: "14 columns", "3 indexes"."""
    own, other = _counted(newer), _counted(older)
    if not own or not other or own & other:
        return False
    return not any(own & kind and other & kind for kind in (_SPANS, _MONEY)) and newer.relations.isdisjoint(
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
            if each in STOP or not written.isalpha() or not written.islower():
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
