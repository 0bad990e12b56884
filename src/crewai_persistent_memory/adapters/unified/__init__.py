"""CrewAI since 1.10: one memory over a storage backend."""

from ..generation import require_unified
from ..threads import carry_context

require_unified("CrewAI's unified memory", "use PersistentMemory or PersistentStorage, which fit both")
carry_context()
