"""Memory for CrewAI crews that survives restarts, is shared, and never crosses from one user into another.

Importing this package imports neither ``crewai`` nor an engine; each is imported where it is first needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapters.checkpoint_restore import restoring
    from .adapters.crew import Crew
    from .adapters.external_memory import ExternalMemory
    from .adapters.memory import PersistentMemory
    from .adapters.register import register, unregister
    from .adapters.storage import PersistentStorage
    from .adapters.unified.storage_backend import QdrantStorageBackend
    from .config.options import MemoryConfig
    from .entry import MemoryEntry
    from .errors import (
        ConfigurationError,
        CrewInUseError,
        DimensionMismatchError,
        EmbedderError,
        EmbedderMismatchError,
        EmbedderUnavailableError,
        EngineError,
        EntryNotFoundError,
        InvalidArgumentError,
        InvalidEntryError,
        InvalidScopeError,
        MissingScopeError,
        NotPicklableError,
        Outcome,
        PersistentMemoryError,
        RequestRefusedError,
        SchemaVersionError,
        ScopeConflictError,
        ScopeError,
        ServerVersionError,
        StoreBusyError,
        StoreClosedError,
        StoreCorruptedError,
        StoreError,
        StoreFullError,
        StoreInUseError,
        StoreMissingError,
        StorePathError,
        StorePermissionError,
        StoreUnavailableError,
        UnsupportedCrewAIError,
    )
    from .ranking import RankingWeights
    from .scope import Scope
    from .scope_context import use_scope
    from .store.base import MemoryStore
    from .store.factory import open_store
    from .store.operations import AddedMessages

_HOME = {
    "AddedMessages": ".store.operations",
    "Crew": ".adapters.crew",
    "ExternalMemory": ".adapters.external_memory",
    "MemoryConfig": ".config.options",
    "MemoryEntry": ".entry",
    "MemoryStore": ".store.base",
    "PersistentMemory": ".adapters.memory",
    "PersistentStorage": ".adapters.storage",
    "QdrantStorageBackend": ".adapters.unified.storage_backend",
    "RankingWeights": ".ranking",
    "Scope": ".scope",
    "open_store": ".store.factory",
    "register": ".adapters.register",
    "restoring": ".adapters.checkpoint_restore",
    "unregister": ".adapters.register",
    "use_scope": ".scope_context",
}

__version__ = "0.1.0"

__all__ = [
    "AddedMessages",
    "ConfigurationError",
    "Crew",
    "CrewInUseError",
    "DimensionMismatchError",
    "EmbedderError",
    "EmbedderMismatchError",
    "EmbedderUnavailableError",
    "EngineError",
    "EntryNotFoundError",
    "ExternalMemory",
    "InvalidArgumentError",
    "InvalidEntryError",
    "InvalidScopeError",
    "MemoryConfig",
    "MemoryEntry",
    "MemoryStore",
    "MissingScopeError",
    "NotPicklableError",
    "Outcome",
    "PersistentMemory",
    "PersistentMemoryError",
    "PersistentStorage",
    "QdrantStorageBackend",
    "RankingWeights",
    "RequestRefusedError",
    "SchemaVersionError",
    "Scope",
    "ScopeConflictError",
    "ScopeError",
    "ServerVersionError",
    "StoreBusyError",
    "StoreClosedError",
    "StoreCorruptedError",
    "StoreError",
    "StoreFullError",
    "StoreInUseError",
    "StoreMissingError",
    "StorePathError",
    "StorePermissionError",
    "StoreUnavailableError",
    "UnsupportedCrewAIError",
    "open_store",
    "register",
    "restoring",
    "unregister",
    "use_scope",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME.get(name, ".errors"), __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
