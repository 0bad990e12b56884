"""Deterministic embedders: no model, no network, and yet texts that share words are near each other."""

from __future__ import annotations

import hashlib
import math
import re


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
            seed = hashlib.blake2b(f"{self.salt}{word}".encode(), digest_size=64).digest()
            for i in range(self.dimensions):
                total[i] += (seed[i % 64] ^ (i * 37 % 256)) / 127.5 - 1.0
        norm = math.sqrt(sum(x * x for x in total)) or 1.0
        return [x / norm for x in total]
