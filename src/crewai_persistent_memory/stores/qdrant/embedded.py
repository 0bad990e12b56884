"""Opening embedded stores: one shard per path and process, shared by all its handles, closed with the last one."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import qdrant_edge as edge

from ...embedding import Embedder, KeywordEncoder
from ...errors import PersistentMemoryError, StoreCorruptedError
from ...scope import ScopeBinding
from .descriptor import Descriptor, settle
from .directory import WRITE_RESERVE, StoreDirectory
from .edge import EmbeddedEngine
from .edge_disk import STRICTEST_FIRST, Fsync, sync_tree
from .edge_errors import engine_errors
from .edge_long_texts import complete_keywords
from .edge_rebuild import ensure_dense, finish_swap, load_shard, new_shard
from .requests import Describe, Profile, Request

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
            stored = directory.read_descriptor()
            descriptor, built = settle(stored, embedder, language, str(real))
            with engine_errors(real):
                shard = _create(directory, descriptor) if stored is None else _load(directory, descriptor)
                directory.make_private()
        except BaseException:
            directory.release()
            raise
        engine = EmbeddedEngine(directory, shard, descriptor, fsync, _release)
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


def _create(directory: StoreDirectory, descriptor: Descriptor) -> Any:
    directory.require_space(0, WRITE_RESERVE)
    if directory.shard.exists():
        _discard_unfinished(directory)
    shard = new_shard(directory.shard, descriptor)
    shard.flush()
    sync_tree(directory.shard)
    directory.write_descriptor(descriptor)
    return shard


def _discard_unfinished(directory: StoreDirectory) -> None:
    """Remove an engine folder without a descriptor, if nothing is in it.

    The descriptor is written before the first entry can be accepted. So either a creation was cut short, or somebody
    removed the descriptor; only the second can hold anything.
    """
    segments = directory.shard / "segments"
    if segments.is_dir() and any(segments.iterdir()):
        shard = load_shard(directory)
        count = shard.count(edge.CountRequest(exact=True))
        shard.close()
        if count:
            raise StoreCorruptedError(
                f"the memory store at {directory.path} is damaged: store.json is missing, but shard/ holds {count} "
                "entries. Restore store.json from a backup, or move the folder away"
            )
    shutil.rmtree(directory.shard)


def _load(directory: StoreDirectory, descriptor: Descriptor) -> Any:
    shard = load_shard(directory)
    if descriptor.dimensions is not None:
        # A kill between writing the descriptor and this step leaves the vector uncreated; doing it twice is harmless.
        ensure_dense(shard, descriptor.dimensions)
    complete_keywords(shard, KeywordEncoder(descriptor.language))
    return shard


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
