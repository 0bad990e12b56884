"""Bring memories from elsewhere into a store, once, each with a mark, by which all of them can be taken out again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Final

from ..entry import MemoryEntry
from ..entry_check import checked_entry
from ..errors import InvalidArgumentError, InvalidEntryError, InvalidScopeError
from ..scope import SCOPE_FIELDS, Scope
from ..storable import storable_metadata, storable_text
from ..store.base import MemoryStore
from .crewai_folder import CrewAIFolder, look_into
from .exporting import Progress, entries_of
from .importing import NOTHING, Imported, owner_after, store_entries
from .long_term import LongTerm
from .owner_by_path import OwnerByPath
from .sources import FROM, MARK, LeftOut, Read

_EXAMPLES: Final = 5
_AT_ONCE: Final = 500


@dataclass(frozen=True)
class Migrated:
    """What a migration did, or with ``dry_run`` what it would do.

    Attributes:
        id: of the migration, for :func:`undo_migration`. The same source and the same owner have the same one.
        found: all memories of the source. It is ``new + there + elsewhere + len(left_out)``.
        new: those that were not in the store.
        there: those with an id that their owner had already. They stay as they are.
        elsewhere: those at paths that do not fit an :class:`OwnerByPath`.
        left_out: those that cannot be kept, and why.
        sources: of ``new`` and ``there``, what they were read from, with how many.
        owners: of ``new`` and ``there``, whose they are, with how many.
        examples: the first ones, with their owners.
        stays: what else is in CrewAI's folder and is no memory, such as knowledge.
        long_term: CrewAI's long-term memory in the folder. It is only shown.
    """

    id: str
    found: int
    new: int
    there: int
    elsewhere: int
    left_out: tuple[LeftOut, ...]
    sources: Mapping[str, int]
    owners: Mapping[Scope, int]
    examples: tuple[MemoryEntry, ...]
    stays: tuple[str, ...] = ()
    long_term: LongTerm | None = None


def migrate(
    source: str | os.PathLike[str],
    store: MemoryStore | None,
    owner: Scope | OwnerByPath,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Migrated:
    """Store what CrewAI's own memory holds: LanceDB (CrewAI 1.10 and newer), short-term and entity memory in Chroma
    (until 1.9.3). Nothing in the folder changes.

    Its texts, times, paths, categories, importance and metadata come along. They are embedded anew, because a folder
    does not say which embedder made its vectors. A text that an agent answered is kept with its request. What is in
    the store already stays as it is, so doing it again, also after it was cut short, changes nothing.

    Args:
        source: the folder that CrewAI stores in, or a folder or file in it that holds memories.
        store: where to; not bound to a user. ``None`` in a dry run, if it is not there yet.
        owner: whose memories they are: a folder of CrewAI knows no users.
        dry_run: read and check everything, and store nothing.
        progress: is called now and then.

    Raises:
        InvalidArgumentError: there is no memory of CrewAI, or it cannot be read. Nothing is stored.
        ConfigurationError: LanceDB is not installed.
        StoreError, EmbedderError: the store failed. Migrate again: nothing is stored twice.
    """
    folder = look_into(source)
    tally = _Tally(_id_of(os.path.realpath(source), repr(owner)))
    entries = _owned(tally, _all_of(folder), owner)
    done = tally.stored(store, entries, dry_run, progress)
    if not done.found and folder.long_term is None:
        beside = f"; {', '.join(folder.stays)} is no memory" if folder.stays else ""
        raise InvalidArgumentError(f"{Path(source)}: CrewAI's memory is empty here, nothing was migrated{beside}")
    return replace(done, stays=folder.stays, long_term=folder.long_term)


def migrate_store(
    source: MemoryStore,
    store: MemoryStore | None,
    *,
    into: Mapping[str, str | None] = NOTHING,
    dry_run: bool = False,
    progress: Progress | None = None,
    **scope: str | None,
) -> Migrated:
    """Store what Mem0 holds of a user, also what was stored there without this package.

    Texts, times and metadata come along, each memory in its scope. See :func:`migrate` for what happens if it is done
    again. ``copy_entries`` does the same without a mark, and replaces what is there.

    Args:
        source: a store in Mem0.
        store: where to; not bound to a user. ``None`` in a dry run, if it is not there yet.
        into: scope fields that all get, in place of their own, such as ``{"user_id": "john", "run_id": None}``.
        dry_run, progress: see :func:`migrate`.
        scope: whose memories: ``user_id``, and perhaps other fields. See :func:`entries_of`.

    Raises:
        InvalidArgumentError: a field is unknown, or there are no such memories.
        ConfigurationError: the source cannot list what is asked of it.
        StoreError, EmbedderError: a store failed. Migrate again: nothing is stored twice.
    """
    if unknown := into.keys() - set(SCOPE_FIELDS):
        raise InvalidArgumentError(f"into: {', '.join(sorted(unknown))}: a scope has {', '.join(SCOPE_FIELDS)}")
    name = type(source.backend).__name__.removesuffix("Backend").lower()

    def read() -> Iterator[tuple[MemoryEntry, Scope]]:
        for entry in entries_of(source, with_vectors=False, **scope):
            tally.found += 1
            try:
                owner = owner_after(entry, into)
            except InvalidScopeError as error:  # a name that others gave it
                tally.left_out.append(LeftOut(entry.id, str(error)))
                continue
            yield replace(entry, metadata={**entry.metadata, FROM: name}), owner

    tally = _Tally(_id_of(repr(source.backend), repr(sorted(scope.items())), repr(sorted(into.items()))))
    done = tally.stored(store, read(), dry_run, progress)
    if not done.found:
        fields = " ".join(f"{key}={value}" for key, value in scope.items())
        raise InvalidArgumentError(f"{source.backend!r} has no memories of {fields}: nothing was migrated")
    return done


def undo_migration(store: MemoryStore, id: str, *, dry_run: bool = False, **scope: str | None) -> int:
    """Delete what came with a migration, and nothing else: neither what was there before nor copies of it.

    What was changed since came with it as well. What still waits in an outbox is not in the store yet: do it again.

    Args:
        store: where it came to; not bound to a user.
        id: :attr:`Migrated.id`. It is also in the metadata of each entry, as ``_migration``, before the colon.
        dry_run: count only.
        scope: fields of the owners, by name. Mem0 needs ``user_id``.

    Returns:
        How many there were.

    Raises:
        ConfigurationError: Mem0, and no user is given.
        StoreError: the store failed. Do it again.
    """
    came: dict[Scope, list[str]] = {}
    for entry in entries_of(store, with_vectors=False, **scope):
        if entry.scope is not None and entry.metadata.get(MARK) == _mark(id, entry.scope, entry.id):
            came.setdefault(entry.scope, []).append(entry.id)
    if not dry_run:
        for owner, ids in came.items():
            _delete(store.scoped(owner), owner, id, ids)
    return sum(map(len, came.values()))


def _delete(handle: MemoryStore, owner: Scope, migration: str, ids: list[str]) -> None:
    if owner.run_id is None and owner.agent_id is None:
        for start in range(0, len(ids), _AT_ONCE):
            handle.delete(ids=ids[start : start + _AT_ONCE])
        return
    for id in ids:
        # A run also sees the user's own memories, and one of them may have the same id.
        handle.delete(ids=[id], metadata={MARK: _mark(migration, owner, id)})


def _all_of(folder: CrewAIFolder) -> Iterator[Read]:
    for part in folder.parts:
        yield from part()


def _owned(tally: _Tally, found: Iterator[Read], owner: Scope | OwnerByPath) -> Iterator[tuple[MemoryEntry, Scope]]:
    for each in found:
        tally.found += 1
        if isinstance(each, LeftOut):
            tally.left_out.append(each)
            continue
        try:
            whose = owner if isinstance(owner, Scope) else owner.of(each.path)
        except InvalidScopeError as error:
            tally.left_out.append(LeftOut(each.id, str(error)))
            continue
        if whose is None:
            tally.elsewhere += 1
        else:
            yield each, whose


@dataclass
class _Tally:
    """What becomes of each memory."""

    id: str
    found: int = 0
    elsewhere: int = 0
    left_out: list[LeftOut] = field(default_factory=list)
    sources: Counter[str] = field(default_factory=Counter)
    owners: Counter[Scope] = field(default_factory=Counter)
    examples: list[MemoryEntry] = field(default_factory=list)

    def stored(
        self,
        store: MemoryStore | None,
        found: Iterator[tuple[MemoryEntry, Scope]],
        dry_run: bool,
        progress: Progress | None,
    ) -> Migrated:
        kept = self._kept(found)
        if store is not None:
            done = store_entries(
                store, kept, False, dry_run=dry_run, progress=progress, replaces=False, refused=self._refused
            )
        elif dry_run:
            count = sum(1 for _ in kept)
            done = Imported(count, count, 0)
        else:
            raise InvalidArgumentError("store is None: open one, or give dry_run=True")
        return Migrated(
            self.id,
            found=self.found,
            new=done.new,
            there=done.there,
            elsewhere=self.elsewhere,
            left_out=tuple(self.left_out),
            sources=dict(self.sources),
            owners=dict(self.owners),
            examples=tuple(self.examples),
        )

    def _refused(self, entry: MemoryEntry, error: InvalidEntryError) -> None:
        """Such as a text that is larger than a server accepts."""
        assert entry.scope is not None
        self.left_out.append(LeftOut(entry.id, f"the store refuses it: {error}"))
        self.sources -= Counter({str(entry.metadata[FROM]): 1})
        self.owners -= Counter({entry.scope: 1})

    def _kept(self, found: Iterator[tuple[MemoryEntry, Scope]]) -> Iterator[MemoryEntry]:
        """The entries in normal form, with their owners and the mark."""
        seen: set[tuple[Scope, str]] = set()
        for entry, owner in found:
            if (owner, entry.id) in seen:
                self.left_out.append(LeftOut(entry.id, f"another with this id goes to {owner}"))
                continue
            try:
                kept = checked_entry(
                    replace(
                        entry,
                        scope=owner,
                        content=storable_text(entry.content),
                        embedding=None,
                        metadata={**storable_metadata(entry.metadata), MARK: _mark(self.id, owner, entry.id)},
                    ),
                    allow_blank=False,
                )
            except InvalidEntryError as error:
                self.left_out.append(LeftOut(entry.id, str(error)))
                continue
            seen.add((owner, entry.id))
            self.sources[str(entry.metadata[FROM])] += 1
            self.owners[owner] += 1
            if len(self.examples) < _EXAMPLES:
                self.examples.append(kept)
            yield kept


def _id_of(*about: str) -> str:
    return blake2b("\n".join(about).encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()


def _mark(migration: str, owner: Scope, id: str) -> str:
    """The migration, and a digest by which a copy of the entry at another owner is known as a copy."""
    text = f"{migration} {owner!r} {id}".encode("utf-8", "surrogatepass")
    return f"{migration}:{blake2b(text, digest_size=4).hexdigest()}"
