"""Opening Mem0 OSS: one ``mem0.Memory`` of a process for each configuration, closed with its last handle."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, Final

from ...errors import ConfigurationError, PersistentMemoryError
from ...io.shared import Shared
from ...redaction import redact
from . import history
from .compat import is_thread_safe, open_source_memory
from .errors import is_away
from .text_cutting import fit_embedder
from .vector_stores import opening


class LibraryMemory:
    """An open ``mem0.Memory``, and the lock that a caller holds: a real one if it is not safe for threads."""

    def __init__(self, memory: Any, held: ExitStack | None = None) -> None:
        """
        Args:
            memory: as it was opened.
            held: what is given back after it was closed.
        """
        self.memory = memory
        self._held = held or ExitStack()
        self.call_lock: Any = nullcontext() if is_thread_safe(memory) else threading.RLock()

    def close(self) -> None:
        database: Any = getattr(self.memory, "db", None)
        if database is not None:
            database.close()
        with self._held:
            opening.close(self.memory)


MEMORIES: Final[Shared[str, LibraryMemory]] = Shared(LibraryMemory.close, exclusive=True)
"""By a digest of the configuration, which holds keys. A folder of a local vector store is opened once at a time."""


def digest_of(config: Mapping[str, Any]) -> str:
    """Equal for equal configurations. It does not reveal their keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=repr).encode()).hexdigest()


def opened(config: Mapping[str, Any], patience: float) -> LibraryMemory:
    """Open a configuration.

    Args:
        config: a ``local_mem0_config``.
        patience: seconds to wait for a connection of a vector store.

    Raises:
        ConfigurationError: Mem0 does not accept it.
        StorePathError: its history database, or a local vector store, cannot be where it is to be.
        StoreInUseError: another process has its local vector store open.
        Exception: the driver's, if a vector store's server does not answer; see :func:`errors.classify`.
    """
    path = config.get("history_db_path")
    if path is None:
        path = Path(os.environ.get("MEM0_DIR") or Path.home() / ".mem0", "history.db")
    with ExitStack() as held:
        opening.claim_folder(config, held)
        # SQLite keeps these in no file of a name.
        with nullcontext() if path in ("", ":memory:") else history.opening(path):
            memory = _build(config, patience)
        return LibraryMemory(memory, held.pop_all())


def _build(config: Mapping[str, Any], patience: float) -> Any:
    try:
        with opening.reached(config, patience):
            memory = open_source_memory(config)
            opening.correct(memory, config, patience)
    except PersistentMemoryError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, ImportError) as error:  # pydantic's and the libraries'
        if is_away(error):  # chromadb wraps it
            raise
        raise ConfigurationError(f"local_mem0_config: Mem0 does not accept it: {redact(str(error))}") from error
    fit_embedder(memory, config)
    history.prepare(memory)
    return memory
