"""Statements that are newer and say no new value: of the past, of a wish, or only what is not so."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from ..text.kept import kept_calls
from .relations import STOP
from .statements import Statement
from .stems import stem

_PAST: Final = re.compile(
    r"\bused to\b|\b(?:was|were) once\b|\bthe old \w+ was\b|\bin (?:19|20)\d\d (?:was|were|had|war"
    r"|betrug)\b(?! \w+ed\b)"
    r"|\b(?:years?|months?|weeks?) ago\b.{0,60}\b(?:was|were|had|cost|lived|worked|used)\b"
    r"|\b(?:was|were|had|cost|lived|worked|used)\b.{0,60}\b(?:years?|months?) ago\b"
    r"|\bonce (?:wanted|lived|worked|owned|had|was|were|played|studied)\b"
    r"|\bvor \w+ jahren (?:war|waren|hatte|kostete|lebte|wohnte|arbeitete)\b"
    r"|\b(?:first|original|initial|early|earliest) (?:sketch|draft|version|plan|idea|design|name|logo|proposal)\b"
    r"|\b(?:my|our|his|her|their|the) first \w+ (?:was|were)\b"
    r"|\b(?:before|avant|vor|antes de) (?:him|her|them|that|lui|elle|eux|ihm|ihr|él|ella)\b"
    r"|\bthe first \w+ .{0,40}\b(?:was|were)\b"
    r"|\b(?:previously|formerly|former|earlier|originally|once upon|back then|in the past|at that time"
    r"|ex-\w+)\b"
    r"|\bas an? (?:child|kid|boy|girl|teenager|student)\b|^before (?!\w+ing\b)"
    r"|\b(?:in|until|during) (?:(?:19|20)\d\d|the \w+ (?:phase|days|years|period|stage)),? .{1,60}\b(?:was|were|had)\b"
    r"|\bfrom (?:\w+ )?\d{4} (?:to|until|till) (?:\w+ )?\d{4}\b"
    r"|\b(?:früher|damals|ehemalig\w*|einst|zuvor|vorher|als kind|autrefois|auparavant|jadis|dans le passé|antes"
    r"|anteriormente"
    r"|antiguamente|en el pasado)\b",
    re.IGNORECASE,
)
_UNTIL: Final = re.compile(r"\b(?:until|till|up to|before|bis|jusqu'en|hasta) (?:\w+ )?\d{4}\b", re.IGNORECASE)
_TO_COME: Final = re.compile(
    r"\b(?:exten(?:d|sion)|prolong|renew|postpon|delay|push|valid\b|book|verlänger|verschob|prorog|prorrog)",
    re.IGNORECASE,
)
"""Before "until": it is not over."""
_NOT_UNTIL: Final = re.compile(
    r"(?:\bnot|\bnever|n['’]t)\b.{1,40}\b(?:until|till|before)\b|\bnicht vor\b", re.IGNORECASE
)
"""It says when, and does not deny: "does not open until 10"."""
_IS: Final = re.compile(r"\b(?:is|are|ist|sind|est|sont|está|están)\b", re.IGNORECASE)
_NOW: Final = re.compile(
    r"\b(?:now|nowadays|today|currently|again|instead|since|replaced|became|took over|no longer|anymore|jetzt|heute"
    r"|inzwischen"
    r"|wieder|seit|stattdessen|mehr|maintenant|désormais|aujourd'hui|depuis|ahora|hoy|desde)\b",
    re.IGNORECASE,
)
_WISH: Final = re.compile(
    r"\b(?:wants?|hopes?|wish(?:es)?|plans?|intends?|considers?) to (?!be called|be known)"
    r"|\bwould (?!(?:\w+ )?(?:like|prefer|rather|love (?!to\b)))"
    r"|(?:\bwould|['’]d) (?:like|love|prefer) to (?:live|work|move|become|buy|own|study|learn|go|visit|stay|start|get"
    r"|retire|travel|try)\b|\b(?:one|some) ?day\b"
    r"|\b(?:dreams?|dreaming|thinks?|thinking) (?:of|about)\b|\b(?:might|could|perhaps|maybe|(?:almost"
    r"|nearly)(?!.*\d))\b"
    r"|\b(?:suggest(?:s|ed|ing)?|propos(?:es?|ed|ing)|evaluating|considering|discuss(?:es|ed|ing)"
    r"|nothing was decided)\b"
    r"|\bhop(?:es?|ed|ing) (?:that |we |he |she |they |for )|\bidea to\b|\bat some point\b"
    r"|\b(?:ha[sd]|have) (?:already )?spent\b"
    r"|\b(?:asked|wondered|asks|wonders) (?:if|whether)\b|\bappl(?:y|ies|ied) (?:for|to)\b"
    r"|\b(?:würde|könnte|vielleicht|beinahe|träumt|überlegt|voudrait|aimerait|rêve de|peut-être|gustaría|querría"
    r"|quisiera|quizás|tal vez|casi)\b"
    r"|\?\s*$",
    re.IGNORECASE,
)
_EVENT: Final = re.compile(
    r"\b(?:spent|donated|attended|helped|ate|met|saw|flew|rode|watched|visited|baked|cooked|presented|lectured|spoke"
    r"|sang|danced|took part|took (?:a|an|the|some) (?:photo|picture|trip|walk|taxi|train|bus|boat|course|break)\w*"
    r"|had (?:an?|the|his|her|their|our|my) (?:\w+ )?(?:meeting|call|lunch|dinner|breakfast|appointment|interview|talk"
    r"|chat|party|drink|visit|trip|accident|argument|checkup))\b",
    re.IGNORECASE,
)
"""What happened once: it is no new value, unless the statement says that something has changed."""
_MOVED_A_THING: Final = re.compile(
    r"\bmov(?:e|es|ed|ing) (?:the|an?|his|her|their|our|my|some) (?!home|house|household|family|residence|place)",
    re.IGNORECASE,
)


def _of_past(text: str) -> bool:
    """Whether a text says only what was: "used to live in Oslo"."""
    return bool(
        _PAST.search(text) or (_UNTIL.search(text) and not (_IS.search(text) or _TO_COME.search(text)))
    ) and not _NOW.search(text)


_asks_for_past: Final = kept_calls(lambda text: bool(re.search(r"\bdid\b", text, re.IGNORECASE)), 1_024)
_is_of_past: Final = kept_calls(_of_past, 4_096)
_is_wish: Final = kept_calls(lambda text: bool(_WISH.search(text)), 4_096)


def is_no_news(newer: Statement, older: Statement, question: Statement, subject: Collection[str]) -> bool:
    """Whether the newer statement takes the place of none: it says what was, what somebody wants, or only that
    another value does not hold. A statement that the older value held once is news."""
    if _is_wish(newer.text) and not (_is_wish(older.text) or _WISH.search(question.text.rstrip("?¿ "))):
        return True
    if _EVENT.search(newer.text) and not (newer.changes or _EVENT.search(older.text) or _asks_for_past(question.text)):
        return True
    if "home" in question.relations and _MOVED_A_THING.search(newer.text):
        return True
    is_of_past = _is_of_past(newer.text) and not (_is_of_past(older.text) or _PAST.search(question.text))
    denies = newer.negated and not _NOT_UNTIL.search(newer.text)
    if not is_of_past and (not denies or older.negated or newer.changes_to):
        return False
    known = {*subject, *question.stems}
    value = _names_in(older) - known or older.telling - known
    if is_of_past:
        return not value or not value <= newer.stems or newer.text.lower().startswith("before ")
    return len(_names_in(newer) - known) == 1 and bool(value) and not value & newer.stems


def _names_in(statement: Statement) -> set[str]:
    return {stem(name) for name in statement.names if name not in STOP}
