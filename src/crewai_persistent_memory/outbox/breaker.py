"""The breaker: whether a store answers, as far as this process knows. While it is open, nobody waits for the store."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

FIRST_PROBE: Final = 0.25
"""Seconds after an outage began until the store is asked again; each further pause is twice as long."""
LONGEST_PAUSE: Final = 10.0
"""Seconds at most between two probes."""

logger = logging.getLogger("crewai_persistent_memory")


class Breaker:
    """One for each store and process. It opens with the first failure.

    The outbox's thread probes, never a caller. After a probe that got an answer the breaker is half open: the store is
    used again, and the first use decides. So a store whose health check answers, and which does nothing else, is one
    outage, with longer and longer pauses.
    """

    def __init__(self, store: str, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            store: for the log, without keys.
            clock: seconds from any start.
        """
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._since: float | None = None
        self._half_open = False
        self._next_probe = 0.0
        self._pause = FIRST_PROBE
        self.error: str | None = None
        """Why it is open, or was the last time."""
        self._is_told = False
        self._to_tell: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether the store is away."""
        return self._since is not None and not self._half_open

    def failed(self, error: BaseException, *, probed: bool = False) -> bool:
        """The store did not answer. Returns whether the outage began with it. The log has one line for an outage.

        Args:
            error: why.
            probed: it was asked by a probe. Others, who ask more often, do not put off the next probe.
        """
        with self._lock:
            now = self._clock()
            self.error = f"{type(error).__name__}: {error}"
            was_half_open, self._half_open = self._half_open, False
            if self._since is not None:
                if not (probed or was_half_open):
                    return False
                self._pause = min(self._pause * 2, LONGEST_PAUSE)
                self._next_probe = now + self._pause
                return False
            self._since, self._pause = now, FIRST_PROBE
            self._next_probe = now + self._pause
        logger.warning(
            "%s is away: %s. Until it answers, writes are kept in the outbox, and a recall finds only those",
            self._store,
            error,
        )
        return True

    def answered_in_part(self, error: BaseException) -> None:
        """A recall got what the queue has and nothing of the store. It is told once until the store answers again."""
        with self._lock:
            if self._is_told:
                return
            self._is_told = True
            self._to_tell = f"{error}. Only what waits in the outbox is found"
            is_busy = self._since is None
        if is_busy:
            logger.warning(
                "%s takes no requests: %s. Until it does, a recall finds only what waits", self._store, error
            )

    def untold(self) -> str | None:
        """Why recalls are answered in part, for the first one who asks."""
        with self._lock:
            told, self._to_tell = self._to_tell, None
        return told

    def half_open(self) -> None:
        """A probe got an answer."""
        with self._lock:
            self._half_open = self._since is not None

    def answered(self) -> None:
        """The store did what it was asked for."""
        if self._since is None and not self._is_told:
            return
        with self._lock:
            since, self._since, self._half_open = self._since, None, False
            self._is_told = False
        if since is not None:
            logger.warning("%s answers again, after %.1f s", self._store, self._clock() - since)

    def due_in(self) -> float:
        """Seconds until the next probe."""
        return max(0.0, self._next_probe - self._clock())
