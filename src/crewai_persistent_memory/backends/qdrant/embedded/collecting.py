"""Collecting the vectors of a new embedder while the store is in use, and what becomes of those of the old one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import qdrant_edge as edge

from ....errors import StoreBusyError
from ..engine_requests import (
    BeginVectors,
    Hit,
    KeepNewVectors,
    Retrieve,
    Scroll,
    WithoutNewVector,
)
from ..schema import KEYWORDS
from .directory import StoreDirectory
from .new_vectors import NewVectors


class Collecting:
    """What one store has of a new embedder.

    Args:
        directory: the store's folder.
        scroll: reads a page of the store.
        retrieve: reads points by their ids.
    """

    def __init__(
        self,
        directory: StoreDirectory,
        scroll: Callable[[Scroll], tuple[list[Hit], str | None]],
        retrieve: Callable[[Retrieve], list[Hit]],
    ) -> None:
        self._path = directory.path
        self._vectors = NewVectors(directory)
        self._scroll = scroll
        self._retrieve = retrieve
        self._held = threading.Lock()
        self.answers: Mapping[type, Callable[[Any], Any]] = {
            WithoutNewVector: self._without,
            KeepNewVectors: self._keep,
        }

    def begin(self, request: BeginVectors) -> None:
        """
        Raises:
            StoreBusyError: somebody in this process does it already.
        """
        if not self._held.acquire(blocking=False):
            raise StoreBusyError(f"the embedder of the store at {self._path} is being changed already: wait for it")
        if request.fingerprint is not None:
            self._vectors.begin(request.fingerprint)

    def end(self) -> None:
        """The opposite of :meth:`begin`."""
        self._held.release()

    @property
    def dimensions(self) -> int | None:
        """The length of the new vectors, if there is one."""
        return self._vectors.dimensions() if self._vectors.exist else None

    def forget(self, ids: Iterable[str]) -> None:
        """These points are deleted."""
        if self._vectors.exist:
            self._vectors.remove(ids)

    def close(self) -> None:
        """Keep what was collected for the next process."""
        self._vectors.close()

    def discard(self) -> None:
        """Remove what was collected."""
        self._vectors.discard()

    def discard_if_abandoned(self) -> None:
        """Remove what was collected, if nobody collects."""
        if self._held.acquire(blocking=False):
            try:
                self.discard()
            finally:
                self._held.release()

    def _without(self, request: WithoutNewVector) -> tuple[list[Hit], str | None]:
        hits, start = self._scroll(Scroll(request.where, request.limit, request.start))
        known = self._vectors.known({str(hit.id): hit.payload["content"] for hit in hits})
        return [hit for hit in hits if str(hit.id) not in known], start

    def _keep(self, request: KeepNewVectors) -> None:
        """What was deleted while it was embedded leaves nothing here. The caller holds the lock of the writes."""
        there = {str(hit.id) for hit in self._retrieve(Retrieve([new.id for new in request.vectors]))}
        self._vectors.keep([new for new in request.vectors if new.id in there])

    def with_new_vectors(self, points: Sequence[edge.Point]) -> list[edge.Point]:
        """Points with their new vectors in place of the old ones. One that has none yet is without."""
        contents = {str(point.id): (point.payload or {})["content"] for point in points}
        new = self._vectors.vectors_of(contents) if self._vectors.exist else {}
        changed = []
        for point in points:
            vectors: Any = point.vector
            kept = {KEYWORDS: vectors[KEYWORDS]} if KEYWORDS in vectors else {}
            changed.append(edge.Point(id=point.id, vector=kept | new.get(str(point.id), {}), payload=point.payload))
        return changed
