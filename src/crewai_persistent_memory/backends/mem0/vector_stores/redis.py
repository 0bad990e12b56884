"""Redis with its search module: users compared with case, ids found, indexes that stay.

Seen with mem0ai 2.2.1, RediSearch 2.10.5: tags are compared without case; a filter by a field that has no index finds
nothing; Mem0 drops the index each time it opens it, under the other processes; three backticks in metadata make a
memory unreadable; one that does not exist is an error; a search by words needs nltk and its lists of words.
"""

from __future__ import annotations

import importlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ....errors import ConfigurationError, RequestRefusedError, StoreBusyError
from ..compat import rows_in
from .corrected import CorrectedStore, is_of
from .table import Provider

_TAGS: Final = frozenset({"user_id", "agent_id", "run_id"})
"""The fields with an index."""
_COLUMNS: Final = frozenset({*_TAGS, "hash", "data", "created_at", "updated_at"})
"""What Mem0 keeps beside the JSON text of the other fields."""
_PACKED: Final = "crewai_packed"
_TIMEOUT: Final = 10.0
"""Seconds without an answer. Redis's client waits for ever."""
_POLL: Final = 0.02
"""Seconds between two looks at an index that is being made."""


def keep_indexes() -> None:
    """Before Mem0 opens Redis: an index that exists stays. Its data would stay as well, but is not found until all of
    it was read again."""
    module: Any = importlib.import_module("mem0.vector_stores.redis")
    if hasattr(module.SearchIndex, "is_kept"):
        return

    class KeptIndex(module.SearchIndex):  # type: ignore[misc]
        is_kept = True

        def create(self, overwrite: bool = False, drop: bool = False) -> None:
            try:
                super().create(overwrite=False, drop=False)
            except Exception as error:
                if "already exists" not in str(error):  # another process was faster
                    raise

    module.SearchIndex = KeptIndex


class Redis(CorrectedStore):
    """An index of Redis's."""

    def __init__(self, store: Any, provider: Provider, settings: Mapping[str, Any], patience: float) -> None:
        super().__init__(store, provider, settings, patience)
        pool = store.client.connection_pool
        pool.connection_kwargs["socket_timeout"] = _TIMEOUT
        pool.disconnect()
        self._check_index()

    def _check_index(self) -> None:
        about = self.store.index.info()
        found = re.search(r"'dim', (\d+)", str(about["attributes"]))
        if found is None or int(found[1]) != self.length:
            raise ConfigurationError(
                f"local_mem0_config: the index of the vector store 'redis' holds vectors of "
                f"{found and found[1]} numbers, and embedding_model_dims of vector_store is {self.length} (1536 "
                "unless given)"
            )
        end = time.monotonic() + _TIMEOUT
        while float(self.store.index.info()["percent_indexed"]) < 1:  # one that is new reads all keys first
            if time.monotonic() > end:
                raise StoreBusyError("Redis still reads its memories into the index, and would not find all of them")
            time.sleep(_POLL)

    @property
    def length(self) -> int:
        """Redis leaves other vectors out of its index, without an error."""
        return int(self.store.embedding_model_dims)

    def nearest(self, query: str, vector: Any, wanted: int, filters: Mapping[str, Any] | None) -> Sequence[Any]:
        assert self.most is not None
        mine: list[Any] = []
        for asked in dict.fromkeys([wanted, self.most]):
            rows = super().nearest(query, vector, asked, _indexed(filters))
            mine = [row for row in self._read(rows) if is_of(row, filters)]
            if len(rows) < asked or len(mine) >= wanted:
                break
        return mine

    def with_words(self, query: str, wanted: int, filters: Mapping[str, Any] | None) -> Any:
        return None

    def listed(self, filters: Mapping[str, Any] | None, wanted: int) -> Sequence[Any]:
        assert self.most is not None
        is_plain = set(filters or {}) <= _TAGS
        for asked in dict.fromkeys([min(wanted, self.most) if is_plain else self.most, self.most]):
            rows = rows_in(self.store.list(filters=_indexed(filters), top_k=asked))
            mine = [row for row in self._read(rows) if is_of(row, filters)]
            if len(rows) < asked or len(mine) >= wanted:
                return mine[:wanted]
        raise RequestRefusedError(
            f"Redis lists {self.most} memories of one owner at most, and there are more: a count would be wrong. Use "
            "qdrant or pgvector"
        )

    def row(self, id: str) -> Any:
        if not self.store.index.fetch(id):  # of which Mem0 expects None, and it is an empty dict
            return None
        return next(iter(self._read([super().row(id)])), None)

    def added(self, vectors: Sequence[Any], payloads: Any, ids: Any) -> None:
        super().added(vectors, [_written(payload) for payload in payloads], ids)

    def changed(self, id: str, vector: Any, payload: Any) -> None:
        super().changed(id, vector, _written(payload))

    def _read(self, rows: Sequence[Any]) -> list[Any]:
        """The rows of this collection. The index has those of every collection whose name begins like this one's:
        ``mem0`` those of ``mem0_entities``."""
        with self.store.client.pipeline(transaction=False) as pipeline:
            for row in rows:
                pipeline.exists(f"{self.store.schema['index']['prefix']}:{row.id}")
            mine = [row for row, is_here in zip(rows, pipeline.execute(), strict=True) if is_here]
        for row in mine:
            row.payload = _payload_of(row.payload)
        return mine


def _indexed(filters: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: with_case(value) for key, value in (filters or {}).items() if key in _TAGS}


def _written(payload: Mapping[str, Any]) -> dict[str, Any]:
    columns = {key: value for key, value in payload.items() if key in _COLUMNS}
    rest = {key: value for key, value in payload.items() if key not in _COLUMNS}
    text = json.dumps(rest)
    if "`" in text:
        rest = {_PACKED: text.replace("%", "%25").replace("`", "%60")}
    return {**columns, **{key: with_case(columns[key]) for key in _TAGS & set(columns)}, **rest}


def _payload_of(stored: Mapping[str, Any]) -> dict[str, Any]:
    packed = stored.get(_PACKED)
    rest = json.loads(packed.replace("%60", "`").replace("%25", "%")) if packed else {}
    read = {**stored, **{key: without_case(stored[key]) for key in _TAGS & set(stored)}, **rest}
    read.pop(_PACKED, None)
    return read


def with_case(name: Any) -> Any:
    """A name that differs from another one in more than the case of its letters.

    Names of ours have capital letters, and escapes (``%2C``) with capital digits. A capital letter becomes an escape,
    with small digits as all of them.
    """
    if not isinstance(name, str):
        return name
    return re.sub(r"%[0-9A-F]{2}|[A-Z]", lambda found: _escape(found[0]), name)


def _escape(found: str) -> str:
    return found.lower() if found[0] == "%" else f"%{ord(found):02x}"


def without_case(name: Any) -> Any:
    """The name that :func:`with_case` was given."""
    if not isinstance(name, str):
        return name

    def read(found: re.Match[str]) -> str:
        letter = chr(int(found[0][1:], 16))
        return letter if "A" <= letter <= "Z" else found[0].upper()

    return re.sub(r"%[0-9a-f]{2}", read, name)
