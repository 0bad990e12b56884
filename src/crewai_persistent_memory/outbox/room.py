"""Whether the disk of a queue has room for another write."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ..errors import StoreFullError
from .database import LOOKS_EVERY, Database

_ROOM: Final = 8 * 2**20
"""Bytes that have to be free beside what the queue holds: a write is changed when it is sent and deleted when it is
taken, and SQLite writes both anew before it makes room. On a full disk nothing could be delivered any more."""

_PLENTY: Final = 256 * 2**20
"""Bytes beyond that which are not used up before the disk is looked at again."""


class Room:
    """The disk of a queue."""

    def __init__(self, database: Database, most_bytes: int, held: Callable[[], int]) -> None:
        """
        Args:
            database: on the disk.
            most_bytes: that the queue may hold.
            held: tells the bytes that it holds.
        """
        self._database = database
        self._most_bytes = most_bytes
        self._held = held
        self._plenty_until = 0.0

    def require(self, size: int) -> None:
        """Refuse a write of ``size`` bytes on a disk that is nearly full.

        Raises:
            StoreFullError: see above.
        """
        if size < _ROOM and time.monotonic() < self._plenty_until:
            return
        free = self._database.free()
        if free >= self._most_bytes + 2 * size + _PLENTY:
            self._plenty_until = time.monotonic() + LOOKS_EVERY
            return
        needed = self._held() + 2 * size + _ROOM
        if free < needed:
            self._database.truncate_log()  # it keeps the size that it once had
            free = self._database.free()
        if free < needed:
            raise StoreFullError(
                f"the disk of the outbox at {self._database.folder} has {free >> 20} MiB left, and {needed >> 20} are "
                "needed to deliver what is accepted. This write was not accepted. Make room"
            )
