"""Making calls of a server: blocking and awaiting, asked again where that is safe, or in the background.

Every connection of a process with the same settings shares one engine, and so its sockets; closing the last one
closes them.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from ....config.qdrant import ServerSettings
from ....errors import Outcome, PersistentMemoryError, StoreBusyError, StoreMissingError
from ....io import steps
from ....io.retry import Failure, retried
from ....io.steps import Steps
from ..manifest import Descriptor
from .background_fill import Migrations
from .clients import Clients
from .deadline import Deadline
from .errors import classify, request_info
from .requests import Call, Calls, Work
from .strict_mode import Limits

MOST_PENDING: Final = 1000
"""Background writes (access times) that may wait; what comes on top is left out."""

logger = logging.getLogger("crewai_persistent_memory")


@dataclass(frozen=True)
class Patience:
    """How long to go on asking, and what for (in messages)."""

    doing: str
    retry_for: float
    deadline: Deadline | None = None


class _Exchange:
    """One call of a client, attempt by attempt. Each attempt goes to the node that is in use at that time."""

    def __init__(self, engine: ServerEngine, call: Call, patience: Patience) -> None:
        self._engine = engine
        self._call = call
        self._patience = patience
        self._node = 0

    def sent(self) -> Steps[Any]:
        patience = self._patience
        return retried(self._attempt, self._classify, self._call.effect, patience.retry_for, patience.deadline)

    def _attempt(self) -> steps.Step[Any]:
        # Making a large request takes long: a loop has that done in a thread.
        if self._call.large:
            return steps.Work(self._blocking)
        return steps.Call(self._blocking, self._awaiting)

    def _blocking(self) -> Any:
        self._node, client = self._engine.clients.blocking()
        function = partial(getattr(client, self._call.method), **self._call.arguments)
        deadline = self._patience.deadline
        if deadline is None:
            return function()
        return deadline.call(function, creates=self._call.creates, nodes=len(self._engine.settings.urls))

    async def _awaiting(self) -> Any:
        self._node, client = await self._engine.clients.awaiting()
        return await getattr(client, self._call.method)(**self._call.arguments)

    def _classify(self, error: Exception) -> Failure:
        engine = self._engine
        request = request_info(engine.settings.urls[self._node], self._patience.doing, self._call.effect)
        failure = classify(error, request)
        if failure.outcome is not Outcome.REFUSED and not isinstance(failure.error, StoreBusyError):
            engine.clients.fail_over(self._node)
        if isinstance(failure.error, StoreMissingError):
            # The next one that opens the collection looks again.
            engine.descriptors.pop(str(self._call.arguments.get("collection_name")), None)
        return failure


class ServerEngine:
    """What the connections of one process to one server share."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.clients = Clients(settings)
        self.version: tuple[int, int] | None = None
        self.descriptors: dict[str, Descriptor] = {}
        self.limits: dict[str, Limits] = {}
        self.names: dict[str, str] = {}
        patience = Patience("a migration", settings.retry_for)
        self.migrations = Migrations(settings.where, lambda calls: self.run(calls, patience))
        self._background: ThreadPoolExecutor | None = None
        self._pending: set[Future[Any]] = set()
        self._lock = threading.Lock()

    # -- drivers: the same steps, waiting or awaiting ----------------------------------------------------------------

    def run(self, calls: Calls, patience: Patience) -> Any:
        send: Callable[[Any], Any] = calls.send
        answer: Any = None
        try:
            while True:
                step = send(answer)
                send = calls.send
                try:
                    if isinstance(step, Call):
                        answer = steps.run(_Exchange(self, step, patience).sent())
                    else:
                        with patience.deadline.stopped() if patience.deadline else nullcontext():
                            answer = (step.function if isinstance(step, Work) else partial(time.sleep, step.seconds))()
                except PersistentMemoryError as error:
                    send, answer = calls.throw, error
        except StopIteration as stop:
            return stop.value

    async def arun(self, calls: Calls, patience: Patience) -> Any:
        send: Callable[[Any], Any] = calls.send
        answer: Any = None
        try:
            while True:
                step = send(answer)
                send = calls.send
                try:
                    if isinstance(step, Call):
                        answer = await steps.arun(_Exchange(self, step, patience).sent())
                    elif isinstance(step, Work):
                        answer = await asyncio.to_thread(step.function)
                    else:
                        await asyncio.sleep(step.seconds)
                        answer = None
                except PersistentMemoryError as error:
                    send, answer = calls.throw, error
        except StopIteration as stop:
            return stop.value

    # -- in the background -----------------------------------------------------------------------------------------

    def soon(self, calls: Calls, doing: str) -> None:
        """Run it on a thread of its own, once; a failure is logged."""
        with self._lock:
            if len(self._pending) >= MOST_PENDING:
                return
            if self._background is None:
                self._background = ThreadPoolExecutor(1, thread_name_prefix="memory-background")
            future = self._background.submit(self.run, calls, Patience(doing, 0))
            self._pending.add(future)
        future.add_done_callback(self._done)

    def _done(self, future: Future[Any]) -> None:
        with self._lock:
            self._pending.discard(future)
        error = None if future.cancelled() else future.exception()
        if error is not None:
            logger.warning("access times were not updated: %s", error)

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
        self.migrations.close()
        self._finish_background()
        self.clients.close()

    async def aclose(self) -> None:
        await asyncio.to_thread(self.migrations.close)
        await asyncio.to_thread(self._finish_background)
        await self.clients.aclose()

    def forget_after_fork(self) -> None:
        self.clients.forget_after_fork()
        self.migrations.forget_after_fork()
        self._lock = threading.Lock()
        self._background = None  # its thread did not come along
        self._pending = set()


# -- engines, shared -----------------------------------------------------------------------------------------------


class _Shared:
    def __init__(self, engine: ServerEngine) -> None:
        self.engine = engine
        self.connections = 0


_registry: dict[ServerSettings, _Shared] = {}
_registry_lock = threading.Lock()


def share(settings: ServerSettings) -> ServerEngine:
    """The engine of these settings; give it back with :func:`release`."""
    with _registry_lock:
        shared = _registry.get(settings)
        if shared is None:
            shared = _registry[settings] = _Shared(ServerEngine(settings))
        shared.connections += 1
        return shared.engine


def _leave(engine: ServerEngine) -> bool:
    with _registry_lock:
        shared = _registry.get(engine.settings)
        if shared is None or shared.engine is not engine:
            return False
        shared.connections -= 1
        if shared.connections:
            return False
        del _registry[engine.settings]
        return True


def release(engine: ServerEngine) -> None:
    """Give an engine back; the last one closes it."""
    if _leave(engine):
        engine.close()


async def arelease(engine: ServerEngine) -> None:
    """The same, awaiting."""
    if _leave(engine):
        await engine.aclose()


@atexit.register
def _close_all() -> None:
    with _registry_lock:
        engines = [shared.engine for shared in _registry.values()]
        _registry.clear()
    for engine in engines:
        engine.close()


def _forget_after_fork() -> None:
    global _registry_lock
    _registry_lock = threading.Lock()
    for shared in _registry.values():
        shared.engine.forget_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
