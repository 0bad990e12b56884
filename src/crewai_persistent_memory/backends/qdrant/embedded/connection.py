"""Opening embedded stores: one shard per path and process, shared by all its handles, closed with the last one."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....embedding import Embedder, KeywordEncoder
from ....errors import PersistentMemoryError
from ....scope import ScopeBinding
from ..manifest import settle
from ..requests import Describe, Profile, Request
from .directory import StoreDirectory
from .engine import EmbeddedEngine
from .errors import engine_errors
from .flushing import STRICTEST_FIRST, Fsync
from .opening import create_shard, open_shard, stored_descriptor
from .rebuild import finish_swap

logger = logging.getLogger("crewai_persistent_memory")


@dataclass
class _Open:
    """An open shard and how many handles use it."""

    engine: EmbeddedEngine
    handles: int = 1


_registry: dict[Path, _Open] = {}
_registry_lock = threading.RLock()


class EmbeddedConnection:
    """One caller's share of an open shard, and the embedder that this caller reads it with."""

    def __init__(self, engine: EmbeddedEngine, embedder: Embedder | None) -> None:
        self._engine = engine
        self._embedder = embedder
        self._encoder = KeywordEncoder(engine.descriptor.language)

    def place(self, binding: ScopeBinding) -> None:
        """There is but one."""

    def execute(self, request: Request[Any], place: None) -> Any:
        if isinstance(request, Describe):
            return Profile(self._engine.descriptor, self._embedder, self._encoder)
        return self._engine.execute(request)

    async def aexecute(self, request: Request[Any], place: None) -> Any:
        if isinstance(request, Describe):
            return self.execute(request, place)
        return await asyncio.to_thread(self._engine.execute, request)

    def close(self) -> None:
        self._engine.close()

    async def aclose(self) -> None:
        await asyncio.to_thread(self._engine.close)

    def __repr__(self) -> str:
        return repr(self._engine)


def open_embedded(
    path: str | os.PathLike[str], *, embedder: Any, language: str | None = None, fsync: Fsync = "interval"
) -> EmbeddedConnection:
    """Open the store at ``path``, creating it if there is none; shared with other handles of this process.

    Raises:
        StorePathError, StoreInUseError, StoreCorruptedError, SchemaVersionError, StoreFullError: about the path.
        EmbedderMismatchError, EmbedderUnavailableError: about the embedder, see :func:`settle`.
    """
    real = Path(os.path.realpath(os.path.expanduser(path)))
    with _registry_lock:
        shared = _registry.get(real)
        if shared is not None:
            _, built = settle(shared.engine.descriptor, embedder, language, str(real))
            # Handles share one shard; the strictest of what they were promised holds for all.
            shared.engine.disk.policy = min(shared.engine.disk.policy, fsync, key=STRICTEST_FIRST.index)
            shared.handles += 1
            return EmbeddedConnection(shared.engine, built)
        directory = StoreDirectory(real)
        directory.acquire()
        try:
            finish_swap(directory)
            stored = stored_descriptor(directory)
            descriptor, built = settle(stored, embedder, language, str(real))
            with engine_errors(real):
                if stored is None:
                    shard, deleted = create_shard(directory, descriptor), 0
                else:
                    shard, descriptor, deleted = open_shard(directory, descriptor)
                directory.make_private()
        except BaseException:
            directory.release()
            raise
        engine = EmbeddedEngine(directory, shard, descriptor, fsync, _release, deleted=deleted)
        _registry[real] = _Open(engine)
        return EmbeddedConnection(engine, built)


def _release(engine: EmbeddedEngine) -> None:
    with _registry_lock:
        shared = _registry.get(engine.path)
        if shared is None or shared.engine is not engine:
            return
        shared.handles -= 1
        if shared.handles == 0:
            del _registry[engine.path]
            engine.shut_down()


@atexit.register
def _close_all() -> None:
    with _registry_lock:
        for path, shared in list(_registry.items()):
            try:
                shared.engine.shut_down()
            except PersistentMemoryError as error:
                logger.error("closing %s failed: %s", path, error)
        _registry.clear()


def _forget_after_fork() -> None:
    global _registry_lock
    _registry_lock = threading.RLock()
    for shared in _registry.values():
        shared.engine.abandon_after_fork()
    _registry.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
