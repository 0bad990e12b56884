"""The cosines that an embedder gives to sentences that have nothing to do with each other.

Embedders differ: for unrelated sentences one gives 0.05 ± 0.08, another 0.80 ± 0.03. A ranking that adds cosines to
keyword scores must know which cosine means anything, and how much (``ranking.RankingWeights``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, permutations
from typing import Any, Final

from ..ranking import CosineSpread

SENTENCES: Final = (
    "The train to Lisbon leaves at seven.",
    "She prefers tea without sugar.",
    "The invoice was paid last week.",
    "Photosynthesis turns light into sugar.",
    "Our server runs out of memory at night.",
    "He broke his arm while climbing.",
    "The museum is closed on Mondays.",
    "Interest rates rose for the third time.",
    "Please water the plants while I am away.",
    "The new version supports two languages.",
    "They adopted a dog from the shelter.",
    "Heavy rain is expected in the mountains.",
    "The orchestra plays Brahms tonight.",
    "My password has to be changed.",
    "The bakery sells out of bread before noon.",
    "Volcanic soil is good for wine.",
    "The contract ends in December.",
    "Her brother studies law in Vienna.",
    "The bridge was built in the nineteenth century.",
    "Add two eggs and stir slowly.",
    "The team lost the final by one goal.",
    "A customer asks for a refund.",
    "Whales sleep with half of their brain.",
    "The meeting moved to the small room.",
)
"""About as different as short texts are."""

_LEAST_DEVIATION: Final = 0.005


def spread_of(vectors: Sequence[Sequence[float]]) -> CosineSpread | None:
    """The spread of the cosines between these vectors; ``None`` if fewer than three are not empty."""
    units = []
    for vector in vectors:
        norm = math.sqrt(math.fsum(x * x for x in vector))
        if norm:
            units.append([x / norm for x in vector])
    if len(units) < 3:
        return None
    cosines = [math.fsum(x * y for x, y in zip(a, b, strict=True)) for a, b in combinations(units, 2)]
    mean = math.fsum(cosines) / len(cosines)
    variance = math.fsum((cosine - mean) ** 2 for cosine in cosines) / len(cosines)
    return CosineSpread(round(mean, 4), round(max(math.sqrt(variance), _LEAST_DEVIATION), 4))


def spread_of_maxsim(
    queries: Sequence[Sequence[Sequence[float]]], texts: Sequence[Sequence[Sequence[float]]]
) -> CosineSpread | None:
    """The spread of the MaxSim, divided by the number of the query's tokens, between unrelated sentences.

    Args:
        queries: the token vectors of sentences as questions.
        texts: those of the same sentences as texts.

    Returns:
        ``None`` if fewer than three sentences have token vectors.
    """
    import numpy as np  # it comes with qdrant-client

    def units(vectors: Sequence[Sequence[float]]) -> Any:
        rows = np.array(vectors, dtype=np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    both = [(units(query), units(text)) for query, text in zip(queries, texts, strict=True) if query and text]
    if len(both) < 3:
        return None
    found = np.array(
        [(query @ text.T).max(axis=1).mean() for query, text in ((a[0], b[1]) for a, b in permutations(both, 2))]
    )
    return CosineSpread(round(float(found.mean()), 4), round(max(float(found.std()), _LEAST_DEVIATION), 4))
