"""Two statements that are the same sentence with another value: "within 14 days", "within 30 days"."""

from __future__ import annotations

from collections.abc import Sequence, Set
from difflib import SequenceMatcher
from typing import Final, NamedTuple

from .opposites import BE, TIMES
from .relations import CHANGES, COUNTED, LISTED, MANY, ONE_AT_A_TIME, RELATIONS, STOP
from .statements import Statement
from .stems import stem
from .wordlists import ARTICLES, BY, OF, OURS, PAST, PREPOSITIONS, SPANS, SUPPORTS

_LONGEST_VALUE: Final = 3
"""Words."""

_LEAST_TOLD: Final = 2
"""Words that tell something and stand in both statements: a subject, and what is said of it."""

_DIGITS_OF_A_YEAR: Final = 4
_MANY: Final = (MANY | LISTED) - {"take", "takes"}  # "takes place"
_HABITS: Final = frozenset(["meet", "meets", "play", "plays", "offer", "offers", "visit", "visits"])
"""Words of :data:`MANY` for what is done at one time or another."""
_THE: Final = OURS | {"the", "der", "die", "das", "le", "la", "el"}
_NONE: Final = frozenset[str]()
_LONGEST_COMPARED: Final = 40
"""Words. It takes time that grows with their square, and a longer statement has no one value."""

_A_NAME_AND_A_VALUE: Final = 2
_LONGEST_NAME: Final = 2


class _Word(NamedTuple):
    plain: str
    written: str


class _Values(NamedTuple):
    """Where two statements differ: one part of each, and the words around it, which they have in common."""

    older: Sequence[_Word]
    newer: Sequence[_Word]
    before: Sequence[str]
    after: Sequence[str]


def says_another_value(newer: Statement, older: Statement, asked: Set[str]) -> bool | None:
    """Whether the newer statement is the older one with another number, or with another name or word where there is
    one at a time; ``None`` if they are no such sentences, and it is not told.

    Args:
        newer, older: the statements.
        asked: the stems of the question.
    """
    values = _differing(newer, older)
    if values is None or any(stem(word.plain) in asked for word in values.older):
        return None
    around = {*values.before, *values.after}
    if len(around - STOP) + (not around.isdisjoint(BE)) < _LEAST_TOLD:
        return None
    if not (BE & set(values.before) or len(set(values.before) - STOP) >= _LEAST_TOLD):
        return None  # what is named first is the subject: "room 12 has a screen", "room 14 has a screen"
    is_past = not around.isdisjoint(PAST)
    if not newer.changes and not around.isdisjoint(SUPPORTS):
        return False
    if any(map(_is_number, values.older)):
        if is_past and _is_date(values):
            return False
        return _is_another_number(values) or None
    if values.after and len(set(values.after) - STOP) >= _LEAST_TOLD:
        return None if is_past else True  # one at a time there: "plays the oboe in the town band"
    if values.before[-1:] and RELATIONS.get(values.before[-1], _NONE) & ONE_AT_A_TIME:
        return True  # "has the status open"
    many = around & (_MANY if "place" in around else MANY | LISTED)
    if all(word.plain in TIMES for word in values.older):
        many -= _HABITS  # "meets on Tuesdays"
    is_had = many <= COUNTED and values.before[-1] not in PREPOSITIONS - OF  # "has the role of", not "has an office in"
    if many and not newer.changes and not is_had:
        return False
    if is_past or _are_names(values.older) != _are_names(values.newer):
        return None
    if not values.after and values.before[-1] in BE and values.before[0] in _THE and _are_names(values.newer):
        return True  # "the engineer on call is Tom"
    relations = frozenset[str]().union(*(RELATIONS.get(word, ()) for word in around))
    return bool(relations & ONE_AT_A_TIME) or None


def names_another(newer: Statement, older: Statement, asked: Set[str]) -> bool:
    """Whether both statements say something else of another thing: "the warranty in France is two years", "the
    warranty in Spain is one year"."""
    if newer.changes and not older.changes:
        return False
    one, other = _words(older), _words(newer)
    if max(len(one), len(other)) > _LONGEST_COMPARED:
        return False
    matcher = SequenceMatcher(None, [word.plain for word in one], [word.plain for word in other], autojunk=False)
    changed = [
        (one[start:end], other[first:last], start)
        for tag, start, end, first, last in matcher.get_opcodes()
        if tag != "equal" and (_telling(one[start:end]) or _telling(other[first:last]))
    ]
    if len(changed) == 1 and not changed[0][2] and _telling(one[len(changed[0][0]) :]):
        # "Ann is an author", "Bob is an author": the question names the one.
        [(one_name, other_name, _)] = changed
        of_one, of_other = ({stem(word.plain) for word in _telling(part)} for part in (one_name, other_name))
        return bool(of_one & asked) and bool(of_other) and of_other.isdisjoint(asked)
    if len(changed) != _A_NAME_AND_A_VALUE:
        return False
    (named, name, at), (had, has, _) = changed
    if not (named and name and had and has) or max(len(named), len(name)) > _LONGEST_NAME:
        return False
    before = [word.plain for word in one[:at]]
    is_asked = (
        len(named) == len(name)
        and any(stem(word.plain) in asked for word in named)
        and not any(stem(word.plain) in asked for word in name)
    )
    if is_asked and not any(word.plain in RELATIONS for word in (*named, *name)):
        behind = one[at + len(named)].plain
        if (before and before[-1] not in STOP) or behind not in STOP | RELATIONS.keys():
            return True
    if before and before[-1] in BE and one[at + len(named)].plain in BY and is_asked:
        return True  # "is driven by", "is loaded by"
    if before and before[-1] in ARTICLES | OURS:
        before.pop()
    if before and before[-1] in PREPOSITIONS:
        return True
    after = [word.plain for word in one[at + len(named) :]]
    return not before and len(after) > len(had) and after[0] not in STOP | RELATIONS.keys()


def _telling(words: Sequence[_Word]) -> list[_Word]:
    return [word for word in words if word.plain not in STOP]


def _differing(newer: Statement, older: Statement) -> _Values | None:
    lengths = len(older.words), len(newer.words)
    if max(lengths) > _LONGEST_COMPARED or max(lengths) - min(lengths) > 2 * _LONGEST_VALUE:
        return None
    one, other = _words(older), _words(newer)
    most = min(len(one), len(other))
    start = 0
    while start < most and one[start].plain == other[start].plain:
        start += 1
    end = 0
    while end < most - start and one[-1 - end].plain == other[-1 - end].plain:
        end += 1
    old, new = one[start : len(one) - end], other[start : len(other) - end]
    if not old or not new or max(len(old), len(new)) > _LONGEST_VALUE:
        return None
    plain = [word.plain for word in one]
    return _Values(old, new, plain[:start], plain[len(one) - end :])


def _words(statement: Statement) -> list[_Word]:
    words = zip(statement.words, statement.written, strict=True)
    return [_Word(plain, written) for plain, written in words if plain not in CHANGES]


def _is_another_number(values: _Values) -> bool:
    """Whether both parts have a number, and of the same unit."""
    if not any(map(_is_number, values.newer)):
        return False
    of_older, of_newer = (
        {stem(word.plain) for word in part if not _is_number(word)} for part in (values.older, values.newer)
    )
    return of_older == of_newer or (of_older <= SPANS and of_newer <= SPANS)


def _is_date(values: _Values) -> bool:
    """Whether the value is a day of what happened then: it may have happened on both."""
    near = {*(word.plain for word in values.older), *values.before[-1:], *values.after[:1]}
    return not near.isdisjoint(TIMES) or any(len(word.plain) == _DIGITS_OF_A_YEAR for word in values.older)


def _is_number(word: _Word) -> bool:
    return any(map(str.isdigit, word.plain))


def _are_names(words: Sequence[_Word]) -> bool:
    return all(word.written[0].isupper() or word.plain in STOP for word in words)
