"""Giving entries the keys that they lack, in the background, once for each collection and process.

A large collection takes minutes (0.3 ms for an entry), which no request waits for. The end of the process may cut it
short: the next opening goes on.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

from ....errors import PersistentMemoryError, StorePermissionError
from ....io.steps import Steps, run
from ..manifest import LAYOUT, Descriptor
from ..migrations import fills_of
from .client import RetryingClient
from .migrate import fill_in, migrate

PATIENCE: Final = 5.0
"""Seconds that closing waits for a request that is under way."""

logger = logging.getLogger("crewai_persistent_memory")


class Migrations:
    """What the connections of a process do once for each collection of a server.

    Args:
        where: the server's address, for messages.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._started: set[str] = set()
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()

    def open(self, client: RetryingClient, collection: str, descriptor: Descriptor) -> Steps[Any]:
        """Migrate a collection that exists, and begin to fill it in. Returns its descriptor.

        Raises:
            StorePermissionError: see :func:`~.migrate.migrate`.
        """
        if collection in self._started:
            return descriptor
        descriptor = yield from migrate(client, collection, descriptor, self._where)
        self._started.add(collection)
        if descriptor.layout >= LAYOUT and not self._stop.is_set():
            # A daemon: the interpreter does not wait for it, but for close(), which stops it.
            thread = threading.Thread(
                target=self._fill, args=(client.again("a migration"), collection), name="memory-migration", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        return descriptor

    def close(self) -> None:
        """Stop after the request that is under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def forget_after_fork(self) -> None:
        """The threads did not come along; the parent goes on with them."""
        self._threads = []
        self._stop = threading.Event()

    def _fill(self, client: RetryingClient, collection: str) -> None:
        try:
            for fill in fills_of(LAYOUT):
                filled = run(fill_in(client, collection, fill, self._stop.is_set))
                if filled:
                    logger.info("%d entries of collection %r now have %r", filled, collection, fill.key)
        except StorePermissionError:
            logger.info("this key may not complete the entries of %r: a worker whose key may will do it", collection)
        except PersistentMemoryError as error:
            logger.warning("entries of %r were not completed: the next opening tries again: %s", collection, error)
