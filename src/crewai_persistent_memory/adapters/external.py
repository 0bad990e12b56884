"""``ExternalMemory`` as CrewAI had it until 1.9.3, for code that was written for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import Self

from ..errors import ConfigurationError
from ..stores.base import MemoryStore
from .published import options_of
from .unified import PersistentMemory


class ExternalMemory(PersistentMemory):
    """A :class:`PersistentMemory`, by the arguments of CrewAI's removed class.

    Args:
        storage: a store that is open already (:func:`open_store`).
        embedder_config: ``{"provider": "mem0", "config": {...}}`` as Mem0 publishes it, or ``"qdrant"`` with the
            options of :class:`PersistentMemory`.

    Raises:
        ConfigurationError: not exactly one of them, or see :meth:`PersistentMemory.from_config`.
    """

    def __init__(self, storage: MemoryStore | None = None, embedder_config: Mapping[str, Any] | None = None) -> None:
        if (storage is None) == (embedder_config is None):
            raise ConfigurationError(
                "give either storage= (what open_store() returned) or embedder_config= "
                '({"provider": "mem0", "config": {...}})'
            )
        if storage is not None:
            super().__init__(store=storage)
        else:
            super().__init__(**options_of(embedder_config or {}))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(embedder_config=config)
