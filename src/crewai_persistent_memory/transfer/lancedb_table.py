"""The memory of CrewAI from 1.10 on: a table of LanceDB. It is read as of one version, and nothing is written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from ..entry import MemoryEntry
from ..errors import ConfigurationError, InvalidArgumentError
from ..text.finished_task import request_and_answer, request_and_answer_in
from ..validation import MAX_ID_LENGTH, to_naive_utc
from .sources import FROM, LeftOut, Part, Read

_COLUMNS: Final = (
    *("id", "content", "scope", "categories_str", "metadata_str", "importance"),
    *("created_at", "last_accessed", "source", "private"),
)
"""Those of CrewAI 1.10 to 1.15. The vectors stay: the store that takes the texts embeds them."""
_ROWS: Final = 500


def lancedb_part(table: Path) -> Part:
    """The records of a table, given by its folder, ``memories.lance``."""
    return lambda: _records(table)


def _records(table: Path) -> Iterator[Read]:
    rows = _rows(table)
    # CrewAI does not see to it that an id is there once.
    often = {id for id, count in Counter(rows.column("id").to_pylist()).items() if count > 1}
    for batch in rows.sort_by("created_at").to_batches(max_chunksize=_ROWS):
        for row in batch.to_pylist():
            try:
                yield _entry(row, often, table.stem)
            except (ValueError, TypeError, AttributeError) as error:
                yield LeftOut(str(row["id"]), f"cannot be read: {error}")


def _rows(table: Path) -> Any:
    try:
        import lancedb  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError as error:
        raise ConfigurationError(
            f"{table} is a table of LanceDB, which is not installed here: run this beside CrewAI 1.10 or newer, or "
            "pip install 'crewai-persistent-memory[migrate]'"
        ) from error
    try:
        # LanceDB takes a relative path that begins with "db:" or "s3:" for an address.
        opened = lancedb.connect(str(table.parent.absolute())).open_table(table.stem)
        missing = sorted(set(_COLUMNS) - set(opened.schema.names))
        if missing:
            raise InvalidArgumentError(
                f"{table} has no column {', '.join(missing)}, so it is no memory of CrewAI 1.10 to 1.15: nothing of it "
                "is migrated"
            )
        return opened.search().select(list(_COLUMNS)).limit(max(1, opened.count_rows())).to_arrow()
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InvalidArgumentError(
            f"{table} cannot be read by LanceDB ({reason}): stop the crews that use it, and try again, or migrate a "
            "backup of the folder"
        ) from error


def _entry(row: Mapping[str, Any], often: set[str], table: str) -> MemoryEntry:
    created_at = _time(row["created_at"])
    id, content = str(row["id"]), row["content"] or ""
    # CrewAI keeps a finished task whole if its LLM has not made facts of it.
    if (task := request_and_answer_in(content)) is not None:
        content = request_and_answer(task[0].strip(), task[1])
    if id in often or len(id) > MAX_ID_LENGTH:
        id = blake2b(f"{id}\n{content}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    categories = json.loads(row["categories_str"] or "[]")
    if not isinstance(categories, list):
        raise ValueError(f"categories {categories!r} are no list")
    return MemoryEntry(
        id=id,
        content=content,
        path=row["scope"] or "/",
        categories=tuple(categories),
        metadata={**json.loads(row["metadata_str"] or "{}"), FROM: f"lancedb:{table}"},
        importance=min(1.0, max(0.0, float(row["importance"]))),
        created_at=created_at,
        last_accessed=_time(row["last_accessed"]) if row["last_accessed"] else created_at,
        source=row["source"] or None,
        private=bool(row["private"]),
    )


def _time(text: str) -> datetime:
    # Python 3.10 does not read "Z".
    return to_naive_utc("created_at", datetime.fromisoformat(text.replace("Z", "+00:00")))
