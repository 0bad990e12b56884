"""The embedder that the kept stores were made with. Frozen: a store knows its embedder by what it makes of a text."""

from __future__ import annotations

import hashlib
import math

DIMENSIONS = 8


def letters(texts: list[str]) -> list[list[float]]:
    """Texts with the same words in any order have the same vector."""
    return [_vector(text) for text in texts]


def _vector(text: str) -> list[float]:
    total = [0.0] * DIMENSIONS
    for word in text.lower().split():
        digest = hashlib.blake2b(word.encode(), digest_size=DIMENSIONS).digest()
        total = [sum + byte / 127.5 - 1.0 for sum, byte in zip(total, digest, strict=True)]
    norm = math.sqrt(math.fsum(x * x for x in total)) or 1.0
    return [x / norm for x in total]
