"""Mem0 OSS gives whole texts to its embedder, each time. Here they are cut into parts that the embedder accepts, and a
text that was embedded lately is not embedded again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from ...embedding import check_vector
from ...embedding.batches import Batches
from ...embedding.limits import MOST_PIECES, limits_of
from ...embedding.vector_cache import VECTORS, owner_of
from ...storable import storable_text

QUERY_PIECES: Final = 8
"""Most pieces of one long query that are embedded."""


class FittingEmbeddings:
    """Mem0's embedding model, given texts within its limits. A long text has the mean of its parts' vectors."""

    def __init__(self, model: Any, provider: str) -> None:
        self._model = model
        self._limits = limits_of({"provider": provider})
        self._owner = owner_of(model)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        [vector] = self._embedded([text], memory_action, lambda texts: [self._one(t, memory_action) for t in texts])
        return vector

    def embed_batch(self, texts: Sequence[str], memory_action: str = "add") -> list[list[float]]:
        """Only called by Mem0 versions whose models have it."""
        return self._embedded(texts, memory_action, lambda few: self._model.embed_batch(few, memory_action))

    def _one(self, text: str, memory_action: str | None) -> Any:
        return self._model.embed(text, memory_action)

    def _embedded(
        self, texts: Sequence[str], memory_action: str | None, ask: Callable[[list[str]], Any]
    ) -> list[list[float]]:
        make = partial(self._in_batches, memory_action, ask)
        # Some models embed what is looked for in another way than what is stored.
        return VECTORS.embed(self._owner, str(memory_action), list(map(storable_text, texts)), make)

    def _in_batches(
        self, memory_action: str | None, ask: Callable[[list[str]], Any], texts: list[str]
    ) -> list[list[float]]:
        def checked(few: list[str]) -> list[list[float]]:
            return [check_vector("the embedder's vector", vector) for vector in ask(few)]

        batches = Batches(checked, self._limits, QUERY_PIECES if memory_action == "search" else MOST_PIECES)
        vectors = batches.embed(texts)
        if batches.refusals and not all(vectors):
            raise batches.refusals[0]
        self._limits = batches.limits
        return vectors


def fit_embedder(memory: Any, config: Mapping[str, Any]) -> None:
    """Let a ``mem0.Memory`` embed within its embedder's limits."""
    provider = (config.get("embedder") or {}).get("provider", "openai")
    memory.embedding_model = FittingEmbeddings(memory.embedding_model, provider)
