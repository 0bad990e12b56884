"""Payloads that searches have read, kept until their points are written: to read them again takes as long as to find
them."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, Final

from ..codec import KnownPayload

MOST_KEPT: Final = 16_000_000
"""Characters of what was read lately, at most. As many older ones may be kept beside them."""

LONGEST_KEPT: Final = 20_000
"""Characters. A point with more of them is read each time: few of them would take the place of all others."""

_BESIDE: Final = 1_000
"""Characters. What is kept of a point takes as much space beside its text, about."""

_MOST_NUMBERED: Final = 10_000
"""Points of which it is known which write was their last one."""

_NOW: Final = math.inf
"""The number of a write that is under way: later than any search."""


class KnownPoints:
    """What is known of the points of one shard. Only this process writes to the shard, and says so here first.

    It is no check of who may see what: a search asks for the payloads of points that the engine has found for it.

    Attributes:
        writes: a number that grows with each write. A search takes it before it asks for points.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[int, KnownPayload] = {}
        self._before: dict[int, KnownPayload] = {}
        self._characters = 0
        self.writes = 0
        self._writing = 0
        self._accesses = 0
        self._accessing = 0
        self._total: tuple[int, int] | None = None
        self._last_writes: dict[int, float] = {}
        self._last_of_any: float = 0

    def payloads(
        self, shard: Any, points: Sequence[Any], selector: Any, since: int, *, one_by_one: bool = False
    ) -> list[KnownPayload | None] | None:
        """The payload of each of these points, in their order; ``None`` for one that was deleted meanwhile.

        Args:
            shard: the shard.
            points: what a query has found.
            selector: the keys to read.
            since: :attr:`writes` before the query.
            one_by_one: read each by itself. Ten texts of 1 MB in one answer hold the interpreter's lock for 70 ms.

        Returns:
            ``None`` if one of the points was written since: it may no longer meet the conditions of the query.
        """
        ids = list(map(_id, points))  # once: the engine makes a new UUID each time
        keys = list(map(_int, ids))
        # Before the first look: what is written from here on is not kept.
        writes, before = (self.writes, self._accesses), self._before
        found = list(map(self._known.get, keys))
        if None not in found:
            return None if self._were_written(keys, since) else found
        missing = []
        for at, payload in enumerate(found):
            if payload is None:
                payload = found[at] = before.get(keys[at])
                if payload is None:
                    missing.append(ids[at])
        if missing:
            read: dict[int, KnownPayload] = {}
            for some in [[id] for id in missing] if one_by_one else [missing]:
                for record in shard.retrieve(some, with_payload=selector, with_vector=False):
                    read[record.id.int] = KnownPayload(record.payload or {})
            found = [read.get(key) if payload is None else payload for key, payload in zip(keys, found, strict=True)]
        self._keep(keys, found, writes)
        return None if self._were_written(keys, since) else found

    def total(self, shard: Any, count: Any) -> int:
        """The number of all points, without a look at them.

        Args:
            shard: the shard.
            count: the engine's request.
        """
        writes, known = self.writes, self._total
        if known is not None and known[0] == writes:
            return known[1]
        total: int = shard.count(count)
        if not self._writing:
            self._total = writes, total
        return total

    @contextmanager
    def written(self, points: Iterable[str] | None = None) -> Iterator[None]:
        """Points are written in the block: nothing that is known of them holds, and nothing becomes known meanwhile.

        Args:
            points: their ids; ``None``: any.
        """
        keys = None if points is None else list(map(_key_of, points))
        with self._lock:
            self._writing += 1
            self.writes += 1
            self._number(keys, _NOW)
            if keys is None:
                self._forget()
            else:
                for key in keys:
                    self._known.pop(key, None)
                    self._before.pop(key, None)
        try:
            yield
        finally:
            with self._lock:
                # In this order: a search looks first whether a write is under way, and then for its number.
                self.writes += 1
                self._number(keys, self.writes)
                self._writing -= 1

    @contextmanager
    def accessed(self, points: Iterable[str], moment: str) -> Iterator[None]:
        """The time when these points were read is written in the block. All else that is known of them holds.

        Args:
            points: their ids.
            moment: the time, as it is written.
        """
        keys = list(map(_key_of, points))
        with self._lock:
            self._accessing += 1
            self._accesses += 1
        is_written = False
        try:
            yield
            is_written = True
        finally:
            with self._lock:
                for known in (self._known, self._before):
                    for key in keys:
                        payload = known.pop(key, None)
                        if payload is not None and is_written:
                            known[key] = payload.accessed(moment)
                self._accesses += 1
                self._accessing -= 1

    def was_written(self, point: str, since: int) -> bool:
        """Whether a point was written since it was found, or is being written.

        Args:
            point: its id.
            since: :attr:`writes` before it was looked for.
        """
        return self._were_written([_key_of(point)], since)

    def _number(self, keys: Sequence[int] | None, number: float) -> None:
        """Note the number of the last write of these points; ``None``: of any."""
        if keys is None:
            self._last_of_any = number
            self._last_writes.clear()
        else:
            self._last_writes.update(dict.fromkeys(keys, number))
            if number is not _NOW and len(self._last_writes) > _MOST_NUMBERED:
                self._last_of_any = number
                self._last_writes.clear()

    def _were_written(self, keys: Sequence[int], since: int) -> bool:
        if not self._writing and self.writes == since:
            return False
        with self._lock:
            return self._last_of_any > since or any(self._last_writes.get(key, 0) > since for key in keys)

    def forget(self) -> None:
        """Keep nothing of what was read until now."""
        with self._lock:
            self.writes += 1
            self._forget()

    def _forget(self) -> None:
        # New ones, and not emptied: a search may be reading them.
        self._known, self._before, self._characters = {}, {}, 0

    def _keep(self, keys: Sequence[int], found: Sequence[KnownPayload | None], writes: tuple[int, int]) -> None:
        with self._lock:
            if self._writing or self._accessing or writes != (self.writes, self._accesses):
                return  # what was read may be older than what was written
            for key, payload in zip(keys, found, strict=True):
                if payload is None or key in self._known:
                    continue
                length = _length_of(payload)
                if length > LONGEST_KEPT:
                    continue
                if self._characters + length + _BESIDE > MOST_KEPT:
                    # The older ones go at once: to order them by use would take a call for each that is found.
                    self._before, self._known, self._characters = self._known, {}, 0
                self._known[key] = payload
                self._characters += length + _BESIDE


_id, _int = attrgetter("id"), attrgetter("int")


def _key_of(point: str) -> int:
    return int(point.replace("-", ""), 16)  # as UUID(point).int, in a fifth of the time


def _length_of(payload: KnownPayload) -> int:
    """The characters of all texts in a payload: metadata and categories may be longer than the content."""
    length = 0
    for value in payload.values():
        if isinstance(value, str):
            length += len(value)
        elif isinstance(value, list):
            length += sum(map(len, value))
    return length
