"""The outboxes of a process: one for each queue, however many handles use it."""

from __future__ import annotations

import atexit
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..filter_fields import FilterField
from ..io.shared import Shared
from ..store.backend import Backend
from .breaker import Breaker
from .queue import Queue
from .sender import Sender

STOPPING: Final = 0.5
"""Seconds that the end of a handle waits for a delivery that is under way."""


@dataclass(frozen=True)
class OutboxSettings:
    """Where an outbox is, and how it works.

    Attributes:
        folder: holds the queues of all stores.
        store: the store for messages and logs, such as ``Qdrant at http://localhost:6333``; no key.
        address: what makes it another store than others: queues of different addresses are different. A digest of it
            names the queue; it is written nowhere.
        durable: an accepted write survives a loss of power.
        most_bytes: of the queue.
        recall_timeout: seconds that a read waits for the store, and a change for its answer.
        exit_wait: seconds that closing waits for delivery.
        language: of keywords.
        delivers: whether this handle can deliver what others accepted.
    """

    folder: Path
    store: str
    address: tuple[Any, ...]
    durable: bool = False
    most_bytes: int = 256 * 2**20
    recall_timeout: float = 2.0
    exit_wait: float = 2.0
    language: str | None = None
    delivers: bool = True

    @property
    def queue_folder(self) -> Path:
        """The folder of the queue."""
        text = json.dumps([self.store, *self.address], default=str)
        return self.folder / hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


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
        )
        self.breaker = Breaker(settings.store)
        self.sender = Sender(self.queue, self.breaker, settings.store)

    def join(self, backend: Backend, settings: OutboxSettings, fields: Mapping[str, FilterField]) -> None:
        """Another handle uses it."""
        self.queue.fields.update(fields)
        if settings.delivers:
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
        if self.sender.targets and self.queue.count():
            self.sender.wake()
            self.sender.until(lambda: not self.queue.count(), self.settings.exit_wait)

    def close(self) -> None:
        self.finish()
        self.sender.stop(STOPPING)
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
    outbox.join(backend, settings, fields)
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


OUTBOXES: Final[Shared[Path, Outbox]] = Shared(Outbox.close, exclusive=True, after_fork=Outbox.after_fork)
