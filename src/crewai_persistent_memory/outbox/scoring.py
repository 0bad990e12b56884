"""How entries that only the queue has are ranked: by words, on the scale of :class:`~..ranking.RankingWeights`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ..embedding import KeywordEncoder
from ..entry import MemoryEntry
from ..ranking import RARE_TERMS, Decay, RankingWeights, rarest
from ..validation import utcnow

_ENCODERS: Final[dict[str, KeywordEncoder]] = {}


def encoder_of(language: str | None) -> KeywordEncoder:
    """The encoder of a language, made once: with English where it is not known."""
    name = language or "english"
    if name not in _ENCODERS:
        _ENCODERS[name] = KeywordEncoder(name)
    return _ENCODERS[name]


def scored(
    query: str,
    entries: Sequence[MemoryEntry],
    beside: Sequence[MemoryEntry],
    weights: RankingWeights | None,
    encoder: KeywordEncoder,
) -> list[MemoryEntry]:
    """The entries that have words of a query, with their scores.

    Args:
        query: the query.
        entries: those to score.
        beside: other entries of the reader: a word that many of all these have counts less.
        weights: ``None`` for a store that ranks by itself: relevance alone is the score.
        encoder: how words are found.
    """
    asked = dict(zip(*_pairs(encoder.query(query, context=False)), strict=True))
    documents = [dict(zip(*_pairs(encoder.document(entry.content)), strict=True)) for entry in entries]
    having: Counter[int] = Counter(term for document in documents for term in document if term in asked)
    for entry in beside:
        having.update(term for term in encoder.document(entry.content).indices if term in asked)
    size = len(entries) + len(beside)
    decay = Decay(utcnow(), weights.half_life_days) if weights is not None else None
    found = []
    for entry, document in zip(entries, documents, strict=True):
        words = sum(
            asked[term] * weight * _idf(size, having[term]) for term, weight in document.items() if term in asked
        )
        if words <= 0:
            continue
        score = 1.0 - math.exp(-words / (RARE_TERMS * rarest(size)))
        if weights is not None and decay is not None:
            score *= (
                weights.semantic + weights.recency * decay.at(entry.created_at) + weights.importance * entry.importance
            )
        found.append(replace(entry, score=min(1.0, score), found_by=("keywords",), embedding=None))
    return found


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of two vectors, 0 where it is negative or there is none."""
    if len(one) != len(other):
        return 0.0
    lengths = math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))
    return max(0.0, sum(a * b for a, b in zip(one, other, strict=True)) / lengths) if lengths else 0.0


def _idf(size: int, having: int) -> float:
    return math.log(1.0 + (size - having + 0.5) / (having + 0.5))


def _pairs(vector: object) -> tuple[list[int], list[float]]:
    return vector.indices, vector.values  # type: ignore[attr-defined]
