"""A third-party storage as a memory of CrewAI until 1.9.3. ``unified`` has the module for newer versions."""

from __future__ import annotations

from typing import Any

from .companion_memories import SharedExternalMemory


class ForeignMemory(SharedExternalMemory):
    """CrewAI's external memory over ``storage``. The storage decides which texts it saves, and for which user."""

    def __init__(self, storage: Any) -> None:
        super().__init__(storage=storage)

    def crew_kwargs(self, *, long_term: bool = True) -> dict[str, Any]:
        """Keyword arguments for a crew: ``Crew(..., **memory.crew_kwargs())``. They contain no other memory."""
        return {"external_memory": self}
