"""Runs CrewAI's own memory flows: extraction, analysis, consolidation, deep recall, and background saves.

Contracts of CrewAI this relies on (seen in 1.10.1, 1.12.2, 1.14.7, 1.15.30): the flows are blocking methods of
``Memory`` and start threads of their own, in 1.10 without the caller's context. The scope is therefore resolved in the
caller's thread, and the flows run on a memory that is bound to it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crewai.memory.types import MemoryMatch, MemoryRecord
from crewai.memory.unified_memory import Memory


@dataclass(frozen=True)
class LLMPipeline:
    """The flows of one memory.

    Attributes:
        memory: a ``PersistentMemory``.
        extracts: whether CrewAI's LLM extracts the memories from a text.
    """

    memory: Any
    extracts: bool

    def bound(self, expires_at: datetime | None = None) -> LLMPipeline:
        """This pipeline bound to the current scope. What it saves expires then, if a time is given."""
        memory = self.memory._bound()
        if expires_at is not None:
            memory = memory._over(memory.store.saving_until(expires_at))
        return LLMPipeline(memory, self.extracts)

    # These call CrewAI's class by its name, because the memory overrides the methods of these names.

    def remember(self, content: str, **fields: Any) -> MemoryRecord | None:
        return Memory.remember(self.memory, content, **fields)

    def remember_many(self, contents: list[str], **fields: Any) -> list[MemoryRecord]:
        return Memory.remember_many(self.memory, contents, **fields)

    def extract_memories(self, content: str) -> list[str]:
        return Memory.extract_memories(self.memory, content)

    def recall(self, query: str, scope: str | None, *about: Any) -> list[MemoryMatch]:
        return Memory.recall(self.memory, query, scope, *about)

    def submit(self, save: Callable[[], Any]) -> None:
        """Save in the background, one save after another."""
        self.memory._submit_save(save)

    def pending(self) -> list[Future[Any]]:
        """The unfinished background saves."""
        with self.memory._pending_lock:
            return list(self.memory._pending_saves)
