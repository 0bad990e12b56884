"""Delivering what is in a queue: each lane in order, several lanes at once, each error by its meaning."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import asdict, dataclass, is_dataclass
from functools import partial
from typing import Any, Final
from weakref import WeakSet

from ..entry import MemoryEntry
from ..errors import StoreClosedError, StorePermissionError
from ..expiry import expiring_as_of
from ..io.steps import run
from ..store import operations as op
from ..store.backend import Backend
from ..validation import utcnow
from .breaker import Breaker
from .callers import this_process
from .deliveries import MOST_ATTEMPTS, Delivery, Meaning, first_delivery, is_doubtful, meaning_of, settles_in
from .queue import Queue
from .records import Write
from .serialised import entry_to_json, unknown_fields

AT_ONCE: Final = 4
"""Lanes that are delivered at the same time."""
LOOK_AHEAD: Final = 1_000
"""Writes that are read from the queue at once."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 60.0
"""Seconds between two attempts of a lane that has to wait."""

YIELDS: Final = 1.0
"""Seconds for which a process whose keys may not write lets others deliver. They try twice in it; its own callers, who
are to be told that they may not, wait longer."""

NOTHING_LEFT: Final = op.AddedMessages()
"""The answer for messages whose memories would have expired."""

logger = logging.getLogger("crewai_persistent_memory")


@dataclass
class _Pause:
    until: float
    length: float


class Lanes:
    """The lanes of a queue, as one process delivers them."""

    def __init__(
        self, queue: Queue, breaker: Breaker, store: str, targets: list[Backend], tell: Callable[[], None]
    ) -> None:
        """
        Args:
            queue: what is accepted.
            breaker: whether the store answers.
            store: for the log, without keys.
            targets: the open backends; the last one is used. Others change the list.
            tell: called after each change of the queue.
        """
        self._queue = queue
        self._breaker = breaker
        self._store = store
        self._targets = targets
        self._tell = tell
        self._stop = threading.Event()
        self._paused: dict[str, _Pause] = {}
        self._told: set[str] = set()
        """Why lanes have to wait, as the log has it: not once for each of them."""
        self._busy_until = 0.0
        self._may_not: WeakSet[Backend] = WeakSet()
        """Targets whose keys may not write."""
        self.may_not = False
        """Whether no key of this process may write, by the last delivery."""
        self.yields_until = 0.0
        """Until then another process is let deliver, whose key may: none of this process may."""
        self._delivered = 0
        self.was_away = False
        """Whether there was an outage since the queue was last empty."""

    def stop(self) -> None:
        """Begin no other delivery."""
        self._stop.set()

    def resume(self, lane: str) -> None:
        """Do not wait any longer before its next attempt."""
        self._paused.pop(lane, None)

    def deliver(self) -> float | None:
        """Deliver what can be delivered now. Returns the seconds until more can be, if that is known."""
        while not self._stop.is_set() and self._targets:
            now = time.monotonic()
            if self._busy_until > now:
                return self._busy_until - now
            waiting = {lane: pause.until - now for lane, pause in list(self._paused.items()) if pause.until > now}
            writes = self._queue.next_writes(LOOK_AHEAD, list(waiting))
            if not writes:
                if not waiting:
                    self._report()
                return min(waiting.values(), default=None)
            lanes: dict[str, list[Write]] = {}
            for write in writes:
                lanes.setdefault(write.lane, []).append(write)
            _at_once([partial(self._deliver_lane, lane, found) for lane, found in lanes.items()])
            if self._breaker.is_open:
                return self._breaker.due_in()
        return None

    def _report(self) -> None:
        delivered, self._delivered = self._delivered, 0
        if self.was_away and delivered:
            logger.warning("%s has got the %d writes that were accepted while it was away", self._store, delivered)
        self.was_away = False

    # -- one lane --------------------------------------------------------------------------------------------------

    def _deliver_lane(self, lane: str, writes: Sequence[Write]) -> None:
        one = False
        while writes and not self._stop.is_set() and not self._breaker.is_open and self._busy_until <= time.monotonic():
            targets = self._targets
            if not targets:
                return
            target = next((each for each in reversed(targets) if each not in self._may_not), targets[-1])
            if (seconds := settles_in(writes[0], target.capabilities, time.time())) > 0:
                self._paused[lane] = _Pause(time.monotonic() + seconds, 0.0)
                return
            if unknown := unknown_fields(writes[0].operation):
                names = ", ".join(unknown)
                self._later(lane, writes[:1], f"a delete asks for the filter field {names}: open the store with it")
                return
            waiting = partial(self._queue.pending, [lane])
            delivery = first_delivery(writes, target.capabilities, utcnow(), one=one, waiting=waiting)
            if not self._queue.begin(delivery.writes):
                return
            try:
                with expiring_as_of(delivery.as_of):
                    answer = NOTHING_LEFT if delivery.operation is None else run(target.execute(delivery.operation))
            except Exception as error:  # noqa: BLE001 - its meaning decides
                if isinstance(error, StoreClosedError) and target not in self._targets:
                    self._queue.not_taken(delivery.writes, error, doubt=True)
                    continue
                if isinstance(error, StorePermissionError) and self._has_another(target):
                    self._queue.not_taken(delivery.writes, error, doubt=is_doubtful(error, delivery))
                    continue
                if meaning_of(error) is Meaning.REFUSED and len(delivery.writes) > 1:
                    self._queue.not_taken(delivery.writes, error, doubt=True)
                    one = True  # find out which one it is
                    continue
                if not self._failed(lane, delivery, error):
                    return
            else:
                self._breaker.answered()
                self.may_not = False
                self._queue.done(delivery.writes, answer_to_json(answer))
                self._delivered += len(delivery.writes)
                self._paused.pop(lane, None)
                if not self._paused:
                    self._told.clear()
                self._tell()
            writes = writes[len(delivery.writes) :]

    def _has_another(self, target: Backend) -> bool:
        """Note that this target may not write. Returns whether another one of this process may; else others may."""
        self._may_not.add(target)
        if any(each not in self._may_not for each in self._targets):
            return True
        self._may_not.clear()  # its key may be given the right meanwhile
        self.may_not = True
        self.yields_until = time.monotonic() + YIELDS
        return False

    def _failed(self, lane: str, delivery: Delivery, error: Exception) -> bool:
        """Note a failed attempt. Returns whether the lane's next writes can be delivered."""
        meaning, write = meaning_of(error), delivery.writes[0]
        if isinstance(error, StorePermissionError) and write.waits == this_process():
            # Its caller is told, and so knows that nothing was accepted. One of another process may have another key.
            self._queue.refused(write, error)
            self._tell()
            return True
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
            self.was_away = True
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
        if before is None and why not in self._told:
            self._told.add(why)
            logger.warning("%s cannot take %d writes of the outbox yet: %s", self._store, len(writes), why)
        self._paused[lane] = _Pause(time.monotonic() + length, length)


def answer_to_json(answer: Any) -> Any:
    """What a caller that waits is told: the answer of a replace, an update, a delete or an add of messages.

    Nobody waits for that of a put, which may be entries.
    """
    if isinstance(answer, (list, tuple)):
        return None
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

    count = min(AT_ONCE, len(jobs)) - 1
    helpers = [threading.Thread(target=copy_context().run, args=(work,), daemon=True) for _ in range(count)]
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
