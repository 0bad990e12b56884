"""The outboxes of a process: one for each queue, however many handles use it."""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - see the end of this module
import hashlib
import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from ..errors import StoreError, StoreUnavailableError
from ..filter_fields import FilterField
from ..io.shared import Shared
from ..store.backend import Backend
from .breaker import Breaker
from .database import FILE
from .queue import Queue
from .sender import Sender

logger = logging.getLogger("crewai_persistent_memory")


FORMAT: Final = 2
"""Of what a queue holds. A worker of another format has a queue of its own: it would deliver without what it does not
know, such as the end of an entry."""

UNDER_WAY_FOR: Final = 30.0
"""Seconds that an erasure waits for writes that are being delivered: an embedder may be slow."""


@dataclass(frozen=True)
class OutboxSettings:
    """Where an outbox is, and how it works.

    Attributes:
        folder: holds the queues of all stores.
        store: the store for messages and logs, such as ``Qdrant at http://localhost:6333``; no key.
        address: which store it is: queues of different addresses are different. A digest of it names the queue; it is
            written nowhere.
        durable: an accepted write survives a loss of power.
        most_bytes: of the queue.
        recall_timeout: seconds that a read waits for the store, and a change for its answer.
        exit_wait: seconds that closing waits for delivery.
        stopping: seconds that closing then waits for a delivery that is under way.
        language: of keywords.
        embeds: whether this handle has the store's embedder, and so can deliver texts that have no vector yet.
        waits_for_messages: a call that adds messages waits for their memories, unless it says otherwise.
        messages_timeout: seconds that such a call waits for the store to take them.
        recalls_in_part: a search while the store is away finds what the queue has; else it raises.
    """

    folder: Path
    store: str
    address: tuple[Any, ...]
    durable: bool = False
    most_bytes: int = 256 * 2**20
    recall_timeout: float = 2.0
    exit_wait: float = 2.0
    stopping: float = 0.5
    language: str | None = None
    embeds: bool = True
    waits_for_messages: bool = False
    messages_timeout: float = 60.0
    recalls_in_part: bool = True

    @property
    def queue_folder(self) -> Path:
        """The folder of the queue."""
        return self._folder_of((FORMAT, *self.address))

    @property
    def earlier_folders(self) -> tuple[Path, ...]:
        """The folders of this queue in earlier versions, for which two spellings of an address were two stores."""
        return self._folder_of(self.address), self._folder_of((self.store, *self.address[1:]))

    def _folder_of(self, address: tuple[Any, ...]) -> Path:
        text = json.dumps(address, default=str)
        return self.folder / hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    @property
    def exists(self) -> bool:
        """Whether this host has the queue already. One that cannot be looked at counts: opening it says why."""
        return any(_may_exist(folder / FILE) for folder in (self.queue_folder, *self.earlier_folders))


def _may_exist(file: Path) -> bool:
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


class Outbox:
    """A queue, its sender, and what this process knows of the store."""

    def __init__(self, settings: OutboxSettings) -> None:
        """
        Raises:
            ConfigurationError: the queue cannot be kept there.
        """
        self.settings = settings
        self.queue = Queue(
            settings.queue_folder,
            durable=settings.durable,
            most_bytes=settings.most_bytes,
            about={"store": settings.store},
            earlier=settings.earlier_folders,
        )
        self._ends_at: float | None = None
        self.breaker = Breaker(settings.store)
        self.sender = Sender(self.queue, self.breaker, settings.store)

    def join(self, backend: Backend, fields: Mapping[str, FilterField]) -> None:
        """Another handle uses it."""
        self.queue.fields.update(fields)
        self.sender.targets.append(backend)
        self.sender.wake()

    def leave(self, backend: Backend) -> None:
        """A handle uses it no more. The last one waits until what was accepted is delivered, for a while."""
        targets = self.sender.targets
        if backend in targets and len(targets) == 1:
            self.finish()
        if backend in targets:
            targets.remove(backend)

    def finish(self) -> None:
        """Wait for delivery, at the end. What is left then is for the next process."""
        left = self.settings.exit_wait
        if self._ends_at is not None:
            left = min(left, self._ends_at - time.monotonic())
        try:
            if left > 0 and self.sender.targets and self.queue.count():
                self.sender.wake()
                self.sender.until(lambda: not self.queue.count(), left)
        except StoreError as error:
            # Its file is damaged, or gone. What is kept open has to be closed all the same.
            logger.error("the outbox of %s was not delivered: %s", self.settings.store, error)

    def answer_to(self, lane: str, seq: int, seconds: float, *, gives_up: bool) -> Mapping[str, Any] | None:
        """Wait for the store's answer to a write; ``None``: there is none yet.

        Args:
            lane: of the write.
            seq: its number.
            seconds: how long to wait at most.
            gives_up: nobody takes the answer later.
        """
        queue, sender = self.queue, self.sender
        answer: Mapping[str, Any] | None = sender.until(partial(queue.answers.take, seq), seconds)
        if answer is None and not self.breaker.is_open and (why := queue.why_not_delivered(lane)) is not None:
            # As a read does that is not answered: the next call does not wait, in whichever process the sender is.
            self.breaker.failed(StoreUnavailableError(f"no answer to a change within {seconds:g} s: {why}"))
            sender.wake()
        if answer is None and gives_up:
            answer = queue.answers.take(seq, give_up=True)
        return answer

    def clear(self, fields: Mapping[str, str | None]) -> tuple[int, int, int]:
        """Empty the queue for the scopes with these fields, and wait for the writes of them that are under way.

        Returns:
            How many writes and dead letters were removed, and how many writes are left.
        """
        queue, sender = self.queue, self.sender
        waiting, dead, under_way = queue.erase_scopes(fields)

        def is_clear() -> bool:
            nonlocal waiting, dead, under_way
            if under_way:
                more, more_dead, under_way = queue.erase_scopes(fields)
                waiting, dead = waiting + more, dead + more_dead
            return not under_way

        sender.wake()
        sender.until(is_clear, UNDER_WAY_FOR)
        return waiting, dead, under_way

    def process_ends(self) -> None:
        """Wait for delivery before the interpreter stops its thread pools, which a store's library may need (Mem0)."""
        self._ends_at = time.monotonic() + self.settings.exit_wait
        self.finish()

    def close(self) -> None:
        self.finish()
        self.sender.stop(self.settings.stopping)
        self.queue.close()

    def after_fork(self) -> bool:
        """In a forked child: connections, pipes and a thread of its own."""
        self.queue.after_fork()
        self.breaker = Breaker(self.settings.store)
        self.sender.after_fork(self.breaker)
        return True


def open_outbox(settings: OutboxSettings, backend: Backend, fields: Mapping[str, FilterField]) -> tuple[Path, Outbox]:
    """The outbox of a store, joined by a handle. It is given back with :func:`leave_outbox`.

    Raises:
        ConfigurationError: the queue cannot be kept there.
    """
    key = settings.queue_folder
    outbox = OUTBOXES.acquire(key, lambda: Outbox(settings))
    outbox.join(backend, fields)
    # At exit the handlers run in reverse order: what is accepted is delivered before connections are closed.
    atexit.unregister(_finish_all)
    atexit.register(_finish_all)
    return key, outbox


def leave_outbox(key: Path, outbox: Outbox, backend: Backend) -> None:
    """A handle is closed."""
    outbox.leave(backend)
    OUTBOXES.release(key, outbox)


def _finish_all() -> None:
    OUTBOXES._close_all()


def _process_ends() -> None:
    for outbox in OUTBOXES.values():
        try:
            outbox.process_ends()
        except Exception as error:  # noqa: BLE001 - the others are to be delivered too
            logger.error("the outbox of %s failed at exit: %s", outbox.settings.store, error)


OUTBOXES: Final[Shared[Path, Outbox]] = Shared(Outbox.close, exclusive=True, after_fork=Outbox.after_fork)

if hasattr(threading, "_register_atexit"):
    # Called before what was registered earlier: the end of thread pools, by the import of concurrent.futures.thread.
    # Handlers of atexit come later still. Without this, the next process would deliver to Mem0 OSS.
    threading._register_atexit(_process_ends)
