"""How entries that only the queue has are ranked: by words, on the scale of :class:`~..ranking.RankingWeights`."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Final

from ..embedding import KeywordEncoder
from ..entry import MemoryEntry
from ..ranking import RARE_TERMS, Decay, RankingWeights, rarest
from ..text.kept import kept_calls
from ..validation import utcnow

_ENCODERS: Final[dict[str, KeywordEncoder]] = {}

_KEPT_LENGTH: Final = 2_000
"""Characters of a text whose terms are kept in memory at most."""


def encoder_of(language: str | None) -> KeywordEncoder:
    """The encoder of a language, made once: with English where it is not known."""
    name = language or "english"
    if name not in _ENCODERS:
        _ENCODERS[name] = KeywordEncoder(name)
    return _ENCODERS[name]


def best_scored(
    query: str,
    entries: Sequence[MemoryEntry],
    beside: Sequence[MemoryEntry],
    weights: RankingWeights | None,
    encoder: KeywordEncoder,
    *,
    limit: int,
    min_score: float,
) -> list[MemoryEntry]:
    """The entries that have words of a query, with their scores, best first.

    Args:
        query: the query.
        entries: those to score.
        beside: other entries of the reader: a word that many of all these have counts less.
        weights: ``None`` for a store that ranks by itself: relevance alone is the score.
        encoder: how words are found.
        limit: at most so many.
        min_score: entries with less are left out.
    """
    asked = dict(_pairs(encoder.query(query, context=False)))
    documents = [_terms(encoder, entry.content) for entry in entries]
    having: Counter[int] = Counter()
    for document in (*documents, *(_terms(encoder, entry.content) for entry in beside)):
        having.update(document.keys() & asked.keys())
    size = len(entries) + len(beside)
    idf = {term: _idf(size, having[term]) for term in asked}
    full = RARE_TERMS * rarest(size)
    decay = Decay(utcnow(), weights.half_life_days) if weights is not None else None
    found: list[tuple[float, MemoryEntry]] = []
    for entry, document in zip(entries, documents, strict=True):
        words = sum(asked[term] * document[term] * idf[term] for term in document.keys() & asked.keys())
        if words <= 0:
            continue
        score = 1.0 - math.exp(-words / full)
        if weights is not None and decay is not None:
            score *= (
                weights.semantic + weights.recency * decay.at(entry.created_at) + weights.importance * entry.importance
            )
        if (score := min(1.0, score)) >= min_score:
            found.append((score, entry))
    # A queue can hold thousands of entries of one user: a copy is made of the best alone.
    best = heapq.nlargest(limit, found, key=itemgetter(0))
    return [replace(entry, score=score, found_by=("keywords",), embedding=None) for score, entry in best]


def _terms(encoder: KeywordEncoder, text: str) -> Mapping[int, float]:
    return _kept_terms(encoder, text) if len(text) <= _KEPT_LENGTH else _terms_of(encoder, text)


def _terms_of(encoder: KeywordEncoder, text: str) -> Mapping[int, float]:
    """A text's terms with their weights."""
    return dict(_pairs(encoder.document(text)))


# Each recall of an outage looks at the same texts.
_kept_terms = kept_calls(_terms_of, 4_096)


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of two vectors, 0 where it is negative or there is none."""
    if len(one) != len(other):
        return 0.0
    lengths = math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))
    return max(0.0, sum(a * b for a, b in zip(one, other, strict=True)) / lengths) if lengths else 0.0


def _idf(size: int, having: int) -> float:
    return math.log(1.0 + (size - having + 0.5) / (having + 0.5))


def _pairs(vector: object) -> Iterator[tuple[int, float]]:
    return zip(vector.indices, vector.values, strict=True)  # type: ignore[attr-defined]
