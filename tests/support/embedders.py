"""Deterministic embedders: no model, no network, and yet texts that share words are near each other."""

from __future__ import annotations

import hashlib
import math
import re
from functools import lru_cache


class WordHashEmbedder:
    """Each word adds a fixed pseudo-random unit vector; what shares words shares direction."""

    def __init__(self, dimensions: int = 64, salt: str = "") -> None:
        self.dimensions = dimensions
        self.salt = salt
        self.calls: list[list[str]] = []

    def __call__(self, texts: list[str]) -> list[list[float]]:
        self.calls.append(list(texts))
        return [self.vector(text) for text in texts]

    def vector(self, text: str) -> list[float]:
        total = [0.0] * self.dimensions
        for word in re.findall(r"\w+", text.lower()):
            for i, part in enumerate(_direction(self.salt + word, self.dimensions)):
                total[i] += part
        norm = math.sqrt(sum(x * x for x in total)) or 1.0
        return [x / norm for x in total]


@lru_cache(maxsize=10_000)
def _direction(word: str, dimensions: int) -> tuple[float, ...]:
    seed = hashlib.blake2b(word.encode(), digest_size=64).digest()
    return tuple((seed[i % 64] ^ (i * 37 % 256)) / 127.5 - 1.0 for i in range(dimensions))
