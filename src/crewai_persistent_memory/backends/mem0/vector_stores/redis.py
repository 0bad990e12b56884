"""Redis with its search module, and Valkey: users compared with case, ids found, listings as long as they are, indexes
that stay. Mem0 writes; what it wrote is searched and read here.

Seen with mem0ai 2.2.1, RediSearch 2.10.5: tags are compared without case; a filter by a field that has no index finds
nothing; one answer has 10,000 results at most, and a late one has fewer without an error; Mem0 drops the index each
time it opens it, under the other processes; three backticks in metadata make a memory unreadable; one that does not
exist is an error; a search by words needs nltk and its lists of words.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from math import sqrt
from typing import Any, Final

from ....errors import ConfigurationError, RequestRefusedError, StoreBusyError
from .corrected import CorrectedStore, Row, is_of
from .table import Provider

_TAGS: Final = ("user_id", "agent_id", "run_id")
"""The fields with an index."""
_FIELDS: Final = ("memory_id", *_TAGS, "hash", "memory", "created_at", "updated_at", "metadata")
"""What Mem0 keeps of a memory, beside its vector. The metadata are JSON text."""
_LONGEST_NAME: Final = 1_000
"""A longer one is a digest in the index: RediSearch cuts tags at 4,096 bytes, and finds none that is longer. Five
fields of 255 letters that are not Latin have 11,000."""
_LONG_KEY: Final = "crewai_long_names"
"""Beside the metadata: such names as they are."""
_AT_ONCE: Final = 1_000
"""Memories that are read with one request."""
_LAST_SECOND: Final = 2**36
_TIMEOUT: Final = 10.0
"""Seconds without an answer. The client waits for ever."""
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

    name = "redis"

    def __init__(self, store: Any, provider: Provider, settings: Mapping[str, Any], patience: float) -> None:
        super().__init__(store, provider, settings, patience)
        self._index, self._prefix = self.place_of(store)
        pool = store.client.connection_pool
        pool.connection_kwargs.update(socket_timeout=_TIMEOUT, protocol=2)
        pool.disconnect()
        self._check_index()

    @staticmethod
    def place_of(store: Any) -> tuple[str, str]:
        """The name of the index, and what its keys begin with."""
        about = store.schema["index"]
        return about["name"], about["prefix"]

    def _check_index(self) -> None:
        length = self._info("dim|dimensions")
        if length is None or int(length) != self.length:
            raise ConfigurationError(
                f"local_mem0_config: the index of the vector store {self.name!r} holds vectors of {length} numbers, "
                f"and embedding_model_dims of vector_store is {self.length} (1536 unless given)"
            )
        end = time.monotonic() + _TIMEOUT
        while float(self._info("percent_indexed|backfill_complete_percent") or 1) < 1:  # a new one reads all keys
            if time.monotonic() > end:
                raise StoreBusyError(
                    f"The vector store {self.name!r} still reads its memories into the index, and would not find all "
                    "of them"
                )
            time.sleep(_POLL)

    def _info(self, names: str) -> str | None:
        """A number of what the search module tells of the index. Redis's and Valkey's nest it differently."""
        told = str(self.store.client.execute_command("FT.INFO", self._index))
        found = re.search(rf"'(?:{names})', b?'?([\d.]+)", told)
        return None if found is None else found[1]

    @property
    def length(self) -> int:
        """Other vectors are left out of the index, without an error."""
        return int(self.store.embedding_model_dims)

    # -- searching ---------------------------------------------------------------------------------------------------

    def nearest(self, query: str, vector: Any, wanted: int, filters: Mapping[str, Any] | None) -> Sequence[Any]:
        """An index of the kind HNSW may find too few: then all of the owner are compared."""
        conditions = " ".join(_conditions(filters))
        answer = self._ask(
            f"{f'({conditions})' if conditions else '*'}=>[KNN {wanted} @embedding $vector AS distance]",
            *("PARAMS", 2, "vector", array("f", vector).tobytes(), "RETURN", 1, "distance", "LIMIT", 0, wanted),
        )
        far = {text_of(key): float(fields[1]) for key, fields in zip(answer[1::2], answer[2::2], strict=True)}
        rows = self._rows(far, filters)
        if len(rows) < wanted and len(keys := list(self._keys(filters))) > len(rows):
            far = {key: cosine_distance(vector, stored) for key, stored in self._vectors(keys)}
            rows = self._rows(far, filters)
        for row in rows:
            row.score = max(0.0, 1.0 - far[self._key(row.id)])
        return sorted(rows, key=lambda row: -row.score)[:wanted]

    def with_words(self, query: str, wanted: int, filters: Mapping[str, Any] | None) -> Any:
        return None

    def listed(self, filters: Mapping[str, Any] | None, wanted: int) -> Sequence[Any]:
        rows = self._rows(self._keys(filters), filters)
        return sorted(rows, key=lambda row: row.payload["created_at"], reverse=True)[:wanted]

    def _keys(self, filters: Mapping[str, Any] | None) -> Iterator[str]:
        """Keys that the index has for a filter. More than one answer holds are asked for by the time they are from."""
        assert self.most is not None
        conditions = _conditions(filters)
        spans: list[tuple[int, int] | None] = [None]
        while spans:
            span = spans.pop()
            within = "@created_at:[{} {}]".format(*(span or ("-inf", "+inf")))
            wanted = " ".join([*conditions, within])
            if self._ask(wanted, "NOCONTENT", "LIMIT", 0, 0)[0] < self.most:
                yield from map(text_of, self._ask(wanted, "NOCONTENT", "LIMIT", 0, self.most)[1:])
            elif span is None:
                spans.append((0, _LAST_SECOND))
            elif span[0] == span[1]:
                raise RequestRefusedError(
                    f"The vector store {self.name!r} has {self.most} memories of one owner from the same second, and "
                    "lists fewer at once: a count would be wrong. Use qdrant or pgvector"
                )
            else:
                middle = (span[0] + span[1]) // 2
                spans += [(middle + 1, span[1]), (span[0], middle)]

    def _ask(self, query: str, *options: Any) -> Any:
        # Without a time limit of ours, a late answer is short, and does not say so; ours is an error before.
        asked = ("FT.SEARCH", self._index, query, *options, "TIMEOUT", round(2_000 * _TIMEOUT), "DIALECT", 2)
        return self.store.client.execute_command(*asked)

    # -- reading and writing -----------------------------------------------------------------------------------------

    def row(self, id: str) -> Any:
        return next(iter(self._rows([self._key(id)], None)), None)

    def added(self, vectors: Sequence[Any], payloads: Any, ids: Any) -> None:
        super().added(vectors, [_written(payload) for payload in payloads], ids)

    def changed(self, id: str, vector: Any, payload: Any) -> None:
        super().changed(id, vector, _written(payload))

    def _key(self, id: str) -> str:
        return f"{self._prefix}:{id}"

    def _rows(self, keys: Iterator[str] | Mapping[str, Any] | Sequence[str], filters: Any) -> list[Any]:
        """The rows of this collection. The index has those of every collection whose name begins like this one's:
        ``mem0`` those of ``mem0_entities``."""
        rows = []
        for key, values in self._fields(list(keys), _FIELDS):
            stored = {name: text_of(value) for name, value in zip(_FIELDS, values, strict=True) if value is not None}
            if key == self._key(stored.get("memory_id", "")):
                rows.append(Row(stored["memory_id"], _payload_of(stored)))
        return [row for row in rows if is_of(row, filters)]

    def _vectors(self, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        return ((key, values[0]) for key, values in self._fields(keys, ("embedding",)) if values[0])

    def _fields(self, keys: Sequence[str], names: Sequence[str]) -> Iterator[tuple[str, list[Any]]]:
        for start in range(0, len(keys), _AT_ONCE):
            part = keys[start : start + _AT_ONCE]
            with self.store.client.pipeline(transaction=False) as pipeline:
                for key in part:
                    pipeline.hmget(key, *names)
                yield from zip(part, pipeline.execute(), strict=True)


def text_of(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def cosine_distance(one: Sequence[float], stored: bytes) -> float:
    other = array("f", stored)
    lengths = sqrt(sum(number * number for number in one)) * sqrt(sum(number * number for number in other))
    return 1.0 - sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 1.0


def _conditions(filters: Mapping[str, Any] | None) -> list[str]:
    names = {key: str(tag_of(value)) for key, value in (filters or {}).items() if key in _TAGS}
    safe = {key: re.sub(r"[^A-Za-z0-9_]", lambda found: f"\\{found[0]}", name) for key, name in names.items()}
    return [f"@{key}:{{{name}}}" for key, name in safe.items()]


def _written(payload: Mapping[str, Any]) -> dict[str, Any]:
    names = {key: payload[key] for key in _TAGS if key in payload}
    tags = {key: tag_of(name) for key, name in names.items()}
    long = {key: name for key, name in names.items() if tags[key] != with_case(name)}
    return {**payload, **tags, **({_LONG_KEY: long} if long else {})}


def _payload_of(stored: Mapping[str, str]) -> dict[str, Any]:
    times = {
        name: datetime.fromtimestamp(int(stored[name]), tz=timezone.utc).isoformat(timespec="microseconds")
        for name in ("created_at", "updated_at")
        if name in stored
    }
    metadata = json.loads(stored.get("metadata", "{}"))
    long = metadata.pop(_LONG_KEY, None)
    names = {name: _name_of(stored[name], long, name) for name in _TAGS if name in stored}
    return {
        "hash": stored.get("hash", ""),
        "data": stored.get("memory", ""),
        **times,
        **names,
        **metadata,
    }


def _name_of(tag: str, long: Any, field: str) -> Any:
    """The name that a tag stands for. Of what is kept as a long name only one counts that has this tag."""
    name = long.get(field) if isinstance(long, dict) else None
    return name if name is not None and tag_of(name) == tag else without_case(tag)


def tag_of(name: Any) -> Any:
    """What the index has for a name."""
    tag = with_case(name)
    is_long = isinstance(tag, str) and len(tag) > _LONGEST_NAME
    return hashlib.sha256(tag.encode()).hexdigest() if is_long else tag


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
