"""Access times: collected, and written once a minute. They are lost without harm."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from typing import Final

from ..io.steps import run
from ..scope import Scope
from ..store import operations as op
from ..store.backend import Backend

EVERY: Final = 60.0
"""Seconds for which access times are collected."""
MOST_SCOPES: Final = 10_000
"""Scopes for which they are collected at most."""

logger = logging.getLogger("crewai_persistent_memory")


class AccessTimes:
    """Which entries were read, by scope."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._touched: OrderedDict[Scope, dict[str, None]] = OrderedDict()
        self._due = 0.0

    def note(self, operation: op.Touch) -> None:
        """Collect what was read."""
        with self._lock:
            if not self._touched:
                self._due = time.monotonic() + EVERY
            if operation.scope in self._touched or len(self._touched) < MOST_SCOPES:
                self._touched.setdefault(operation.scope, {}).update(dict.fromkeys(operation.ids))

    def due_in(self) -> list[float]:
        """Seconds until they are written; empty if there are none."""
        return [max(0.0, self._due - time.monotonic())] if self._touched else []

    def deliver(self, backend: Backend) -> None:
        """Write them, if it is time."""
        if self.due_in() != [0.0]:
            return
        with self._lock:
            touched, self._touched = self._touched, OrderedDict()
        for scope, ids in touched.items():
            try:
                run(backend.execute(op.Touch(scope, tuple(ids), background=True)))
            except Exception as error:  # noqa: BLE001 - lost without harm
                logger.debug("access times were not written: %s", error)
