"""Stores nearby that hold more than this one: other default folders, folders beside it, other collections."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import platformdirs

from ..admin import survey
from ..backends.qdrant.embedded.ledger import Ledger
from ..backends.qdrant.manifest import FORMAT
from ..config.environment import default_path
from ..crewai_folders import working_folder
from ..errors import PersistentMemoryError
from ..io.steps import Steps, run
from ..wording import memories
from .examined import Examined, impatient
from .findings import Finding, Findings, check, note, ok, warning
from .machine import real

if TYPE_CHECKING:
    from ..backends.qdrant.server.connection import ServerConnection

NAME: Final = "persistent-memory"
MOST_FOLDERS: Final = 200
"""Most folders of one folder that are looked at."""
MOST_COLLECTIONS: Final = 50
LARGEST_LEDGER: Final = 200 * 2**20
"""Bytes. A larger one takes longer to read than a check may take; it is of a million entries."""


@check("nearby", seconds=15)
def a_store_with_more(examined: Examined) -> Findings:
    """Look for folders and collections of this package that hold more memories than this store."""
    if examined.config is None or (examined.store is None and examined.cannot_open):
        return
    mine = _mine(examined)
    if mine is None:
        yield note("not checked: this store cannot count its memories across users")
        return
    others = [*_folders(examined), *_collections(examined)]
    larger = [(place, count, remedy) for place, count, remedy in others if count > mine]
    for place, count, remedy in sorted(larger, key=lambda each: -each[1])[:5]:
        yield _found(place, count, mine, remedy)
    if not larger:
        yield ok("no store with more memories is nearby")


def _found(place: str, count: int, mine: int, remedy: str) -> Finding:
    if mine:
        return note(f"{place} holds {memories(count)}, and this store {mine}", f"If that is the right one: {remedy}")
    return warning(f"{place} holds {memories(count)}, and this store none", f"If that is the right one: {remedy}")


def _mine(examined: Examined) -> int | None:
    if examined.store is None:
        return 0
    return survey(examined.store).entries if examined.store.capabilities.counts_scopes else None


def _folders(examined: Examined) -> Iterator[tuple[str, int, str]]:
    config = examined.config
    assert config is not None
    own = real(config.store_path) if examined.is_embedded else None
    seen = set()
    for folder in _candidates(own):
        place = real(folder)
        if place != own and place not in seen and (count := entries_in(place)):
            yield f"the folder {place}", count, f"give it as path=, or CREWAI_MEMORY_PATH={place}"
        seen.add(place)


def _candidates(own: Path | None) -> Iterator[Path]:
    """Folders where a store of this package is likely to be."""
    yield default_path()
    yield Path(platformdirs.user_data_dir("crewai-persistent-memory", appauthor=False), NAME)
    for name in ("CREWAI_MEMORY_PATH", "CREWAI_STORAGE_DIR"):
        if value := os.environ.get(name, "").strip():
            yield Path(value).expanduser()
            yield Path(value).expanduser() / NAME
    yield from _inside(working_folder())
    # What CrewAI's storage folders hold has the default name of this package.
    yield from (folder / NAME for folder in _inside(Path(platformdirs.user_data_dir())))
    if own is not None:
        yield from _inside(own.parent)


def _inside(folder: Path) -> Iterable[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(each.path) for each, _ in zip(entries, range(MOST_FOLDERS), strict=False) if each.is_dir()]
    except OSError:
        return []


def entries_in(folder: Path) -> int:
    """How many memories an embedded store has, without opening it, which another process may have done. 0: none."""
    try:
        about = json.loads((folder / "store.json").read_text(encoding="utf-8"))
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            return 0
        ledger = folder / "store.ledger"
        return len(Ledger(ledger).read().entries) if ledger.stat().st_size <= LARGEST_LEDGER else 1_000_000
    except (OSError, ValueError):
        return 0


def _collections(examined: Examined) -> Iterator[tuple[str, int, str]]:
    config = examined.config
    if config is None or config.server is None:
        return
    from ..backends.qdrant.server.connection import open_server  # qdrant-client takes a second to import

    settings = impatient(config, examined.probe_scope).server
    assert settings is not None
    connection = open_server(settings, embedder=None)
    try:
        found = run(_counted(connection, connection.route(*examined.project).collection))
    except PersistentMemoryError:  # a key of one collection may not list the others
        return
    finally:
        connection.close()
    for name, count in found:
        yield f"collection {name} of the same server", count, f"collection={name!r}, or CREWAI_MEMORY_COLLECTION={name}"


def _counted(connection: ServerConnection, own: str) -> Steps[list[tuple[str, int]]]:
    """The other collections of this package on a server, with their entries."""
    from ..backends.qdrant.server.bootstrap import read_descriptor

    client = connection.client("looking for other collections")
    listed: Any = yield from client.call("get_collections")
    names = [each.name for each in listed.collections if each.name != own][:MOST_COLLECTIONS]
    found = []
    for name in names:
        try:
            descriptor = yield from read_descriptor(client, name, "the server")
            if descriptor is None or descriptor.moved_to is not None or descriptor.copy_of is not None:
                continue  # none of ours, or a part of a change of the embedder
            answer: Any = yield from client.call("count", {"collection_name": name, "exact": False})
        except PersistentMemoryError:  # not ours, not readable with this key, or gone meanwhile
            continue
        found.append((name, max(0, answer.count - 1)))  # the descriptor is one of the points
    return found
