"""An embedder without a model: deterministic, without a network, and texts that share words are near each other."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from functools import lru_cache

from ..errors import ConfigurationError

_BLOCK = 64
"""Bytes of one digest. Each gives one number of a vector."""


class FakeEmbedder:
    """An embedder for tests: ``PersistentMemory(embedder=FakeEmbedder())``.

    The vector of a text is the sum of a fixed pseudo-random vector for each of its words, with length 1. The same text
    has the same vector in every process. Texts with no word in common are nearly orthogonal: it knows no meanings.

    Args:
        dimensions: length of the vectors, at least 1.
        salt: embedders with different salts have different vectors, as two models have.

    Attributes:
        calls: the texts of each call, oldest first.

    Raises:
        ConfigurationError: ``dimensions`` is not a whole number of at least 1.
    """

    def __init__(self, dimensions: int = 64, salt: str = "") -> None:
        if not isinstance(dimensions, int) or isinstance(dimensions, bool) or dimensions < 1:
            raise ConfigurationError(f"dimensions must be a whole number of at least 1, got {dimensions!r}")
        self.dimensions = dimensions
        self.salt = salt
        self.calls: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        self.calls.append(list(texts))
        return [self.vector(text) for text in texts]

    def vector(self, text: str) -> list[float]:
        """The vector of a text. This is no call of the embedder."""
        total = [0.0] * self.dimensions
        # A text without any word, "?!" for example, is one word: an engine refuses a vector of zeros.
        for word in re.findall(r"\w+", text.lower()) or [text]:
            for i, part in enumerate(_direction(self.salt + word, self.dimensions)):
                total[i] += part
        norm = math.sqrt(math.fsum(x * x for x in total)) or 1.0
        return [x / norm for x in total]


@lru_cache(maxsize=10_000)
def _direction(word: str, dimensions: int) -> tuple[float, ...]:
    numbers: list[float] = []
    for block in range(math.ceil(dimensions / _BLOCK)):
        text = word if block == 0 else f"{word}\0{block}"
        seed = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_BLOCK).digest()
        numbers += [(byte ^ (i * 37 % 256)) / 127.5 - 1.0 for i, byte in enumerate(seed)]
    return tuple(numbers[:dimensions])
