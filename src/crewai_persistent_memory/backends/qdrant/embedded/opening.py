"""Opening an embedded store's shard: making a new one, checking one that is there, mending a damaged one."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
from functools import partial
from typing import Any, Final

import qdrant_edge as edge

from ....embedding import KeywordEncoder
from ....errors import StoreCorruptedError
from ..encoding import keywords_of
from ..manifest import Descriptor
from .checksums import LEDGER, Seal, break_seal, read_seal, spare_of
from .deletions import Deletions
from .directory import WRITE_RESERVE, StoreDirectory
from .flushing import sync_tree
from .ledger import Ledger, content_of
from .long_texts import complete_keywords
from .migrate import migrate
from .rebuild import load_shard, new_shard
from .salvage import all_ids, contents_of, mend, missing_of, note_lost, read_one

_STATIC: Final = ("edge_config.json", "segment.json", "version.info")
"""Files without which the engine leaves a whole segment out, or does not open. They hardly change."""

_ROOM: Final = 1 << 16
_LINES: Final = 400
"""The ledger is written anew when it has outgrown this: bytes, and bytes for each entry."""

logger = logging.getLogger("crewai_persistent_memory")


def create_shard(directory: StoreDirectory, descriptor: Descriptor) -> Any:
    """Make a new store. Its descriptor is written last: without it there is no store yet."""
    directory.require_space(0, WRITE_RESERVE)
    if directory.shard.exists():
        _discard_unfinished(directory)
    shard = new_shard(directory.shard, descriptor)
    shard.flush()
    sync_tree(directory.shard)
    directory.write(LEDGER, b"")
    directory.write_descriptor(descriptor)
    return shard


def stored_descriptor(directory: StoreDirectory) -> Descriptor | None:
    """The store's descriptor, from its spare copy if it is damaged; ``None`` where no store was completed yet.

    Raises:
        StoreCorruptedError: unreadable, and there is no spare copy; or the engine's files are gone.
        SchemaVersionError: from a newer version of this package.
    """
    try:
        stored = directory.read_descriptor()
        if stored is not None:
            return stored
    except StoreCorruptedError:
        if "store.json" not in spare_of(directory):
            raise
    copy = spare_of(directory).get("store.json")
    if copy is None:
        return None
    logger.warning("%s/store.json was damaged or missing: it is restored from its spare copy", directory.path)
    directory.write("store.json", copy)
    return directory.read_descriptor()


def open_shard(directory: StoreDirectory, descriptor: Descriptor) -> tuple[Any, Descriptor, Deletions]:
    """Open what is there: mended if it is damaged, checked against the ledger if it was not closed, and migrated.

    Returns:
        The shard, the descriptor with the layout that the store now has, and what was deleted since it was last
        written anew.

    Raises:
        StoreCorruptedError: it cannot be read.
        StoreFullError: it must be migrated, and there is no room.
    """
    seal = read_seal(directory)
    if seal is not None and (damaged := seal.damaged(directory.path)):
        mend(directory, seal, damaged, descriptor)
    if seal is None:
        _restore_static(directory)
        directory.require_parts()
    break_seal(directory)
    shard = _load(directory, descriptor)
    try:
        _check(directory, shard, seal)
        shard, descriptor = migrate(directory, shard, descriptor)
    except BaseException:
        shard.close()
        raise
    return shard, descriptor, Deletions(scopes=None) if seal is None else seal.deletions


def _check(directory: StoreDirectory, shard: Any, seal: Seal | None) -> None:
    ledger = Ledger(directory.path / LEDGER)
    content = ledger.read() if ledger.path.exists() else None
    if content is None or not content.whole:
        # A store of an earlier version, or a damaged ledger: earlier losses cannot be detected.
        if content is not None:
            logger.warning("%s was damaged: losses before now cannot be noticed", ledger.path)
        directory.write(LEDGER, content_of(_readable(shard, all_ids(shard))))
        return
    if seal is None:
        expected = content.entries
        lost, unexpected = missing_of(shard, expected)
        note_lost(directory, lost, None)
        ledger.open()
        ledger.remove(lost)
        # In the log without a line here: their write was not acknowledged, but it is done.
        doubted = [point for point, known in expected.items() if known.checksum is None]
        ledger.remove(doubted)
        ledger.add(_readable(shard, [*unexpected, *doubted]))
        ledger.close()
    if ledger.path.stat().st_size > _ROOM + _LINES * shard.count(edge.CountRequest(exact=True)):
        directory.write(LEDGER, ledger.shortened())


def _readable(shard: Any, points: Any) -> Any:
    for point in points:
        found = read_one(shard, point)
        if found is not None:
            yield point, found[0]


def _restore_static(directory: StoreDirectory) -> None:
    """Without a seal, restore from the spare copies what is certainly damaged and hardly ever changes."""
    for name, copy in spare_of(directory).items():
        file = directory.path / name
        if file.name not in _STATIC or not file.parent.is_dir():
            continue
        with contextlib.suppress(FileNotFoundError, ValueError):
            content = file.read_bytes()
            if content == copy or (file.suffix == ".json" and json.loads(content)):
                continue
        logger.warning("%s was damaged or missing: it is restored from its spare copy", file)
        directory.write(name, copy)


def _discard_unfinished(directory: StoreDirectory) -> None:
    """Remove an engine folder without a descriptor, if nothing is in it.

    The descriptor is written before the first entry can be accepted. So either a creation was cut short, or somebody
    removed the descriptor; only the second can hold anything.
    """
    segments = directory.shard / "segments"
    if segments.is_dir() and any(segments.iterdir()):
        shard = load_shard(directory)
        count = shard.count(edge.CountRequest(exact=True))
        shard.close()
        if count:
            raise StoreCorruptedError(
                f"the memory store at {directory.path} is damaged: store.json is missing, but shard/ holds {count} "
                "entries. Restore store.json from a backup, or move the folder away"
            )
    shutil.rmtree(directory.shard)


def _load(directory: StoreDirectory, descriptor: Descriptor) -> Any:
    shard = load_shard(directory)
    encoder, contents = KeywordEncoder(descriptor.language), partial(contents_of, shard)
    complete_keywords(shard, lambda payload: keywords_of(payload, encoder, contents))
    return shard
