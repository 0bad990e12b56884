"""CrewAI since 1.10: one memory over a storage backend."""

from ..version import require_unified

require_unified("CrewAI's unified memory", "use PersistentMemory or PersistentStorage, which fit both")
