"""The machine's folders: on which kind of file system they are, and how much room is left."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

MOUNT_TABLE: Final = Path("/proc/mounts")

IN_MEMORY: Final = frozenset({"tmpfs", "ramfs", "devtmpfs"})
OF_A_CONTAINER: Final = frozenset({"overlay", "overlayfs", "aufs", "fuse-overlayfs", "fuse.fuse-overlayfs"})
OF_THE_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "ocfs2"}
)
_OF_THE_NETWORK_BY_FUSE: Final = re.compile(
    r"fuse\.(?!fuse-overlayfs|portal|lxcfs|gvfsd).*(ssh|s3|gcs|goofys|blob|rclone|gluster|ceph|juice)"
)


class Mount(NamedTuple):
    """A line of the mount table."""

    point: str
    kind: str
    read_only: bool

    @property
    def is_of_the_network(self) -> bool:
        """Whether the files are on another machine."""
        return self.kind in OF_THE_NETWORK or _OF_THE_NETWORK_BY_FUSE.match(self.kind) is not None


def read_mounts(lines: Iterable[str]) -> list[Mount]:
    """The mount table, of lines in the form of ``/proc/mounts``."""
    found = []
    for line in lines:
        parts = line.split()
        if len(parts) >= 4:
            found.append(Mount(_decoded(parts[1]), parts[2], "ro" in parts[3].split(",")))
    return found


def _decoded(point: str) -> str:
    """Blanks and the like are octal numbers in the table."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point)


@dataclass(frozen=True)
class Machine:
    """What is known of the machine; tests put something else in its place.

    Attributes:
        mounts: the mount table, in the order of mounting; empty where the system shows none.
        temporary: folders that are emptied by the system.
        free: the free and all bytes of the disk that holds a folder.
    """

    mounts: Sequence[Mount]
    temporary: Sequence[Path]
    free: Callable[[Path], tuple[int, int]]

    @classmethod
    def here(cls) -> Machine:
        """This machine."""
        try:
            mounts = read_mounts(MOUNT_TABLE.read_text(encoding="utf-8", errors="surrogateescape").splitlines())
        except OSError:
            mounts = []
        folders = {os.path.realpath(folder) for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp")}
        return cls(mounts, [Path(folder) for folder in sorted(folders)], _free)

    def mount_of(self, folder: Path) -> Mount | None:
        """The mount that a folder is on; ``None`` if it is not known."""
        found = [mount for mount in self.mounts if _is_in(folder, Path(mount.point))]
        # Of two mounts at one place the later one hides the earlier one.
        return max(reversed(found), key=lambda mount: len(mount.point), default=None)

    def temporary_of(self, folder: Path) -> Path | None:
        """The folder for temporary files that a folder is in."""
        return next((each for each in self.temporary if _is_in(folder, each)), None)


def real(folder: Path) -> Path:
    """The folder itself, without links and ``~``."""
    return Path(os.path.realpath(os.path.expanduser(folder)))


def is_folder(path: Path) -> bool:
    """Whether there is a folder, as far as this process may look."""
    try:
        return path.is_dir()
    except OSError:
        return False


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that this process sees."""
    return next((each for each in (folder, *folder.parents) if is_folder(each)), Path(folder.anchor or "/"))


def _is_in(folder: Path, other: Path) -> bool:
    return folder == other or other in folder.parents


def _free(folder: Path) -> tuple[int, int]:
    usage = shutil.disk_usage(folder)
    return usage.free, usage.total
