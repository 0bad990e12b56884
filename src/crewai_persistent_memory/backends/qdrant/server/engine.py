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
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import stamina

from ....config.qdrant import ServerSettings
from ....errors import PersistentMemoryError, StoreMissingError
from ..manifest import Descriptor
from .clients import Clients
from .deadline import Deadline
from .errors import Trouble, Verdict, as_ours, verdict_on
from .requests import Call, Calls, Work
from .strict_mode import Limits

MOST_PENDING: Final = 1000
"""Background writes (access times) that may wait; what comes on top is left out."""

logger = logging.getLogger("crewai_persistent_memory")


class _Failed(Exception):
    """One attempt that failed, judged."""

    def __init__(self, ours: PersistentMemoryError, verdict: Verdict, call: Call) -> None:
        super().__init__(str(ours))
        self.ours = ours
        self.verdict = verdict
        self.writes = call.writes
        trouble = verdict.trouble
        self.may_repeat = trouble in (Trouble.BUSY, Trouble.UNREACHED) or (trouble is Trouble.LOST and call.repeatable)

    def or_the_doubt_in(self, earlier: Sequence[_Failed]) -> _Failed:
        """What to tell the caller: that the last attempt did not arrive must not hide that an earlier one may have."""
        if not self.writes or self.verdict.trouble not in (Trouble.BUSY, Trouble.UNREACHED):
            return self
        return next((each for each in reversed(earlier) if each.verdict.trouble is Trouble.LOST), self)


@dataclass(frozen=True)
class Patience:
    """How long to go on asking, and what for (in messages)."""

    doing: str
    retry_for: float
    deadline: Deadline | None = None

    def or_give_up(self, failed: _Failed) -> None:
        """Say that it is asked again, or raise if it is not."""
        if self.retry_for == 0 or self.again(failed) is False or (self.deadline and self.deadline.left == 0):
            raise failed.ours from failed.__cause__
        logger.warning("%s; asking again for up to %g s", failed.ours, self.retry_for)

    def again(self, failed: Exception) -> bool | float:
        """Whether to ask again, and after how many seconds if the server said so (stamina's hook)."""
        if not isinstance(failed, _Failed) or not failed.may_repeat:
            return False
        after = failed.verdict.retry_after
        return True if after is None else (after if after <= self.retry_for else False)

    def attempts(self) -> Any:
        retry_for, wait_max = self.retry_for, 2.0
        if self.deadline is not None:
            retry_for = min(retry_for, self.deadline.left)
            wait_max = min(wait_max, retry_for / 4)
        return stamina.retry_context(
            self.again, attempts=None, timeout=retry_for, wait_initial=0.1, wait_max=wait_max, wait_jitter=0.1
        )


class ServerEngine:
    """What the connections of one process to one server share."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.clients = Clients(settings)
        self.version: tuple[int, int] | None = None
        self.descriptors: dict[str, Descriptor] = {}
        self.limits: dict[str, Limits] = {}
        self.names: dict[str, str] = {}
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
                        answer = self._call(step, patience)
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
                    if isinstance(step, Call) and step.large:
                        answer = await asyncio.to_thread(self._call, step, patience)
                    elif isinstance(step, Call):
                        answer = await self._acall(step, patience)
                    elif isinstance(step, Work):
                        answer = await asyncio.to_thread(step.function)
                    else:
                        await asyncio.sleep(step.seconds)
                        answer = None
                except PersistentMemoryError as error:
                    send, answer = calls.throw, error
        except StopIteration as stop:
            return stop.value

    def _call(self, call: Call, patience: Patience) -> Any:
        failures: list[_Failed] = []
        try:
            # The first attempt outside of the retrying, which would cost every call a tenth of a millisecond.
            return self._attempt(call, patience)
        except _Failed as failed:
            patience.or_give_up(failed)
            failures.append(failed)
        try:
            for attempt in patience.attempts():
                with attempt:
                    if attempt.num == 1:
                        raise failures[0]
                    return self._attempt(call, patience, failures)
        except _Failed as failed:
            told = failed.or_the_doubt_in(failures)
            raise told.ours from told.__cause__

    async def _acall(self, call: Call, patience: Patience) -> Any:
        failures: list[_Failed] = []
        try:
            return await self._aattempt(call, patience)
        except _Failed as failed:
            patience.or_give_up(failed)
            failures.append(failed)
        try:
            async for attempt in patience.attempts():
                with attempt:
                    if attempt.num == 1:
                        raise failures[0]
                    return await self._aattempt(call, patience, failures)
        except _Failed as failed:
            told = failed.or_the_doubt_in(failures)
            raise told.ours from told.__cause__

    def _attempt(self, call: Call, patience: Patience, failures: list[_Failed] | None = None) -> Any:
        node, client = self.clients.blocking()
        try:
            if patience.deadline is not None:
                function = partial(getattr(client, call.method), **call.arguments)
                return patience.deadline.call(function, creates=call.creates, nodes=len(self.settings.urls))
            return getattr(client, call.method)(**call.arguments)
        except Exception as error:
            failed = self._judged(error, call, patience, node)
            if failures is not None:
                failures.append(failed)
            raise failed from error

    async def _aattempt(self, call: Call, patience: Patience, failures: list[_Failed] | None = None) -> Any:
        node, client = await self.clients.awaiting()
        try:
            return await getattr(client, call.method)(**call.arguments)
        except Exception as error:
            failed = self._judged(error, call, patience, node)
            if failures is not None:
                failures.append(failed)
            raise failed from error

    def _judged(self, error: Exception, call: Call, patience: Patience, node: int) -> _Failed:
        verdict = verdict_on(error)
        where = self.settings.urls[node]
        if verdict.trouble in (Trouble.UNREACHED, Trouble.LOST):
            self.clients.fail_over(node)
        ours = as_ours(verdict, where=where, doing=patience.doing, writes=call.writes, repeatable=call.repeatable)
        if isinstance(ours, StoreMissingError):
            # Whoever opens it next shall look again.
            self.descriptors.pop(str(call.arguments.get("collection_name")), None)
        return _Failed(ours, verdict, call)

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
        self._finish_background()
        self.clients.close()

    async def aclose(self) -> None:
        await asyncio.to_thread(self._finish_background)
        await self.clients.aclose()

    def forget_after_fork(self) -> None:
        self.clients.forget_after_fork()
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
