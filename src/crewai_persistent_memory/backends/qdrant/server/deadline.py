"""A bound on the time that a server is waited for, to the fraction of a second.

A client takes whole seconds, and for each call anew.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import httpx
from qdrant_client.http.exceptions import ResponseHandlingException

T = TypeVar("T")

LAST_ATTEMPT: Final = 0.1
"""Seconds."""


class Deadline:
    """Seconds for several calls together. Time that the server is not waited for does not count."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, 0 when it is over."""
        return max(0.0, self._until - time.monotonic())

    def extend(self, seconds: float) -> None:
        """Allow for a pause that does not count."""
        self._until += seconds

    def uncounted(self, function: Callable[[], T]) -> T:
        """Call a function of ours; its time does not count."""
        with self.stopped():
            return function()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Do something that does not count."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._until += time.monotonic() - start

    def call(self, function: Callable[[], Any], *, creates: bool, nodes: int) -> Any:
        """Call the server. With several nodes a call gets a part of the time that is left.

        Raises:
            ResponseHandlingException: the time is over, as the client would say it.
        """
        if creates:
            with self.stopped():
                return function()
        # A last attempt may begin when the time is over: long enough to hear why the server cannot be reached.
        seconds = max(self.left / nodes, LAST_ATTEMPT)
        answer: Future[Any] = Future()
        work = contextvars.copy_context()

        def run() -> None:
            try:
                answer.set_result(work.run(function))
            except Exception as error:  # noqa: BLE001 - given to the caller
                answer.set_exception(error)

        # A daemon: it ends with the client's own time-out, and nobody waits for that.
        threading.Thread(target=run, name="memory-startup", daemon=True).start()
        try:
            return answer.result(seconds)
        except FutureTimeout:
            if answer.done():
                raise
            raise ResponseHandlingException(httpx.ReadTimeout(f"no answer within {seconds:.3g} s")) from None
