"""CrewAI's memories until 1.9.3 so that crews, one after another, their copies, and several at once can share them.

Contract of CrewAI this relies on (seen in 0.203.2, 1.0.0, 1.6.1, 1.9.3): ``Crew.copy()`` and ``kickoff_for_each`` copy
memories deeply; a memory holds the agent and the task that used it last, for events only, and an external memory the
crew; none of those can be copied.
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
    """Copies remember in the same place, each with its own agent and task of the moment."""

    __reduce_ex__ = refuse_pickling

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        copied: Any = self.model_copy()  # type: ignore[attr-defined]
        copied.agent = copied.task = None
        return copied  # type: ignore[no-any-return]


class SharedExternalMemory(_SharedOnCopy, ExternalMemory):  # type: ignore[misc]
    """CrewAI's external memory over a storage that is there already."""

    def set_crew(self, crew: Any) -> Self:
        # CrewAI's keeps the crew, to make a storage for it. One memory serves many crews, and a crew that holds a
        # memory that holds the crew can be neither dumped nor copied.
        return self


class _PersistentShortTermMemory(_SharedOnCopy, ShortTermMemory):  # type: ignore[misc]
    """CrewAI's short-term memory over a storage of ours."""


class _PersistentEntityMemory(_SharedOnCopy, EntityMemory):  # type: ignore[misc]
    """CrewAI's entity memory over a storage of ours."""


class _SharedLongTermMemory(_SharedOnCopy, LongTermMemory):  # type: ignore[misc]
    """CrewAI's long-term memory, unchanged but for being copied."""


def replaced_memories(
    storage: PersistentStorage, *, long_term: bool = True, short_term: bool = False
) -> dict[str, Any]:
    """The memories that stand beside an external memory over ``storage``, as a crew's arguments.

    Args:
        storage: of what was said.
        long_term: CrewAI's own, with its evaluation of each answer, from which entities are learned.
        short_term: a short-term memory over ``storage`` too, where the external memory is somebody else's.
    """
    said = {"short_term_memory": _PersistentShortTermMemory(storage=storage)} if short_term else {}
    if not long_term:
        return {**said, "entity_memory": None, "long_term_memory": None}
    return {
        **said,
        "entity_memory": _PersistentEntityMemory(storage=storage.of_kind(ENTITY)),
        "long_term_memory": _SharedLongTermMemory(),
    }
