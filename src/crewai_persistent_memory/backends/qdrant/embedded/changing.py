"""Making a shard with other vectors while the store is in use, until it can take the place of the store's own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from ..engine_requests import ChangeEmbedder, Delete, Request, SetPayload, SetVectors
from ..manifest import Descriptor
from .collecting import Collecting
from .directory import WRITE_RESERVE, StoreDirectory
from .exchange import NextShard
from .read_lock import Reads
from .reader import EdgeReader
from .rebuild import named_points, page_of_points
from .salvage import all_ids
from .translate import edge_filter
from .writer import points_of

MOST_ROUNDS: Final = 3
"""So often what was written while a shard is made is brought over before writes have to wait."""

_PAGE: Final = 64


class Changing:
    """What one store needs to change its embedder.

    Args:
        directory: the store's folder.
        reader: reads its shard.
        collecting: has the new vectors.
        lock: of the writes.
        reads: held while the shard is read.
        open_shard: the shard; it raises if the store is closed.
    """

    def __init__(
        self,
        directory: StoreDirectory,
        reader: EdgeReader,
        collecting: Collecting,
        lock: threading.RLock,
        reads: Reads,
        open_shard: Callable[[], Any],
    ) -> None:
        self._directory = directory
        self._reader = reader
        self._collecting = collecting
        self._lock = lock
        self._reads = reads
        self._open_shard = open_shard
        self._changed: set[str] | None = None
        """Points that were written since a shard is made; ``None``: none is made."""

    def note(self, request: Request[Any]) -> None:
        """If a shard is made: note what a write is about. The caller holds the lock of the writes."""
        if self._changed is None:
            return
        if isinstance(request, SetVectors):
            self._changed.update(new.id for new in request.vectors)
        elif isinstance(request, (Delete, SetPayload)):
            self._changed.update(all_ids(self._open_shard(), edge_filter(request.where)))
        else:
            self._changed.update(points_of(request))

    def change(
        self, request: ChangeEmbedder, finish_writes: Callable[[], None], exchange: Callable[[Descriptor], None]
    ) -> None:
        """Make a shard with the vectors that were collected. Writes wait only while the last of what was written
        meanwhile is brought over, and the shards are exchanged.

        Args:
            request: the new embedder.
            finish_writes: writes what is only noted so far.
            exchange: puts the new shard, which is whole, in the place of the old one.
        """
        with self._lock:
            self._open_shard()
            finish_writes()
            self._directory.require_space(2 * self._directory.size(), WRITE_RESERVE)
            descriptor = request.descriptor
            if request.embedder is not None and (dimensions := self._collecting.dimensions) is not None:
                descriptor = descriptor.with_dimensions(dimensions)
            self._changed = set()
        following = NextShard(self._directory, descriptor, self._collecting.with_new_vectors)
        try:
            self._copy_to(following)
            for _ in range(MOST_ROUNDS):
                with self._lock:
                    changed, self._changed = self._changed, set()
                self._bring_over(changed, following)
            following.sync()
            with self._lock:
                self._open_shard()
                finish_writes()
                self._bring_over(self._changed, following)
                following.decide()
                exchange(descriptor)
        finally:
            with self._lock:
                self._changed = None
            following.discard()

    def _copy_to(self, following: NextShard) -> None:
        offset: Any = None
        while True:
            with self._reads:
                points, offset = page_of_points(self._open_shard(), offset, long_texts=self._reader.one_by_one)
            following.add(points)
            if offset is None:
                return

    def _bring_over(self, ids: set[str], following: NextShard) -> None:
        """Points as they are now."""
        wanted = sorted(ids)
        page = 1 if self._reader.one_by_one else _PAGE
        for start in range(0, len(wanted), page):
            some = wanted[start : start + page]
            with self._reads:
                points = named_points(self._open_shard(), some)
            following.add(points)
            following.remove(sorted(set(some) - {str(point.id) for point in points}))
