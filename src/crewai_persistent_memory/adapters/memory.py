"""``PersistentMemory``, for the CrewAI that is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .version import is_unified

# Both classes have the public methods of ``memory_api``. Type checkers see the first one.
if TYPE_CHECKING or is_unified():
    from .unified.memory import PersistentMemory
else:
    from .contextual.memory import PersistentMemory

__all__ = ["PersistentMemory"]
