"""An embedder with token vectors, without a model: words that mean the same have the same token vector."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from crewai_persistent_memory.testing import FakeEmbedder

SAME: dict[str, str] = {"beverage": "tea", "brew": "tea", "automobile": "car", "enjoys": "likes", "owns": "has"}
"""Only the token vectors know it: for keywords and for the vectors of texts these are different words."""


class WordTokens(FakeEmbedder):
    """A vector for each word of a text, beside the vector of the text.

    Attributes:
        token_calls: the texts of each call of ``embed_tokens``, and whether they were questions.
        fails: raised by ``embed_tokens``, if set.
        answers: returned by ``embed_tokens`` for each text that contains its key, if set.
        meanwhile: called once in the midst of ``embed_tokens``, if set.
    """

    def __init__(self, dimensions: int = 64, token_dimensions: int = 32) -> None:
        super().__init__(dimensions)
        self.tokens = FakeEmbedder(token_dimensions, salt="token")
        self.token_calls: list[tuple[list[str], bool]] = []
        self.fails: Exception | None = None
        self.answers: dict[str, Any] = {}
        self.meanwhile: Callable[[], object] | None = None

    def embed_tokens(self, texts: Sequence[str], *, is_query: bool = False) -> list[Any]:
        self.token_calls.append((list(texts), is_query))
        if self.fails is not None:
            raise self.fails
        vectors = [self._tokens_of(text) for text in texts]
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return vectors

    def _tokens_of(self, text: str) -> Any:
        for part, answer in self.answers.items():
            if part in text:
                return answer
        words = re.findall(r"\w+", text.lower()) or [text]
        return [self.tokens.vector(SAME.get(word, word)) for word in words]
