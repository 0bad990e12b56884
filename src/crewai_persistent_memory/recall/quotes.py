"""An answer that quotes memory is not a new memory: it gives its place to the entry that it quotes.

A crew that answers from its memory has its request and its answer saved, as every crew has. The answer then says what
an earlier entry says, with a newer date, and with the words of a question. Of a record whose request only asks, and
whose every statement stands in earlier entries that were found too, a recall shows these entries in its place.
In doubt an answer is a memory of its own: nothing is deleted, and a search gives it always.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .answers import LONGEST, Record, Sentence, lowered_of, records, sentences_near, sentences_with
from .empty import RESULT
from .found import Found

_MOST_STATEMENTS: Final = 40
"""Of an answer. One with more is a memory of its own: to look for each in every entry takes seconds."""


def behind_their_sources(found: Sequence[Found]) -> list[Found]:
    """The entries, without the records that only quote others of them.

    Args:
        found: the entries, best first.

    Returns:
        The quoted entries stand at the place of the best record that quotes them. A record that has only a part of what
        it quotes stands directly behind its source. No quoted entry has a lower score than the record.
    """
    sources: dict[int, _Quote] = {}
    answers = []
    for at, each in enumerate(found):
        if RESULT in each.entry.content and len(each.entry.content) <= LONGEST:
            answers.append(at)
    if not answers:
        return list(found)
    texts = [lowered_of(each.entry.content) for each in found]
    times = [each.entry.created_at for each in found]
    by_time = sorted(range(len(found)), key=times.__getitem__)
    in_order = [times[number] for number in by_time]
    for at in sorted(answers, key=times.__getitem__):
        earlier = by_time[: bisect_left(in_order, times[at])]
        if (quote := _quote(found, at, earlier, [texts[number] for number in earlier], sources)) is not None:
            sources[at] = sources[quote.first] if quote.first in sources and quote.says_the_same else quote
    if not sources:
        return list(found)
    followers: dict[int, list[int]] = {}
    order: dict[int, None] = {}
    for at in range(len(found)):
        while at in sources:
            if not sources[at].says_the_same and at not in followers.setdefault(sources[at].first, []):
                followers[sources[at].first].append(at)
            at = sources[at].first
        order.setdefault(at)
    scored = _scored(found, sources)
    return [scored[at] for first in order for at in _with_followers(first, followers)]


@dataclass(frozen=True)
class _Quote:
    """What a record quotes.

    Attributes:
        sources: the numbers of the quoted entries.
        says_the_same: whether the record has nearly all that they say.
    """

    sources: tuple[int, ...]
    says_the_same: bool

    @property
    def first(self) -> int:
        return self.sources[0]


def _scored(found: Sequence[Found], sources: dict[int, _Quote]) -> list[Found]:
    """The entries, none with a lower score than a record that quotes it."""
    scored = list(found)
    for record, quote in sources.items():
        for at in quote.sources:
            while at in sources:
                at = sources[at].first
            scored[at] = scored[at]._replace(score=max(scored[at].score, found[record].score))
    return scored


def _with_followers(at: int, followers: dict[int, list[int]]) -> Iterator[int]:
    yield at
    for follower in followers.get(at, ()):
        yield from _with_followers(follower, followers)


def _may_quote(record: Record, texts: Sequence[str]) -> bool:
    """Whether each statement of a record may stand in an entry. Of most records, the first one does not."""
    statements = 0
    for statement in record.answered():
        statements += 1
        if statements > _MOST_STATEMENTS or not statement.may_stand_in(texts):
            return False
    return statements > 0


def _quote(
    found: Sequence[Found], at: int, earlier: Sequence[int], texts: Sequence[str], known: Collection[int]
) -> _Quote | None:
    """Which entry a record quotes, if it states nothing else.

    Args:
        found: the entries.
        at: the number of the record.
        earlier: the numbers of the entries that were said before, oldest first.
        texts: of each of these, what is looked through.
        known: the numbers of earlier records that quote.
    """
    record = records[found[at].entry.content]
    if not _may_quote(record, texts):
        return None
    quoted: dict[int, None] = {}
    says_the_same = True
    for statement in record.answered():
        source, covers = next(
            (
                (number, statement.covers(sentence, record.asked))
                for number in map(earlier.__getitem__, statement.may_stand_in(texts))
                for sentence in sentences_with(found[number].entry.content, statement)
                if statement.stands_in(sentence, record.asked, f"{found[number].entry.created_at:%Y-%m-%d}")
            ),
            (None, False),
        )
        if source is None or _is_told_otherwise(found, statement, source, at, record.asked, known):
            return None
        quoted.setdefault(source)
        says_the_same = says_the_same and covers
    for told in record.told:
        source = next((number for number in earlier if told in found[number].entry.content), None)
        if source is None:
            return None
        quoted.setdefault(source)
    return _Quote(tuple(quoted), says_the_same)


def _is_told_otherwise(
    found: Sequence[Found],
    statement: Sentence,
    source: int,
    record: int,
    asked: frozenset[str],
    known: Collection[int],
) -> bool:
    """Whether something else was said of the same thing after the source. The answer is news then."""
    since, until = found[source].entry.created_at, found[record].entry.created_at
    return any(
        statement.is_near(sentence)
        for number, each in enumerate(found)
        if number not in known and since < each.entry.created_at < until and len(each.entry.content) <= LONGEST
        for sentence in sentences_near(each.entry.content, statement)
        if not statement.stands_in(sentence, asked) and not sentence.asks
    )
