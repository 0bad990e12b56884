"""What kind of value a question asks for, and whether a statement has one: a time, a number."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple

from ..text.kept import kept_calls
from .marks import OF_OWNERS
from .opposites import TIMES
from .relations import RELATIONS
from .statements import Statement
from .stems import stem
from .wordlists import MEASURES, MONTHS_AND_DAYS, OF_THE_DAY, QUANTITIES, SPANS, TELLS_TIMES

_WHEN: Final = re.compile(
    r"\b(?:when|what time|(?:what|which) (?:day|date|time|month|year|weekday)|wann|quand|quel(?:le)? (?:jour|date|heure"
    r"|mois|année)|cuándo|qué (?:día|fecha|hora|mes|año))\b",
    re.IGNORECASE,
)
_HOW_MANY: Final = re.compile(
    r"\b(?:how (?:many|much|old|tall|heavy)|wie ?viele?|wie (?:hoch|alt|groß|schwer|teuer)|combien|cuánt[oa]s?)\b",
    re.IGNORECASE,
)
_OF_PAST: Final = re.compile(r"\b(?:did|was|were|had|hat|wurde|war|fue)\b", re.IGNORECASE)
_LEVEL: Final = re.compile(
    r"\b(?:(?:what|which)\b.{0,40}\b(?:price|cost|budget|salary|rate|percentage|number|limit|temperature|size|target|goal"
    r"|amount|fee|rent|threshold|share|score|capacity|level|weight|height|length|age|cut|discount|speed|valuation)|costs?"
    r"|how (?:long|big|large|high|often|far|fast|wide|deep|few))\b",
    re.IGNORECASE,
)
_OF_MEASURES: Final = frozenset(map(stem, MEASURES | RELATIONS.keys()))
_DAYS: Final = TIMES - OF_THE_DAY | MONTHS_AND_DAYS
_TIMES: Final = TIMES | TELLS_TIMES
_CLOCK: Final = re.compile(r"\b\d{1,2}(?:[:h.]\d{2}\b| ?(?:am|pm|uhr|o'clock|heures|h)\b)", re.IGNORECASE)
_HOW_LONG: Final = re.compile(
    r"\bhow long\b|\bwie lange?\b|\bcombien de temps\b|\bcuánto (?:tiempo|dura)\b", re.IGNORECASE
)
_HOW_OLD: Final = re.compile(r"\bhow old\b|\bwie alt\b|\bquel âge\b|\bcuántos años\b", re.IGNORECASE)
_AGE: Final = re.compile(r"\b(?:turn(?:s|ed)|is|am|aged?|wurde|a eu|cumplió) (?:now )?\d{1,3}\b", re.IGNORECASE)
_WHO: Final = re.compile(r"\b(?:who|whom|wer|wen|wem|qui|quién)\b", re.IGNORECASE)
_YEAR: Final = re.compile(r"\b(?:19|20)\d\d\b|\b\d{1,2}[./]\d{1,2}\b|\b\d{1,2}(?:st|nd|rd|th)\b")


class Kind(NamedTuple):
    """What a question asks for."""

    time: bool
    number: bool
    level: bool
    span: bool
    somebody: bool
    past: bool


def _kind(question: str) -> Kind:
    every = (_WHEN, _HOW_MANY, _LEVEL, _HOW_LONG, _WHO, _OF_PAST)
    return Kind(*(bool(each.search(question)) for each in every))


kind_of = kept_calls(_kind, 1_024)
"""Of the text of a question."""


def lacks_what_is_asked(newer: Statement, older: Statement, question: Statement) -> bool:
    """Whether the question asks for a time or a number that the older statement has, and the newer one has none."""
    if newer.changes or newer.negated:
        return False  # "was cancelled", "is free now"
    kind = kind_of(question.text)
    if kind.span and _tells_a_span(older) and not _tells_a_span(newer):
        return True
    if not kind.time:
        return kind.number and _has_number(older) and not _has_number(newer)
    if _has_time(older) and not _has_time(newer):
        return True
    has_day, had_day = _has_day(newer), _has_day(older)
    has_clock, had_clock = bool(_CLOCK.search(newer.text)), bool(_CLOCK.search(older.text))
    return (had_day and not had_clock and not has_day) or (had_clock and not has_clock and not has_day)


def _tells_a_span(statement: Statement) -> bool:
    return not SPANS.isdisjoint(statement.stems)


def _has_day(statement: Statement) -> bool:
    return not _DAYS.isdisjoint(statement.set) or bool(_YEAR.search(statement.text))


def has_another_of_the_kind(newer: Statement, older: Statement, question: Statement, subject: Collection[str]) -> bool:
    """Whether the question asks for a number or a time, and the newer statement has another one of the same unit, or at
    another time.

    Args:
        newer, older, question: the statements.
        subject: the stems of the subject.
    """
    missing = (question.stems & older.stems) - newer.stems
    if not missing <= _OF_MEASURES:
        return False
    kind = kind_of(question.text)
    own, other = (_numbers(each, question) for each in (newer, older))
    if kind.time:
        if kind.past or newer.states & older.states:
            return False  # what happened once; "opens at 8", "closes at 18"
        return bool(own | (_times(newer) - _times(question))) and own | _times(newer) != other | _times(older)
    if not own or not other or own <= other or not MEASURES.isdisjoint(newer.set - older.set - question.set):
        return False
    if not (kind.number or kind.level):
        return False
    if _HOW_OLD.search(question.text) and _AGE.search(newer.text):
        return True
    units = newer.units & older.units
    return bool(units) and not any(
        stem(word[:-2]) in subject and stem(noun) not in question.stems | older.stems
        for word, noun in zip(map(str.lower, newer.written), newer.words[1:], strict=False)
        if word.endswith(OF_OWNERS)
    )


def names_another_person(newer: Statement, older: Statement, question: Statement, subject: Collection[str]) -> bool:
    """Whether the question asks for somebody, and both statements have the full name of one: the newer one behind the
    subject."""
    if not kind_of(question.text).somebody:
        return False
    known = {*subject, *question.stems}
    own, other = (_persons(each, known) for each in (newer, older))
    if not own or not other or not own.isdisjoint(other):
        return False
    first = min(newer.text.find(last) for last in own)
    places = [
        newer.text.find(written) for written in newer.written if stem(written.lower().removesuffix("'s")) in subject
    ]
    return bool(places) and min(places) < first


def _persons(statement: Statement, known: Collection[str]) -> set[str]:
    """The last words of full names, as they are written, and of names behind a title."""
    pairs = re.findall(r"\b(?:[A-ZÀ-Þ][\w'’-]+\.?) ([A-ZÀ-Þ][\w'’-]+)", statement.text)
    return {last for last in pairs if stem(last.lower()) not in known}


def _numbers(statement: Statement, question: Statement) -> frozenset[str]:
    return frozenset(word for word in statement.set - question.set if any(map(str.isdigit, word)))


def _times(statement: Statement) -> frozenset[str]:
    return statement.set & _TIMES


def _has_time(statement: Statement) -> bool:
    return statement.has_number or not _TIMES.isdisjoint(statement.set)


def _has_number(statement: Statement) -> bool:
    return statement.has_number or not QUANTITIES.isdisjoint(statement.set)
