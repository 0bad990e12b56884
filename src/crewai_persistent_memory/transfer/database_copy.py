"""Reading somebody else's SQLite file without a change to it, to its journal or to the folder it is in."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from ..errors import InvalidArgumentError

_BESIDE: Final = ("", "-wal", "-journal")
"""What a transaction may be in, by the end of the file's name."""
_ATTEMPTS: Final = 5


@contextmanager
def reading_a_copy(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a copy of the database as it is at this moment.

    SQLite completes in the copy what a killed program left unfinished. Reading the file itself would do that there.

    Raises:
        InvalidArgumentError: it cannot be read, is no database, is damaged, or is written to all the time.
    """
    with tempfile.TemporaryDirectory(prefix="crewai-memory-migrate-") as folder:
        copy = Path(folder, "copy.db")
        try:
            _copy(file, copy)
            with closing(sqlite3.connect(copy)) as database:
                [found] = database.execute("PRAGMA quick_check(1)").fetchone()
                if found != "ok":
                    raise InvalidArgumentError(f"{file} is damaged ({found}): migrate a backup of the folder")
                database.execute("PRAGMA journal_mode = DELETE")  # what is in a log is in the file then
                with suppress(OSError):  # on Windows an open file stays
                    copy.unlink()  # nothing of it stays if this process is killed
                yield database
        except OSError as error:
            raise InvalidArgumentError(f"{file} cannot be read and copied: {error.strerror or error}") from error
        except sqlite3.Error as error:
            raise InvalidArgumentError(
                f"{file} cannot be read as SQLite ({error}): it is damaged, or of a version that is not known here. "
                "Migrate a backup of the folder"
            ) from error


def _copy(file: Path, copy: Path) -> None:
    for _ in range(_ATTEMPTS):
        before = _state(file)
        for end in _BESIDE:
            Path(f"{copy}{end}").unlink(missing_ok=True)
            if before[end] is not None:
                try:
                    shutil.copyfile(f"{file}{end}", f"{copy}{end}")
                except FileNotFoundError:
                    break  # a transaction has ended meanwhile
        else:
            if _state(file) == before:
                return
    raise InvalidArgumentError(f"{file} is being written: stop the crews that use the folder, and migrate again")


def _state(file: Path) -> dict[str, tuple[int, int] | None]:
    found: dict[str, tuple[int, int] | None] = {}
    for end in _BESIDE:
        try:
            about = Path(f"{file}{end}").stat()
            found[end] = about.st_size, about.st_mtime_ns
        except FileNotFoundError:
            found[end] = None
    return found
