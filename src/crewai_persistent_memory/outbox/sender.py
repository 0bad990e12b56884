"""The thread of the outbox: it delivers what is accepted, and asks a store that is away whether it answers again.

Every process that has a store open runs one. Of all processes of a host, the one that holds the lock of the queue
delivers. When it ends, however it ends, the system frees the lock, and another process takes over.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

import portalocker

from ..entry import MemoryEntry
from ..errors import StoreClosedError
from ..io.private_files import open_private
from ..io.steps import run
from ..scope import Scope, ScopeBinding
from ..store import operations as op
from ..store.backend import Backend
from ..validation import utcnow
from .bell import Bell
from .breaker import Breaker
from .deliveries import MOST_ATTEMPTS, Delivery, Meaning, first_delivery, is_doubtful, meaning_of, settles_in
from .queue import Queue, Write
from .serialised import entry_to_json, scope_to_text, unknown_fields

AT_ONCE: Final = 4
"""Lanes that are delivered at the same time."""
LOOK_AHEAD: Final = 1_000
"""Writes that are read from the queue at once."""
STANDBY: Final = 0.5
"""Seconds after which a process tries again to become the sender."""
IDLE: Final = 5.0
"""Seconds after which a sender that nobody wakes looks at its queue."""
TOUCHES_EVERY: Final = 60.0
"""Seconds for which access times are collected."""
MOST_TOUCHED: Final = 10_000
"""Scopes whose access times are collected at most; those of more are left out."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 60.0
"""Seconds between two attempts of a lane that has to wait."""

logger = logging.getLogger("crewai_persistent_memory")


@dataclass
class _Pause:
    until: float
    length: float


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

    def _new_here(self) -> None:
        """What belongs to one process."""
        self.bell = Bell(self._queue.folder)
        self.targets: list[Backend] = []
        """The open backends that can deliver; the last one is used."""
        self._thread: threading.Thread | None = None
        self._start = threading.Lock()
        self._stop = threading.Event()
        self._lock: IO[bytes] | None = None
        self._changed = threading.Condition()
        self._changes = 0
        self._paused: dict[str, _Pause] = {}
        self._busy_until = 0.0
        self._touched: OrderedDict[Scope, dict[str, None]] = OrderedDict()
        self._touches_due = 0.0
        self._delivered = 0
        self._was_away = False

    @property
    def is_sender(self) -> bool:
        """Whether this process delivers."""
        return self._lock is not None

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

    def note_touched(self, operation: op.Touch) -> None:
        """Collect access times. They are lost when the process ends before they are delivered."""
        with self._changed:
            if not self._touched:
                self._touches_due = time.monotonic() + TOUCHES_EVERY
            if operation.scope in self._touched or len(self._touched) < MOST_TOUCHED:
                self._touched.setdefault(operation.scope, {}).update(dict.fromkeys(operation.ids))

    def until(self, look: Callable[[], Any], seconds: float, *, despite_outage: bool = False) -> Any:
        """Look again after each change of the queue, until something is found, the store is away, or time is over.

        Args:
            look: returns what is looked for, or something false.
            seconds: how long to wait.
            despite_outage: wait for a store that is away, too.
        """
        deadline = time.monotonic() + seconds
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
        self.targets = targets
        bell.close()
        if lock is not None:
            lock.close()  # without unlocking: the lock is the parent's

    # -- the thread ------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        while not self._stop.is_set():
            try:
                pause = self._turn()
            except Exception:  # a thread that ends delivers nothing any more
                if self._stop.is_set():
                    break  # the queue was closed before a store that is frozen has answered
                logger.exception("the outbox of %s failed", self._store)
                pause = STANDBY * 2
            if not self._stop.is_set():
                self.bell.wait(pause)
        self._release()
        self.bell.close()

    def _turn(self) -> float:
        """Do what there is to do. Returns the seconds until something is due."""
        if not self.targets:
            return IDLE
        if self._breaker.is_open:
            self._was_away = True
            if self._breaker.due_in() > 0:
                return self._breaker.due_in()
            self._probe()
            if self._breaker.is_open:
                return self._breaker.due_in()
        self._deliver_touches()
        if self._lock is None and not self._take_over():
            return STANDBY
        return self._deliver()

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

    def _take_over(self) -> bool:
        file = os.fdopen(open_private(self._lock_file, os.O_RDWR | os.O_CREAT), "r+b")
        try:
            portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
        except portalocker.LockException:
            file.close()
            return False
        self._lock = file
        self.bell.listen()
        return True

    @property
    def _lock_file(self) -> Path:
        return self._queue.folder / "sender.lock"

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            portalocker.unlock(lock)
            lock.close()

    def _deliver(self) -> float:
        while not self._stop.is_set() and self.targets:
            now = time.monotonic()
            if self._busy_until > now:
                return self._busy_until - now
            waiting = {lane: pause.until - now for lane, pause in self._paused.items() if pause.until > now}
            writes = self._queue.next_writes(LOOK_AHEAD, list(waiting))
            if not writes:
                if not waiting:
                    self._report()
                return min([IDLE, *waiting.values(), *self._until_touches()])
            lanes: dict[str, list[Write]] = {}
            for write in writes:
                lanes.setdefault(write.lane, []).append(write)
            _at_once([partial(self._deliver_lane, lane, found) for lane, found in lanes.items()])
            if self._breaker.is_open:
                return self._breaker.due_in()
        return IDLE

    def _report(self) -> None:
        delivered, self._delivered = self._delivered, 0
        if self._was_away and delivered:
            logger.warning("%s has got the %d writes that were accepted while it was away", self._store, delivered)
        self._was_away = False

    # -- one lane --------------------------------------------------------------------------------------------------

    def _deliver_lane(self, lane: str, writes: Sequence[Write]) -> None:
        one = False
        while writes and not self._stop.is_set() and not self._breaker.is_open and self._busy_until <= time.monotonic():
            targets = self.targets
            if not targets:
                return
            target = targets[-1]
            if (seconds := settles_in(writes[0], target.capabilities, time.time())) > 0:
                self._paused[lane] = _Pause(time.monotonic() + seconds, 0.0)
                return
            if unknown := unknown_fields(writes[0].operation):
                names = ", ".join(unknown)
                self._later(lane, writes[:1], f"a delete asks for the filter field {names}: open the store with it")
                return
            delivery = first_delivery(writes, target.capabilities, utcnow(), one=one)
            if not self._queue.begin(delivery.writes):
                return
            try:
                answer = run(target.execute(delivery.operation))
            except Exception as error:  # noqa: BLE001 - its meaning decides
                if isinstance(error, StoreClosedError) and target not in self.targets:
                    self._queue.not_taken(delivery.writes, error, doubt=True)
                    continue
                if meaning_of(error) is Meaning.REFUSED and len(delivery.writes) > 1:
                    self._queue.not_taken(delivery.writes, error, doubt=True)
                    one = True  # find out which one it is
                    continue
                if not self._failed(lane, delivery, error):
                    return
            else:
                self._breaker.answered()
                self._queue.done(delivery.writes, answer_to_json(answer))
                self._delivered += len(delivery.writes)
                self._paused.pop(lane, None)
                self._tell()
            writes = writes[len(delivery.writes) :]

    def _failed(self, lane: str, delivery: Delivery, error: Exception) -> bool:
        """Note a failed attempt. Returns whether the lane's next writes can be delivered."""
        meaning, write = meaning_of(error), delivery.writes[0]
        if meaning is Meaning.REFUSED or (meaning is Meaning.ODD and write.attempts + 1 >= MOST_ATTEMPTS):
            logger.error(
                "%s refused a write of the outbox (%s): it is a dead letter now, see crewai-memory outbox show",
                self._store,
                type(error).__name__,
            )
            self._queue.refused(write, error)
            self._tell()
            return True
        self._queue.not_taken(delivery.writes, error, doubt=is_doubtful(error, delivery))
        if meaning is Meaning.AWAY:
            self._breaker.failed(error)
            self._was_away = True
            self._tell()
        elif meaning is Meaning.BUSY:
            seconds = getattr(error, "retry_after", None) or FIRST_PAUSE * 2
            self._busy_until = time.monotonic() + min(seconds, LONGEST_PAUSE)
        else:
            self._later(lane, delivery.writes, str(error))
        return False

    def _later(self, lane: str, writes: Sequence[Write], why: str) -> None:
        before = self._paused.get(lane)
        length = FIRST_PAUSE if before is None or not before.length else min(before.length * 2, LONGEST_PAUSE)
        if before is None:
            logger.warning("%s cannot take %d writes of the outbox yet: %s", self._store, len(writes), why)
        self._paused[lane] = _Pause(time.monotonic() + length, length)

    def _tell(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    # -- access times ----------------------------------------------------------------------------------------------

    def _until_touches(self) -> list[float]:
        return [max(0.0, self._touches_due - time.monotonic())] if self._touched else []

    def _deliver_touches(self) -> None:
        if not self._touched or self._touches_due > time.monotonic():
            return
        with self._changed:
            touched, self._touched = self._touched, OrderedDict()
        for scope, ids in touched.items():
            try:
                run(self.targets[-1].execute(op.Touch(scope, tuple(ids), background=True)))
            except Exception as error:  # noqa: BLE001 - lost without harm
                logger.debug("the access times of %s were not written: %s", scope_to_text(scope), error)


def answer_to_json(answer: Any) -> Any:
    """What a caller that waits is told: the answer of a replace, an update, a delete or an add of messages."""
    if isinstance(answer, MemoryEntry):
        return {"entry": entry_to_json(answer), "scope": None if answer.scope is None else asdict(answer.scope)}
    if isinstance(answer, op.AddedMessages):
        entries = [answer_to_json(entry) for entry in answer.entries]
        return {"entries": entries, "pending": answer.pending, "event_id": answer.event_id}
    return None if is_dataclass(answer) else json.loads(json.dumps(answer))


def _at_once(jobs: Sequence[Callable[[], None]]) -> None:
    """Do all jobs, a few at the same time, and wait for them."""
    left = list(reversed(jobs))
    errors: list[BaseException] = []

    def work() -> None:
        while True:
            try:
                job = left.pop()
            except IndexError:
                return
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - raised below
                errors.append(error)

    helpers = [threading.Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(jobs)) - 1)]
    running = []
    for helper in helpers:
        try:
            helper.start()
        except RuntimeError:  # the interpreter ends: this thread does it all
            break
        running.append(helper)
    work()
    for helper in running:
        helper.join()
    if errors:
        raise errors[0]
