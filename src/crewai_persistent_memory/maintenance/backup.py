"""Backups: made, proved, and put back."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from typing_extensions import Unpack

from ..backends.qdrant.embedded.copies import STORE, cannot_be_made, copy_store
from ..backends.qdrant.embedded.directory import StoreDirectory
from ..backends.qdrant.server.snapshots import SNAPSHOT, Snapshots
from ..config.arguments import MemoryOptions
from ..config.options import MemoryConfig
from ..errors import ConfigurationError, StoreCorruptedError, StorePathError
from ..io.private_files import sync_folder
from ..io.steps import run
from ..store.base import MemoryStore
from ..store.factory import open_configured
from .checking import count_all
from .manifest import Backup, described, read_manifest, write_manifest


def back_up(store: MemoryStore, folder: str | os.PathLike[str]) -> Backup:
    """Copy a whole store, of all its users, as it is at one moment, into a new folder.

    An embedded store may be in use in this process: its writes wait while its files are copied (0.1 s for 100 MB), its
    reads go on. The copy is opened and counted before this returns. Of a server, a snapshot of the collection is made
    and fetched. What waits in an outbox is not in it.

    Args:
        store: an embedded store, or one on a server. With ``collection_per_project`` its own project is backed up.
        folder: is made, for its owner only; it appears when the backup is whole.

    Raises:
        ConfigurationError: the store is in Mem0, or its collection on several nodes; or ``folder`` is there already.
        StorePathError: the folder cannot be made.
        StoreFullError: the disk is full. Nothing is left of it.
        StoreCorruptedError: the copy is not whole. Nothing is left of it.
        StoreError: the store failed; see the subclasses.
    """
    if not store.capabilities.backs_up:
        raise ConfigurationError(
            f"{store.backend!r} cannot be backed up from here: Mem0 keeps the memories. Take those of a user out with "
            "crewai-memory export"
        )
    target = Path(folder).expanduser().resolve()
    if target.exists():
        raise ConfigurationError(f"folder: {target} is there already: give a new one")
    with _new_folder(target) as making:
        taken = run(store.steps.back_up(making))
        if taken.engine == "embedded":
            _require(making / STORE, taken.entries)
        write_manifest(making, described(target, taken))
    return read_manifest(target)


def restore(folder: str | os.PathLike[str], *, replace: bool = False, **options: Unpack[MemoryOptions]) -> Backup:
    """Make a store what it was when a backup of it was made.

    Args:
        folder: the backup.
        replace: also if there is a store: an embedded one is kept beside, as ``<path>.replaced-1``; a server's
            collection is replaced.
        options: which store (``path``, or ``url`` and ``collection``). It must not be in use.

    Raises:
        ConfigurationError: no backup, one of the other kind of store, or there is a store already.
        StorePathError: the folder cannot be made: it is a file, say, or a disk is mounted there.
        StoreFullError: the disk is full. Nothing was changed.
        StoreInUseError: a process has the store open.
        StoreCorruptedError: the backup is damaged. Nothing was changed.
        StoreError: the store failed; see the subclasses.
    """
    backup = read_manifest(Path(folder).expanduser().resolve())
    config = MemoryConfig.build(**options)
    if config.mem0 is not None or (config.server is None) != (backup.engine == "embedded"):
        if backup.engine != "embedded":
            raise ConfigurationError(f"url: {backup.folder} is a backup of a server: give the url= of one")
        raise ConfigurationError(
            f"path: {backup.folder} is a backup of an embedded store: give path=. To take it to a server, copy from "
            f"path={backup.folder / STORE}"
        )
    if config.server is not None:
        _restore_to_server(backup, config, replace=replace)
    else:
        _restore_to_path(backup, config.store_path.expanduser().resolve(), replace=replace)
    return backup


def _restore_to_server(backup: Backup, config: MemoryConfig, *, replace: bool) -> None:
    assert config.server is not None
    if _sha256(backup.folder / SNAPSHOT) != backup.sha256:
        raise StoreCorruptedError(f"{backup.folder / SNAPSHOT} is damaged: nothing was restored. Use another backup")
    snapshots, name = Snapshots(config.server), config.server.collection
    if config.server.collection_per_project:
        name = backup.collection or name
    if snapshots.exists(name) and not replace:
        raise ConfigurationError(
            f"collection: {name} is there already at {config.server.address}: give another one, or replace=True "
            "(--replace)"
        )
    there = snapshots.holding(name) if snapshots.exists(name) else name
    if there in (name, backup.collection):
        snapshots.put_back(there, backup.folder / SNAPSHOT)
        return
    # The embedder was changed since, and a collection takes only snapshots with its own vectors.
    raise ConfigurationError(
        f"collection: the memories of {name} have another embedder since this backup was made, and are in {there} "
        f"now. Restore the backup to another collection, and give the workers that one; or delete {name} and {there} "
        "first"
    )


def _restore_to_path(backup: Backup, path: Path, *, replace: bool) -> None:
    there = StoreDirectory(path)
    _require_folder(path)
    is_there = path.exists() and any(path.iterdir())
    if is_there and not replace:
        raise ConfigurationError(f"path: {path} is there already: give a new one, or replace=True (--replace)")
    with _new_folder(path, beside=is_there) as making:
        making.rmdir()
        copy_store(backup.folder / STORE, making)
        _require(making, backup.entries)
        if is_there:
            there.acquire()
            try:
                os.replace(path, _beside(path))
            finally:
                there.release()


def _require_folder(path: Path) -> None:
    """Refuse what a restored store cannot take the place of.

    Raises:
        StorePathError: it is a file, or a disk is mounted there.
    """
    if path.exists() and not path.is_dir():
        raise StorePathError(f"{path} is a file: give path= a new folder")
    if os.path.ismount(path):
        raise StorePathError(
            f"a disk is mounted at {path}, and no other folder can take its place: give path= a folder in it, such as "
            f"{path / 'restored'}, and use the store there"
        )


def _beside(path: Path) -> Path:
    number = 1
    while (beside := path.with_name(f"{path.name}.replaced-{number}")).exists():
        number += 1
    return beside


@contextmanager
def _new_folder(target: Path, *, beside: bool = False) -> Iterator[Path]:
    """A folder that takes the place of ``target`` at the end, or is removed."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise cannot_be_made(target, error) from error
    try:
        yield making
        if target.exists() and not beside:
            target.rmdir()  # empty, or this fails
        os.replace(making, target)
        sync_folder(target.parent)
    except OSError as error:
        raise cannot_be_made(target, error) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _require(store: Path, entries: int) -> None:
    """Refuse a copy that is not whole.

    Raises:
        StoreCorruptedError: entries are missing, or cannot be read.
    """
    with open_configured(MemoryConfig.build(path=str(store)), by_words=True, existing=True) as copy:
        found = count_all(copy)
        lost = copy.health().get("lost")
    if found != entries or lost:
        raise StoreCorruptedError(
            f"the copy at {store} has {found} of {entries} entries: it is not used. Look at the store with "
            "crewai-memory check, or use another backup"
        )


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with open(file, "rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
