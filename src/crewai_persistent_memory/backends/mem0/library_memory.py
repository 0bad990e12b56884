"""Opening Mem0 OSS: one ``mem0.Memory`` of a process for each configuration, closed with its last handle."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from ...errors import ConfigurationError
from ...io.shared import Shared
from ...redaction import redact
from . import history
from .compat import is_thread_safe, open_source_memory
from .text_cutting import fit_embedder


class LibraryMemory:
    """An open ``mem0.Memory``, and the lock that a caller holds: a real one if it is not safe for threads."""

    def __init__(self, memory: Any) -> None:
        self.memory = memory
        self.call_lock: Any = nullcontext() if is_thread_safe(memory) else threading.RLock()

    def close(self) -> None:
        database: Any = getattr(self.memory, "db", None)
        if database is not None:
            database.close()
        client: Any = getattr(self.memory.vector_store, "client", None)
        if hasattr(client, "close") and not self._is_lent(client):
            client.close()

    def _is_lent(self, client: Any) -> bool:
        """The caller's own client, put into the configuration, stays open."""
        return getattr(self.memory.config.vector_store.config, "client", None) is client


MEMORIES: Final[Shared[str, LibraryMemory]] = Shared(LibraryMemory.close, exclusive=True)
"""By a digest of the configuration, which holds keys. A folder of a local vector store is opened once at a time."""


def digest_of(config: Mapping[str, Any]) -> str:
    """Equal for equal configurations. It does not reveal their keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=repr).encode()).hexdigest()


def opened(config: Mapping[str, Any]) -> LibraryMemory:
    """Open a configuration.

    Raises:
        ConfigurationError: Mem0 does not accept it.
        StorePathError: its history database cannot be where it is to be.
    """
    path = config.get("history_db_path")
    if path is None:
        path = Path(os.environ.get("MEM0_DIR") or Path.home() / ".mem0", "history.db")
    if path in ("", ":memory:"):  # SQLite keeps these in no file of a name
        return LibraryMemory(_build(config))
    with history.opening(path):
        return LibraryMemory(_build(config))


def _build(config: Mapping[str, Any]) -> Any:
    try:
        memory = open_source_memory(config)
    except (ValueError, TypeError, KeyError, AttributeError, ImportError) as error:  # pydantic's and the libraries'
        raise ConfigurationError(f"local_mem0_config: Mem0 does not accept it: {redact(str(error))}") from error
    fit_embedder(memory, config)
    history.prepare(memory)
    return memory
