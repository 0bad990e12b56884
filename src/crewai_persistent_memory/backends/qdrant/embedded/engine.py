"""The embedded engine: Qdrant's own engine in this process (``qdrant-edge-py``), one shard per path.

Every store handle of a process that names the same path shares one open shard; the last one to close it closes
the shard. Relied upon, seen with qdrant-edge-py 0.9: calls are safe from several threads; an acknowledged write
is in the write-ahead log and survives ``kill -9``; errors are plain ``Exception`` and engine panics
``BaseException``. When writes reach the disk is decided in ``flushing``.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import qdrant_edge as edge

from ....errors import (
    DimensionMismatchError,
    EmbedderMismatchError,
    EngineError,
    PersistentMemoryError,
    StoreClosedError,
    StoreCorruptedError,
)
from ..engine_requests import (
    Change,
    Compact,
    Count,
    Delete,
    Everything,
    Facet,
    Health,
    Hit,
    NoDense,
    NoteAccess,
    Ordered,
    Request,
    Retrieve,
    Scroll,
    Search,
    SearchMany,
    SetPayload,
    SetVectors,
    Unembedded,
    Upsert,
    Where,
)
from ..manifest import KEYWORDS as KEYWORDS_ONLY
from ..manifest import Descriptor
from ..schema import DENSE, Index, access_write
from .access_times import AccessTimes
from .changes import change, is_long_change, size_of_change
from .checksums import LEDGER, seal
from .directory import DELETE_RESERVE, WRITE_RESERVE, StoreDirectory
from .errors import engine_errors
from .flushing import EdgeDisk, Fsync
from .ledger import Ledger
from .long_texts import batches_of, is_long, make_way, one_by_one
from .read_lock import Reads
from .rebuild import create_indexes, create_missing_indexes, ensure_dense, load_shard, rewrite, swap
from .salvage import LOST, all_ids, read_lost, read_one, rewrite_whole
from .translate import EdgeReader, edge_filter, edge_point

logger = logging.getLogger("crewai_persistent_memory")

MUCH_DELETED: Final = 100
"""Entries. If so many were deleted, and they are a fifth of what there was, the store is written anew at close."""

_SHOW_ACCESS_TIMES: Final = frozenset({Ordered, Everything, Scroll, Retrieve})
"""Before these the access times that are only noted are written."""

_WRITES: Final = frozenset({Upsert, Change, Delete, SetPayload, SetVectors, Compact})
"""They come one after the other; a read may come at any time but while the shard is exchanged."""


class EmbeddedEngine:
    """One open shard, shared by every handle of this process on the same path."""

    name = "embedded"

    def __init__(
        self,
        directory: StoreDirectory,
        shard: Any,
        descriptor: Descriptor,
        fsync: Fsync,
        *,
        deleted: int = 0,
    ) -> None:
        self.descriptor = descriptor
        self._directory = directory
        self._shard = shard
        self._reader = EdgeReader(shard, one_by_one=directory.has_long_texts)
        self._owner_pid = os.getpid()
        # Held for writes, whose steps belong together (count and delete, check and upsert); reads do not need it.
        self._lock = threading.RLock()
        self._closed = False
        self._reads = Reads()
        self._deleted = deleted
        self._more_indexes: dict[str, Index] = {}
        self._ledger = Ledger(directory.path / LEDGER)
        self._ledger.open()
        self.disk = EdgeDisk(directory.shard, self._ledger.path, fsync, self._flush)
        self._access_times = AccessTimes(self._write_access_time, self._write_access_times)
        self._execute: dict[type, Callable[[Any], Any]] = {
            Upsert: self._upsert,
            Change: self._change,
            Delete: self._delete,
            SetPayload: self._set_payload,
            Search: self._search,
            SearchMany: lambda request: [self._search(search) for search in request.searches],
            Ordered: self._reader.ordered,
            Everything: self._reader.everything,
            Scroll: self._scroll,
            Retrieve: self._retrieve,
            Count: self._reader.count,
            Facet: self._reader.facet,
            Unembedded: self._reader.unembedded,
            SetVectors: self._set_vectors,
            Compact: lambda request: self._compact(),
            Health: self._health,
        }

    @property
    def path(self) -> Path:
        return self._directory.path

    def __repr__(self) -> str:
        return f"EmbeddedEngine({str(self.path)!r})"

    def execute(self, request: Request[Any]) -> Any:
        """Answer one request.

        Raises:
            StoreClosedError: closed, or opened before a ``fork`` and used in the child.
            EngineError: the engine failed; the message has its words.
        """
        if self._closed or self._owner_pid != os.getpid():
            raise self._gone()
        try:
            return self._answer(request)
        except (StoreCorruptedError, EngineError):
            # One entry that cannot be read would fail every list and reset of its user for good.
            if not self._mend():
                raise
            return self._answer(request)

    def note_access(self, note: NoteAccess) -> None:
        """Keep in memory when entries were read; see ``access_times``.

        Raises:
            StoreClosedError: as for :meth:`execute`.
        """
        if self._closed or self._owner_pid != os.getpid():
            raise self._gone()
        self._access_times.note(note)

    def _answer(self, request: Request[Any]) -> Any:
        with engine_errors(self.path):
            if type(request) in _WRITES:
                return self._execute[type(request)](request)
            if self._access_times and type(request) in _SHOW_ACCESS_TIMES:
                self._write_access_times()
            with self._reads:
                return self._execute[type(request)](request)

    def shut_down(self) -> None:
        """Flush and close the shard, whoever still uses it."""
        with self._lock:
            if self._closed:
                return
            self.disk.stop()
            try:
                with engine_errors(self.path):
                    self._access_times.write_all()
                    self._compact_if_much_was_deleted()
                    self.disk.flush_engine()
                    self._shard.close()
                    self._ledger.close()
                    self._directory.make_private()
                    seal(self._directory, self._deleted)
            finally:
                self._closed = True
                self._ledger.close()
                self._directory.release()
        self.disk.join()

    def abandon_after_fork(self) -> None:
        """In a forked child: never touch the parent's shard again, not even to free it (freeing would flush)."""
        self._closed = True
        self._ledger.close()
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._shard))
        self._directory.abandon_after_fork()

    # -- reads -----------------------------------------------------------------------------------------------------

    def _search(self, request: Search) -> list[Hit]:
        if request.dense:
            if self.descriptor.vectors == KEYWORDS_ONLY:
                raise self._keywords_only()
            if self.descriptor.dimensions is None:
                # No vector was ever stored, so none is near; keywords may still match.
                request = replace(request, dense=None)
        return self._reader.search(request)

    def _scroll(self, request: Scroll) -> tuple[list[Hit], str | None]:
        if self.descriptor.dimensions is None:
            request = replace(request, with_vectors=False)
        return self._reader.scroll(request)

    def _retrieve(self, request: Retrieve) -> list[Hit]:
        if self.descriptor.dimensions is None:
            request = replace(request, with_vectors=False)
        return self._reader.retrieve(request)

    # -- writes ----------------------------------------------------------------------------------------------------

    def _upsert(self, request: Upsert) -> None:
        points = request.points
        # About what the engine writes: the payload to its log and to its storage, vectors likewise, and indexes.
        size = sum(4 * len(p.payload["content"]) + 4 * len(p.payload["record"]) + 4096 for p in points)
        size += sum(12 * len(p.dense) for p in points if p.dense)
        with self._writing(size, WRITE_RESERVE):
            self._write_access_times_of(point.id for point in points)
            self._admit_vectors([point.dense for point in points])
            self._admit_texts(any(map(is_long, points)))
            for batch in batches_of(points):
                self._ledger.doubt(point.id for point in batch)
                make_way(self._shard, batch)
                self._shard.update(edge.UpdateOperation.upsert_points([edge_point(point) for point in batch]))
                self._ledger.add((point.id, point.payload) for point in batch)

    def _change(self, request: Change) -> bool:
        with self._writing(size_of_change(request), WRITE_RESERVE):
            # Other writes wait, so a point that is there now is there when it is changed.
            if not self._shard.retrieve([request.id], with_payload=False, with_vector=False):
                return False
            self._write_access_times_of([request.id])
            self._admit_vectors([request.dense])
            self._admit_texts(is_long_change(request))
            self._ledger.doubt([request.id])
            change(self._shard, request, has_dense=self.descriptor.dimensions is not None)
            self._note_again([request.id])
            return True

    def _delete(self, request: Delete) -> int:
        where = edge_filter(request.where)
        with self._writing(0, DELETE_RESERVE):
            count: int = self._shard.count(edge.CountRequest(filter=where, exact=True))
            if count:
                self._ledger.remove(all_ids(self._shard, where))
                self._shard.update(edge.UpdateOperation.delete_points_by_filter(where))
                self._deleted += count
            return count

    def _set_payload(self, request: SetPayload) -> None:
        # When an entry was read is not worth waiting for a disk.
        only_read = request.payload.keys() <= {"last_accessed"}
        with self._writing(0, DELETE_RESERVE, disposable=only_read):
            changed = [] if only_read else list(all_ids(self._shard, edge_filter(request.where)))
            self._ledger.doubt(changed)
            self._set_on_matching(request)
            self._note_again(changed)

    def _set_on_matching(self, request: SetPayload) -> None:
        # By filter and never by ids alone: an id would reach another tenant's point.
        set_payload = edge.UpdateOperation.set_payload_by_filter
        for where in one_by_one(request.where) if self._reader.one_by_one else [request.where]:
            self._shard.update(set_payload(edge_filter(where), dict(request.payload)))

    def _write_access_time(self, note: NoteAccess) -> None:
        try:
            with engine_errors(self.path):
                self._set_on_matching(access_write(note))
        except PersistentMemoryError as error:
            logger.warning("access times were not updated: %s", error)

    def _write_access_times(self) -> None:
        with self._lock:
            if not self._closed and self._owner_pid == os.getpid():
                self._access_times.write_all()

    def _write_access_times_of(self, points: Iterable[str]) -> None:
        """Write what is noted before one of these points is written: the note is older."""
        if self._access_times and self._access_times.concern(points):
            self._access_times.write_all()

    def _note_again(self, points: Sequence[str]) -> None:
        """Note the payloads of points that were changed in part."""
        records = self._shard.retrieve(list(points), with_payload=True, with_vector=False) if points else []
        self._ledger.add((str(record.id), record.payload) for record in records)

    def _set_vectors(self, request: SetVectors) -> int:
        with self._writing(sum(12 * len(new.dense) for new in request.vectors), WRITE_RESERVE):
            # Other writes wait, so what is read here is what is there when the vectors are written. A deleted point is
            # not written to: the engine knows no "if it is there", and fails.
            found = self._reader.retrieve(Retrieve([new.id for new in request.vectors]))
            contents = {str(hit.id): hit.payload["content"] for hit in found}
            valid = [new for new in request.vectors if contents.get(new.id) == new.content]
            if not valid:
                return 0
            self._admit_vectors([new.dense for new in valid])
            before = self._without_dense(request.where)
            points = [edge.PointVectors(id=new.id, vector={DENSE: list(new.dense)}) for new in valid]
            where = edge_filter((*request.where, NoDense()))
            self._shard.update(edge.UpdateOperation.update_vectors(points, condition=where))
            return before - self._without_dense(request.where)

    def _without_dense(self, where: Where) -> int:
        return self._reader.count(Count((*where, NoDense())))

    @contextmanager
    def _writing(self, size: int, reserve: int, *, disposable: bool = False) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise self._gone()
            self.disk.refuse_after_failure()
            self._directory.require_space(size, reserve)
            yield
            write = self.disk.noted()
        if not disposable:
            self.disk.keep(write)

    def _admit_texts(self, any_is_long: bool) -> None:
        """Note a long text before it is written: from then on the store is read entry by entry."""
        if any_is_long and not self._reader.one_by_one:
            self._directory.note_long_texts()
            self._reader.one_by_one = True

    def _admit_vectors(self, vectors: Sequence[Sequence[float] | None]) -> None:
        """Check every vector's length before anything is written; the first one ever sets the store's."""
        lengths = {len(vector) for vector in vectors if vector}
        if not lengths:
            return
        if self.descriptor.vectors == KEYWORDS_ONLY:
            raise self._keywords_only()
        dimensions = self.descriptor.dimensions
        for length in sorted(lengths):
            if dimensions is not None and length != dimensions:
                raise DimensionMismatchError(dimensions, length)
            dimensions = length
        if self.descriptor.dimensions is None and dimensions is not None:
            self._directory.write_descriptor(self.descriptor.with_dimensions(dimensions))
            ensure_dense(self._shard, dimensions)
            self.descriptor = self.descriptor.with_dimensions(dimensions)

    def _flush(self) -> None:
        with self._lock, engine_errors(self.path):
            if not self._closed:
                self._shard.flush()
                self._directory.make_private()

    # -- indexes ---------------------------------------------------------------------------------------------------

    def create_indexes(self, indexes: Mapping[str, Index]) -> None:
        """Create those of the indexes that the shard lacks, also when it is written anew.

        Raises:
            ConfigurationError: a key has an index of another kind.
        """
        with self._lock:
            if self._closed or self._owner_pid != os.getpid():
                raise self._gone()
            with engine_errors(self.path):
                create_missing_indexes(self._shard, indexes, self.path)
            self._more_indexes.update(indexes)

    # -- making anew -----------------------------------------------------------------------------------------------

    def _compact(self) -> bool:
        """Write the shard anew, without what was deleted. Writes wait for it, reads only while it takes its place."""
        with self._lock:
            if self._closed:
                raise self._gone()
            self._directory.require_space(self._directory.size(), WRITE_RESERVE)
            ledger = rewrite(self._directory, self._shard, self.descriptor)
            with self._reads.none(), self.disk.paused():
                self._shard.close()
                self._shard = self._reader.shard = swap(self._directory)
                create_indexes(self._shard, self._more_indexes)
                self._replace_ledger(ledger)
            self._deleted = 0
            self._directory.remove_damaged()
            self._directory.make_private()
        return True

    def _mend(self) -> bool:
        """Write the shard anew without entries that cannot be read, if there are any. Their ids are kept."""
        with self._lock:
            if self._closed:
                return False
            dense = self.descriptor.dimensions is not None
            with engine_errors(self.path):
                if all(read_one(self._shard, point, dense=dense) for point in all_ids(self._shard)):
                    return False
            expected = self._ledger.read().entries
            with engine_errors(self.path), self._reads.none(), self.disk.paused():
                self._ledger.close()
                rewrite_whole(self._directory, self._shard, self.descriptor, expected)
                self._shard = self._reader.shard = load_shard(self._directory)
                create_indexes(self._shard, self._more_indexes)
                self._ledger.open()
            self._directory.make_private()
            return True

    def _replace_ledger(self, content: bytes) -> None:
        self._ledger.close()
        self._directory.write(LEDGER, content)
        self._ledger.open()

    def _compact_if_much_was_deleted(self) -> None:
        if self._deleted < MUCH_DELETED:
            return
        left: int = self._shard.count(edge.CountRequest(exact=True))
        if self._deleted * 4 >= left:
            self._compact()

    # -- state -----------------------------------------------------------------------------------------------------

    def _health(self, request: Health) -> dict[str, Any]:
        self._shard.info()
        return {
            "engine": self.name,
            "path": str(self.path),
            "fsync": self.disk.policy,
            "vectors": self.descriptor.vectors,
            "dimensions": self.descriptor.dimensions,
            "layout": self.descriptor.layout,
            "lost": read_lost(self._directory) if (self.path / LOST).exists() else None,
            "unflushed_error": None if self.disk.error is None else str(self.disk.error),
        }

    def _keywords_only(self) -> EmbedderMismatchError:
        return EmbedderMismatchError(
            f"the store at {self.path} was created with keywords only and takes no vectors: "
            "use another path for an embedder"
        )

    def _gone(self) -> StoreClosedError:
        if self._owner_pid != os.getpid():
            return StoreClosedError(
                f"the memory store at {self.path} was opened before this process was forked: open it after the fork, "
                "in one process only, or use a Qdrant server (QDRANT_URL or url=)"
            )
        return StoreClosedError(f"the memory store at {self.path} is closed: open it again")
