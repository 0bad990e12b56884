"""Work with a bound on its time. Its thread is left alone if it hangs, and does not keep the process from ending."""

from __future__ import annotations

import contextvars
import subprocess
import threading
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, cast

T = TypeVar("T")

RUNNING: Final[list[subprocess.Popen[str]]] = []
"""The doctor's other processes, which end if the report is interrupted."""


class TooSlow(Exception):
    """The work has not ended in time."""


class Pending(Generic[T]):
    """Work that has begun in a thread of its own. Its context is empty: the caller's scope is not the work's."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._answer: T | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=contextvars.Context().run, args=(self._run,), daemon=True)
        self._thread.start()

    def result(self, seconds: float) -> T:
        """What the work returns.

        Args:
            seconds: to wait for it at most.

        Raises:
            TooSlow: it goes on, and nobody waits for it any more.
            Exception: the work's own.
        """
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise TooSlow
        if self._failure is not None:
            raise self._failure
        return cast(T, self._answer)

    def _run(self) -> Any:
        try:
            self._answer = self._work()
        except BaseException as failure:  # noqa: BLE001 - raised in the thread that waits
            self._failure = failure
