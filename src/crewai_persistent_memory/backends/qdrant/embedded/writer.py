"""Writes to the embedded engine's shard. The caller holds the write lock, so no other write runs at the same time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, TypeGuard

import qdrant_edge as edge

from ....errors import DimensionMismatchError, EmbedderMismatchError
from ..engine_requests import (
    Change,
    Count,
    Delete,
    KeepSpread,
    Request,
    Retrieve,
    SetPayload,
    SetVectors,
    Upsert,
)
from ..manifest import KEYWORDS as KEYWORDS_ONLY
from ..manifest import Descriptor
from ..point_vectors import WithVectors, bytes_of, check_tokens, dense_names, dense_vectors, lengths_of
from ..schema import EXPIRES_AT_KEY, points_named
from .changes import change, is_long_change, size_of_change
from .deletions import Deletions
from .directory import DELETE_RESERVE, WRITE_RESERVE, StoreDirectory
from .ledger import Ledger
from .long_texts import LONG_TEXT, batches_of, length_of, make_way, one_by_one
from .reader import EdgeReader
from .salvage import all_ids
from .translate import edge_filter, edge_point


class EdgeWriter:
    """Executes the write requests on one shard.

    Args:
        directory: the store's folder.
        reader: reads the same shard.
        ledger: the entries that must exist.
        descriptor: the store's descriptor.
        deletions: what was deleted since the shard was last written anew.
        add_vectors: writes the shard anew with the vectors of a descriptor, which becomes the store's.
    """

    def __init__(
        self,
        directory: StoreDirectory,
        reader: EdgeReader,
        ledger: Ledger,
        descriptor: Descriptor,
        deletions: Deletions,
        add_vectors: Callable[[Descriptor], None],
    ) -> None:
        self.descriptor = descriptor
        self.deletions = deletions
        self._add_vectors = add_vectors
        self._directory = directory
        self._reader = reader
        self._ledger = ledger
        self._answers: Mapping[type, Callable[[Any], Any]] = {
            Upsert: self.upsert,
            Change: self.change,
            Delete: self.delete,
            SetPayload: self.set_payload,
            SetVectors: self.set_vectors,
        }

    @property
    def _shard(self) -> Any:
        return self._reader.shard

    def execute(self, request: Request[Any]) -> Any:
        """Execute one request."""
        with self._writing(request):
            return self._answers[type(request)](request)

    def _writing(self, request: Request[Any]) -> AbstractContextManager[None]:
        if is_access_time(request) and (points := points_named(request.where)):
            return self._reader.known.accessed(points, request.payload["last_accessed"])
        return self._reader.known.written(_written_by(request))

    def keep_spread(self, request: KeepSpread) -> None:
        """Keep the spread of the embedder's cosines in the descriptor."""
        changed = self.descriptor.with_spread(request.spread, request.tokens)
        self._directory.write_descriptor(changed)
        self.descriptor = changed

    def upsert(self, request: Upsert) -> None:
        points = request.points
        self._admit_vectors(points)
        lengths = [length_of(point.payload) for point in points]
        self._admit_texts(max(lengths, default=0) > LONG_TEXT)
        for batch in batches_of(points, lengths):
            if not request.new:
                self._ledger.doubt(point.id for point in batch)
                make_way(self._shard, batch)
            self._shard.update(edge.UpdateOperation.upsert_points([edge_point(point) for point in batch]))
            self._ledger.add((point.id, point.payload) for point in batch)

    def change(self, request: Change) -> bool:
        # Other writes wait, so a point that exists now still exists when it is changed.
        if not self._shard.retrieve([request.id], with_payload=False, with_vector=False):
            return False
        self._admit_vectors([request])
        self._admit_texts(is_long_change(request))
        self._ledger.doubt([request.id])
        has_dense = self.descriptor.dimensions is not None
        change(self._shard, request, names=dense_names(self.descriptor) if has_dense else ())
        self._note_again([request.id])
        return True

    def delete(self, request: Delete) -> int:
        where = edge_filter(request.where)
        count: int = self._shard.count(edge.CountRequest(filter=where, exact=True))
        if count:
            self.deletions.note(self._shard, where, count)
            self._ledger.remove(all_ids(self._shard, where))
            self._shard.update(edge.UpdateOperation.delete_points_by_filter(where))
        return count

    def set_payload(self, request: SetPayload) -> None:
        changed = [] if is_access_time(request) else list(all_ids(self._shard, edge_filter(request.where)))
        self._ledger.doubt(changed)
        self._set(request)
        self._note_again(changed)

    def set_on_matching(self, request: SetPayload) -> None:
        """Set keys on the matching points, without a record in the ledger."""
        with self._writing(request):
            self._set(request)

    def _set(self, request: SetPayload) -> None:
        # Select by filter, never by ids alone: an id could select another tenant's point.
        set_payload = edge.UpdateOperation.set_payload_by_filter
        for where in one_by_one(request.where) if self._reader.one_by_one else [request.where]:
            self._shard.update(set_payload(edge_filter(where), dict(request.payload)))

    def _note_again(self, points: Sequence[str]) -> None:
        """Record the new payloads of partly changed points in the ledger."""
        records = self._shard.retrieve(list(points), with_payload=True, with_vector=False) if points else []
        self._ledger.add((str(record.id), record.payload) for record in records)

    def set_vectors(self, request: SetVectors) -> int:
        # Other writes wait, so these points still exist when the vectors are written. Deleted points are left out,
        # because the engine has no conditional write and would fail.
        found = self._reader.retrieve(Retrieve([new.id for new in request.vectors]))
        contents = {str(hit.id): hit.payload["content"] for hit in found}
        valid = [new for new in request.vectors if contents.get(new.id) == new.content]
        if not valid:
            return 0
        self._admit_vectors(valid)
        lacking = (*request.where, request.lacking)
        before = self._reader.count(Count(lacking))
        points = [edge.PointVectors(id=new.id, vector=dense_vectors(new)) for new in valid]
        self._shard.update(edge.UpdateOperation.update_vectors(points, condition=edge_filter(lacking)))
        return before - self._reader.count(Count(lacking))

    def _admit_texts(self, any_is_long: bool) -> None:
        """Record that the store has long texts, before the first one is written. Reads then go entry by entry."""
        if any_is_long and not self._reader.one_by_one:
            self._directory.note_long_texts()
            self._reader.one_by_one = True

    def _admit_vectors(self, points: Sequence[WithVectors]) -> None:
        """Check the length of every vector before the write. The store's first vector sets the length."""
        check_tokens(points, self.descriptor, str(self._directory.path))
        lengths = lengths_of(points)
        if not lengths:
            return
        if self.descriptor.vectors == KEYWORDS_ONLY:
            raise keywords_only(self._directory.path)
        dimensions = self.descriptor.dimensions
        for length in sorted(lengths):
            if dimensions is not None and length != dimensions:
                raise DimensionMismatchError(dimensions, length)
            dimensions = length
        if self.descriptor.dimensions is None and dimensions is not None:
            self._add_vectors(self.descriptor.with_dimensions(dimensions))


WRITES: Final = frozenset({Upsert, Change, Delete, SetPayload, SetVectors})
"""The requests that a writer executes."""


def brings_an_end(request: Request[Any]) -> bool:
    """Whether a request writes an entry that expires."""
    if isinstance(request, Upsert):
        return any(EXPIRES_AT_KEY in point.payload for point in request.points)
    return EXPIRES_AT_KEY in getattr(request, "payload", ())


def is_access_time(request: Request[Any]) -> TypeGuard[SetPayload]:
    """Whether the request only updates access times. Such a write does not wait for the disk."""
    return isinstance(request, SetPayload) and request.payload.keys() <= {"last_accessed"}


def points_of(request: Request[Any]) -> list[str]:
    """The points that a request writes, completely or in part, if it names them."""
    if isinstance(request, Upsert):
        return [point.id for point in request.points]
    if isinstance(request, SetPayload):
        return points_named(request.where)
    return [request.id] if isinstance(request, Change) else []


def _written_by(request: Request[Any]) -> Sequence[str] | None:
    """The points whose payloads a request writes; ``None``: any."""
    if isinstance(request, SetVectors):
        return ()
    if isinstance(request, (Delete, SetPayload)):
        return points_named(request.where) or None
    return points_of(request)


def room_for(request: Request[Any]) -> tuple[int, int]:
    """An estimate of the bytes that the engine writes for a request, and the bytes that must stay free after it.

    The engine writes payloads and vectors to its log and to its storage, and updates indexes.
    """
    if isinstance(request, Upsert):
        points = request.points
        size = sum(4 * len(p.payload["content"]) + 4 * len(p.payload["record"]) + 4096 for p in points)
        return size + sum(map(bytes_of, points)), WRITE_RESERVE
    if isinstance(request, Change):
        return size_of_change(request), WRITE_RESERVE
    if isinstance(request, SetVectors):
        return sum(map(bytes_of, request.vectors)), WRITE_RESERVE
    return 0, DELETE_RESERVE


def keywords_only(path: Path) -> EmbedderMismatchError:
    """The error for a vector in a store without vectors."""
    return EmbedderMismatchError(
        f"the store at {path} was created with keywords only and takes no vectors: use another path for an embedder"
    )
