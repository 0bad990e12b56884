"""CrewAI's memories until 1.9.3 in a form that several crews and their copies can share, also at the same time.

Contract of CrewAI this relies on (seen in 0.203.2, 1.0.0, 1.6.1, 1.9.3): ``Crew.copy()`` and ``kickoff_for_each``
deep-copy memories. A memory holds the agent and the task that used it last, only for events. An external memory holds
the crew. None of these objects can be copied.
"""

from __future__ import annotations

from typing import Any

from crewai.memory.entity.entity_memory import EntityMemory  # type: ignore[import-not-found]
from crewai.memory.external.external_memory import ExternalMemory  # type: ignore[import-not-found]
from crewai.memory.long_term.long_term_memory import LongTermMemory  # type: ignore[import-not-found]
from crewai.memory.short_term.short_term_memory import ShortTermMemory  # type: ignore[import-not-found]
from typing_extensions import Self

from ...entry import ENTITY
from ...pickling import refuse_pickling
from ..storage import PersistentStorage


class _SharedOnCopy:
    """Copies share the storage. Each copy has its own current agent and task."""

    __reduce_ex__ = refuse_pickling

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        copied: Any = self.model_copy()  # type: ignore[attr-defined]
        copied.agent = copied.task = None
        return copied  # type: ignore[no-any-return]


class SharedExternalMemory(_SharedOnCopy, ExternalMemory):  # type: ignore[misc]
    """CrewAI's external memory over an existing storage."""

    def set_crew(self, crew: Any) -> Self:
        # CrewAI's method stores the crew in the memory, to create a storage. Many crews may share one memory, and with
        # such a reference a crew could be neither dumped nor copied.
        return self


class _PersistentShortTermMemory(_SharedOnCopy, ShortTermMemory):  # type: ignore[misc]
    """CrewAI's short-term memory over a storage of ours."""


class _PersistentEntityMemory(_SharedOnCopy, EntityMemory):  # type: ignore[misc]
    """CrewAI's entity memory over a storage of ours."""


class _SharedLongTermMemory(_SharedOnCopy, LongTermMemory):  # type: ignore[misc]
    """CrewAI's long-term memory. Only copying differs."""


def replaced_memories(
    storage: PersistentStorage, *, long_term: bool = True, short_term: bool = False
) -> dict[str, Any]:
    """A crew's other memories besides an external memory over ``storage``, as keyword arguments.

    Args:
        storage: the storage of the external memory.
        long_term: use CrewAI's own long-term memory. CrewAI then evaluates each answer, and learns entities from the
            evaluation.
        short_term: add a short-term memory over ``storage``, for a crew with a third-party external memory.
    """
    said = {"short_term_memory": _PersistentShortTermMemory(storage=storage)} if short_term else {}
    if not long_term:
        return {**said, "entity_memory": None, "long_term_memory": None}
    return {
        **said,
        "entity_memory": _PersistentEntityMemory(storage=storage.of_kind(ENTITY)),
        "long_term_memory": _SharedLongTermMemory(),
    }
