"""Deleting expired entries in the background: one thread of the process, about once an hour for each open store.

Nothing depends on it: an expired entry is in no answer, whether it is deleted or not. So a failure is logged, and a key
that may not delete is not asked again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from typing import Final

from ..errors import PersistentMemoryError, StoreClosedError, StorePermissionError
from ..io.steps import run
from ..scope import ScopeBinding
from .backend import Backend
from .operations import PurgeExpired

FIRST_AFTER: Final = 30.0
"""Seconds from the opening of a store to its first purge."""
EVERY: Final = 3600.0
"""Seconds from one purge of a store to the next."""

logger = logging.getLogger("crewai_persistent_memory")


class BackgroundPurge:
    """The stores of a process that are purged.

    Args:
        first_after, every: seconds.
    """

    def __init__(self, first_after: float = FIRST_AFTER, every: float = EVERY) -> None:
        self._first_after = first_after
        self._every = every
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._due: dict[weakref.ref[Backend], tuple[float, ScopeBinding]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self, backend: Backend, binding: ScopeBinding) -> None:
        """Purge this store from now on, until it is closed.

        Args:
            backend: the store. It is not kept open.
            binding: of its handle, which names the project where each has a collection of its own.
        """
        with self._changed:
            self._due[weakref.ref(backend)] = time.monotonic() + self._first_after, binding
            if self._thread is None:
                self._thread = threading.Thread(target=self._live, name="memory-purge", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _live(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                self._due = {backend: due for backend, due in self._due.items() if backend() is not None}
                ready = [(backend, binding) for backend, (due, binding) in self._due.items() if due <= now]
                if not ready:
                    soonest = min((due for due, _ in self._due.values()), default=None)
                    self._changed.wait(None if soonest is None else soonest - now)
                    continue
            for backend, binding in ready:
                again = purge(backend(), binding)
                with self._changed:
                    if again:
                        self._due[backend] = time.monotonic() + self._every, binding
                    else:
                        self._due.pop(backend, None)

    def forget_after_fork(self) -> None:
        """In a forked child: the parent goes on with its stores."""
        self._begin_anew()


def purge(backend: Backend | None, binding: ScopeBinding) -> bool:
    """Purge a store. Returns whether to do it again later."""
    if backend is None:
        return False
    try:
        purged = run(backend.execute(PurgeExpired(binding, {}, of_nobody=True)))
    except StoreClosedError:
        return False
    except StorePermissionError as error:
        logger.info("expired memories are in no answer, but stay in %r: %s", backend, error)
        return False
    except PersistentMemoryError as error:
        logger.warning("expired memories of %r were not deleted, it is tried again later: %s", backend, error)
        return True
    if purged:
        logger.info("%d expired memories were deleted from %r", purged, backend)
    return True


PURGES: Final = BackgroundPurge()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PURGES.forget_after_fork)
