"""The limits of one call to an embedder, by provider, and functions that cut texts to them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

MOST_PIECES: Final = 64
"""Maximum number of embedded pieces of one text. For a longer text (above 512 kB at OpenAI) pieces at equal distances
are embedded. This bounds the cost of one text, and a mean over more pieces would be no more precise."""


class Limits(NamedTuple):
    """The limits of one call.

    Attributes:
        text: UTF-8 bytes of one text. A byte-level tokenizer, such as OpenAI's, never makes more tokens than bytes. A
            limit in tokens is therefore met by the same number of bytes.
        inputs: number of texts.
        request: UTF-8 bytes of all texts together.
    """

    text: int = 8_000
    inputs: int = 256
    request: int = 256_000


UNKNOWN: Final = Limits()
"""For a callable, or an unlisted provider: the text limit of the most common models."""

# As documented by the providers in 2026. Some models truncate a text (sentence-transformers, Cohere). Their limit is
# about as long as the part that they read, so that the whole text contributes to its vector.
_BY_PROVIDER: Final[Mapping[str, Limits]] = {
    "openai": Limits(text=8_000, inputs=2_048, request=290_000),  # 8,192 tokens; 2,048 texts; 300,000 tokens
    "azure": Limits(text=8_000, inputs=2_048, request=290_000),
    "amazon-bedrock": Limits(text=8_000),  # Titan: 8,192 tokens, one text a call, as CrewAI's function sends them
    "cohere": Limits(text=2_000, inputs=96),
    "google": Limits(text=2_000, inputs=100),  # 2,048 tokens
    "google-generativeai": Limits(text=2_000, inputs=100),
    "google-vertex": Limits(text=2_000, inputs=100, request=18_000),  # 20,000 tokens a call
    "huggingface": Limits(text=2_000, inputs=32),  # text-embeddings-inference: 32 texts a call
    "jina": Limits(text=8_000, inputs=512),
    "voyageai": Limits(text=8_000, inputs=128, request=100_000),
    "watsonx": Limits(text=500, inputs=256),  # 512 tokens; longer texts are refused
    "onnx": Limits(text=1_000),
    "sentence-transformer": Limits(text=1_000),
    "instructor": Limits(text=2_000),
    "text2vec": Limits(text=1_000),
}


def limits_of(spec: Mapping[str, Any] | None) -> Limits:
    """The limits of an embedder with this CrewAI spec; ``None`` stands for a callable."""
    return UNKNOWN if spec is None else _BY_PROVIDER.get(spec["provider"], UNKNOWN)


def size_of(text: str) -> int:
    """UTF-8 bytes of a text."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def cut(text: str, limit: int, most: int = MOST_PIECES) -> list[str]:
    """Cut a text into pieces of at most ``limit`` UTF-8 bytes, at blanks if possible.

    Args:
        text: a text of any length.
        limit: bytes, at least 4.
        most: maximum number of pieces. For a longer text, pieces at equal distances, with the first and the last.
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
            # Search back no further than half a piece. Otherwise one blank at the start could make tiny pieces.
            blank = max(text.rfind(blank, start + (end - start) // 2, end) for blank in (" ", "\n"))
            if blank > start:
                end = blank + 1
        yield text[start:end]
        start = end


def _fitting(text: str, start: int, limit: int) -> int:
    """Number of characters from ``start`` that fit into ``limit`` bytes; at least one."""
    window = text[start : start + limit]
    encoded = window.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return len(window)
    # A character that is cut by the limit is left out.
    return max(1, len(encoded[:limit].decode("utf-8", "ignore")))


def mean(vectors: Sequence[Sequence[float]], weights: Sequence[float]) -> list[float]:
    """The weighted mean of vectors of one length, scaled to unit length. If they cancel out, the first vector."""
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
