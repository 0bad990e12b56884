"""When a newer statement says that the value of the older one is over, without its subject or its relation.

"The queue is RabbitMQ", and later "RabbitMQ has been replaced with NATS"; "Max has a dog named Rex", "Rex died".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from typing import Final

from .asked import Asked
from .end_phrases import IN_PLACE_OF, IS_OVER, LEAVES, WORDS
from .marks import WORD
from .opposites import EVENTS, TIMES
from .relations import CHANGES, OTHERS, STOP
from .statements import Statement
from .stems import stem
from .wordlists import ARTICLES, OURS, OWNERS, PREPOSITIONS

_WHETHER: Final = re.compile(
    r"\W*(?:is|are|do|does|has|have|was|can|hat|hast|ist|sind|est|tiene|está)\b", re.IGNORECASE
)
"""A question for whether the value holds: it names the value."""
_WHAT_HAPPENED: Final = re.compile(
    r"\b(?:did|had|(?:who|what) (?:\w+ed|was|were|wrote|built|made|won|led|gave|took|drew|began|beat|met|found|sent"
    r"|sold|bought|taught))\b",
    re.IGNORECASE,
)
"""A question for what stays true: who wrote something, who left meanwhile or not."""
_FOR_A_TIME: Final = re.compile(
    r"\bfor (?:an?|the|one|two|three|some|several|\d+) (?:few )?(?:day|week|weekend|while|month|holiday|trip|visit)",
    re.IGNORECASE,
)
_WITH: Final = re.compile(r"\b(?:with|by|durch|par|por)\b", re.IGNORECASE)
"""Behind what is replaced: who stands before it has replaced it by another thing."""
_AS: Final = re.compile(r"\bas (?:the |an? |our |its |their |his |her )?([\w-]+)", re.IGNORECASE)
_LIFE: Final = frozenset(["died", "dead", "passed", "gone", "divorced", "split", "broke", "parted", "separated"])
"""Words for an end of which a relative is capable: one who resigned is still somebody's brother."""

_BESIDE: Final = """
    after before since last this yesterday today because during once when while until completely entirely altogether
"""
_BEHIND_A_VALUE: Final = STOP | PREPOSITIONS | TIMES | CHANGES | frozenset(_BESIDE.split())
_BEFORE_A_VALUE: Final = ARTICLES | OWNERS | frozenset(["old", "former", "all"])
_PRONOUNS: Final = frozenset(["i", "we", "he", "she", "they", "it"])
_OURSELVES: Final = OURS | {"i", "we", "us"}
_SELLERS: Final = frozenset(["sell", "sells", "offers", "stocks"])
_BETWEEN: Final = " '\"“”‘’"


def is_ended(asked: Asked, older: Statement, newer: Statement) -> bool | None:
    """Whether the newer statement says that what the older one says, for this question, is over.

    Returns:
        ``False`` if it says so of what belongs to the value, or for a few days; ``None`` if it says nothing of an end.
    """
    of_end = newer.set & WORDS
    if not of_end or newer.negated:
        return None
    if asked.stems.isdisjoint(older.stems) and asked.relations.isdisjoint(older.relations):
        return None
    known = asked.name_stems if _WHETHER.match(asked.text) else asked.stems | asked.name_stems
    values = older.stems - known - older.times
    if values.isdisjoint(newer.stems):
        return None
    words = list(WORD.finditer(newer.text))
    said = {_is_value(_behind(words, newer.text, each.end()), values) for each in _phrases(asked, older, newer)}
    is_over = True in said or any(
        stem(plain) in values and IS_OVER.match(newer.text, word.end()) and not _is_a_place(newer, at, values)
        for at, (plain, word) in enumerate(zip(newer.words, words, strict=True))
    )
    if not is_over:
        return False if False in said else None
    is_sale = "sold" in of_end and not older.set.isdisjoint(_SELLERS)
    if is_sale or _FOR_A_TIME.search(newer.text):
        return False
    return True if _may_end(asked, older, newer, of_end) else None


def _may_end(asked: Asked, older: Statement, newer: Statement, of_end: Set[str]) -> bool:
    """Whether the older statement is one that can be over, and the newer one does not speak of another role."""
    if older.set & EVENTS or _WHAT_HAPPENED.search(asked.text) or (older.set & OTHERS and not of_end & _LIFE):
        return False
    roles = {stem(role.lower()) for role in _AS.findall(newer.text)}
    return not roles or not roles.isdisjoint(older.stems | asked.stems)


def _is_a_place(newer: Statement, at: int, values: Set[str]) -> bool:
    """Whether the value that ends with this word only says where or of what something was: "the forklift in Hall 4"."""
    while at and (stem(newer.words[at]) in values or newer.words[at] in ARTICLES):
        at -= 1
    return newer.words[at] in PREPOSITIONS


def _phrases(asked: Asked, older: Statement, newer: Statement) -> Iterator[re.Match[str]]:
    is_its = asked.name_stems & older.stems <= newer.stems or not _PRONOUNS.isdisjoint(newer.words[:2])
    if older.set & _OURSELVES and newer.written[0].istitle() and newer.words[0] not in STOP:
        is_its = newer.words[0] in older.set
    is_change = bool((newer.set & CHANGES) - {"instead"} or newer.relations & (asked.relations | older.relations))
    for phrase in IN_PLACE_OF.finditer(newer.text):
        # "In Oslo instead of Rome" may be where somebody spent a week.
        is_beside = phrase.group().lower().endswith((" of", " than", "statt"))
        if is_change if is_beside else (is_its or not _WITH.search(newer.text, phrase.end())):
            yield phrase
    # Another one may have left the same company.
    if is_its:
        yield from LEAVES.finditer(newer.text)


def _behind(words: Sequence[re.Match[str]], text: str, start: int) -> list[str]:
    """The words behind a place, until the next mark of punctuation, in lower case."""
    behind: list[str] = []
    at = start
    for word in words:
        if word.start() < start:
            continue
        if text[at : word.start()].strip(_BETWEEN):
            break
        behind.append(word.group().lower())
        at = word.end()
    return behind


def _is_value(behind: Sequence[str], values: Set[str]) -> bool | None:
    """Whether these words begin with the value; ``False`` if with what belongs to it ("his Muse records")."""
    has_begun = False
    for word in behind:
        if stem(word) in values:
            has_begun = True
        elif has_begun:
            return word in _BEHIND_A_VALUE
        elif word not in _BEFORE_A_VALUE:
            return None
    return has_begun or None
