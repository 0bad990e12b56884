"""Store the entries of an export. Doing it again, also after it was cut short, changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final

from ..embedding import Fingerprint
from ..entry import MemoryEntry
from ..errors import InvalidArgumentError, InvalidEntryError
from ..expiry import is_expired
from ..io.steps import run
from ..scope import SCOPE_FIELDS, Scope
from ..store.base import MemoryStore
from ..text.passages import is_one_passage
from .exporting import Progress
from .lines import read_entries, read_header

BATCH: Final = 100
"""Entries that are saved together."""
HELD: Final = 500
"""Entries that are read before they are saved, so that those of one owner are saved together."""
Refused = Callable[[MemoryEntry, InvalidEntryError], None]
NOTHING: Final[Mapping[str, str | None]] = {}


@dataclass(frozen=True)
class Imported:
    """What an import did, or with ``dry_run`` what it would do.

    Attributes:
        entries: all of the file.
        new: those that were not in the store.
        there: those with an id that their scope had already. They are as in the file now; a migration leaves them.
        expired: those whose time was over. They are left out.
    """

    entries: int
    new: int
    there: int
    expired: int = 0


def import_entries(
    store: MemoryStore,
    lines: Iterable[str],
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
    into: Mapping[str, str | None] = NOTHING,
) -> Imported:
    """Store the entries of an export, each in its scope, with its id and its times.

    An entry whose id is there already is replaced. A vector is taken over if the store's embedder made it, and the text
    is short; the other texts are embedded. Each keeps its ``expires_at``, whatever the store's ``ttl`` is; one that has
    expired is left out.

    Args:
        store: where to; not bound to a user.
        lines: of the export.
        dry_run: read and check everything, and store nothing.
        progress: is called now and then.
        into: scope fields that all entries get, in place of their own, such as ``{"project_id": "production"}``.

    Raises:
        InvalidArgumentError: the export is malformed, and in which line; or two of its entries would be one. Most of
            what came before that line is stored: check a file with ``dry_run`` first, or import it again when it is
            mended.
        StoreError, EmbedderError: the store failed.
    """
    remaining = iter(lines)
    header = read_header(next(remaining, ""))
    embedder = store.embedder
    keeps_vectors = (
        embedder is not None
        and header.embedder is not None
        and embedder.fingerprint.same_embedder(Fingerprint.from_json(header.embedder))
    )
    return store_entries(store, read_entries(remaining), keeps_vectors, dry_run=dry_run, progress=progress, into=into)


def store_entries(
    store: MemoryStore,
    entries: Iterator[MemoryEntry],
    keeps_vectors: bool,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
    into: Mapping[str, str | None] = NOTHING,
    replaces: bool = True,
    refused: Refused | None = None,
) -> Imported:
    """Store entries that have owners; see :func:`import_entries`.

    Args:
        store, dry_run, progress, into: see there.
        entries: with their owners.
        keeps_vectors: their vectors are of this store's embedder.
        replaces: an entry whose id is there already is replaced; else it stays as it is.
        refused: is told of an entry that the store refuses, which is not counted then. Left out: that is an error.
    """
    total = new = expired = 0
    for owner, found in _batches(entries, into):
        handle = store.scoped(owner)
        batch = [entry for entry in found if not is_expired(entry.expires_at)]
        there = {entry.id for entry in handle.scan(ids=[entry.id for entry in batch]) if entry.scope == owner}
        wanted = batch if replaces else [entry for entry in batch if entry.id not in there]
        left_out = 0
        if wanted and not dry_run:
            left_out = _put(handle, wanted, keeps_vectors, refused)
        total += len(found) - left_out
        expired += len(found) - len(batch)
        new += len({entry.id for entry in batch} - there) - left_out
        if progress is not None:
            progress(total)
    return Imported(total, new, total - expired - new, expired)


def _put(handle: MemoryStore, entries: Sequence[MemoryEntry], keeps_vectors: bool, refused: Refused | None) -> int:
    """Save entries. Returns how many of them the store refused."""
    try:
        run(handle.steps.put_as_they_are([_for_store(entry, keeps_vectors) for entry in entries]))
        return 0
    except InvalidEntryError as error:
        if refused is None:
            raise
        if len(entries) == 1:
            refused(entries[0], error)
            return 1
    return sum(_put(handle, [entry], keeps_vectors, refused) for entry in entries)


def check(lines: Iterable[str], into: Mapping[str, str | None] = NOTHING) -> Imported:
    """Read and check an export. Returns what its import into an empty store would do.

    Raises:
        InvalidArgumentError: it is malformed, and in which line; or two of its entries would be one.
    """
    remaining = iter(lines)
    read_header(next(remaining, ""))
    return into_an_empty_store(read_entries(remaining), into)


def into_an_empty_store(entries: Iterator[MemoryEntry], into: Mapping[str, str | None] = NOTHING) -> Imported:
    """What storing these entries in an empty store would do.

    Raises:
        InvalidArgumentError: two of the entries would be one.
        InvalidScopeError: a field of ``into`` is malformed.
    """
    total = expired = 0
    for _, batch in _batches(entries, into):
        total += len(batch)
        expired += sum(is_expired(entry.expires_at) for entry in batch)
    return Imported(total, total - expired, 0, expired)


def owner_after(entry: MemoryEntry, into: Mapping[str, str | None]) -> Scope:
    """The owner of an entry, with these fields in place of its own."""
    fields: dict[str, Any] = {name: getattr(entry.scope, name) for name in SCOPE_FIELDS}
    fields.update(into)
    if fields["user_id"] is None:
        del fields["user_id"]
        return Scope.shared(**fields)
    return Scope(**fields)


def _batches(
    entries: Iterator[MemoryEntry], into: Mapping[str, str | None]
) -> Iterator[tuple[Scope, list[MemoryEntry]]]:
    """The entries with their owner; those of one owner together, in their order. A store scans its owners mixed."""
    seen: set[bytes] = set()  # of each entry some bytes, not its id
    held: dict[Scope, list[MemoryEntry]] = {}
    count = 0
    for entry in entries:
        owner = owner_after(entry, into)
        key = blake2b(f"{owner!r} {entry.id}".encode(), digest_size=12).digest()
        if key in seen:
            raise InvalidArgumentError(
                f"id {entry.id!r} would be in {owner} twice, and one of the two entries would be lost: keep them "
                "in different scopes"
            )
        seen.add(key)
        batch = held.setdefault(owner, [])
        batch.append(entry)
        count += 1
        if len(batch) == BATCH:
            yield owner, held.pop(owner)
            count -= BATCH
        elif count == HELD:
            yield from held.items()
            held, count = {}, 0
    yield from held.items()


def _for_store(entry: MemoryEntry, keeps_vectors: bool) -> MemoryEntry:
    keeps = keeps_vectors and is_one_passage(entry.content)
    return replace(entry, scope=None, embedding=entry.embedding if keeps else None)
