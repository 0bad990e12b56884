"""Putting a new shard in the place of the old one together with a new descriptor, as one change.

``rebuild.swap`` is enough where the old shard and the new one fit the descriptor. Vectors of another embedder do not.
So the new descriptor is written to a file of its own when the new shard is whole; from then on the exchange is done,
by this process or by the next one that opens the store.

The new shard is made while the old one is in use. What is written meanwhile is noted, and brought over at the end.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import qdrant_edge as edge

from ..manifest import Descriptor
from .checksums import SPARE, break_seal
from .directory import EXCHANGE, NEXT_SHARD, StoreDirectory
from .flushing import sync_tree
from .rebuild import new_shard


class NextShard:
    """A shard with other vectors, while it is made beside the store's own.

    Args:
        directory: the store's folder.
        descriptor: of the store from then on.
        changed: points with their new vectors in place of the old ones.
    """

    def __init__(
        self,
        directory: StoreDirectory,
        descriptor: Descriptor,
        changed: Callable[[Sequence[edge.Point]], list[edge.Point]],
    ) -> None:
        self._directory = directory
        self._folder = directory.path / NEXT_SHARD
        self._descriptor = descriptor
        self._changed = changed
        shutil.rmtree(self._folder, ignore_errors=True)
        self._shard: Any = new_shard(self._folder, descriptor)

    def add(self, points: Sequence[edge.Point]) -> None:
        """Points of the old shard."""
        if points:
            self._shard.update(edge.UpdateOperation.upsert_points(self._changed(points)))

    def remove(self, ids: Sequence[str]) -> None:
        """Points that the old shard has no more."""
        if ids:
            named = edge.Filter(must=[edge.HasIdCondition(set(ids))])
            self._shard.update(edge.UpdateOperation.delete_points_by_filter(named))

    def sync(self) -> None:
        """Bring what is there to the disk, so that little is left for the end."""
        self._shard.flush()
        sync_tree(self._folder)

    def decide(self) -> None:
        """It is whole: the store's from now on, with its descriptor."""
        self._shard.flush()
        self._shard.close()
        self._shard = None
        sync_tree(self._folder)
        shutil.rmtree(self._directory.new_shard, ignore_errors=True)
        self._folder.rename(self._directory.new_shard)
        self._directory.sync()
        decide(self._directory, self._descriptor)

    def discard(self) -> None:
        """Remove it, if it is not the store's."""
        if self._shard is not None:
            self._shard.close()
            self._shard = None
        shutil.rmtree(self._folder, ignore_errors=True)


def decide(directory: StoreDirectory, descriptor: Descriptor) -> None:
    """The new shard, which is whole and on the disk, is the store's from now on, with this descriptor."""
    directory.write(EXCHANGE, json.dumps(descriptor.to_json(), indent=1).encode())


def finish(directory: StoreDirectory) -> None:
    """Do what was decided, as far as it is not done. The shard is closed."""
    decided = directory.path / EXCHANGE
    if not decided.exists():
        return
    if directory.new_shard.exists():
        break_seal(directory)
        if directory.shard.exists():
            shutil.rmtree(directory.old_shard, ignore_errors=True)
            directory.shard.rename(directory.old_shard)
            directory.sync()
        directory.new_shard.rename(directory.shard)
        directory.sync()
    elif not directory.old_shard.exists():
        decided.unlink()  # an earlier version of this package has opened the store, and removed the new shard
        directory.sync()
        return
    with contextlib.suppress(FileNotFoundError):
        (directory.path / SPARE).unlink()  # it has the old descriptor
    directory.write_descriptor(Descriptor.from_json(json.loads(decided.read_bytes()), str(decided)))
    decided.unlink()
    directory.sync()
    shutil.rmtree(directory.old_shard, ignore_errors=True)
    directory.sync()
