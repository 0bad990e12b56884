"""What a backup's folder says of itself."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Final

from ..errors import ConfigurationError
from ..io.private_files import open_private, sync_folder
from ..store.operations import Taken

FILE: Final = "backup.json"
FORMAT: Final = 1


@dataclass(frozen=True)
class Backup:
    """A backup.

    Attributes:
        folder: where it is. It has ``backup.json``, and ``store/`` (an embedded store, which can be opened as any
            other) or ``collection.snapshot`` (of a server).
        engine: ``"embedded"`` or ``"server"``.
        entries: how many there are in it, those that have expired too; of a server, how many there were just before.
        made_at: when (UTC).
        collection: its name on the server.
        package: the version that made it.
        sha256: of the snapshot.
    """

    folder: Path
    engine: str
    entries: int
    made_at: datetime
    collection: str | None = None
    package: str = ""
    sha256: str | None = None


def described(folder: Path, taken: Taken) -> Backup:
    """The backup in a folder, made now."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    package = version("crewai-persistent-memory")
    return Backup(folder, taken.engine, taken.entries, now, taken.collection, package, taken.sha256)


def write_manifest(folder: Path, backup: Backup) -> None:
    """Write it into the folder, which then is a whole backup."""
    values = {**asdict(backup), "made_at": backup.made_at.isoformat(), "format": FORMAT}
    del values["folder"]
    with os.fdopen(open_private(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w", encoding="utf-8") as file:
        file.write(json.dumps(values, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)


def read_manifest(folder: Path) -> Backup:
    """What a backup's folder says of itself.

    Raises:
        ConfigurationError: it is no backup, a damaged one, or one of a newer version.
    """
    try:
        with os.fdopen(open_private(folder / FILE, os.O_RDONLY), encoding="utf-8") as file:
            values = json.loads(file.read())
        if values.pop("format") > FORMAT:
            raise ConfigurationError(
                f"{folder} was made by a newer version of this package: upgrade, and restore it then"
            )
        made_at = datetime.fromisoformat(values.pop("made_at"))
        return Backup(folder=folder, made_at=made_at, **values)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigurationError(f"{folder} is no backup: it has no {FILE}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{folder / FILE} cannot be read ({error}): use another backup") from error
