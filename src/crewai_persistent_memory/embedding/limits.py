"""What an embedder takes at once, by provider, and how texts are cut to it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

MOST_PIECES: Final = 64
"""Most pieces of one text that are embedded. Of a longer text (512 kB at OpenAI) the pieces are taken from all over it,
at equal distances: the price of one text is bounded, and a mean over more pieces says no more."""


class Limits(NamedTuple):
    """What one call may hold.

    Attributes:
        text: UTF-8 bytes of one text. A byte-level tokenizer (OpenAI's, for one) never makes more tokens of a text than
            it has bytes, whatever the text holds; so a limit in tokens is kept by the same number of bytes.
        inputs: texts of one call.
        request: UTF-8 bytes of all texts of one call.
    """

    text: int = 8_000
    inputs: int = 256
    request: int = 256_000


UNKNOWN: Final = Limits()
"""For a callable, or a provider that is not listed: the text limit of the most common models."""

# As the providers document them, in 2026. Where a model cuts by itself (sentence-transformers, Cohere), pieces are
# about as long as what it reads, so that nothing of a text is left out of its vector.
_BY_PROVIDER: Final[Mapping[str, Limits]] = {
    "openai": Limits(text=8_000, inputs=2_048, request=290_000),  # 8,192 tokens; 2,048 texts; 300,000 tokens
    "azure": Limits(text=8_000, inputs=2_048, request=290_000),
    "amazon-bedrock": Limits(text=8_000),  # Titan: 8,192 tokens, one text a call, which CrewAI's function sees to
    "cohere": Limits(text=2_000, inputs=96),
    "google": Limits(text=2_000, inputs=100),  # 2,048 tokens
    "google-generativeai": Limits(text=2_000, inputs=100),
    "google-vertex": Limits(text=2_000, inputs=100, request=18_000),  # 20,000 tokens a call
    "huggingface": Limits(text=2_000, inputs=32),  # text-embeddings-inference: 32 texts a call
    "jina": Limits(text=8_000, inputs=512),
    "voyageai": Limits(text=8_000, inputs=128, request=100_000),
    "watsonx": Limits(text=500, inputs=256),  # 512 tokens, and a refusal beyond
    "onnx": Limits(text=1_000),
    "sentence-transformer": Limits(text=1_000),
    "instructor": Limits(text=2_000),
    "text2vec": Limits(text=1_000),
}


def limits_of(spec: Mapping[str, Any] | None) -> Limits:
    """The limits of an embedder, by its CrewAI spec; ``None`` for a callable."""
    return UNKNOWN if spec is None else _BY_PROVIDER.get(spec["provider"], UNKNOWN)


def size_of(text: str) -> int:
    """UTF-8 bytes of a text."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def cut(text: str, limit: int, most: int = MOST_PIECES) -> list[str]:
    """A text as pieces of at most ``limit`` UTF-8 bytes, cut at blanks where there are any.

    Args:
        text: any length.
        limit: bytes, at least 4.
        most: most pieces; of a longer text, pieces at equal distances, the first and the last among them.
    """
    if size_of(text) <= limit:
        return [text]
    pieces = [piece for piece in _pieces(text, limit) if piece.strip()]
    if len(pieces) <= most:
        return pieces
    step = (len(pieces) - 1) / (most - 1) if most > 1 else 0.0
    return [pieces[round(index * step)] for index in range(most)]


def _pieces(text: str, limit: int) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = start + _fitting(text, start, limit)
        if end < len(text):
            # Not further back than half a piece: a text with one blank at its start is not cut there for ever.
            blank = max(text.rfind(blank, start + (end - start) // 2, end) for blank in (" ", "\n"))
            if blank > start:
                end = blank + 1
        yield text[start:end]
        start = end


def _fitting(text: str, start: int, limit: int) -> int:
    """How many characters from ``start`` on have at most ``limit`` bytes; at least one."""
    window = text[start : start + limit]
    encoded = window.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return len(window)
    # A character that the limit falls into is left out.
    return max(1, len(encoded[:limit].decode("utf-8", "ignore")))


def mean(vectors: Sequence[Sequence[float]], weights: Sequence[float]) -> list[float]:
    """The weighted mean of vectors of one length, scaled to unit length; the first vector where they cancel out."""
    if len(vectors) == 1:
        return list(vectors[0])
    total = [0.0] * len(vectors[0])
    for vector, weight in zip(vectors, weights, strict=True):
        norm = math.sqrt(math.fsum(x * x for x in vector)) or 1.0
        share = weight / norm
        total = [sum_ + share * x for sum_, x in zip(total, vector, strict=True)]
    norm = math.sqrt(math.fsum(x * x for x in total))
    if norm <= 1e-9 * math.fsum(weights):
        return list(vectors[0])
    return [x / norm for x in total]
