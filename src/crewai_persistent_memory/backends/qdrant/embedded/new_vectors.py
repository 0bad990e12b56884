"""Vectors of a new embedder, while the store's own is still in use: a SQLite file beside the shard.

It outlives the process, so that a change of the embedder goes on where it ended. A vector is kept with a digest of its
text, and no text. What is deleted from the store is deleted here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import sys
import threading
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ....embedding import Fingerprint
from ....io.private_files import open_private
from ..engine_requests import NewVector
from ..point_vectors import dense_vectors
from .directory import NEW_VECTORS, StoreDirectory

_MOST_IDS: Final = 500


class NewVectors:
    """See the module. No method may be called in a forked child."""

    def __init__(self, directory: StoreDirectory) -> None:
        self._file = directory.path / NEW_VECTORS
        self._journal = directory.path / f"{NEW_VECTORS}-journal"
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    @property
    def exist(self) -> bool:
        """Whether a change was begun and not ended."""
        return self._connection is not None or self._file.exists()

    def begin(self, fingerprint: Fingerprint) -> None:
        """Begin, or go on if the vectors that are there are of the same embedder. Those of another one are removed."""
        with self._lock:
            connection = self._open()
            found = connection.execute("SELECT fingerprint FROM made_by").fetchone()
            if found is not None and Fingerprint.from_json(json.loads(found[0])).same_vectors(fingerprint):
                return
            with connection:
                connection.execute("DELETE FROM vectors")
                connection.execute("DELETE FROM made_by")
                connection.execute("INSERT INTO made_by VALUES (?)", (json.dumps(fingerprint.to_json()),))

    def known(self, contents: Mapping[str, str]) -> set[str]:
        """The points that have a vector of their text."""
        found = self._rows("SELECT id, digest FROM vectors WHERE id IN ({})", list(contents))
        return {id for id, digest in found if digest == _digest(contents[id])}

    def count(self) -> int:
        """How many points have a vector, of their text or an earlier one."""
        with self._lock:
            return int(self._open().execute("SELECT count(*) FROM vectors").fetchone()[0]) if self.exist else 0

    def keep(self, vectors: Sequence[NewVector]) -> None:
        """Keep vectors. When this returns they outlive the process."""
        rows = [
            (new.id, _digest(new.content), *map(_packed, ([new.dense], new.passages, new.tokens))) for new in vectors
        ]
        with self._lock, self._open() as connection:
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?, ?)", rows)

    def vectors_of(self, contents: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """The vectors of points, as the engine takes them, by their ids. Those of an earlier text are left out."""
        found = self._rows("SELECT id, digest, dense, passages, tokens FROM vectors WHERE id IN ({})", list(contents))
        vectors: dict[str, dict[str, Any]] = {}
        for id, digest, *packed in found:
            if digest == _digest(contents[id]):
                [whole], passages, tokens = map(_unpacked, packed)
                vectors[id] = dense_vectors(NewVector(id, contents[id], whole, passages, tokens))
        return vectors

    def dimensions(self) -> int | None:
        """The length of a vector; ``None`` if there is none."""
        with self._lock:
            found = self._open().execute("SELECT dense FROM vectors LIMIT 1").fetchone()
        return None if found is None else len(_unpacked(found[0])[0])

    def remove(self, ids: Iterable[str]) -> None:
        """Remove the vectors of points that are deleted."""
        with self._lock, self._open() as connection:
            connection.executemany("DELETE FROM vectors WHERE id = ?", [(id,) for id in ids])

    def close(self) -> None:
        """Close the file, and keep it."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def discard(self) -> None:
        """Remove the file."""
        self.close()
        for file in (self._file, self._journal):
            with contextlib.suppress(FileNotFoundError):
                file.unlink()

    def _rows(self, query: str, ids: Sequence[str]) -> list[Any]:
        found: list[Any] = []
        with self._lock:
            connection = self._open()
            for start in range(0, len(ids), _MOST_IDS):
                some = ids[start : start + _MOST_IDS]
                found += connection.execute(query.format(", ".join("?" * len(some))), some).fetchall()
        return found

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            os.close(open_private(self._file, os.O_RDWR | os.O_CREAT))
            connection = sqlite3.connect(self._file, check_same_thread=False)
            connection.execute("PRAGMA secure_delete = ON")
            with connection:
                connection.execute("CREATE TABLE IF NOT EXISTS made_by (fingerprint TEXT)")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS vectors (id TEXT PRIMARY KEY, digest BLOB, dense BLOB, passages BLOB)"
                )
                columns = {row[1] for row in connection.execute("PRAGMA table_info(vectors)")}
                if "tokens" not in columns:  # a file that was begun before there were token vectors has none
                    connection.execute("ALTER TABLE vectors ADD COLUMN tokens BLOB")
            self._connection = connection
        return self._connection


def _digest(content: str) -> bytes:
    return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _packed(vectors: Sequence[Sequence[float]]) -> bytes:
    """The length of one, and then all of them, in single precision: the engine keeps them in half."""
    numbers = array("f", [float(len(vectors[0]) if vectors else 0)])
    for vector in vectors:
        numbers.extend(map(float, vector))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _unpacked(data: bytes | None) -> list[list[float]]:
    if data is None:
        return []
    numbers = array("f", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    values = numbers.tolist()
    length = int(values[0])
    return [values[start : start + length] for start in range(1, len(values), length)] if length else []
