"""Finds the memories of this package in a crew, an agent or a flow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..store.base import MemoryStore
from .storage import PersistentStorage
from .version import is_unified

_OF_A_CREW: Final = ("_memory", "_external_memory", "_entity_memory", "_short_term_memory")
"""Attributes of a crew: the first since 1.10, the others until 1.9.3."""


def store_of(memory: Any) -> MemoryStore | None:
    """The store of a memory or of a view; ``None`` if the memory is not from this package."""
    if not is_unified():
        storage = getattr(memory, "storage", None)
        return storage.store if isinstance(storage, PersistentStorage) else None
    from crewai.memory.memory_scope import MemoryScope, MemorySlice
    from crewai.memory.unified_memory import Memory

    from .unified.storage_backend import QdrantStorageBackend

    while isinstance(memory, (MemoryScope, MemorySlice)):
        memory = memory._memory
    storage = getattr(memory, "_storage", None) if isinstance(memory, Memory) else None
    return storage.store if isinstance(storage, QdrantStorageBackend) else None


def memories_of_crew(crew: Any) -> Iterator[Any]:
    """Every memory that a run of the crew may use."""
    for name in _OF_A_CREW:
        yield getattr(crew, name, None)
    for agent in agents_of(crew):
        yield getattr(agent, "memory", None)


def agents_of(crew: Any) -> list[Any]:
    """The agents that a run of the crew may use, each once."""
    agents = [*crew.agents, *(task.agent for task in crew.tasks), getattr(crew, "manager_agent", None)]
    return list({id(agent): agent for agent in agents if agent is not None}.values())
