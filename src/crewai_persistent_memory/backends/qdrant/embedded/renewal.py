"""Writing the shard of an open store anew: without what was deleted or cannot be read, or with another embedder's
vectors. Then it takes the old one's place, while reads wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import qdrant_edge as edge

from ..manifest import Descriptor
from ..schema import DENSE, Index
from .checksums import LEDGER
from .directory import WRITE_RESERVE, StoreDirectory
from .errors import engine_errors
from .exchange import finish
from .flushing import EdgeDisk
from .ledger import Ledger
from .read_lock import Reads
from .reader import EdgeReader
from .rebuild import create_indexes, create_missing_indexes, load_shard, rewrite, swap
from .salvage import all_ids, read_one, rewrite_whole
from .writer import EdgeWriter

MUCH_DELETED: Final = 100
"""Entries. If so many were deleted, and they are a fifth of what there was, the store is written anew at close."""


class Renewal:
    """What exchanges the shard of an engine. The engine holds its lock around each call."""

    def __init__(
        self, directory: StoreDirectory, reader: EdgeReader, writer: EdgeWriter, ledger: Ledger, disk: EdgeDisk
    ) -> None:
        self._directory = directory
        self._reader = reader
        self._writer = writer
        self._ledger = ledger
        self._disk = disk
        self._more_indexes: dict[str, Index] = {}
        self.reads: Final = Reads()
        """They take turns with an exchange."""

    @property
    def is_due(self) -> bool:
        """Whether so much was deleted that the store is written anew at close."""
        if self._writer.deletions.count < MUCH_DELETED:
            return False
        left: int = self._reader.shard.count(edge.CountRequest(exact=True))
        return self._writer.deletions.count * 4 >= left

    def create_indexes(self, indexes: Mapping[str, Index]) -> None:
        """Create those of the indexes that the shard lacks, and from now on also when it is written anew.

        Raises:
            ConfigurationError: a key has an index of another kind.
        """
        with engine_errors(self._directory.path):
            create_missing_indexes(self._reader.shard, indexes, self._directory.path)
        self._more_indexes.update(indexes)

    def write_anew(self, descriptor: Descriptor) -> None:
        """Write the shard with the vectors of this descriptor, which is the store's from now on."""
        self._directory.require_space(self._directory.size(), WRITE_RESERVE)
        ledger = rewrite(self._directory, self._reader.shard, descriptor)
        if descriptor != self._writer.descriptor:
            # If the process dies before the exchange, the next opening writes the shard anew.
            self._directory.write_descriptor(descriptor)

        def take_its_place() -> Any:
            self._reader.shard.close()
            return swap(self._directory)

        def after() -> None:
            self._ledger.close()
            self._directory.write(LEDGER, ledger)
            self._ledger.open()

        self._exchange(take_its_place, after)
        self._writer.deletions.forget()
        self._writer.descriptor = descriptor

    def change_embedder(self, descriptor: Descriptor, changed: Callable[[], None]) -> None:
        """Exchange the shard for the one beside it, which has the vectors of this descriptor.

        Args:
            descriptor: the store's from now on.
            changed: called before a read goes on.
        """

        def take_its_place() -> Any:
            self._reader.shard.close()
            finish(self._directory)
            return load_shard(self._directory)

        def after() -> None:
            self._writer.deletions.forget()
            self._writer.descriptor = descriptor
            changed()

        self._exchange(take_its_place, after)

    def mend(self) -> bool:
        """Write the shard without entries that cannot be read, and keep their ids. Returns whether there were any."""
        descriptor = self._writer.descriptor
        vectors = [] if descriptor.dimensions is None else [DENSE]
        with engine_errors(self._directory.path):
            if all(read_one(self._reader.shard, point, vectors=vectors) for point in all_ids(self._reader.shard)):
                return False
        expected = self._ledger.read().entries

        def take_its_place() -> Any:
            self._ledger.close()
            rewrite_whole(self._directory, self._reader.shard, descriptor, expected)
            return load_shard(self._directory)

        with engine_errors(self._directory.path):
            self._exchange(take_its_place, self._ledger.open)
        self._directory.make_private()
        return True

    def _exchange(self, take_its_place: Callable[[], Any], after: Callable[[], None]) -> None:
        with self.reads.none(), self._disk.paused():
            self._reader.known.forget()  # first: an exchange that fails may be done in part
            self._reader.shard = take_its_place()
            create_indexes(self._reader.shard, self._more_indexes)
            after()
