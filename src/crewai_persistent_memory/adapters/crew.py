"""CrewAI's ``Crew`` with ``external_memory=``, on every version.

CrewAI 1.10 and later ignore that argument silently. CrewAI until 1.9.3 accepts it, and with ``memory=True`` also
fills a local Chroma database.
"""

from __future__ import annotations

from typing import Any

import crewai
from pydantic import Field, model_validator

from ..errors import ConfigurationError
from .external_memory import ExternalMemory
from .memory import PersistentMemory
from .storage import named_storage
from .version import is_unified


class Crew(crewai.Crew):
    """A crew whose ``external_memory`` is its memory.

    ``memory=True`` in addition changes nothing: the external memory also replaces the memories that CrewAI would
    create. On CrewAI until 1.9.3 it replaces short-term and entity memory; long-term memory stays CrewAI's. There,
    ``memory=`` may also be the memory itself, as in 1.10 and later. A memory passed by name (``entity_memory=``, ...)
    is used as it is, and ``None`` disables it.

    Raises:
        ConfigurationError: ``external_memory`` is not a memory, or ``memory`` is a different memory.
    """

    if is_unified():
        external_memory: Any = Field(default=None, exclude=True, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _remember_there(cls, values: Any) -> Any:
        return remembering_there(values) if isinstance(values, dict) else values

    if not is_unified():

        def reset_memories(self, command_type: str) -> None:
            """CrewAI's method, which also accepts ``"memory"``, the name since 1.10."""
            super().reset_memories("external" if command_type == "memory" else command_type)


def remembering_there(values: dict[str, Any]) -> dict[str, Any]:
    """A crew's arguments with ``external_memory`` moved to the arguments that this CrewAI reads. Idempotent."""
    return _unified(values) if is_unified() else _contextual(values)


def _unified(values: dict[str, Any]) -> dict[str, Any]:
    from .unified.third_party_storage import ForeignMemory

    external, memory = values.get("external_memory"), values.get("memory")
    if external is None:
        return values
    if not isinstance(external, (PersistentMemory, ForeignMemory)):
        raise ConfigurationError(
            f"external_memory is a {type(external).__name__}: give a PersistentMemory or an ExternalMemory of "
            "crewai_persistent_memory"
        )
    _refuse_two(external, memory)
    return {**values, "memory": external}


def _contextual(values: dict[str, Any]) -> dict[str, Any]:
    from .contextual.companion_memories import SharedExternalMemory, replaced_memories

    external, memory = values.get("external_memory"), values.get("memory")
    if isinstance(memory, SharedExternalMemory):
        if external is not None:
            _refuse_two(external, memory)
        external, memory = memory, False
        values = {**values, "external_memory": external, "memory": memory}
    storage = None if external is None else named_storage(external)
    if storage is None:
        return values
    _refuse_two(external, memory)
    if not isinstance(external, PersistentMemory):
        # CrewAI's own class over a storage of ours would hold a reference to the crew, and the crew could then be
        # neither dumped nor copied.
        external = ExternalMemory(storage=storage)
    return {**replaced_memories(storage), **values, "external_memory": external, "memory": False}


def _refuse_two(external: Any, memory: Any) -> None:
    if not (memory is None or isinstance(memory, bool) or memory is external):
        raise ConfigurationError(
            "memory= and external_memory= are two memories, and a crew has one: leave one of them out"
        )
