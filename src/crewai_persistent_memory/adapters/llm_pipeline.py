"""The interface to CrewAI's own LLM flows (>= 1.10). ``unified/llm_pipeline.py`` implements it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from crewai.memory.types import MemoryMatch, MemoryRecord


class Pipeline(Protocol):
    """CrewAI's own LLM flows, and its saving in the background (>= 1.10). All methods block."""

    @property
    def extracts(self) -> bool:
        """Whether CrewAI's LLM extracts the memories from a text."""

    def bound(self, expires_at: datetime | None = None) -> Pipeline:
        """This pipeline bound to the current scope, for threads without the caller's context.

        Args:
            expires_at: the end of what it saves; ``None``: by the rules of the store.
        """

    def remember(self, content: str, **fields: Any) -> MemoryRecord | None: ...

    def remember_many(self, contents: list[str], **fields: Any) -> list[MemoryRecord]: ...

    def extract_memories(self, content: str) -> list[str]: ...

    def recall(self, query: str, scope: str | None, *about: Any) -> list[MemoryMatch]: ...

    def submit(self, save: Callable[[], Any]) -> None:
        """Save in the background."""

    def pending(self) -> list[Future[Any]]:
        """The unfinished background saves."""


async def awaited(saves: list[Future[Any]]) -> None:
    """Wait for background saves, on an event loop."""
    futures = [asyncio.wrap_future(save) for save in saves]
    for future in futures:
        # The error has been reported already. Without this, asyncio would report it again as never retrieved.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait(futures)
