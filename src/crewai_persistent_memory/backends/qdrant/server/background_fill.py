"""Giving entries the keys that they lack, in the background, for each collection that a process has opened.

A large collection takes minutes (1 ms for an entry), which no request waits for. The end of the process may cut it
short: the next opening goes on. While a deployment replaces workers of an older version, they go on saving entries
without the keys, so a collection is looked at some more times after it was opened. Each look is one request.
"""

from __future__ import annotations

import heapq
import logging
import queue
import threading
import time
from typing import Any, Final

from ....errors import PersistentMemoryError, StoreMissingError, StorePermissionError
from ....io.steps import Steps, run
from ..manifest import LAYOUT, Descriptor
from ..migrations import MIGRATIONS, fills_of
from .bootstrap import read_descriptor
from .client import RetryingClient
from .encode import encode
from .migrate import fill_in, migrate

AGAIN_AFTER: Final = (60.0, 600.0, 3600.0)
"""Seconds from each look at a collection to the next."""

PATIENCE: Final = 5.0
"""Seconds that closing waits for a request that is under way."""

logger = logging.getLogger("crewai_persistent_memory")


class Migrations:
    """Background work that a process does once for each collection of a server.

    Args:
        where: the server's address, for messages.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._opened: dict[str, int] = {}
        self._lock = threading.Lock()
        self._forget()

    def open(self, client: RetryingClient, collection: str, descriptor: Descriptor) -> Steps[Any]:
        """Migrate a collection that exists, and begin to fill it in. Returns its descriptor.

        Raises:
            StorePermissionError: see :func:`~.migrate.migrate`.
        """
        left_at = self._opened.get(collection)
        if left_at is not None and descriptor.layout >= left_at:
            return descriptor  # anything less was restored from a backup since
        descriptor = yield from migrate(client, collection, descriptor, self._where)
        self._opened[collection] = descriptor.layout
        if descriptor.layout >= LAYOUT:
            self._fill_later(client.again("a migration"), collection, descriptor.language)
        return descriptor

    def close(self) -> None:
        """Stop after the request that is under way."""
        with self._lock:
            self._closed.set()
            thread = self._thread
        if thread is not None:
            self._new.put(None)
            thread.join(PATIENCE)

    def forget_after_fork(self) -> None:
        """The thread did not come along; the parent goes on with it."""
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._closed = threading.Event()
        self._new: queue.SimpleQueue[tuple[RetryingClient, str, str] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def _fill_later(self, client: RetryingClient, collection: str, language: str) -> None:
        with self._lock:
            if self._closed.is_set():
                return
            self._new.put((client, collection, language))
            if self._thread is None:
                # A daemon: the interpreter does not wait for it, but for close(), which stops it.
                self._thread = threading.Thread(target=self._work, name="memory-migration", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        due: list[tuple[float, str, int, str, RetryingClient]] = []
        while True:
            try:
                new = self._new.get(timeout=max(0.0, due[0][0] - time.monotonic()) if due else None)
            except queue.Empty:
                _, collection, looks, language, client = heapq.heappop(due)
            else:
                if new is None:
                    return
                (client, collection, language), looks = new, 0
            self._fill(client, collection, language)
            if looks < len(AGAIN_AFTER):
                heapq.heappush(due, (time.monotonic() + AGAIN_AFTER[looks], collection, looks + 1, language, client))

    def _fill(self, client: RetryingClient, collection: str, language: str) -> None:
        try:
            stored: Descriptor | None = run(read_descriptor(client, collection, self._where))
            if stored is None or stored.moved_to is not None:
                return  # its memories have moved, for another embedder
            for fill in fills_of(LAYOUT):
                filled = run(fill_in(client, collection, fill, self._closed.is_set))
                if filled:
                    logger.info("%d entries of collection %r now have %r", filled, collection, fill.key)
            if any(step.encodes for step in MIGRATIONS):
                encoded = run(encode(client, collection, language, self._closed.is_set))
                if encoded:
                    logger.info("%d entries of collection %r have new keywords", encoded, collection)
        except StoreMissingError:
            logger.info("collection %r was deleted: its entries are not completed", collection)
        except StorePermissionError:
            logger.info("this key may not complete the entries of %r: a worker whose key may will do it", collection)
        except PersistentMemoryError as error:
            logger.warning("entries of %r were not completed: the next look tries again: %s", collection, error)
