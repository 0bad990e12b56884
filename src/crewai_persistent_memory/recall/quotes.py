"""An answer that quotes memory is not a new memory: it gives its place to the entry that it quotes.

A crew that answers from its memory has its request and its answer saved, as every crew has. The answer then says what
an earlier entry says, with a newer date, and with the words of a question. Of a record whose request only asks, and
whose every statement stands in earlier entries that were found too, a recall shows these entries in its place.
In doubt an answer is a memory of its own: nothing is deleted, and a search gives it always.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from .empty import RESULT, asks, sentences_of
from .found import Found
from .relations import SELF, STOP
from .statements import stem

LONGEST: Final = 4_000
"""Characters. A longer record is a memory of its own. Of a longer source, the sentences with the answer's words."""

SAYS_THE_SAME: Final = 0.7
"""The part of a quoted sentence, in words, that the answer and its request have: then the record adds nothing. With a
smaller part it is shown behind its source."""

_NEAR: Final = 0.5
"""The part of an answer's words in a statement that speaks of the same thing."""
_MOST_TEXT: Final = 100_000
_MOST_PLACES: Final = 20
_MOST_SENTENCE: Final = 1_000

_WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+(?:[-'’][^\W_]+)*")
_NEGATION: Final = re.compile(
    r"\b(?:no|not|never|none|neither|nor|without|cannot|nicht|nie|niemals|kein\w*|ohne|ne|pas|jamais|sans|nunca|sin)\b"
    r"|n['’]t\b|\bn['’]|[不没沒無非]|ない|ません",
    re.IGNORECASE,
)
_OF_ANSWERS: Final = """
    guest guests user users customer customers client you've you're you'd yes sure certainly course ok okay told
    mentioned mention said say remember recall noted note memory memories based according previously earlier know
    answer final thought they're
    gast nutzer nutzerin kunde kundin sie ihnen ihre ihr ja gesagt erwähnt laut erinnerung erinnerungen antwort
    le la les un une des du de et est es je j'ai il elle vous tu êtes suis as mon ma mes votre vos ton ta tes que qui se
    en à client oui selon el los las y soy eres usted su sus mi mis tu tus una con para por sí según cliente
    您 你 我 他 她 的 是
"""
_TELLS_NOTHING: Final = STOP | frozenset(_OF_ANSWERS.split())
"""Words that an answer may have beside those of its source."""
_OFFERS: Final = re.compile(
    r"\W*(?:please|let me know|feel free|i hope|hope|enjoy|have a|happy to|i(?:'d| would) be happy|i can help|if you"
    r"|thank|you(?:'re| are) welcome|sorry|gerne|bitte|ich hoffe|falls sie|wenn sie|viel spaß|je reste|n'hésitez|bonne"
    r"|merci|espero|gracias|si necesita|disfrute)\b",
    re.IGNORECASE,
)


def behind_their_sources(found: Sequence[Found]) -> list[Found]:
    """The entries, without the records that only quote others of them.

    Args:
        found: the entries, best first.

    Returns:
        The quoted entries stand at the place of the best record that quotes them. A record that has only a part of what
        it quotes stands directly behind its source.
    """
    sources: dict[int, _Quote] = {}
    records = [
        at for at, each in enumerate(found) if RESULT in each.entry.content and len(each.entry.content) <= LONGEST
    ]
    for at in sorted(records, key=lambda record: found[record].entry.created_at):
        if (quote := _quote(found, at)) is not None:
            sources[at] = sources[quote.source] if quote.source in sources and quote.says_the_same else quote
    if not sources:
        return list(found)
    followers: dict[int, list[int]] = {}
    order: dict[int, None] = {}
    for at in range(len(found)):
        while at in sources:
            if not sources[at].says_the_same and at not in followers.setdefault(sources[at].source, []):
                followers[sources[at].source].append(at)
            at = sources[at].source
        order.setdefault(at)
    return [found[at] for first in order for at in _with_followers(first, followers)]


@dataclass(frozen=True)
class _Quote:
    source: int
    says_the_same: bool


def _with_followers(at: int, followers: dict[int, list[int]]) -> Iterator[int]:
    yield at
    for follower in followers.get(at, ()):
        yield from _with_followers(follower, followers)


def _quote(found: Sequence[Found], at: int) -> _Quote | None:
    """Which entry a record quotes, if it states nothing else."""
    record = _record(found[at].entry.content)
    if record is None:
        return None
    said_at = found[at].entry.created_at
    earlier = [number for number, each in enumerate(found) if each.entry.created_at < said_at]
    quoted: list[_Quote] = []
    for statement in record.answered:
        quote = next(
            (
                _Quote(number, statement.covers(sentence, record.asked))
                for number in earlier
                for sentence in _sentences_with(found[number].entry.content, statement)
                if statement.stands_in(sentence, record.asked)
            ),
            None,
        )
        if quote is None or _is_told_otherwise(found, statement, quote.source, at, record.asked):
            return None
        quoted.append(quote)
    if not all(any(told in found[number].entry.content for number in earlier) for told in record.told):
        return None
    return _Quote(quoted[0].source, all(quote.says_the_same for quote in quoted))


def _is_told_otherwise(
    found: Sequence[Found], statement: _Sentence, source: int, record: int, asked: frozenset[str]
) -> bool:
    """Whether something else was said of the same thing after the source. The answer is news then."""
    since, until = found[source].entry.created_at, found[record].entry.created_at
    return any(
        len(statement.words & sentence.words) >= _NEAR * len(statement.words)
        for each in found
        if since < each.entry.created_at < until and len(each.entry.content) <= LONGEST
        for sentence in _parsed(each.entry.content)
        if not statement.stands_in(sentence, asked) and not sentence.asks
    )


class _Sentence:
    """The words of a sentence that tell something, and those whose order matters."""

    def __init__(self, text: str) -> None:
        written = [(word, stem(plain)) for word in _WORD.findall(text) if (plain := _plain(word)) not in _TELLS_NOTHING]
        self.words = frozenset(word for _, word in written)
        self.ordered = [word for each, word in written if not each.islower()]
        self.subject = written[0][1] if written and written[0][0][0].isupper() else ""
        self.is_of_oneself = not SELF.isdisjoint(map(_plain, _WORD.findall(text)))
        self.negated = bool(_NEGATION.search(text))
        self.asks = text.rstrip(" \"'”“*").endswith(("?", "？"))
        self.longest = max((each for each, _ in written), key=len, default="").lower()

    def stands_in(self, other: _Sentence, asked: frozenset[str] = frozenset()) -> bool:
        """Whether the other says all of it: its words, its names and numbers in their order, and no other "not".

        Asked about John, an answer names John where he said "I".
        """
        missing = self.words - other.words
        if missing and not (other.is_of_oneself and missing == {self.subject} and self.subject in asked):
            return False
        if other.asks or self.negated != other.negated or self.words == missing:
            return False
        common = [word for word in self.ordered if word in other.ordered]
        rest = iter(other.ordered)
        return all(word in rest for word in common)

    def covers(self, other: _Sentence, asked: frozenset[str]) -> bool:
        """Whether it has nearly all words of the other, with those of the question."""
        return len(other.words & (self.words | asked)) >= SAYS_THE_SAME * len(other.words)


@dataclass(frozen=True)
class _Record:
    """A request and an answer.

    Attributes:
        told: the sentences of the request that do not ask.
        asked: the words of the request.
        answered: the statements of the answer, at least one.
    """

    told: tuple[str, ...]
    asked: frozenset[str]
    answered: tuple[_Sentence, ...]


@lru_cache(maxsize=2_048)
def _record(content: str) -> _Record | None:
    """``None`` for a record whose answer states nothing that can be compared."""
    request, _, answer = content.partition(RESULT)
    told = tuple(sentence.strip() for sentence in sentences_of(request) if not asks(sentence.replace("’", "'")))
    statements = []
    for text in sentences_of(answer):
        sentence = _Sentence(text)
        if sentence.asks or _OFFERS.match(text):
            continue
        if sentence.words:
            statements.append(sentence)
        elif sentence.negated:
            return None
    return _Record(told, _Sentence(request).words, tuple(statements)) if statements else None


def _sentences_with(content: str, statement: _Sentence) -> Sequence[_Sentence]:
    """The sentences of an entry that may have this statement."""
    if len(content) <= LONGEST:
        return _parsed(content)
    return [_Sentence(text) for text in _around(content[:_MOST_TEXT], statement.longest)]


def _around(text: str, word: str) -> Iterator[str]:
    """The sentences of a long text that have a word."""
    at, lowered = 0, text.lower()
    for _ in range(_MOST_PLACES):
        at = lowered.find(word, at) if word else -1
        if at < 0 or len(lowered) != len(text):
            return
        start = max(text.rfind(mark, max(0, at - _MOST_SENTENCE), at) for mark in (". ", "! ", "? ", "\n")) + 1
        ends = [end for mark in (". ", "! ", "? ", "\n") if (end := text.find(mark, at, at + _MOST_SENTENCE)) >= 0]
        end = min(ends, default=at + _MOST_SENTENCE)
        yield text[start : end + 1]
        at = end


@lru_cache(maxsize=2_048)
def _parsed(content: str) -> tuple[_Sentence, ...]:
    return tuple(map(_Sentence, sentences_of(content.replace(RESULT, "\n"))))


def _plain(word: str) -> str:
    word = word.lower().replace("’", "'")
    return word[:-2] if word.endswith("'s") else word
