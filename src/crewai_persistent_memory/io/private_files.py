"""Files and folders for their owner only: made so, kept so, and never reached through somebody else's link."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from ..errors import StorePathError

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600

_POSIX: Final = os.name == "posix"


def open_private(path: Path, flags: int) -> int:
    """Open a file of ours, 0600, created if need be and asked for in ``flags``. A link is not followed.

    Raises:
        StorePathError: it is a link, or no plain file.
        OSError: any other error of the system.
    """
    if path.is_symlink():
        # Where O_NOFOLLOW exists it closes the gap between this look and the opening.
        raise _link(path)
    flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    file = os.open(path, flags, FILE_MODE)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise StorePathError(f"{path} is not a plain file: remove it, or give another path=")
    return file


def make_private(store: Path, folder: Path) -> None:
    """Take away what others may do with a folder of a store, or the store's own, and all that is in it.

    The files that the engine makes get the mode of the process's umask. Nobody else reaches them meanwhile, because
    the folder itself is closed first.

    Raises:
        StorePathError: something in it is a link, or belongs to somebody else; see :func:`check_owner`.
    """
    if not _POSIX:
        return
    allowed = _trusted(store)
    _tighten(str(folder), os.lstat(folder), allowed, FOLDER_MODE)
    pending = [str(folder)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                try:
                    about = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # the engine removed it meanwhile
                is_folder = stat.S_ISDIR(about.st_mode)
                _tighten(entry.path, about, allowed, FOLDER_MODE if is_folder else FILE_MODE)
                if is_folder:
                    pending.append(entry.path)


def identity_of(file: Path | int) -> tuple[int, int] | None:
    """The device and number of an open file, or of the one that has a name now; ``None``: there is none."""
    try:
        found = os.stat(file)  # noqa: PTH116 - of an open file, too
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def sync_folder(folder: Path) -> None:
    """Make what was renamed, made and removed in a folder durable."""
    if _POSIX:
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def check_owner(folder: Path) -> None:
    """Refuse a folder of another user, because its owner could read and change the files in it.

    Ours are folders of this process's user and of root. Root also takes a folder of another user where nobody but root
    could have put it, such as a container's volume under ``/``; in ``/tmp`` anybody could have.

    Raises:
        StorePathError: another user owns the folder.
    """
    if _POSIX and (owner := folder.stat().st_uid) not in _trusted(folder):
        raise _foreign(folder, owner)


def _trusted(folder: Path) -> set[int]:
    ours = os.geteuid()
    trusted = {0, ours}
    if ours == 0:
        above = folder.parent.stat()
        if above.st_uid == 0 and not above.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            trusted.add(folder.stat().st_uid)
    return trusted


def _tighten(path: str, about: os.stat_result, trusted: set[int], mode: int) -> None:
    # A store has hundreds of files, and each opening and closing looks at all of them.
    if stat.S_ISLNK(about.st_mode):
        raise _link(Path(path))
    if about.st_uid not in trusted:
        raise _foreign(Path(path), about.st_uid)
    # What root owns, another user cannot change.
    if about.st_mode & 0o7777 & ~mode and os.geteuid() in (0, about.st_uid):
        try:
            Path(path).chmod(mode)
        except FileNotFoundError:
            return


def _link(path: Path) -> StorePathError:
    return StorePathError(
        f"{path} is a symbolic link, and a memory store is not kept behind links: remove it, or give the real "
        "folder as path="
    )


def _foreign(path: Path, owner: int) -> StorePathError:
    return StorePathError(
        f"{path} belongs to another user (uid {owner}; this process runs as uid {os.geteuid()}), who could read and "
        f"change the memories: give it to this user (chown -R {os.geteuid()} ...), or give another path="
    )
