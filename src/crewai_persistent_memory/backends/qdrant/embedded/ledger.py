"""The ledger: a list of the entries that an embedded store must have. It detects and names lost entries.

The engine opens a shard with damaged files silently, with fewer entries. Every write appends one line for each entry to
the ledger:

    ? <point>                    a write begins; until the next line for this point, both states are valid. There is
                                 none for a point that is known to be new: it is not in the ledger yet
    + <point> <sum> <entry id>   the point exists, with this checksum of its payload
    - <point>                    a delete begins

Every line ends with its own checksum, so a damaged line is detected and skipped. When a write returns, its lines
survive ``kill -9``, like the engine's log. Both are synced to disk together.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from ....io.private_files import open_private

_to_json = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_decode = json.JSONDecoder().raw_decode
_ID_FIRST: Final = '{"id":'


class Known(NamedTuple):
    """An entry that must exist: its id, and the checksum of its payload (``None``: both states are valid)."""

    entry_id: str
    checksum: str | None


class LedgerContent(NamedTuple):
    entries: dict[str, Known]
    whole: bool
    """Whether no line was damaged."""
    lines: int


def checksum(payload: Mapping[str, Any]) -> str:
    """The checksum of a payload, without the access time."""
    if "last_accessed" in payload:
        payload = {key: value for key, value in payload.items() if key != "last_accessed"}
    return f"{zlib.crc32(_to_json(payload).encode()):08x}"


class Ledger:
    """The open ledger file. The caller serializes writes to it, together with the engine's writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def open(self) -> None:
        self._file = open_private(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def doubt(self, points: Iterable[str]) -> None:
        """Record that a write of these points begins."""
        self._append([f"? {point}" for point in points])

    def add(self, points: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Record that these points exist, with these payloads."""
        self._append([_there(point, payload) for point, payload in points])

    def remove(self, points: Iterable[str]) -> None:
        """Record that a delete of these points begins."""
        self._append([f"- {point}" for point in points])

    def sync(self) -> None:
        """Sync the file to disk."""
        assert self._file is not None
        os.fsync(self._file)

    def _append(self, lines: Sequence[str]) -> None:
        data = b"".join([_with_sum(line) for line in lines])
        assert self._file is not None
        while data:
            data = data[os.write(self._file, data) :]

    def read(self) -> LedgerContent:
        """The entries that must exist."""
        entries: dict[str, Known] = {}
        whole, count = True, 0
        for raw in self.path.read_bytes().splitlines():
            count += 1
            line, _, stated = raw.rpartition(b" ")
            if stated != _sum(line):
                whole = False
                continue
            sign, point, *rest = line.decode().split(" ", 3)
            if sign == "+":
                entries[point] = Known(json.loads(rest[1]), rest[0])
            elif sign == "-":
                entries.pop(point, None)
            elif point in entries:
                entries[point] = Known(entries[point].entry_id, None)
        return LedgerContent(entries, whole, count)

    def shortened(self) -> bytes:
        """The same content with one line for each entry, for a new file."""
        lines = []
        for point, known in self.read().entries.items():
            lines.append(f"+ {point} {known.checksum or '?'} {json.dumps(known.entry_id)}")
            if known.checksum is None:
                lines.append(f"? {point}")
        return b"".join(map(_with_sum, lines))


def content_of(points: Iterable[tuple[str, Mapping[str, Any]]]) -> bytes:
    """The content of a ledger for these points and payloads."""
    return b"".join(_with_sum(_there(point, payload)) for point, payload in points)


def _there(point: str, payload: Mapping[str, Any]) -> str:
    return f"+ {point} {checksum(payload)} {_entry_id(payload['record'])}"


def _entry_id(record: str) -> str:
    """The entry's id in a record, as JSON."""
    if record.startswith(_ID_FIRST):
        _, end = _decode(record, len(_ID_FIRST))
        return record[len(_ID_FIRST) : end]
    return json.dumps(json.loads(record)["id"])


def _sum(line: bytes) -> bytes:
    return b"%08x" % zlib.crc32(line)


def _with_sum(line: str) -> bytes:
    data = line.encode()
    return b"%b %b\n" % (data, _sum(data))
