"""Copies of an embedded store's files. The engine's are mostly holes: a store of 1 MB has files of 100 MB."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ....errors import StoreError, StoreFullError, StorePathError
from ....io.private_files import FILE_MODE, FOLDER_MODE
from .directory import NEW_VECTORS, NEXT_SHARD, PARTS
from .flushing import sync_tree

STORE: Final = "store"
"""The folder of a backup that is an embedded store."""

_BLOCK: Final = 1 << 20
_NOT_COPIED: Final = {"store.lock", NEXT_SHARD, NEW_VECTORS, f"{NEW_VECTORS}-journal"}


def copy_store(store: Path, to: Path) -> None:
    """Copy what belongs to a store, and bring the copy to the disk.

    Args:
        store: its folder. Nothing may change in it meanwhile.
        to: is made; nothing may be there.

    Raises:
        StoreFullError: there is no room for the copy.
        StorePathError: it could not be made.
    """
    try:
        to.mkdir(mode=FOLDER_MODE)
        for name in sorted(set(PARTS) - _NOT_COPIED):
            part = store / name
            if part.is_dir():
                _copy_folder(part, to / name)
            elif part.is_file():
                _copy_file(part, to / name)
        sync_tree(to)
    except OSError as error:
        raise cannot_be_made(to, error) from error


def cannot_be_made(folder: Path, error: OSError) -> StoreError:
    """The error of a copy."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFullError(f"the disk of {folder} is full: nothing was made. Make room, or give another folder")
    return StorePathError(f"{folder} cannot be made: {error.strerror or error}")


def _copy_folder(folder: Path, to: Path) -> None:
    for inner, _, names in os.walk(folder):
        target = to / Path(inner).relative_to(folder)
        target.mkdir(mode=FOLDER_MODE)
        for name in names:
            _copy_file(Path(inner, name), target / name)


def _copy_file(file: Path, to: Path) -> None:
    """Copy the parts that hold data, and leave the holes."""
    with (
        open(file, "rb") as source,
        os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as new,
    ):
        size = os.fstat(source.fileno()).st_size
        if not hasattr(os, "SEEK_DATA"):
            shutil.copyfileobj(source, new, _BLOCK)
            return
        for start, end in _data_of(source.fileno(), size):
            source.seek(start)
            new.seek(start)
            while start < end and (block := source.read(min(_BLOCK, end - start))):
                new.write(block)
                start += len(block)
        new.truncate(size)


def _data_of(file: int, size: int) -> Iterator[tuple[int, int]]:
    """Where the data of a file begins and ends."""
    end = 0
    while end < size:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
        except OSError:  # nothing but a hole follows
            return
        end = os.lseek(file, start, os.SEEK_HOLE)
        yield start, end
