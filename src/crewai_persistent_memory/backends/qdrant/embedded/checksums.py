"""The seal of an embedded store that was closed: checksums of its files, and spare copies of what holds it together.

The files of a closed store do not change, so any difference is damage. It is detected before the engine reads the
files. ``store.seal`` has the size and a checksum of every file; ``store.spare`` (a zip) has copies of the files without
which no entry can be read, small beside the texts. The seal is broken, durably, before a store is opened.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .deletions import Deletions
from .directory import StoreDirectory

SEAL: Final = "store.seal"
SPARE: Final = "store.spare"
LEDGER: Final = "store.ledger"

_BLOCK: Final = 1 << 16
_ZERO: Final = bytes(_BLOCK)
_DERIVED: Final = ("payload_index", "vector_storage-keywords", "wal")
"""Parts of the engine's files that are made again from the entries."""


@dataclass(frozen=True)
class Seal:
    """What a closed store's files were like.

    Attributes:
        files: by path within the folder: size and checksum.
        deletions: what was deleted since the store was last written anew.
    """

    files: Mapping[str, tuple[int, int]]
    deletions: Deletions

    def damaged(self, folder: Path) -> set[str]:
        """The files that are missing or changed."""
        return {name for name, expected in self.files.items() if _digest(os.path.join(folder, name)) != expected}


def is_derived(name: str) -> bool:
    return any(part in _DERIVED for part in name.replace(os.sep, "/").split("/"))


def _is_large(name: str) -> bool:
    """Whether it is one of the files with texts or vectors, which are most of a store."""
    return "/page_" in name or ("vector_storage" in name and not name.endswith(".json"))


def seal(directory: StoreDirectory, deletions: Deletions) -> None:
    """Seal a store whose engine is closed."""
    start = len(str(directory.path)) + 1
    names = [os.path.join(folder, name)[start:] for folder, _, names in os.walk(directory.shard) for name in names]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as spare:
        for name in ["store.json", *names]:
            if not is_derived(name) and not _is_large(name):
                spare.write(directory.path / name, name)
    directory.write(SPARE, archive.getvalue())
    files = {name: _digest(os.path.join(directory.path, name)) for name in [*names, LEDGER]}
    content = json.dumps({"files": files, **deletions.to_json()}).encode()
    directory.write(SEAL, b"%08x " % zlib.crc32(content) + content)


def read_seal(directory: StoreDirectory) -> Seal | None:
    """The seal of a store that was closed; ``None`` if it was not, or the seal itself is damaged."""
    try:
        stated, _, content = (directory.path / SEAL).read_bytes().partition(b" ")
    except FileNotFoundError:
        return None
    if stated != b"%08x" % zlib.crc32(content):
        return None
    data: dict[str, Any] = json.loads(content)
    return Seal({name: (size, sum) for name, (size, sum) in data["files"].items()}, Deletions.of_json(data))


def break_seal(directory: StoreDirectory) -> None:
    """Durably: files that change under a seal would be taken for damaged."""
    with contextlib.suppress(FileNotFoundError):
        (directory.path / SEAL).unlink()
        directory.sync()


def spare_of(directory: StoreDirectory) -> dict[str, bytes]:
    """The spare copies by name, as far as they can be read."""
    copies: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(directory.path / SPARE) as spare:
            for name in spare.namelist():
                with contextlib.suppress(zipfile.BadZipFile, zlib.error, EOFError):
                    copies[name] = spare.read(name)
    except (FileNotFoundError, zipfile.BadZipFile, NotImplementedError, ValueError, EOFError):
        # No spare, or its list of names is damaged. (What holds the store together must be whole then.)
        return copies
    return copies


def _digest(path: str) -> tuple[int, int] | None:
    """Size and checksum; holes count as the zeros that they read as."""
    # Each closing and opening does this for hundreds of files, most of them small, or large and empty.
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        size = os.fstat(file).st_size
        sum = zlib.adler32(b"")
        offset = 0
        may_be_hole = size > _BLOCK
        while offset < size:
            if may_be_hole:
                offset = _next_data(file, offset, size)
                os.lseek(file, offset, os.SEEK_SET)
            block = os.read(file, _BLOCK)
            if not block:
                break
            may_be_hole = block == _ZERO[: len(block)]
            if not may_be_hole:
                sum = zlib.adler32(block, zlib.adler32(offset.to_bytes(8, "big"), sum))
            offset += len(block)
        return size, sum
    finally:
        os.close(file)


def _next_data(file: int, offset: int, size: int) -> int:
    if not hasattr(os, "SEEK_DATA"):
        return offset
    try:
        # At a block's start, so that the same blocks are summed wherever the holes are.
        return os.lseek(file, offset, os.SEEK_DATA) // _BLOCK * _BLOCK
    except OSError:  # nothing but holes follows
        return size
