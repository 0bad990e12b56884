"""Vectors of texts to store: one for each text, one for each passage of a long text, and those of its tokens.

A long text is near to a question by its best passage, which the mean over the text would hide. The mean is stored
too: it says that the entry has vectors, and it is the entry's ``embedding``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ...embedding.limits import mean, size_of
from ...text.passages import is_one_passage, passages_of

MOST_PASSAGES: Final = 256
"""Vectors of one text. In a longer one, several passages in a row have one together."""


LONG: Final = 8_192
"""Characters. Cutting longer texts into passages would block an event loop for too long."""


class TextVectors(NamedTuple):
    """The vectors of one text.

    Attributes:
        dense: of the whole text; empty where the embedder made none.
        passages: of its passages; empty for a text of one passage.
        tokens: of its tokens; empty in a collection without token vectors, and where the embedder made none.
    """

    dense: Sequence[float]
    passages: Sequence[Sequence[float]] = ()
    tokens: Sequence[Sequence[float]] = ()


NO_VECTORS: Final = TextVectors(())


def parts_of(text: str) -> list[str]:
    """The parts of a text that get a vector each: its passages, or the whole text if it is one."""
    passages = [] if is_one_passage(text) else passages_of(text)
    if len(passages) < 2:
        return [text]
    step = -(-len(passages) // MOST_PASSAGES)
    return [
        text[passages[first].start : passages[min(first + step, len(passages)) - 1].end]
        for first in range(0, len(passages), step)
    ]


def joined(parts: Sequence[Sequence[str]], vectors: Sequence[Sequence[float]]) -> list[TextVectors]:
    """The vectors of texts, from those of their parts.

    Args:
        parts: of each text.
        vectors: of all parts, in their order. An empty one stands for a part that the embedder refused, and is left
            out.
    """
    found, start = [], 0
    for some in parts:
        made = [(v, part) for v, part in zip(vectors[start : start + len(some)], some, strict=True) if v]
        start += len(some)
        if len(some) == 1 or not made:
            found.append(TextVectors(made[0][0] if made else ()))
        else:
            passages = [vector for vector, _ in made]
            found.append(TextVectors(mean(passages, [size_of(part) for _, part in made]), passages))
    return found
