"""Which entries an embedded store must have, so that a loss is noticed and named.

The engine opens with what it finds: where its files were damaged, it has fewer entries and says nothing. This file is
appended to at every write, one line for each entry:

    ? <point>                    a write of it begins; until the next line about it, either state is right
    + <point> <sum> <entry id>   it is there, with this checksum of its payload
    - <point>                    it is about to be deleted

Every line ends with its own checksum, so a damaged line is left out and noticed. Like the engine's log, it survives
``kill -9`` as soon as a write returns, and is brought to the disk together with it.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ....io.private_files import open_private

_to_json = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class Known(NamedTuple):
    """An entry that must be there: its id, and the checksum of its payload (``None``: either state is right)."""

    entry_id: str
    checksum: str | None


class LedgerContent(NamedTuple):
    entries: dict[str, Known]
    whole: bool
    """No line was damaged."""
    lines: int


def checksum(payload: Mapping[str, Any]) -> str:
    """Of all that makes an entry, but for when it was last read."""
    return f"{zlib.crc32(_to_json({k: v for k, v in payload.items() if k != 'last_accessed'}).encode()):08x}"


def entry_id(payload: Mapping[str, Any]) -> str:
    return str(json.loads(payload["record"])["id"])


class Ledger:
    """The open file. Writes to it come one after the other, with the engine's."""

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
        """A write of these begins."""
        self._append(f"? {point}" for point in points)

    def add(self, points: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """These are there, with these payloads."""
        self._append(_there(point, payload) for point, payload in points)

    def remove(self, points: Iterable[str]) -> None:
        """These are about to be deleted."""
        self._append(f"- {point}" for point in points)

    def sync(self) -> None:
        """Bring what was appended to the disk."""
        assert self._file is not None
        os.fsync(self._file)

    def _append(self, lines: Iterable[str]) -> None:
        data = b"".join(_with_sum(line) for line in lines)
        assert self._file is not None
        while data:
            data = data[os.write(self._file, data) :]

    def read(self) -> LedgerContent:
        """What must be there."""
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
        """A new file's content that says the same in one line for each entry."""
        lines = []
        for point, known in self.read().entries.items():
            lines.append(f"+ {point} {known.checksum or '?'} {json.dumps(known.entry_id)}")
            if known.checksum is None:
                lines.append(f"? {point}")
        return b"".join(map(_with_sum, lines))


def content_of(points: Iterable[tuple[str, Mapping[str, Any]]]) -> bytes:
    """A ledger's content that says of these points that they are there, with these payloads."""
    return b"".join(_with_sum(_there(point, payload)) for point, payload in points)


def _there(point: str, payload: Mapping[str, Any]) -> str:
    return f"+ {point} {checksum(payload)} {json.dumps(entry_id(payload))}"


def _sum(line: bytes) -> bytes:
    return b"%08x" % zlib.crc32(line)


def _with_sum(line: str) -> bytes:
    data = line.encode()
    return data + b" " + _sum(data) + b"\n"
