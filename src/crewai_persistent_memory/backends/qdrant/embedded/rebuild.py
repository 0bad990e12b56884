"""Rebuild an embedded store's shard from its current entries, and replace the old shard with the new one.

The engine leaves the text of deleted entries in its log and in the free parts of its pages, where no call of it
removes it. A rebuilt shard holds only the current entries.

A crash at any moment leaves one whole shard: the new one is made beside the old one (``shard.new``) and brought to the
disk; then the old one is moved away (``shard.old``), the new one takes its place, and the old one is removed. The
next opening finds out from these folders which step was reached, see :func:`finish_swap`.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import qdrant_edge as edge

from ....errors import ConfigurationError, StoreCorruptedError
from ..manifest import Descriptor
from ..schema import DENSE, INDEXES, KEYWORDS, PASSAGES, TOKENS, Index, IndexKind
from .checksums import break_seal
from .directory import NEXT_SHARD, StoreDirectory
from .errors import is_not_allowed
from .flushing import sync_tree
from .ledger import content_of

logger = logging.getLogger("crewai_persistent_memory")

Upgrade = Callable[[str, dict[str, Any], dict[str, Any]], None]
"""Changes the payload and the vectors of a point to those of the newest layout."""

_SEARCH_THREADS: Final = 1
"""A search is done by the thread that asks. A pool, by default one thread for each core, would take the segments in
parallel, but a store has one segment: handing a search over took as long as the search, and kept two threads busy
(qdrant-edge-py 0.9, 10,000 entries of 100 users: 0.20 ms and 0.39 of the processors, 0.11 and 0.11 without a pool;
with four threads that ask, 4,300 and 6,700 searches a second)."""

_SPARSE_VECTORS: Final[dict[str, Any]] = {KEYWORDS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)}

_CONFIG: Final = "edge_config.json"
_PAGE: Final = 64
_PAGE_OF_LONG_TEXTS: Final = 1


def new_shard(folder: Path, descriptor: Descriptor) -> Any:
    """Make an empty shard with its indexes."""
    folder.mkdir(mode=0o700)
    config = edge.EdgeConfig(
        vectors=_dense_vectors(descriptor) if descriptor.dimensions else None,
        sparse_vectors=_SPARSE_VECTORS,
        # m=0: no HNSW graph. A query is filtered to one user's entries and faster without (0.13 against 0.32 ms at
        # 10k records), and building the graph holds the GIL for minutes.
        hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=100, full_scan_threshold=10_000),
        max_search_threads=_SEARCH_THREADS,
    )
    shard = edge.EdgeShard.create(str(folder), config)
    create_indexes(shard, INDEXES)
    return shard


def _dense_vectors(descriptor: Descriptor) -> dict[str, Any]:
    """The vectors as ``float16``, and beside them in 4 bits for each dimension, which a search scans first.

    Over 100,000 entries of one user with 384 dimensions (qdrant-edge-py 0.9): 12.7 ms with ``float32``, 2.7 ms with
    these. The engine adds such vectors when it creates a shard, never later.

    Token vectors are not scanned: a search reads those of its candidates only. So they stay on the disk, as ``float16``
    alone.
    """
    exact: dict[str, Any] = {"distance": edge.Distance.Cosine, "datatype": edge.VectorStorageDatatype.Float16}
    compact: dict[str, Any] = {
        **exact,
        "size": descriptor.dimensions,
        "quantization_config": edge.TurboQuantQuantizationConfig(bits=edge.TurboQuantBitSize.Bits4),
    }
    best_of = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
    vectors = {
        DENSE: edge.EdgeVectorParams(**compact),
        PASSAGES: edge.EdgeVectorParams(**compact, multivector_config=best_of),
    }
    if descriptor.tokens is not None:
        size = descriptor.tokens
        vectors[TOKENS] = edge.EdgeVectorParams(**exact, size=size, multivector_config=best_of, on_disk=True)
    return vectors


def has_vectors(directory: StoreDirectory, descriptor: Descriptor) -> bool:
    """Whether the store's shard has the vectors that the descriptor needs."""
    if descriptor.dimensions is None:
        return True
    config = json.loads((directory.shard / _CONFIG).read_text(encoding="utf-8"))
    wanted = {DENSE, PASSAGES} if descriptor.tokens is None else {DENSE, PASSAGES, TOKENS}
    return wanted <= (config.get("vectors") or {}).keys()


_INDEX_PARAMS: Final[Mapping[IndexKind, Any]] = {
    IndexKind.TENANT: edge.KeywordIndexParams(is_tenant=True),
    IndexKind.KEYWORD: edge.KeywordIndexParams(),
    IndexKind.DIGEST: edge.IntegerIndexParams(lookup=True, range=False),
    IndexKind.NUMBER: edge.IntegerIndexParams(lookup=False, range=True),
    IndexKind.FLOAT: edge.FloatIndexParams(),
    IndexKind.TIME: edge.DatetimeIndexParams(),
}

_TYPES: Final[Mapping[IndexKind, Any]] = {
    IndexKind.TENANT: edge.PayloadSchemaType.Keyword,
    IndexKind.KEYWORD: edge.PayloadSchemaType.Keyword,
    IndexKind.DIGEST: edge.PayloadSchemaType.Integer,
    IndexKind.NUMBER: edge.PayloadSchemaType.Integer,
    IndexKind.FLOAT: edge.PayloadSchemaType.Float,
    IndexKind.TIME: edge.PayloadSchemaType.Datetime,
}


def create_indexes(shard: Any, indexes: Mapping[str, Index]) -> None:
    """Create indexes; harmless for those that are there."""
    for key, index in indexes.items():
        shard.update(edge.UpdateOperation.create_field_index(key, _INDEX_PARAMS[index.kind]))


def create_missing_indexes(shard: Any, indexes: Mapping[str, Index], path: Path) -> None:
    """Create those of the indexes that the shard lacks.

    Raises:
        ConfigurationError: a key has an index of another kind.
    """
    there = shard.info().payload_schema
    for key, index in indexes.items():
        if key in there and there[key].data_type != _TYPES[index.kind]:
            raise ConfigurationError(
                f"the store at {path} has an index of another kind on {key!r}: choose another name for the filter field"
            )
    create_indexes(shard, {key: index for key, index in indexes.items() if key not in there})


def to_point(id: str, payload: dict[str, Any], vectors: dict[str, Any], upgrade: Upgrade | None) -> edge.Point:
    if upgrade is not None:
        upgrade(id, payload, vectors)
    return edge.Point(id=id, vector=vectors, payload=payload)


def all_points(shard: Any, *, long_texts: bool, upgrade: Upgrade | None = None) -> Iterator[list[edge.Point]]:
    """Every point of a shard, in small pages, because a call holds the interpreter's lock."""
    offset = None
    while True:
        points, offset = page_of_points(shard, offset, long_texts=long_texts, upgrade=upgrade)
        if points:
            yield points
        if offset is None:
            return


def page_of_points(
    shard: Any, offset: Any, *, long_texts: bool, upgrade: Upgrade | None = None
) -> tuple[list[edge.Point], Any]:
    """The points from ``offset`` on, and where the next page begins; ``None`` at the end."""
    page = _PAGE_OF_LONG_TEXTS if long_texts else _PAGE
    request = edge.ScrollRequest(limit=page, offset=offset, with_payload=True, with_vector=True)
    records, following = shard.scroll(request)
    return [to_point(str(r.id), r.payload, r.vector or {}, upgrade) for r in records], following


def named_points(shard: Any, ids: Sequence[str]) -> list[edge.Point]:
    """The points with these ids that are there."""
    records = shard.retrieve(list(ids), with_payload=True, with_vector=True)
    return [to_point(str(r.id), r.payload, r.vector or {}, None) for r in records]


def _config_to_change(directory: StoreDirectory) -> Any:
    """What the engine is to change in the configuration of its files; ``None`` for nothing, so that nothing is written.

    A store that was made before :data:`_SEARCH_THREADS` was chosen has none.
    """
    try:
        config = json.loads((directory.shard / _CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None  # the engine says what is wrong
    if not isinstance(config, dict) or config.get("max_search_threads") == _SEARCH_THREADS:
        return None
    # What is not named stays as it is; one kind of vectors must be named.
    return edge.EdgeConfig(sparse_vectors=_SPARSE_VECTORS, max_search_threads=_SEARCH_THREADS)


_SURPLUS_PAGE: Final = re.compile(
    r'Inconsistent number of gridstore pages at "([^"]+)": expected (\d+), but found (\d+)'
)


def load_shard(directory: StoreDirectory) -> Any:
    """Open the engine's files.

    Raises:
        StoreCorruptedError: the engine cannot read them.
    """
    config = _config_to_change(directory)
    while True:
        try:
            return edge.EdgeShard.load(str(directory.shard), config)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            if "WouldBlock" in str(error) or is_not_allowed(error):
                raise
            if _remove_surplus_page(directory, str(error)):
                continue
            raise StoreCorruptedError(
                f"the memory store at {directory.path} cannot be opened: {error}. Restore the folder from a backup, or "
                "move it away to start with an empty one"
            ) from error


def _remove_surplus_page(directory: StoreDirectory, error: str) -> bool:
    """Remove an empty page that the engine created and had not registered when the process was killed.

    For every 32 MiB of payloads the engine creates a file, then registers it, then writes to it. It refuses to open
    with a file that is not registered (qdrant-edge-py 0.9). A file that holds anything is kept.

    Returns:
        Whether one was removed.
    """
    match = _SURPLUS_PAGE.search(error)
    if match is None or int(match[3]) <= int(match[2]):
        return False
    page = Path(match[1]) / f"page_{match[2]}.dat"
    if not page.is_relative_to(directory.shard) or not page.is_file() or _has_data(page):
        return False
    page.unlink()
    logger.warning("removed %s: the process was killed while the engine created it, and it is empty", page)
    return True


def _has_data(file: Path) -> bool:
    with open(file, "rb") as opened:
        while chunk := opened.read(1 << 20):
            if chunk.count(0) != len(chunk):
                return True
    return False


def rewrite(directory: StoreDirectory, shard: Any, descriptor: Descriptor, upgrade: Upgrade | None = None) -> bytes:
    """Write the points of ``shard`` into a new one beside it, closed and on the disk. No write may happen meanwhile.

    Returns:
        The content of a new ledger for it.
    """
    points = all_points(shard, long_texts=directory.has_long_texts, upgrade=upgrade)
    return write_beside(directory, descriptor, points)


def write_beside(directory: StoreDirectory, descriptor: Descriptor, batches: Iterable[Sequence[edge.Point]]) -> bytes:
    """Write points into a new shard beside the store's own, closed and on the disk.

    Returns:
        The content of a new ledger for it.
    """
    beside = directory.new_shard
    shutil.rmtree(beside, ignore_errors=True)
    fresh = new_shard(beside, descriptor)
    lines = bytearray()
    for points in batches:
        fresh.update(edge.UpdateOperation.upsert_points(list(points)))
        lines += content_of((str(point.id), point.payload or {}) for point in points)
    fresh.flush()
    fresh.close()
    sync_tree(beside)
    return bytes(lines)


def swap(directory: StoreDirectory, *, keep_old: Path | None = None) -> Any:
    """Put the new shard, already whole, in place of the old one, which is closed; the answer is the new one, open.

    Args:
        directory: the store's.
        keep_old: where the old one is kept; left out, it is removed.
    """
    directory.shard.rename(directory.old_shard)
    # A seal is of the old one.
    break_seal(directory)
    directory.sync()
    directory.new_shard.rename(directory.shard)
    directory.sync()
    shard = load_shard(directory)
    if keep_old is None:
        shutil.rmtree(directory.old_shard)
    else:
        directory.old_shard.rename(keep_old)
    directory.sync()
    return shard


def finish_swap(directory: StoreDirectory) -> None:
    """After a crash: keep the whole shard, remove the other."""
    if directory.old_shard.exists() and not directory.shard.exists():
        # Only a whole new shard ever has an old one moved away for it.
        whole = directory.new_shard if directory.new_shard.exists() else directory.old_shard
        break_seal(directory)
        whole.rename(directory.shard)
        directory.sync()
    begun = [directory.path / name for name in ("shard.mend", NEXT_SHARD)]
    for leftover in (directory.new_shard, directory.old_shard, *begun):
        if leftover.exists():
            shutil.rmtree(leftover)
