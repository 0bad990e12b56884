"""CrewAI's ``Crew``, accepting ``external_memory=`` where CrewAI has dropped it (>= 1.10, silently)."""

from __future__ import annotations

from typing import Any

import crewai
from pydantic import Field, model_validator

from ..errors import ConfigurationError
from .hosting import HostedMemory


class Crew(crewai.Crew):
    """A crew whose ``external_memory`` is its memory.

    ``memory=True`` beside it means the same: all that CrewAI would remember itself is remembered there.

    Raises:
        ConfigurationError: ``external_memory`` is no memory of this package, or ``memory`` is another memory.
    """

    external_memory: Any = Field(default=None, exclude=True, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _remember_there(cls, values: Any) -> Any:
        external = values.get("external_memory") if isinstance(values, dict) else None
        if external is None:
            return values
        if not isinstance(external, HostedMemory):
            raise ConfigurationError(
                f"external_memory is a {type(external).__name__}: give a PersistentMemory or an ExternalMemory of "
                "crewai_persistent_memory"
            )
        memory = values.get("memory")
        if not (memory is None or isinstance(memory, bool) or memory is external):
            raise ConfigurationError(
                "memory= and external_memory= are two memories, and a crew has one: leave one of them out"
            )
        return {**values, "memory": external}
