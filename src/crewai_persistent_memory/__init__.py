"""Memory for CrewAI crews that survives restarts, is shared, and never crosses from one user into another.

Importing this package imports neither ``crewai`` nor an engine; each is imported where it is first needed.

The public API is the names in ``__all__`` and those of ``crewai_persistent_memory.admin`` and
``crewai_persistent_memory.testing``. All other modules are private and may change in any release.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapters.checkpoint_restore import restoring
    from .adapters.crew import Crew
    from .adapters.external_memory import ExternalMemory
    from .adapters.memory import PersistentMemory
    from .adapters.memory_options import PersistentMemoryOptions
    from .adapters.register import register, unregister
    from .adapters.storage import PersistentStorage
    from .adapters.unified.storage_backend import QdrantStorageBackend
    from .config.arguments import CollectionArgs, Mem0Args, MemoryOptions, ServerArgs
    from .config.options import MemoryConfig
    from .doctor.findings import Finding
    from .doctor.report import health_report
    from .entry import EarlierText, EntryArgs, EntryChanges, EntryFields, MemoryEntry, PathInfo
    from .entry_filter import EntryFilter, FilterArgs
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
    from .expiry import NEVER
    from .filter_fields import FilterField
    from .ranking import RankingWeights
    from .scope import Scope
    from .scope_context import ScopeFields, use_scope
    from .store import operations
    from .store.backend import Backend, Capabilities
    from .store.base import MemoryStore
    from .store.factory import open_store
    from .store.middleware import Middleware, Trace, read_only, tracing
    from .store.operations import AddedMessages, Page
    from .store.run_end import EndedRun

_HOME = {
    "NEVER": ".expiry",
    "AddedMessages": ".store.operations",
    "Backend": ".store.backend",
    "Capabilities": ".store.backend",
    "CollectionArgs": ".config.arguments",
    "Crew": ".adapters.crew",
    "EarlierText": ".entry",
    "EndedRun": ".store.run_end",
    "EntryArgs": ".entry",
    "EntryChanges": ".entry",
    "EntryFields": ".entry",
    "EntryFilter": ".entry_filter",
    "ExternalMemory": ".adapters.external_memory",
    "FilterArgs": ".entry_filter",
    "Finding": ".doctor.findings",
    "FilterField": ".filter_fields",
    "Mem0Args": ".config.arguments",
    "MemoryConfig": ".config.options",
    "MemoryEntry": ".entry",
    "MemoryOptions": ".config.arguments",
    "MemoryStore": ".store.base",
    "Middleware": ".store.middleware",
    "Page": ".store.operations",
    "PathInfo": ".entry",
    "PersistentMemory": ".adapters.memory",
    "PersistentMemoryOptions": ".adapters.memory_options",
    "PersistentStorage": ".adapters.storage",
    "QdrantStorageBackend": ".adapters.unified.storage_backend",
    "RankingWeights": ".ranking",
    "Scope": ".scope",
    "ScopeFields": ".scope_context",
    "ServerArgs": ".config.arguments",
    "Trace": ".store.middleware",
    "health_report": ".doctor.report",
    "operations": ".store.operations",
    "open_store": ".store.factory",
    "read_only": ".store.middleware",
    "register": ".adapters.register",
    "restoring": ".adapters.checkpoint_restore",
    "tracing": ".store.middleware",
    "unregister": ".adapters.register",
    "use_scope": ".scope_context",
}

_MODULES = frozenset({"operations"})
"""Public names that are modules."""

__version__ = "0.1.0"

__all__ = [
    "NEVER",
    "AddedMessages",
    "Backend",
    "Capabilities",
    "CollectionArgs",
    "ConfigurationError",
    "Crew",
    "CrewInUseError",
    "DimensionMismatchError",
    "EarlierText",
    "EmbedderError",
    "EmbedderMismatchError",
    "EmbedderUnavailableError",
    "EndedRun",
    "EngineError",
    "EntryArgs",
    "EntryChanges",
    "EntryFields",
    "EntryFilter",
    "EntryNotFoundError",
    "ExternalMemory",
    "FilterArgs",
    "FilterField",
    "Finding",
    "InvalidArgumentError",
    "InvalidEntryError",
    "InvalidScopeError",
    "Mem0Args",
    "MemoryConfig",
    "MemoryEntry",
    "MemoryOptions",
    "MemoryStore",
    "Middleware",
    "MissingScopeError",
    "NotPicklableError",
    "Outcome",
    "Page",
    "PathInfo",
    "PersistentMemory",
    "PersistentMemoryError",
    "PersistentMemoryOptions",
    "PersistentStorage",
    "QdrantStorageBackend",
    "RankingWeights",
    "RequestRefusedError",
    "SchemaVersionError",
    "Scope",
    "ScopeConflictError",
    "ScopeError",
    "ScopeFields",
    "ServerArgs",
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
    "Trace",
    "UnsupportedCrewAIError",
    "health_report",
    "open_store",
    "operations",
    "read_only",
    "register",
    "restoring",
    "tracing",
    "unregister",
    "use_scope",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOME.get(name, ".errors")
    module = import_module(home, __name__)
    value = module if name in _MODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
