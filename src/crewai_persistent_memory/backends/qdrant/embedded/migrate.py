"""Bringing an embedded store to the newest layout, when it is opened. The steps are listed in ``..migrations``.

The shard is written anew, with all that the newest layout adds, and put in the place of the old one (see ``rebuild``).
The store's folder is already locked, so no other process reads or writes. A crash at any moment leaves a store that
can be opened: the descriptor has the older layout until all is on the disk, and then the next opening begins again.
While the shard is exchanged, the ledger accepts the old entries and the new ones.
"""

from __future__ import annotations

import logging
from functools import cache, partial
from typing import Any

from ....embedding import KeywordEncoder
from ....errors import StoreError
from ..earlier_context import contexts_among
from ..encoding import keywords_of
from ..manifest import LAYOUT, Descriptor
from ..migrations import fills_of, migrations_from
from ..schema import CONTEXT_KEY, INDEXES, KEYWORDS, SCOPE_KEY, scope_of
from .checksums import LEDGER
from .directory import WRITE_RESERVE, StoreDirectory
from .ledger import Ledger
from .rebuild import Upgrade, create_missing_indexes, has_vectors, load_shard, rewrite, swap
from .salvage import all_ids, contents_of, read_one, rewrite_whole

logger = logging.getLogger("crewai_persistent_memory")


def migrate(directory: StoreDirectory, shard: Any, descriptor: Descriptor) -> tuple[Any, Descriptor]:
    """Write an open shard anew, if it is of an older layout. Its ledger must be checked, and not open.

    Returns:
        The open shard, and the descriptor with the layout that the store now has.

    Raises:
        StoreFullError: there is not enough room on the disk for a second copy.
    """
    steps = migrations_from(descriptor.layout)
    if not steps and has_vectors(directory, descriptor):
        create_missing_indexes(shard, INDEXES, directory.path)
        return shard, descriptor
    directory.require_space(directory.size(), WRITE_RESERVE)
    if steps:
        added = "; ".join(step.what for step in steps)
        logger.info("the memory store at %s is migrated to layout %d: it gets %s", directory.path, LAYOUT, added)
        descriptor = descriptor.with_layout(LAYOUT, embedded=True)
    shard = _written_anew(directory, shard, descriptor)
    directory.write_descriptor(descriptor)
    return shard, descriptor


def _written_anew(directory: StoreDirectory, shard: Any, descriptor: Descriptor) -> Any:
    ledger = Ledger(directory.path / LEDGER)
    expected = ledger.read().entries
    upgrade = _upgrade(shard, KeywordEncoder(descriptor.language))
    try:
        content = rewrite(directory, shard, descriptor, upgrade)
    except (KeyboardInterrupt, SystemExit, StoreError):
        raise
    except BaseException as error:  # noqa: BLE001
        # Errors and panics of the engine: one entry that cannot be read fails a whole page.
        logger.warning("the memory store at %s is read entry by entry: %s", directory.path, error)
        rewrite_whole(directory, shard, descriptor, expected, upgrade)
        return load_shard(directory)
    # The disk must have the ledger's doubt before it has the new entries, and these before their new checksums.
    ledger.open()
    ledger.doubt(expected)
    ledger.sync()
    ledger.close()
    shard.close()
    shard = swap(directory)
    directory.write(LEDGER, content)
    return shard


def _upgrade(shard: Any, encoder: KeywordEncoder) -> Upgrade:
    fills = fills_of(LAYOUT)
    contents = partial(contents_of, shard)

    @cache
    def contexts() -> dict[str, list[str]]:
        read = ((point, read_one(shard, point)) for point in all_ids(shard))
        return contexts_among((point, found[0]) for point, found in read if found is not None)

    def upgrade(point: str, payload: dict[str, Any], vectors: dict[str, Any]) -> None:
        for fill in fills:
            if fill.key not in payload:
                payload[fill.key] = fill.value(payload[fill.source])
        if SCOPE_KEY not in payload:
            payload[SCOPE_KEY] = scope_of(payload)
            if CONTEXT_KEY not in payload and point in contexts():
                payload[CONTEXT_KEY] = contexts()[point]
            vectors[KEYWORDS] = keywords_of(payload, encoder, contents)

    return upgrade
