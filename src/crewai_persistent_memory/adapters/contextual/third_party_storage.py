"""Somebody else's storage as a memory of CrewAI until 1.9.3; its twin for newer versions is in ``unified``."""

from __future__ import annotations

from typing import Any

from .companion_memories import SharedExternalMemory


class ForeignMemory(SharedExternalMemory):
    """CrewAI's external memory over ``storage``; what it keeps, and for whom, is the storage's business."""

    def __init__(self, storage: Any) -> None:
        super().__init__(storage=storage)

    def crew_kwargs(self, *, long_term: bool = True) -> dict[str, Any]:
        """What to splat into a crew: ``Crew(..., **memory.crew_kwargs())``. It brings no other memory with it."""
        return {"external_memory": self}
