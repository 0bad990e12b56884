"""What memory a crew has, and where: for the messages of the assertions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..adapters.crew_memories import memories_of_crew, store_of
from ..errors import ConfigurationError, ScopeError
from ..store.base import MemoryStore


@dataclass(frozen=True)
class Place:
    """Where a store is. All fields are ``None`` for a backend of the application's own."""

    path: str | None = None
    url: str | None = None
    mem0: bool = False

    def __str__(self) -> str:
        return self.path or self.url or ("Mem0" if self.mem0 else "a backend of its own")

    def check(self, wanted: Mapping[str, str]) -> None:
        """Refuse another place than the test's, so that no test writes into real memories.

        Raises:
            ConfigurationError: it is another one.
        """
        if "path" in wanted:
            is_there = self.path is not None and os.path.realpath(self.path) == os.path.realpath(wanted["path"])
        else:
            is_there = self.url is not None and self.url.rstrip("/") == wanted["url"].rstrip("/")
        if not is_there and self != Place():
            named = wanted.get("path") or wanted.get("url")
            raise ConfigurationError(
                f"the crew's memory is in {self}, and this test's store is {named}. Nothing was remembered there. "
                "Leave path= and url= out where the memory is built (this test sets CREWAI_MEMORY_PATH or QDRANT_URL "
                "for it), let the factory take memory=, or give own_store=True if a test may write there"
            )


def place_of(store: MemoryStore) -> Place:
    config = store.opened_with
    if config is None:
        return Place()
    if config.mem0 is not None:
        return Place(mem0=True)
    if config.server is not None:
        return Place(url=config.server.urls[0])
    return Place(path=str(config.store_path))


def description_of(crew: Any) -> dict[str, Any]:
    """The memories of a crew.

    Returns:
        ``problem``: why it has no memory that can be checked, or ``None``. ``places`` and ``scopes`` of its memories;
        a scope may be an error's text.
    """
    memories = [memory for memory in memories_of_crew(crew) if memory not in (None, False, True)]
    stores = [store for memory in memories if (store := store_of(memory)) is not None]
    return {
        "problem": None if stores else _why_none(memories, crew),
        "places": list(dict.fromkeys(str(place_of(store)) for store in stores)),
        "scopes": list(dict.fromkeys(map(_scope_of, stores))),
        "shared": any(store.binding.is_shared for store in stores),
        "fixed": next((store.binding.user_id for store in stores if store.binding.user_id is not None), None),
    }


def _why_none(memories: list[Any], crew: Any) -> str:
    remedy = "Build it with Crew(..., **PersistentMemory().crew_kwargs())"
    if memories:
        kind = f"{type(memories[0]).__module__}.{type(memories[0]).__name__}"
        whose = (
            "CrewAI's own memory, which knows no users: everybody who runs the crew recalls what anybody said"
            if kind.startswith("crewai.")
            else "no memory of crewai-persistent-memory"
        )
        return f"its memory is {kind}, {whose}. {remedy}, and without memory=True"
    if getattr(crew, "memory", False) is True:
        return (
            "it has memory=True, CrewAI's own memory, which knows no users: everybody who runs the crew recalls what "
            f"anybody said. {remedy} instead"
        )
    return f"it has no memory. {remedy}. (CrewAI from 1.10 on drops external_memory= of its own Crew without a word)"


def _scope_of(store: MemoryStore) -> str:
    try:
        return str(store.scope)
    except ScopeError as error:
        return f"{type(error).__name__}: {error}"
