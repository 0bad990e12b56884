"""``ExternalMemory`` with the arguments of CrewAI's class (until 1.9.3), on every version of CrewAI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import Self

from ..errors import ConfigurationError
from ..store.base import MemoryStore
from .defaults import options_of
from .memory import PersistentMemory
from .storage import PersistentStorage
from .version import is_unified


class ExternalMemory(PersistentMemory):
    """A :class:`PersistentMemory` with the arguments of CrewAI's class.

    Args:
        storage: a :class:`PersistentStorage`, or an open store (:func:`open_store`). With a third-party storage, the
            result is not a memory of this package and has no scope; the storage is used as CrewAI used it.
        embedder_config: ``{"provider": "mem0", "config": {...}}`` in Mem0's published form, or ``"persistent"`` (or
            ``"qdrant"``) with the options of :class:`PersistentMemory`.

    Raises:
        ConfigurationError: both or neither are given, or see :meth:`PersistentMemory.from_config`.
    """

    _recipe_of = "external"

    def __new__(cls, storage: Any = None, embedder_config: Mapping[str, Any] | None = None) -> Any:
        if _is_foreign(storage) and embedder_config is None:
            return _over_foreign(storage)
        return super().__new__(cls)

    def __init__(
        self,
        storage: PersistentStorage | MemoryStore | None = None,
        embedder_config: Mapping[str, Any] | None = None,
    ) -> None:
        if (storage is None) == (embedder_config is None):
            raise ConfigurationError(
                "give either storage= (a PersistentStorage, or what open_store() returned) or embedder_config= "
                '({"provider": "mem0", "config": {...}})'
            )
        if isinstance(storage, PersistentStorage):
            super().__init__(**_options_of(storage))
        elif storage is not None:
            super().__init__(store=storage)
        else:
            super().__init__(**options_of(embedder_config or {}))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(embedder_config=config)


def _options_of(storage: PersistentStorage) -> dict[str, Any]:
    options: dict[str, Any] = {"store": storage.store, "infer": storage.infers, "on_error": storage.on_error}
    if storage.read_only:
        options["read_only"] = True
    if storage.path != "/":
        options["root_scope"] = storage.path
    return options


def _is_foreign(storage: Any) -> bool:
    """Whether it is a third-party storage with the methods of CrewAI's ``Storage``."""
    if isinstance(storage, (PersistentStorage, MemoryStore)):
        return False
    return all(callable(getattr(storage, name, None)) for name in ("save", "search", "reset"))


def _over_foreign(storage: Any) -> Any:
    if is_unified():
        from .unified.third_party_storage import ForeignMemory

        return ForeignMemory(storage)
    from .contextual import third_party_storage as foreign

    return foreign.ForeignMemory(storage)
