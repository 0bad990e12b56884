"""Short-term and entity memory of CrewAI until 1.9.3: collections of Chroma, in one SQLite file.

The file is read, and not Chroma's client used, because opening a folder with a newer Chroma changes it. Seen with
chromadb 1.1.1, which all CrewAIs from 0.203 to 1.14 install, and 1.5.9:

| table | holds |
| --- | --- |
| ``collections`` | CrewAI's are ``memory_short_term_<roles>``, ``memory_entities_<roles>``, and ``knowledge...`` |
| ``segments`` | of each collection the one with the scope ``METADATA`` |
| ``embeddings`` | a document's id, and when it was added, in UTC |
| ``embedding_metadata`` | its text as ``chroma:document``, the request of a short-term memory as ``observation`` |
| ``embeddings_queue`` | changes. Those after the segment's ``max_seq_id`` are not in the tables above yet |
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from ..entry import ENTITY, MEMORY, MemoryEntry
from ..text.finished_task import answer_in, request_and_answer
from ..validation import to_naive_utc
from .database_copy import reading_a_copy
from .sources import FROM, LeftOut, Part, Read

_KINDS: Final = {"memory_short_term": MEMORY, "memory_entities": ENTITY, "memory_external": MEMORY}
_DOCUMENT: Final = "chroma:document"
_REQUEST: Final = "observation"
_DELETE, _UPDATE = 3, 1
"""Operations of the queue; the others are 0, an add, and 2, an upsert."""


@dataclass
class _Document:
    created_at: str
    values: dict[str, Any] = field(default_factory=dict)


def chroma_part(file: Path) -> tuple[Part | None, list[str]]:
    """The collections that are CrewAI's memory, if there are any, and the names of the others, which stay.

    Raises:
        InvalidArgumentError: the file cannot be read.
    """
    with reading_a_copy(file) as database:
        found = [
            (str(id), str(name)) for id, name in database.execute("SELECT id, name FROM collections ORDER BY name")
        ]
    ours = [each for each in found if _kind_of(each[1]) is not None]
    others = [name for _, name in found if _kind_of(name) is None]
    return (lambda: _memories(file, ours)) if ours else None, others


def _kind_of(collection: str) -> str | None:
    return next((kind for name, kind in _KINDS.items() if collection.startswith(name)), None)


def _memories(file: Path, collections: Sequence[tuple[str, str]]) -> Iterator[Read]:
    with reading_a_copy(file) as database:
        for id, name in collections:
            yield from _in_collection(name, _documents(database, id))


def _in_collection(collection: str, documents: Mapping[str, _Document]) -> Iterator[Read]:
    for id, document in documents.items():
        values = dict(document.values)
        text = str(values.pop(_DOCUMENT, None) or "")
        request = values.pop(_REQUEST, None)
        content = text if request is None else request_and_answer(str(request), answer_in(text))
        if not text.strip() and not str(request or "").strip():
            yield LeftOut(id, "it has no text")
            continue
        try:
            created_at = to_naive_utc("created_at", datetime.fromisoformat(document.created_at))
        except ValueError as error:
            yield LeftOut(id, f"cannot be read: {error}")
            continue
        # Chroma's id is a digest of the answer alone: two crews that gave one answer share it, and a new request with
        # an old answer takes the place of the old one.
        key = f"{collection}\n{id}\n{content}".encode("utf-8", "surrogatepass")
        yield MemoryEntry(
            id=blake2b(key, digest_size=16).hexdigest(),
            content=content,
            metadata={**values, FROM: f"chroma:{collection}"},
            created_at=created_at,
            last_accessed=created_at,
            kind=_kind_of(collection) or MEMORY,
        )


def _documents(database: sqlite3.Connection, collection: str) -> dict[str, _Document]:
    """By id, the oldest first."""
    row = database.execute(
        "SELECT id FROM segments WHERE collection = ? AND scope = 'METADATA'", [collection]
    ).fetchone()
    segment = "" if row is None else str(row[0])
    by_row: dict[int, str] = {}
    found: dict[str, _Document] = {}
    for row, id, created_at in database.execute(
        "SELECT id, embedding_id, created_at FROM embeddings WHERE segment_id = ? ORDER BY id", [segment]
    ):
        by_row[row], found[id] = id, _Document(str(created_at))
    for row, key, *values in database.execute(
        "SELECT embedding_metadata.id, key, string_value, int_value, float_value, bool_value FROM embedding_metadata "
        "JOIN embeddings ON embeddings.id = embedding_metadata.id WHERE segment_id = ?",
        [segment],
    ):
        *others, truth = values
        value = next((each for each in others if each is not None), None if truth is None else bool(truth))
        found[by_row[row]].values[key] = value
    _apply_the_queue(database, collection, segment, found)
    return found


def _apply_the_queue(database: sqlite3.Connection, collection: str, segment: str, found: dict[str, _Document]) -> None:
    applied = 0
    for question in (
        "SELECT seq_id FROM max_seq_id WHERE segment_id = ?",
        "SELECT max(seq_id) FROM embeddings WHERE segment_id = ?",
    ):
        row = database.execute(question, [segment]).fetchone()
        applied = max(applied, _number(row[0]) if row else 0)
    with closing(
        database.execute(
            "SELECT seq_id, created_at, operation, id, metadata FROM embeddings_queue "
            "WHERE topic LIKE '%/' || ? ORDER BY seq_id",
            [collection],
        )
    ) as changes:
        for sequence, created_at, operation, id, metadata in changes:
            if _number(sequence) <= applied:
                continue
            if operation == _DELETE:
                found.pop(id, None)
            elif operation != _UPDATE or id in found:
                document = found.setdefault(id, _Document(str(created_at)))
                changed: Mapping[str, Any] = json.loads(metadata) if metadata else {}
                document.values = {k: v for k, v in {**document.values, **changed}.items() if v is not None}


def _number(value: Any) -> int:
    """Older versions of Chroma have it as bytes."""
    return int.from_bytes(value, "big") if isinstance(value, bytes) else int(value or 0)
