"""State that the connections of one process to one server share: clients, collection profiles, a background thread.

Every connection of a process with the same settings shares one engine, and so its sockets; closing the last one
closes them.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import partial
from typing import Any, Final

from ....config.qdrant import ServerSettings
from ....io.retry import QUIET
from ....io.shared import Shared
from ....io.steps import Steps, run
from ..manifest import Descriptor
from ..said_before import SaidBefore
from .background_fill import Migrations
from .client import RetryingClient
from .clients import Clients
from .deadline import Deadline
from .moves import Target
from .strict_mode import Limits

MOST_PENDING: Final = 1000
"""Background writes (access times) that may wait; what comes on top is left out."""

logger = logging.getLogger("crewai_persistent_memory")


class ServerEngine:
    """State that the connections of one process to one server share.

    Attributes:
        sizes: about how many entries each collection has: those at its opening, and those that this process saved.
        targets: by the name that leads to it, the collection that has the memories; see ``moves``.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.clients = Clients(settings)
        self.version: tuple[int, int] | None = None
        self.descriptors: dict[str, Descriptor] = {}
        self.limits: dict[str, Limits] = {}
        self.sizes: dict[str, int] = {}
        self.names: dict[str, str] = {}
        self.targets: dict[str, Target] = {}
        self._said_before: defaultdict[str, SaidBefore] = defaultdict(SaidBefore)
        self.migrations = Migrations(settings.address)
        self._background: ThreadPoolExecutor | None = None
        self._pending: set[Future[Any]] = set()
        self._lock = threading.Lock()

    def client(self, doing: str, retry_for: float | None = None, deadline: Deadline | None = None) -> RetryingClient:
        """What makes the calls of one request. ``retry_for``: other than the settings say."""
        retry_for = self.settings.retry_for if retry_for is None else retry_for
        return RetryingClient(self.clients, self._forget, doing, retry_for, deadline)

    def said_before(self, collection: str) -> SaidBefore:
        """What is known of the last entries in a collection."""
        return self._said_before[collection]

    def _forget(self, collection: str) -> None:
        self.descriptors.pop(collection, None)
        for name in [name for name, target in list(self.targets.items()) if target.name == collection]:
            self.targets.pop(name, None)

    # -- in the background -----------------------------------------------------------------------------------------

    def in_background(self, steps: Steps[Any]) -> None:
        """Run it on a thread of its own, once; a failure is logged, unless the caller tells of outages itself."""
        with self._lock:
            if len(self._pending) >= MOST_PENDING:
                return
            if self._background is None:
                self._background = ThreadPoolExecutor(1, thread_name_prefix="memory-background")
            future = self._background.submit(copy_context().run, run, steps)
            self._pending.add(future)
        future.add_done_callback(partial(self._done, level=logging.DEBUG if QUIET.get() else logging.WARNING))

    def _done(self, future: Future[Any], level: int) -> None:
        with self._lock:
            self._pending.discard(future)
        error = None if future.cancelled() else future.exception()
        if error is not None:
            logger.log(level, "access times were not updated: %s", error)

    def _finish_background(self) -> None:
        """Let what waits be done, but do not wait long for a server that does not answer."""
        with self._lock:
            background, self._background = self._background, None
            pending = set(self._pending)
        if background is not None:
            _, left = wait(pending, timeout=self.settings.timeout)
            background.shutdown(wait=not left, cancel_futures=True)
            if left:
                logger.warning("access times of the last %d recalls were not updated: the server is slow", len(left))

    def close(self) -> None:
        self._finish_background()
        self.migrations.close()
        self.clients.close()

    async def aclose(self) -> None:
        await asyncio.to_thread(self._finish_background)
        await asyncio.to_thread(self.migrations.close)
        await self.clients.aclose()

    def forget_after_fork(self) -> None:
        self.clients.forget_after_fork()
        self.migrations.forget_after_fork()
        self._lock = threading.Lock()
        self._said_before = defaultdict(SaidBefore)  # they have locks
        self._background = None  # its thread did not come along
        self._pending = set()


# -- engines, shared -----------------------------------------------------------------------------------------------


def _goes_on_after_fork(engine: ServerEngine) -> bool:
    engine.forget_after_fork()
    return True


_engines: Shared[ServerSettings, ServerEngine] = Shared(ServerEngine.close, after_fork=_goes_on_after_fork)


def share(settings: ServerSettings) -> ServerEngine:
    """The engine of these settings; give it back with :func:`release`."""
    return _engines.acquire(settings, lambda: ServerEngine(settings))


def release(engine: ServerEngine) -> None:
    """Give an engine back; the last one closes it."""
    _engines.release(engine.settings, engine)


async def arelease(engine: ServerEngine) -> None:
    """:func:`release`, awaited."""
    await _engines.arelease(engine.settings, engine, ServerEngine.aclose)
