"""A store as a process delivers to it that does not use the store's embedder, such as ``crewai-memory forget``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from ..entry import MemoryEntry
from ..errors import EmbedderUnavailableError
from ..io.steps import Steps
from ..scope import ScopeBinding
from ..store import operations as op
from ..store.backend import Backend


class WithoutEmbedder(Backend):
    """Takes what needs no vector. A text that has none waits for a process that can embed it, if the store embeds."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.capabilities = backend.capabilities
        self._goes_by_keywords = False

    def execute(self, operation: op.Operation[Any], /) -> Steps[Any]:
        if _needs_embedder(operation) and not (yield from self._has_no_embedder(operation)):
            raise EmbedderUnavailableError("this process does not have the store's embedder: another one delivers it")
        return (yield from self.backend.execute(operation))

    def _has_no_embedder(self, operation: op.Operation[Any]) -> Steps[bool]:
        """Whether the store is known to go by keywords only. While it is away, it is not."""
        if not self._goes_by_keywords:
            health = yield from self.backend.execute(op.Health(ScopeBinding.of(cast(Any, operation).scope)))
            self._goes_by_keywords = health.get("vectors") == "keywords"
        return self._goes_by_keywords

    def close(self) -> None:
        self.backend.close()

    async def aclose(self) -> None:
        await self.backend.aclose()


def _needs_embedder(operation: op.Operation[Any]) -> bool:
    if isinstance(operation, op.Put):
        return _lack_vectors(operation.entries)
    if isinstance(operation, op.Replace):
        return _lack_vectors([operation.entry])
    return isinstance(operation, op.Update) and "content" in operation.changes


def _lack_vectors(entries: Iterable[MemoryEntry]) -> bool:
    return any(not entry.embedding for entry in entries)
