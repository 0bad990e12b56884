"""What is whole in a store, what is damaged, and what repairing it would cost."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import Unpack

from ..backends.qdrant.embedded.checksums import read_seal
from ..backends.qdrant.embedded.copies import copy_store
from ..backends.qdrant.embedded.directory import WRITE_RESERVE, StoreDirectory
from ..config.arguments import MemoryOptions
from ..config.options import MemoryConfig
from ..errors import ConfigurationError
from ..io.steps import run
from ..store.base import MemoryStore
from ..store.factory import open_configured, require_store
from ..transfer.exporting import entries_of

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Checked:
    """What a check has found.

    Attributes:
        entries: how many there are that can be read.
        expired: how many are there besides that have expired, and are not deleted yet.
        lost: the ids of entries that cannot be read, or are missing.
        damaged: the files of a closed embedded store that are missing or changed.
        was_closed: whether an embedded store was closed by the process that had it last, and not killed.
        notes: what else a server says of itself.
    """

    entries: int
    lost: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    was_closed: bool = True
    notes: tuple[str, ...] = ()
    expired: int = 0

    @property
    def is_whole(self) -> bool:
        """Nothing is lost or damaged."""
        return not (self.lost or self.damaged or self.notes)


def check(*, progress: Progress = lambda count: None, **options: Unpack[MemoryOptions]) -> Checked:
    """Read everything of a store, and change nothing: of an embedded store, a copy of its files is opened.

    Args:
        progress: called now and then with the number of entries that were read.
        options: which store (``path``, or ``url`` and ``collection``). An embedded one must not be in use.

    Raises:
        ConfigurationError: a store in Mem0.
        StoreMissingError: there is none.
        StoreInUseError: a process has it open.
        StoreCorruptedError: nothing of it can be read.
        StoreFullError: there is no room for the copy beside it.
        StoreError: the store failed; see the subclasses.
    """
    config = _qdrant(options)
    if config.server is not None:
        with open_configured(config, by_words=True, existing=True, outbox="if usable") as store:
            return _read(store, progress)
    path = _existing(config)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent, ignore_cleanup_errors=True) as beside:
        copy = Path(beside, "store")
        with _held(path) as (directory, damaged, was_closed):
            directory.require_space(directory.size(), WRITE_RESERVE)
            copy_store(path, copy)
        with open_configured(MemoryConfig.build(path=str(copy)), by_words=True, existing=True) as store:
            return _read(store, progress, damaged, was_closed=was_closed)


def repair(*, progress: Progress = lambda count: None, **options: Unpack[MemoryOptions]) -> Checked:
    """Keep what can be read of a damaged embedded store, and name what is lost.

    Opening a store does this as well; :func:`check` says beforehand what it would cost. Where an entry is lost, the
    damaged files are kept in the store's folder, until :meth:`MemoryStore.compact`.

    Args:
        progress: called now and then with the number of entries that were read.
        options: which store (``path``).

    Raises:
        ConfigurationError: no embedded store: a server repairs itself from its replicas, or is restored from a backup.
        StoreMissingError, StoreInUseError, StoreCorruptedError: see :func:`check`. Nothing was changed.
    """
    config = _qdrant(options)
    if config.server is not None:
        raise ConfigurationError(
            "path: only an embedded store can be repaired. A server takes what it lost from its replicas; else restore "
            "a backup"
        )
    path = _existing(config)
    with _held(path) as (_, damaged, was_closed):
        pass
    with open_configured(MemoryConfig.build(path=str(path)), by_words=True, existing=True) as store:
        return _read(store, progress, damaged, was_closed=was_closed)


@contextmanager
def _held(path: Path) -> Iterator[tuple[StoreDirectory, tuple[str, ...], bool]]:
    """A store's folder, which nobody opens meanwhile; its damaged files; and whether it was closed."""
    directory = StoreDirectory(path)
    directory.acquire()
    try:
        seal = read_seal(directory)
        damaged = () if seal is None else tuple(sorted(seal.damaged(path)))
        yield directory, damaged, seal is not None
    finally:
        directory.release()


def count_all(store: MemoryStore) -> int:
    """How many entries a store has, of all its users, those that have expired too."""
    return sum(run(store.steps.count_scopes("project_id", {}, with_expired=True)).values())  # each has a project


def _qdrant(options: MemoryOptions) -> MemoryConfig:
    config = MemoryConfig.build(**options)
    if config.mem0 is not None:
        raise ConfigurationError("mem0: its memories are Mem0's to check: give path=, or url= of a Qdrant server")
    return config


def _existing(config: MemoryConfig) -> Path:
    require_store(config.store_path)
    return config.store_path.expanduser().resolve()


def _read(store: MemoryStore, progress: Progress, damaged: tuple[str, ...] = (), *, was_closed: bool = True) -> Checked:
    count = 0
    for count, _ in enumerate(entries_of(store), 1):
        if count % 1_000 == 0:
            progress(count)
    there = count_all(store)
    health = store.health()
    lost = tuple((health.get("lost") or {}).get("entries", ()))
    notes = []
    if health.get("status") not in (None, "green"):
        notes.append(f"the collection's status is {health['status']}")
    if health.get("optimizer_error"):
        notes.append(f"the server's optimizer failed: {health['optimizer_error']}")
    return Checked(count, lost, damaged, was_closed, tuple(notes), max(0, there - count))
