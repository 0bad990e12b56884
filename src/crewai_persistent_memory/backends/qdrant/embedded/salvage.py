"""Salvage a damaged embedded store: keep the readable entries, and report the lost ones.

A seal shows which files are damaged (see ``checksums``). The engine must not open them. Structural files are restored
from their spare copies, indexes are rebuilt from the entries, and each entry is checked against the ledger (see
``ledger``). Intact entries are written into a new shard. If an entry was lost, the damaged folder is kept beside the
new one, and ``store.lost`` lists the lost entries.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, Final

import qdrant_edge as edge

from ....embedding import KeywordEncoder
from ....errors import StoreCorruptedError
from ..encoding import keywords_of
from ..manifest import Descriptor
from ..schema import DENSE, KEYWORDS, PASSAGES, TOKENS
from .checksums import LEDGER, Seal, is_derived, spare_of
from .directory import StoreDirectory
from .ledger import Known, Ledger, checksum
from .rebuild import Upgrade, swap, to_point, write_beside

LOST: Final = "store.lost"
_BATCH: Final = 64

logger = logging.getLogger("crewai_persistent_memory")

Lost = dict[str, str]
"""Lost entries: from a point's id to the entry's id."""


def mend(directory: StoreDirectory, seal: Seal, damaged: set[str], descriptor: Descriptor) -> None:
    """Rebuild the shard from the intact entries of a store with damaged files.

    Raises:
        StoreCorruptedError: no entry can be read. The folder is not changed.
    """
    logger.warning("the memory store at %s has damaged files (%s): it is mended", directory.path, _some(damaged))
    patched = directory.path / "shard.mend"
    shutil.rmtree(patched, ignore_errors=True)
    _patch(directory, seal, damaged, patched)
    ledger = Ledger(directory.path / LEDGER)
    expected: Mapping[str, Known] = ledger.read().entries if ledger.path.exists() else {}
    if LEDGER in damaged:
        # A damaged ledger may hold outdated checksums.
        expected = {point: known._replace(checksum=None) for point, known in expected.items()}
    try:
        shard = edge.EdgeShard.load(str(patched))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise StoreCorruptedError(_nothing_left(directory, str(error))) from error
    try:
        rewrite_whole(directory, shard, descriptor, expected)
    finally:
        shard.close()
        shutil.rmtree(patched)


def rewrite_whole(
    directory: StoreDirectory,
    shard: Any,
    descriptor: Descriptor,
    expected: Mapping[str, Known],
    upgrade: Upgrade | None = None,
) -> None:
    """Write the intact entries of ``shard`` into a new shard, and replace the old one with it.

    The directory's own shard must be closed, or be ``shard`` itself, which this function closes.
    """
    lost: Lost = {}
    lines = write_beside(directory, descriptor, _batches(_whole(shard, descriptor, expected, lost, upgrade)))
    if not lines and expected:
        shutil.rmtree(directory.new_shard)
        raise StoreCorruptedError(_nothing_left(directory, f"none of its {len(expected)} entries can be read"))
    shard.close()
    kept_at = directory.next_damaged() if lost else None
    note_lost(directory, lost, kept_at)
    directory.write(LEDGER, lines)
    swap(directory, keep_old=kept_at).close()


def note_lost(directory: StoreDirectory, lost: Lost, kept_at: Path | None) -> None:
    """Log the lost entries, and write them to a file."""
    if not lost:
        return
    logger.error(
        "%d entries of the memory store at %s are lost, their ids: %s%s",
        len(lost),
        directory.path,
        _some(lost.values()),
        f". The damaged files are kept at {kept_at}" if kept_at else "",
    )
    known = read_lost(directory)
    known["entries"] = sorted({*known["entries"], *lost.values()})
    known["noticed"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    known["kept_at"] = str(kept_at) if kept_at else known.get("kept_at")
    directory.write(LOST, json.dumps(known).encode())


def read_lost(directory: StoreDirectory) -> dict[str, Any]:
    """The content of that file: ids of lost entries, time of detection, and the folder with the damaged files."""
    try:
        data: dict[str, Any] = json.loads((directory.path / LOST).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {"entries": []}
    return data


def missing_of(shard: Any, expected: Mapping[str, Known]) -> tuple[Lost, set[str]]:
    """Check a store that was not closed: the missing entries, and the unexpected points."""
    present = set(all_ids(shard))
    lost = {point: known.entry_id for point, known in expected.items() if known.checksum and point not in present}
    return lost, present - expected.keys()


def all_ids(shard: Any, where: edge.Filter | None = None) -> Iterator[str]:
    offset = None
    while True:
        records, offset = shard.scroll(edge.ScrollRequest(limit=1000, offset=offset, filter=where, with_payload=False))
        yield from (str(record.id) for record in records)
        if offset is None:
            return


def read_one(shard: Any, point: str, *, vectors: Sequence[str] = ()) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """One entry's payload, and those of the vectors that it has; ``None`` if it cannot be read."""
    try:
        [record] = shard.retrieve([point], with_payload=True, with_vector=list(vectors) or False)
        payload = record.payload
        if not isinstance(payload["content"], str) or not isinstance(json.loads(payload["record"])["id"], str):
            return None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001
        # Every error and panic of the engine means that this entry is not readable. Its id is reported as lost.
        return None
    return payload, record.vector or {}


def _whole(
    shard: Any, descriptor: Descriptor, expected: Mapping[str, Known], lost: Lost, upgrade: Upgrade | None
) -> Iterator[edge.Point]:
    encoder = KeywordEncoder(descriptor.language)
    contents = partial(contents_of, shard)
    names = [] if descriptor.dimensions is None else [DENSE]
    for point in dict.fromkeys([*expected, *all_ids(shard)]):
        known = expected.get(point)
        found = read_one(shard, point, vectors=names)
        if found is None or (known and known.checksum and checksum(found[0]) != known.checksum):
            if known is None or known.checksum:
                lost[point] = known.entry_id if known else f"(unknown, point {point})"
            continue
        payload, vectors = found
        if not _is_vector(vectors.get(DENSE)):
            vectors = {}
        else:
            # A shard of an older layout has no passages, and without them the entry is found by its dense vector.
            for name in (PASSAGES, TOKENS) if descriptor.tokens else (PASSAGES,):
                several = read_one(shard, point, vectors=[name])
                if several and all(map(_is_vector, several[1].get(name) or [()])):
                    vectors |= several[1]
        vectors[KEYWORDS] = keywords_of(payload, encoder, contents)
        yield to_point(point, payload, vectors, upgrade)


def _is_vector(values: Sequence[float] | None) -> bool:
    return bool(values) and all(map(math.isfinite, values or ())) and any(values or ())


def contents_of(shard: Any, ids: Sequence[str]) -> dict[str, str]:
    """The contents of these points, as far as they can be read, by id."""
    found = {id: read_one(shard, id) for id in ids}
    return {id: read[0]["content"] for id, read in found.items() if read is not None}


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _patch(directory: StoreDirectory, seal: Seal, damaged: set[str], target: Path) -> None:
    """Copy the files with the entries into ``target``.

    Damaged files are replaced by their spare copies. A damaged file without a spare copy is padded to its right size.
    """
    copies = spare_of(directory)
    for name, (size, _) in seal.files.items():
        path = Path(name)
        if path.parts[0] != "shard" or is_derived(name):
            continue
        file = target.joinpath(*path.parts[1:])
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        source = directory.path / name
        if name in damaged and name in copies:
            file.write_bytes(copies[name])
        elif source.is_file():
            shutil.copyfile(source, file)
            with open(file, "r+b") as copied:
                copied.truncate(size)
        else:
            with open(file, "wb") as made:
                made.truncate(size)
    (target / "wal").mkdir(mode=0o700)


def _nothing_left(directory: StoreDirectory, reason: str) -> str:
    return (
        f"the memory store at {directory.path} is damaged, and nothing of it can be read: {reason}. Restore the folder "
        "from a backup, or move it away to start with an empty one"
    )


def _some(names: Iterable[str]) -> str:
    listed: Sequence[str] = sorted(names)
    return ", ".join(listed[:20]) + (f" and {len(listed) - 20} more" if len(listed) > 20 else "")
