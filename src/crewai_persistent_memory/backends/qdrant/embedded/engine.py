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
from collections.abc import Callable, Mapping
from typing import Any, Final

import qdrant_edge as edge

from ....embedding import Embedder
from ....errors import (
    EngineError,
    PersistentMemoryError,
    StoreCorruptedError,
)
from ....store.operations import Taken
from ..engine_requests import (
    BackUp,
    ChangeEmbedder,
    Compact,
    Delete,
    Everything,
    Health,
    KeepSpread,
    NoteAccess,
    Ordered,
    Request,
    Retrieve,
    Scroll,
)
from ..manifest import Descriptor
from ..point_vectors import without_dense
from ..said_before import SaidBefore
from ..schema import Index, access_write
from .access_times import AccessTimes
from .answers import Answers
from .changing import Changing
from .checksums import LEDGER, seal
from .collecting import Collecting
from .copies import STORE, copy_store
from .deletions import Deletions
from .directory import StoreDirectory
from .errors import engine_errors
from .flushing import EdgeDisk, Fsync
from .ledger import Ledger
from .ownership import Ownership
from .reader import EdgeReader
from .renewal import Renewal
from .salvage import LOST, all_ids, read_lost
from .translate import edge_filter
from .writer import WRITES, EdgeWriter, brings_an_end, is_access_time, points_of, room_for

logger = logging.getLogger("crewai_persistent_memory")

_SHOW_ACCESS_TIMES: Final = frozenset({Ordered, Everything, Scroll, Retrieve})
"""They show access times: what is noted of their entries is written before."""


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
        deletions: Deletions,
    ) -> None:
        self._directory = directory
        self.path: Final = directory.path
        self._reader = EdgeReader(shard, deletions, one_by_one=directory.has_long_texts)
        self._ownership = Ownership(self.path)
        # Held for writes, whose steps belong together (count and delete, check and upsert); reads do not need it.
        self._lock = threading.RLock()
        self.generation = 0
        """How often the embedder was changed since the store was opened."""
        self.successor: Embedder | None = None
        """The embedder since it was changed."""
        self.said_before: Final = SaidBefore()
        self._ledger = Ledger(directory.path / LEDGER)
        self._ledger.open()
        self._writer = EdgeWriter(directory, self._reader, self._ledger, descriptor, deletions, self._write_anew)
        self._answers = Answers(self.path, self._reader, self._writer)
        self.collecting: Final = Collecting(directory, self._answers.scroll, self._answers.retrieve)
        self.disk = EdgeDisk(directory.shard, self._ledger.path, fsync, self._flush)
        self._renewal = Renewal(directory, self._reader, self._writer, self._ledger, self.disk)
        self._changing = Changing(
            directory, self._reader, self.collecting, self._lock, self._renewal.reads, self._open_shard
        )
        self._access_times = AccessTimes(self._write_access_time, self._lock, lambda: self._ownership.has_ended)
        self._of_state: dict[type, Callable[[Any], Any]] = {KeepSpread: self._keep_spread, Health: self._health}

    @property
    def descriptor(self) -> Descriptor:
        """What the store says of itself."""
        return self._writer.descriptor

    @property
    def _shard(self) -> Any:
        return self._reader.shard

    def __repr__(self) -> str:
        return f"EmbeddedEngine({str(self.path)!r})"

    def execute(self, request: Request[Any], generation: int | None = None) -> Any:
        """Answer one request.

        Args:
            request: the request.
            generation: when its vectors were made. Those of an earlier embedder are left out: a text is then found by
                its words, and embedded later.

        Raises:
            StoreClosedError: closed, or opened before a ``fork`` and used in the child.
            EngineError: the engine failed; the message has its words.
        """
        ownership = self._ownership
        if ownership.is_closed or ownership.process != os.getpid():  # every request comes here: no call for it
            ownership.require()
        try:
            return self._answer(request, generation)
        except (StoreCorruptedError, EngineError):
            # One entry that cannot be read would fail every list and reset of its user for good.
            if not self._mend():
                raise
            return self._answer(request, generation)

    def note_access(self, note: NoteAccess) -> None:
        """Keep in memory when entries were read; see ``access_times``.

        Raises:
            StoreClosedError: as for :meth:`execute`.
        """
        ownership = self._ownership
        if ownership.is_closed or ownership.process != os.getpid():
            ownership.require()
        self._access_times.note(note)

    def _answer(self, request: Request[Any], generation: int | None) -> Any:
        with engine_errors(self.path):
            if type(request) in WRITES:
                return self._write(request, generation)
            if type(request) is ChangeEmbedder:
                return self._change_embedder(request)
            if (collect := self.collecting.answers.get(type(request))) is not None:
                with self._lock:
                    self._ownership.require()
                    return collect(request)
            if type(request) is Compact:
                return self._compact()
            if type(request) is BackUp:
                return self._back_up(request)
            if type(request) in _SHOW_ACCESS_TIMES and self._access_times:
                self._access_times.write_shown_by(request)
            with self._renewal.reads:
                if generation is not None and generation != self.generation:
                    request = without_dense(request)
                answer = self._answers.of.get(type(request)) or self._of_state[type(request)]
                return answer(request)

    def shut_down(self) -> None:
        """Flush and close the shard, even if other handles still use it."""
        with self._lock:
            if self._ownership.is_closed:
                return
            self.disk.stop()
            try:
                with engine_errors(self.path):
                    self._access_times.write_all()
                    if self._renewal.is_due:
                        self._compact()
                    self.disk.flush_engine()
                    self._shard.close()
                    self._ledger.close()
                    self.collecting.close()
                    self._directory.make_private()
                    seal(self._directory, self._writer.deletions)
            finally:
                self._ownership.is_closed = True
                self._ledger.close()
                self._directory.release()
        self.disk.join()

    def abandon_after_fork(self) -> None:
        """In a forked child: never touch the parent's shard again, not even to free it (freeing would flush)."""
        self._ownership.is_closed = True
        self._ledger.close()
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._shard))
        self._directory.abandon_after_fork()

    # -- writes ----------------------------------------------------------------------------------------------------

    def _write(self, request: Request[Any], generation: int | None) -> Any:
        with self._lock:
            self._ownership.require()
            if generation is not None and generation != self.generation:
                request = without_dense(request)
            self.disk.refuse_after_failure()
            self._directory.require_space(*room_for(request))
            if self._access_times:
                self._access_times.write_about(points_of(request))
            if not self._reader.has_ends and brings_an_end(request):
                self._reader.has_ends = True
            self._changing.note(request)
            if type(request) is Delete:
                self.collecting.forget(all_ids(self._shard, edge_filter(request.where)))
            answer = self._writer.execute(request)
            write = self.disk.noted()
        if not is_access_time(request):
            self.disk.keep(write)
        return answer

    def _write_access_time(self, note: NoteAccess) -> None:
        try:
            with engine_errors(self.path):
                write = access_write(note)
                self._changing.note(write)
                self._writer.set_on_matching(write)
        except PersistentMemoryError as error:
            logger.warning("access times were not updated: %s", error)

    def _flush(self) -> None:
        with self._lock, engine_errors(self.path):
            if not self._ownership.is_closed:
                self._shard.flush()
                self._directory.make_private()

    # -- making anew -----------------------------------------------------------------------------------------------

    def create_indexes(self, indexes: Mapping[str, Index]) -> None:
        """Create those of the indexes that the shard lacks, also when it is written anew.

        Raises:
            ConfigurationError: a key has an index of another kind.
        """
        with self._lock:
            self._ownership.require()
            self._renewal.create_indexes(indexes)

    def _compact(self) -> bool:
        """Write the shard anew, without what was deleted. Writes wait for it, reads only while it takes its place."""
        with self._lock:
            self._ownership.require()
            self._write_anew(self.descriptor)
            self.collecting.discard_if_abandoned()
            self._directory.remove_damaged()
            self._directory.make_private()
        return True

    def _write_anew(self, descriptor: Descriptor) -> None:
        with self._lock:
            self._renewal.write_anew(descriptor)

    def _change_embedder(self, request: ChangeEmbedder) -> None:
        def changed() -> None:
            self.successor = request.embedder
            self.generation += 1

        def exchange(descriptor: Descriptor) -> None:
            self._renewal.change_embedder(descriptor, changed)
            self.collecting.discard()
            self._directory.make_private()

        self._changing.change(request, self._access_times.write_all, exchange)

    def _open_shard(self) -> Any:
        self._ownership.require()
        return self._shard

    def _back_up(self, request: BackUp) -> Taken:
        """Copy the files as they are now. Writes wait for it, reads do not."""
        with self._lock:
            self._ownership.require()
            self._access_times.write_all()
            self.disk.flush_engine()
            copy_store(self.path, request.folder / STORE)
            return Taken(self.name, self._shard.count(edge.CountRequest(exact=True)))

    def _mend(self) -> bool:
        with self._lock:
            return not self._ownership.is_closed and self._renewal.mend()

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

    def _keep_spread(self, request: KeepSpread) -> None:
        with self._lock:
            self._writer.keep_spread(request)
