"""Migrates an embedded store to the newest layout, when it is opened. ``..migrations`` lists the steps.

The store's folder is already locked, so no other process reads or writes. After a crash at any moment the store can be
opened: the descriptor keeps the older layout until all changes are on disk, and completed parts are skipped. While
entries are changed, the ledger accepts both their old and their new state.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final

import qdrant_edge as edge

from ....errors import StoreFullError
from ..manifest import LAYOUT, Descriptor
from ..migrations import Fill, fills_of, migrations_from
from ..schema import INDEXES
from .checksums import LEDGER
from .directory import WRITE_RESERVE, StoreDirectory
from .flushing import sync_tree
from .ledger import Ledger
from .rebuild import create_indexes
from .salvage import read_one

_PAGE: Final = 256

logger = logging.getLogger("crewai_persistent_memory")


def migrate(directory: StoreDirectory, shard: Any, descriptor: Descriptor) -> Descriptor:
    """Add the missing indexes and keys to an open shard. Its ledger must have been checked, and must not be open.

    An older version of this package may have written to a store of the newest layout. The store is therefore checked
    regardless of its descriptor, which takes about half a millisecond at 100,000 entries.

    Returns:
        The descriptor with the store's new layout.

    Raises:
        StoreFullError: the disk has not enough room, and this code cannot use the older layout.
    """
    steps = migrations_from(descriptor.layout)
    missing = {key: index for key, index in INDEXES.items() if key not in shard.info().payload_schema}
    lacking = [fill for fill in fills_of(LAYOUT) if _count_without(shard, fill.key)]
    if not (steps or missing or lacking):
        return descriptor
    try:
        # The engine rewrites each changed payload completely.
        directory.require_space(directory.size() if lacking else 0, WRITE_RESERVE)
    except StoreFullError as error:
        if not all(step.optional for step in steps):
            raise
        logger.warning("%s stays at layout %d until there is room: %s", directory.path, descriptor.layout, error)
        return descriptor
    if steps:
        added = " and ".join(step.what for step in steps)
        logger.info("the memory store at %s is migrated to layout %d: it gets %s", directory.path, LAYOUT, added)
    create_indexes(shard, missing)
    _fill(directory, shard, lacking)
    if steps:
        descriptor = descriptor.with_layout(LAYOUT)
        directory.write_descriptor(descriptor)
    return descriptor


def _fill(directory: StoreDirectory, shard: Any, fills: list[Fill]) -> None:
    ledger = Ledger(directory.path / LEDGER)
    ledger.open()
    try:
        changed: dict[str, None] = {}
        for fill in fills:
            for page in _pages_without(shard, fill.key):
                # One by one, so that an unreadable entry does not stop the others. ``salvage`` handles it.
                found = [(point, read) for point in page if (read := read_one(shard, point, dense=False))]
                ledger.doubt(point for point, _ in found)
                for point, (payload, _) in found:
                    value = fill.value(payload[fill.source])
                    shard.update(edge.UpdateOperation.set_payload([point], {fill.key: value}))
                    changed[point] = None
        # Order of syncs: the ledger's doubt lines first, then the entries, then their new checksums.
        ledger.sync()
        shard.flush()
        sync_tree(directory.shard)
        ledger.add((point, read[0]) for point in changed if (read := read_one(shard, point, dense=False)))
    finally:
        ledger.close()


def _without(key: str) -> edge.Filter:
    return edge.Filter(must=[edge.IsEmptyCondition(key=key)])


def _count_without(shard: Any, key: str) -> int:
    count: int = shard.count(edge.CountRequest(filter=_without(key), exact=True))
    return count


def _pages_without(shard: Any, key: str) -> Iterator[list[str]]:
    offset = None
    while True:
        records, offset = shard.scroll(
            edge.ScrollRequest(limit=_PAGE, offset=offset, filter=_without(key), with_payload=False)
        )
        yield [str(record.id) for record in records]
        if offset is None:
            return
