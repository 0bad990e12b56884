"""The thread of the outbox: it delivers what is accepted, and asks a store that is away whether it answers again.

Every process that has a store open runs one. Of all processes of a host, the one that holds the lock of the queue
delivers. When it ends, however it ends, the system frees the lock, and another process takes over.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from ..errors import PersistentMemoryError
from ..io.retry import QUIET
from ..io.steps import run
from ..scope import ScopeBinding
from ..store import operations as op
from ..store.backend import Backend
from .access_times import AccessTimes
from .bell import Bell
from .breaker import Breaker
from .deliveries import Meaning, meaning_of
from .lanes import Lanes
from .queue import Queue
from .sender_lock import SenderLock

STANDBY: Final = 0.5
"""Seconds after which a process tries again to become the sender."""
IDLE: Final = 5.0
"""Seconds after which a sender that nobody wakes looks at its queue."""

LETS_RETURN: Final = 0.01
"""Seconds for which what was just accepted waits, unless somebody waits for it: the thread would take turns with the
one that saves, whose call would take longer by them. What follows at once is delivered together."""

FORK_WAITS: Final = 2.0
"""Seconds that a fork waits at most until the thread is at rest. A delivery to a store that answers takes less."""

logger = logging.getLogger("crewai_persistent_memory")


class Sender:
    """See the module. ``start()`` may be called again."""

    def __init__(self, queue: Queue, breaker: Breaker, store: str) -> None:
        """
        Args:
            queue: what is accepted.
            breaker: whether the store answers.
            store: for the log, without keys.
        """
        self._queue = queue
        self._breaker = breaker
        self._store = store
        self._new_here()
        _SENDERS.add(self)

    def _new_here(self) -> None:
        """What belongs to one process."""
        self.bell = Bell(self._queue.folder)
        self.targets: list[Backend] = []
        """The open backends that can deliver; the last one is used."""
        self._thread: threading.Thread | None = None
        self._start = threading.Lock()
        self.at_work = threading.Lock()
        """Held while the thread works. A fork waits for it: what the thread has locked stays locked in the child."""
        self._stop = threading.Event()
        self._hurried = 0
        self._hurry = threading.Event()
        """Set while somebody waits for a delivery."""
        self._lock = SenderLock(self._queue.folder)
        self.access_times = AccessTimes()
        self._changed = threading.Condition()
        self._changes = 0
        self._lanes = Lanes(self._queue, self._breaker, self._store, self.targets, self._tell)

    @property
    def is_sender(self) -> bool:
        """Whether this process delivers."""
        return self._lock.is_held

    @property
    def may_not(self) -> bool:
        """Whether the store has told this process that none of its keys may write."""
        return self._lanes.may_not

    # -- for those who accept and read -----------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is None:
            with self._start:
                if self._thread is None and not self._stop.is_set():
                    self._thread = threading.Thread(target=self._live, name="memory-outbox", daemon=True)
                    self._thread.start()

    def wake(self) -> None:
        """Something was accepted."""
        self.start()
        if not self.is_sender:
            self.bell.ring_far()
        self.bell.ring()

    def resume(self, lane: str) -> None:
        """What a lane waited with may be gone."""
        self._lanes.resume(lane)
        self.wake()

    def until(self, look: Callable[[], Any], seconds: float, *, despite_outage: bool = False) -> Any:
        """Look again after each change of the queue, until something is found, the store is away, or time is over.

        Args:
            look: returns what is looked for, or something false.
            seconds: how long to wait.
            despite_outage: wait for a store that is away, too.
        """
        with self._hurrying():
            return self._until(look, time.monotonic() + seconds, despite_outage)

    @contextmanager
    def _hurrying(self) -> Iterator[None]:
        with self._changed:
            self._hurried += 1
            self._hurry.set()
        try:
            yield
        finally:
            with self._changed:
                self._hurried -= 1
                if not self._hurried:
                    self._hurry.clear()

    def _until(self, look: Callable[[], Any], deadline: float, despite_outage: bool) -> Any:
        while True:
            with self._changed:
                seen = self._changes
            if found := look():
                return found
            left = deadline - time.monotonic()
            if left <= 0 or self._stop.is_set() or (self._breaker.is_open and not despite_outage):
                return found
            # Another process that delivers does not tell this one.
            longest = left if self.is_sender else min(left, 0.01)
            with self._changed:
                if self._changes == seen:
                    self._changed.wait(min(longest, 0.25))

    def stop(self, seconds: float) -> None:
        """End the thread, and let another process be the sender.

        Args:
            seconds: how long to wait for what is being delivered.
        """
        self._stop.set()
        self._hurry.set()
        self._lanes.stop()
        self.bell.ring()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(seconds)
        if self._thread is None:
            self.bell.close()

    def after_fork(self, breaker: Breaker) -> None:
        """In a forked child: the parent is the sender, if it was, and its thread is not here.

        Args:
            breaker: the child's own.
        """
        bell, lock, targets = self.bell, self._lock, self.targets
        self._breaker = breaker
        self._new_here()
        self.targets += targets
        bell.forget()
        lock.forget()

    # -- the thread ------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        QUIET.set(True)  # the breaker logs an outage, once
        failed: str | None = None
        while not self._stop.is_set():
            try:
                with self.at_work:
                    pause = self._turn()
                failed = None
            except Exception as error:  # a thread that ends delivers nothing any more
                if self._stop.is_set():
                    break  # the queue was closed before a store that is frozen has answered
                if str(error) != failed:
                    failed = str(error)
                    known = isinstance(error, PersistentMemoryError)
                    logger.error("the outbox of %s delivers nothing: %s", self._store, error, exc_info=not known)
                pause = STANDBY * 2
            if not self._stop.is_set():
                self.bell.wait(pause)
                self._hurry.wait(LETS_RETURN)
        self._lock.release()
        self.bell.close()

    def _turn(self) -> float:
        """Do what there is to do. Returns the seconds until something is due."""
        if not self.targets:
            return IDLE
        if self._breaker.is_open:
            self._lanes.was_away = True
            if self._breaker.due_in() > 0:
                return self._breaker.due_in()
            self._probe()
            if self._breaker.is_open:
                return self._breaker.due_in()
        self.access_times.deliver(self.targets[-1])
        if self._lanes.yields_until > time.monotonic():
            self._lock.release()
            return STANDBY
        if not self._lock.take():
            return STANDBY
        self.bell.listen()
        pause = self._lanes.deliver()
        self._queue.answers.drop()
        return min([IDLE if pause is None else pause, *self.access_times.due_in()])

    def _probe(self) -> None:
        try:
            run(self.targets[-1].execute(op.Health(ScopeBinding())))
        except IndexError:
            return  # closed meanwhile
        except Exception as error:  # noqa: BLE001 - its meaning decides
            if meaning_of(error) in (Meaning.AWAY, Meaning.ODD):
                self._breaker.failed(error, probed=True)
                return
        self._breaker.half_open()
        self._tell()

    def _tell(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()


_SENDERS: Final[weakref.WeakSet[Sender]] = weakref.WeakSet()
_AT_REST: Final[list[threading.Lock]] = []


def _before_fork() -> None:
    """Let each thread come to an end of its work: modules that it imports, and clients that it makes, have locks."""
    locks = [sender.at_work for sender in list(_SENDERS)]
    _AT_REST[:] = [lock for lock in locks if lock.acquire(timeout=FORK_WAITS)]


def _after_fork_in_parent() -> None:
    for lock in _AT_REST:
        lock.release()
    _AT_REST.clear()


if hasattr(os, "register_at_fork"):
    # Before a fork, what was registered last is called first: the queue's file is closed after this.
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent)
