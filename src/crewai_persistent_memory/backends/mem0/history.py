"""Mem0 OSS's history database: readable by its owner only, and without deleted texts.

It is a SQLite file beside the vector store. What it holds, by version of mem0ai:

| table | from | holds |
| --- | --- | --- |
| ``history`` | 0.1 | each memory's texts, old and new, after its deletion too |
| ``messages`` | 2.0 | the last ten messages of each ``session_scope``; the next extraction prompt quotes them |
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import portalocker

from ...errors import StoreBusyError, StorePathError
from ...io.private_files import FOLDER_MODE, check_owner, open_private
from ...scope import Scope
from .entities import library_user_id

BUSY_TIMEOUT: Final = 30_000
"""Milliseconds to wait for another process that writes to the database; sqlite3 waits for 5,000."""
IDS_PER_STATEMENT: Final = 500
"""Older versions of SQLite take 999."""


@contextmanager
def opening(path: str | os.PathLike[str]) -> Iterator[None]:
    """Lock the database while its tables are created, after making the file readable by its owner only.

    Mem0 creates the tables in several steps: processes that start at once would find the database locked.

    Raises:
        StorePathError: it cannot be there, is a symbolic link, or belongs to somebody else.
    """
    with ExitStack() as held:
        try:
            history = Path(path).absolute()
            history.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            check_owner(history.parent)
            for suffix in ("", ".lock", "-journal", "-wal", "-shm"):
                _make_private(history.with_name(history.name + suffix), create=suffix in ("", ".lock"))
            held.enter_context(portalocker.Lock(f"{history}.lock", timeout=60))
        except (OSError, StorePathError) as error:
            raise StorePathError(
                f"Mem0's history database cannot be at {path}: {error}. Set history_db_path in local_mem0_config to "
                "a file that this user can write, in a folder of this user"
            ) from error
        yield


def _make_private(file: Path, *, create: bool) -> None:
    """A file that exists is not opened: closing it would release the locks that SQLite holds on it in this process.
    SQLite gives its journals the mode of the database."""
    try:
        about = file.lstat()
    except FileNotFoundError:
        if create:
            os.close(open_private(file, os.O_RDWR | os.O_CREAT))
        return
    if not stat.S_ISREG(about.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(about.st_mode) else "no plain file"
        raise StorePathError(f"{file} is {kind}: remove it")
    if os.name != "posix":
        return
    if about.st_uid not in (0, os.geteuid()) and os.geteuid() != 0:
        raise StorePathError(f"{file} belongs to another user (uid {about.st_uid})")
    if stat.S_IMODE(about.st_mode) & 0o077 and os.geteuid() in (0, about.st_uid):
        file.chmod(0o600)


def prepare(memory: Any) -> None:
    """Prepare a ``mem0.Memory`` that was just opened: deleted texts are overwritten, and a memory that is deleted
    leaves no history, whether a caller or Mem0's LLM deletes it."""
    database = memory.db
    with database._lock, database.connection as connection:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT}")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("CREATE INDEX IF NOT EXISTS crewai_memory_id ON history (memory_id)")
    add = database.add_history

    def add_history(memory_id: str, old_memory: Any, new_memory: Any, event: str, **more: Any) -> None:
        if event != "DELETE":
            add(memory_id, old_memory, new_memory, event, **more)
            return
        with database._lock, database.connection as connection:
            connection.execute("DELETE FROM history WHERE memory_id = ?", (memory_id,))

    database.add_history = add_history


def session_scopes(owner: Scope) -> set[str]:
    """Under which names Mem0 keeps an owner's messages: ours, and that of a Mem0 used without this package, which
    has a run and an agent of its own."""
    user = library_user_id(Scope.trusted(owner.user_id, owner.project_id, None, None, owner.org_id))
    theirs = {"user_id": user, "run_id": owner.run_id, "agent_id": owner.agent_id}
    return {_session_scope({"user_id": library_user_id(owner)}), _session_scope(theirs)}


def users_of_messages(memory: Any) -> set[str]:
    """Mem0's users of whom it keeps messages: also those of whose messages nothing was remembered."""
    database = memory.db
    with database._lock:
        connection = database.connection
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'messages'").fetchone():
            return set()
        names = [name for (name,) in connection.execute("SELECT DISTINCT session_scope FROM messages")]
    users = [found[1] for name in names if name and (found := re.search("(?:^|&)user_id=([^&]*)", name))]
    return {name for user in users for name in (user, unquote(user))}  # some 2.x escape, some do not


def _session_scope(filters: dict[str, Any]) -> str:
    from mem0.memory import main  # type: ignore[import-untyped, unused-ignore]

    build = getattr(main, "_build_session_scope", None)  # from 2.0 on; some 2.x escape, some do not
    return "" if build is None else str(build(filters))


def forget(memory: Any, memory_ids: Sequence[str], scopes: Sequence[str]) -> None:
    """Remove the history of memories and the messages of session scopes, from the file as well.

    Raises:
        StoreBusyError: another process reads the write-ahead log.
        sqlite3.Error: the database could not be written.
    """
    database = memory.db
    with database._lock:
        connection = database.connection
        with connection:
            for ids in _parts(memory_ids):
                connection.execute(f"DELETE FROM history WHERE memory_id IN ({_marks(ids)})", ids)
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'messages'").fetchone():
                for names in _parts(scopes):
                    connection.execute(f"DELETE FROM messages WHERE session_scope IN ({_marks(names)})", names)
        # Deleted rows are overwritten with zeros, but for copies that SQLite leaves behind when it moves rows between
        # pages (seen with 3.40: one text in 6,000 deletions). A file that is written anew has none.
        connection.execute("VACUUM")
        if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise StoreBusyError(
                    "Mem0's history database is read by another process, so that deleted texts are still in its "
                    "write-ahead log: do it again"
                )


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[start : start + IDS_PER_STATEMENT] for start in range(0, len(values), IDS_PER_STATEMENT))


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
