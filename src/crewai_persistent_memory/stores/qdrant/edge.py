"""The embedded engine: Qdrant's own engine in this process (``qdrant-edge-py``), one shard per path.

Every store handle of a process that names the same path shares one open shard; the last one to close it closes
the shard. Relied upon, seen with qdrant-edge-py 0.9: calls are safe from several threads; an acknowledged write
is in the write-ahead log and survives ``kill -9``, but reaches the disk only with ``flush()``; errors are plain
``Exception`` and engine panics ``BaseException``.
"""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import qdrant_edge as edge

from ...embedding import Embedder
from ...errors import (
    DimensionMismatchError,
    EmbedderMismatchError,
    EngineError,
    PersistentMemoryError,
    StoreClosedError,
    StoreCorruptedError,
    StoreFullError,
)
from .descriptor import KEYWORDS as KEYWORDS_ONLY
from .descriptor import Descriptor, settle
from .directory import DELETE_RESERVE, WRITE_RESERVE, StoreDirectory, in_use
from .edge_translate import EdgeReader, to_filter, to_point
from .layout import DATETIME_INDEXES, DENSE, FLOAT_INDEXES, KEYWORD_INDEXES, KEYWORDS, TENANT_KEY, batches
from .requests import Count, Delete, Facet, Health, Hit, Listing, Request, Retrieve, Search, SetPayload, Upsert

Fsync = Literal["always", "interval", "close"]

FLUSH_INTERVAL: Final = 0.5
"""Seconds between a write and its flush to disk, for ``fsync="interval"``; below the second that is promised."""

logger = logging.getLogger("crewai_persistent_memory")


class EmbeddedEngine:
    """One open shard, shared by every handle of this process on the same path."""

    name = "embedded"

    def __init__(self, directory: StoreDirectory, shard: Any, descriptor: Descriptor, fsync: Fsync) -> None:
        self.descriptor = descriptor
        self.fsync = fsync
        self.leases = 1
        self._directory = directory
        self._shard = shard
        self._reader = EdgeReader(shard)
        self._owner_pid = os.getpid()
        # Held for writes, whose steps belong together (count and delete, check and upsert); reads do not need it.
        self._lock = threading.RLock()
        self._closed = False
        self._dirty = threading.Event()
        self._stop = threading.Event()
        self._flush_error: Exception | None = None
        self._flusher: threading.Thread | None = None
        self._execute: dict[type, Callable[[Any], Any]] = {
            Upsert: self._upsert,
            Delete: self._delete,
            SetPayload: self._set_payload,
            Search: self._search,
            Listing: self._reader.listing,
            Retrieve: self._retrieve,
            Count: self._reader.count,
            Facet: self._reader.facet,
            Health: self._health,
        }

    @property
    def path(self) -> Path:
        return self._directory.path

    def execute(self, request: Request[Any]) -> Any:
        """Answer one request.

        Raises:
            StoreClosedError: closed, or opened before a ``fork`` and used in the child.
            EngineError: the engine failed; the message has its words.
        """
        if self._closed or self._owner_pid != os.getpid():
            raise self._gone()
        with engine_errors(self.path):
            return self._execute[type(request)](request)

    def close(self) -> None:
        """Give one lease back; the last one flushes and closes the shard."""
        with _registry_lock:
            if self._owner_pid != os.getpid() or self._closed:
                return
            self.leases -= 1
            if self.leases == 0:
                _registry.pop(self.path, None)
                self.shut_down()

    def shut_down(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._stop.set()
            self._dirty.set()
            try:
                with engine_errors(self.path):
                    self._shard.flush()
                    self._shard.close()
            finally:
                self._closed = True
                self._directory.release()
        if self._flusher is not None and self._flusher is not threading.current_thread():
            self._flusher.join()

    def abandon_after_fork(self) -> None:
        """In a forked child: never touch the parent's shard again, not even to free it (freeing would flush)."""
        self._closed = True
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._shard))
        self._directory.abandon_after_fork()

    # -- reads -----------------------------------------------------------------------------------------------------

    def _search(self, request: Search) -> list[Hit]:
        if request.dense:
            if self.descriptor.vectors == KEYWORDS_ONLY:
                raise keywords_only(self.path)
            if self.descriptor.dimensions is None:
                # No vector was ever stored, so none is near; keywords may still match.
                request = replace(request, dense=None)
        return self._reader.search(request)

    def _retrieve(self, request: Retrieve) -> list[Hit]:
        if self.descriptor.dimensions is None:
            request = replace(request, with_vectors=False)
        return self._reader.retrieve(request)

    # -- writes ----------------------------------------------------------------------------------------------------

    def _upsert(self, request: Upsert) -> None:
        points = request.points
        # About what the engine writes: the payload to its log and to its storage, vectors likewise, and indexes.
        size = sum(4 * len(p.payload["content"]) + 4 * len(p.payload["metadata"]) + 4096 for p in points)
        size += sum(12 * len(p.dense) for p in points if p.dense)
        with self._writing(size, WRITE_RESERVE):
            self._admit_vectors(points)
            for batch in batches(points):
                self._shard.update(edge.UpdateOperation.upsert_points([to_point(point) for point in batch]))

    def _delete(self, request: Delete) -> int:
        where = to_filter(request.where)
        with self._writing(0, DELETE_RESERVE):
            count: int = self._shard.count(edge.CountRequest(filter=where, exact=True))
            if count:
                self._shard.update(edge.UpdateOperation.delete_points_by_filter(where))
            return count

    def _set_payload(self, request: SetPayload) -> None:
        with self._writing(0, DELETE_RESERVE):
            # By filter and never by ids alone: an id would reach another tenant's point.
            operation = edge.UpdateOperation.set_payload_by_filter(to_filter(request.where), dict(request.payload))
            self._shard.update(operation)

    @contextmanager
    def _writing(self, size: int, reserve: int) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise self._gone()
            if self._flush_error is not None:
                error, self._flush_error = self._flush_error, None
                raise EngineError(
                    f"an earlier write to {self.path} could not be flushed to disk ({error}): this write was refused; "
                    "check the disk, then try again"
                ) from error
            self._directory.require_space(size, reserve)
            yield
            if self.fsync == "always":
                self._shard.flush()
            elif self.fsync == "interval":
                self._mark_dirty()

    def _admit_vectors(self, points: Any) -> None:
        """Check every vector's length before anything is written; the first one ever sets the store's."""
        lengths = {len(point.dense) for point in points if point.dense}
        if not lengths:
            return
        if self.descriptor.vectors == KEYWORDS_ONLY:
            raise keywords_only(self.path)
        dimensions = self.descriptor.dimensions
        for length in sorted(lengths):
            if dimensions is not None and length != dimensions:
                raise DimensionMismatchError(dimensions, length)
            dimensions = length
        if self.descriptor.dimensions is None and dimensions is not None:
            self._directory.write_descriptor(self.descriptor.with_dimensions(dimensions))
            ensure_dense(self._shard, dimensions)
            self.descriptor = self.descriptor.with_dimensions(dimensions)

    # -- flushing --------------------------------------------------------------------------------------------------

    def _mark_dirty(self) -> None:
        self._dirty.set()
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._flush_loop, name="memory-fsync", daemon=True)
            self._flusher.start()

    def _flush_loop(self) -> None:
        while True:
            self._dirty.wait()
            self._stop.wait(FLUSH_INTERVAL)
            with self._lock:
                if self._closed or self._stop.is_set():
                    return
                self._dirty.clear()
                try:
                    with engine_errors(self.path):
                        self._shard.flush()
                except PersistentMemoryError as error:
                    # Nobody waits for this thread: say it now, and refuse the next write.
                    logger.error("flushing %s to disk failed: %s", self.path, error)
                    self._flush_error = error

    # -- state -----------------------------------------------------------------------------------------------------

    def _health(self, request: Health) -> dict[str, Any]:
        self._shard.info()
        return {
            "engine": self.name,
            "path": str(self.path),
            "fsync": self.fsync,
            "vectors": self.descriptor.vectors,
            "dimensions": self.descriptor.dimensions,
            "unflushed_error": None if self._flush_error is None else str(self._flush_error),
        }

    def _gone(self) -> StoreClosedError:
        if self._owner_pid != os.getpid():
            return StoreClosedError(
                f"the memory store at {self.path} was opened before this process was forked: open it after the fork, "
                "in one process only, or use a Qdrant server (QDRANT_URL or url=)"
            )
        return StoreClosedError(f"the memory store at {self.path} is closed: open it again")


def keywords_only(path: object) -> EmbedderMismatchError:
    return EmbedderMismatchError(
        f"the store at {path} was created with keywords only and takes no vectors: use another path for an embedder"
    )


@contextmanager
def engine_errors(path: Path) -> Iterator[None]:
    """Turn whatever the engine throws into this package's errors."""
    try:
        yield
    except (PersistentMemoryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        # The engine's panics are BaseException (pyo3_runtime.PanicException) and slip through "except Exception".
        text = str(error)
        if match := re.search(r"expected dim: (\d+), got (\d+)", text):
            raise DimensionMismatchError(int(match[1]), int(match[2])) from error
        if "No space left" in text or "os error 28" in text or "os error 122" in text:
            raise StoreFullError(f"the disk of {path} is full: {text}") from error
        if "WouldBlock" in text:
            raise in_use(path) from error
        if "not initialized" in text:
            raise StoreClosedError(f"the memory store at {path} is closed: open it again") from error
        if not isinstance(error, Exception):
            raise StoreCorruptedError(f"the engine of {path} panicked: {text}. Reopen the store") from error
        raise EngineError(f"the engine of {path} failed: {text}") from error


# -- opening -------------------------------------------------------------------------------------------------------

_registry: dict[Path, EmbeddedEngine] = {}
_registry_lock = threading.RLock()


def open_embedded(
    path: str | os.PathLike[str], *, embedder: Any, language: str | None = None, fsync: Fsync = "interval"
) -> tuple[EmbeddedEngine, Embedder | None]:
    """Open the store at ``path``, creating it if there is none; shared with other handles of this process.

    Raises:
        StorePathError, StoreInUseError, StoreCorruptedError, SchemaVersionError, StoreFullError: about the path.
        EmbedderMismatchError, EmbedderUnavailableError: about the embedder, see :func:`settle`.
    """
    real = Path(os.path.realpath(os.path.expanduser(path)))
    with _registry_lock:
        engine = _registry.get(real)
        if engine is not None:
            _, built = settle(engine.descriptor, embedder, language, str(real))
            engine.leases += 1
            return engine, built
        directory = StoreDirectory(real)
        directory.acquire()
        try:
            stored = directory.read_descriptor()
            descriptor, built = settle(stored, embedder, language, str(real))
            with engine_errors(real):
                shard = _create(directory, descriptor) if stored is None else _load(directory, descriptor)
        except BaseException:
            directory.release()
            raise
        engine = EmbeddedEngine(directory, shard, descriptor, fsync)
        _registry[real] = engine
        return engine, built


def _create(directory: StoreDirectory, descriptor: Descriptor) -> Any:
    directory.require_space(0, WRITE_RESERVE)
    directory.shard.mkdir()
    config = edge.EdgeConfig(
        sparse_vectors={KEYWORDS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        # m=0: no HNSW graph. A query is filtered to one user's entries and faster without (0.13 against 0.32 ms at
        # 10k records), and building the graph holds the GIL for minutes.
        hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000),
    )
    shard = edge.EdgeShard.create(str(directory.shard), config)
    index = edge.UpdateOperation.create_field_index
    shard.update(index(TENANT_KEY, edge.KeywordIndexParams(is_tenant=True)))
    for key in KEYWORD_INDEXES:
        shard.update(index(key, edge.KeywordIndexParams()))
    for key in DATETIME_INDEXES:
        shard.update(index(key, edge.DatetimeIndexParams()))
    for key in FLOAT_INDEXES:
        shard.update(index(key, edge.FloatIndexParams()))
    if descriptor.dimensions is not None:
        ensure_dense(shard, descriptor.dimensions)
    shard.flush()
    directory.write_descriptor(descriptor)
    return shard


def _load(directory: StoreDirectory, descriptor: Descriptor) -> Any:
    try:
        shard = edge.EdgeShard.load(str(directory.shard))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        if "WouldBlock" in str(error):
            raise
        raise StoreCorruptedError(
            f"the memory store at {directory.path} cannot be opened: {error}. Restore the folder from a backup, or "
            "move it away to start with an empty one"
        ) from error
    if descriptor.dimensions is not None:
        # A kill between writing the descriptor and this step leaves the vector uncreated; doing it twice is harmless.
        ensure_dense(shard, descriptor.dimensions)
    return shard


def ensure_dense(shard: Any, dimensions: int) -> None:
    shard.update(edge.UpdateOperation.create_dense_vector(DENSE, dimensions, edge.Distance.Cosine))


@atexit.register
def _close_all() -> None:
    with _registry_lock:
        for engine in list(_registry.values()):
            try:
                engine.shut_down()
            except PersistentMemoryError as error:
                logger.error("closing %s failed: %s", engine.path, error)
        _registry.clear()


def _forget_after_fork() -> None:
    global _registry_lock
    _registry_lock = threading.RLock()
    for engine in _registry.values():
        engine.abandon_after_fork()
    _registry.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
