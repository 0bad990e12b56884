"""Active reads of the embedded engine: the shard is replaced only while no read is active."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Reads:
    """Tracks active reads, so that the shard is replaced only while no read is active."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._count = 0
        self._barred = False

    def __enter__(self) -> None:
        with self._changed:
            while self._barred:
                self._changed.wait()
            self._count += 1

    def __exit__(self, *exc: object) -> None:
        with self._changed:
            self._count -= 1
            if self._barred and not self._count:
                self._changed.notify_all()

    @contextmanager
    def none(self) -> Iterator[None]:
        """Wait until the reads under way are done, and let none begin."""
        with self._changed:
            self._barred = True
            while self._count:
                self._changed.wait()
        try:
            yield
        finally:
            with self._changed:
                self._barred = False
                self._changed.notify_all()
