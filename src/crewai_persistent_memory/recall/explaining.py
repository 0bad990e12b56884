"""Why a recall gives what it gives: for each entry that the search found, its place, its score in parts, and the stage
that decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from ..entry import MemoryEntry
from ..io.context import setting
from ..ranking import Decay, RankingWeights
from ..scope import Scope
from ..validation import utcnow
from .duplicates import each_once
from .found import Found
from .pipeline import Bounds, Given, given, ordered, parts

if TYPE_CHECKING:
    from ..store.base import MemoryStore


_Key: TypeAlias = tuple[Scope | None, str]


class Decision(str, Enum):
    """What a recall does with an entry that the search found."""

    GIVEN = "given whole"
    GIVEN_LAST = "given last: it states nothing"
    NEWER = "given before an older one, although its score is below min_score"
    SHORTENED = "given by its best passages"
    SAYS_THE_SAME = "left out: another entry says the same"
    QUOTES = "left out: it only quotes another entry"
    STATES_NOTHING = "left out: it states nothing, and there is no room"
    NO_ROOM = "left out: no room in the budget"
    BEYOND_LIMIT = "left out: beyond the limit"
    BELOW_MIN_SCORE = "left out: its score is below min_score"


@dataclass(frozen=True)
class Explanation:
    """What a recall does with one entry, and why.

    Attributes:
        entry: the entry, whole.
        rank: its rank by score among what the search found, from 1.
        place: its place in what is given, from 1; ``None`` if it is left out.
        decision: what was decided.
        because_of: the id of the entry that says the same, or of the newer one that goes before it; of an entry below
            ``min_score``, the id of the older one before which it is given.
        text: what is given of it; ``None`` if it is left out.
        score: 0…1.
        relevance: 0…1, how well it matches the query.
        age: what its age makes of the recency's weight, 0…1: 1 now, 0.5 after the half life.
        times: how many entries say the same, and are given as this one.
    """

    entry: MemoryEntry
    rank: int
    place: int | None
    decision: Decision
    because_of: str | None
    text: str | None
    score: float
    relevance: float
    age: float
    times: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "id": self.entry.id,
            "rank": self.rank,
            "place": self.place,
            "decision": self.decision.name.lower(),
            "why": self.decision.value,
            "because_of": self.because_of,
            "score": self.score,
            "relevance": self.relevance,
            "age": self.age,
            "importance": self.entry.importance,
            "found_by": list(self.entry.found_by),
            "times": self.times,
            "created_at": self.entry.created_at.isoformat(),
            "text": self.text,
            "content": self.entry.content,
        }


def ranking_of(store: MemoryStore) -> RankingWeights | None:
    """The weights that are in its scores; ``None`` if they are relevance alone (Mem0)."""
    return store.weights if store.capabilities.ranking else None


def explained(
    entries: Sequence[MemoryEntry],
    query: str,
    bounds: Bounds,
    weights: RankingWeights | None,
    *,
    min_score: float = 0.0,
) -> list[Explanation]:
    """What a recall does with each of these, first what it gives, in that order, then the others by their scores.

    Args:
        entries: what a search without a least score found, best first.
        query: what was asked.
        bounds: how much is given.
        weights: the store's; ``None``: its score is the relevance alone.
        min_score: the least score of what is given.
    """
    in_order = ordered(entries, query, min_score)
    shown = given(in_order, query, bounds)
    places = {_key(each.found.entry): (place, each) for place, each in enumerate(shown, 1)}
    kept = {_key(each.entry): each for each in in_order}
    newer = _newer_before(entries, query, in_order)
    decay = Decay(utcnow(), (weights or RankingWeights()).half_life_days)
    explanations = []
    for rank, entry in enumerate(entries, 1):
        place, result = places.get(_key(entry), (None, None))
        decision, because_of = _decision(entry, query, kept, result, min_score, bounds, len(shown))
        age = decay.at(entry.created_at)
        explanations.append(
            Explanation(
                entry,
                rank,
                place,
                decision,
                because_of or newer.get(_key(entry)),
                None if result is None else result.text,
                entry.score or 0.0,
                _relevance(entry, age, weights),
                age,
                kept[_key(entry)].times if _key(entry) in kept else 1,
            )
        )
    explanations.sort(key=lambda each: (each.place is None, each.place or each.rank))
    return explanations


def _decision(
    entry: MemoryEntry,
    query: str,
    kept: dict[_Key, Found],
    result: Given | None,
    min_score: float,
    bounds: Bounds,
    count: int,
) -> tuple[Decision, str | None]:
    if result is not None:
        if result.found.is_empty:
            return Decision.GIVEN_LAST, None
        if result.found.score < min_score:
            return Decision.NEWER, _older_behind(result.found, kept, min_score)
        whole = result.text.endswith(entry.content)
        return (Decision.GIVEN if whole else Decision.SHORTENED), None
    mine = kept.get(_key(entry))
    if mine is None or mine.repeats:
        same = _said_by(entry, query, kept)
        if same is None and (entry.score or 0.0) < min_score:
            return Decision.BELOW_MIN_SCORE, None
        return (Decision.QUOTES, None) if same is None and mine is None else (Decision.SAYS_THE_SAME, same)
    if mine.is_empty:
        return Decision.STATES_NOTHING, None
    if bounds.limit is not None and count >= bounds.limit:
        return Decision.BEYOND_LIMIT, None
    return Decision.NO_ROOM, None


def _said_by(entry: MemoryEntry, query: str, kept: dict[_Key, Found]) -> str | None:
    """The id of the entry that stands for this one."""
    for key, other in kept.items():
        if other.times > 1 and key != _key(entry):
            pair = [Found(other.entry, other.score), Found(entry, entry.score or 0.0)]
            if len(each_once(pair, query)) == 1:
                return other.entry.id
    return None


def _older_behind(newer: Found, kept: dict[_Key, Found], min_score: float) -> str | None:
    """The id of the older entry that brings an entry below the least score with it."""
    in_order = list(kept.values())
    behind = in_order[in_order.index(newer) + 1 :]
    return next((each.entry.id for each in behind if each.score >= min_score), None)


def _newer_before(entries: Sequence[MemoryEntry], query: str, in_order: Sequence[Found]) -> dict[_Key, str]:
    """For each entry that a newer one goes before, because that says what holds now, the id of the newer one."""
    with setting(parts, replace(parts.get(), newest_first=False)):
        before = {_key(each.entry): place for place, each in enumerate(ordered(entries, query))}
    newer: dict[_Key, str] = {}
    for place, each in enumerate(in_order):
        mine = _key(each.entry)
        for other in in_order[:place]:
            if before[_key(other.entry)] > before[mine] and other.entry.created_at > each.entry.created_at:
                newer[mine] = other.entry.id
                break
    return newer


def _key(entry: MemoryEntry) -> _Key:
    return entry.scope, entry.id


def _relevance(entry: MemoryEntry, age: float, weights: RankingWeights | None) -> float:
    score = entry.score or 0.0
    if weights is None:
        return score
    factor = weights.semantic + weights.recency * age + weights.importance * entry.importance
    return min(1.0, score / factor) if factor > 0 else 0.0
