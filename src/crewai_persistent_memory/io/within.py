"""A step with a deadline: the caller goes on after some seconds, whatever the steps inside are waiting for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Final, TypeVar

from ..errors import Outcome, StoreUnavailableError
from .retry import QUIET
from .steps import Step, Steps, arun, run

T = TypeVar("T")

_LATE: Final[set[asyncio.Future[Any]]] = set()
"""Tasks that nobody waits for. A loop does not hold its tasks."""


class Within(Step[T]):
    """Steps that are waited for during a limited time.

    Blocking, they run in a thread of their own; awaiting, in a task. After the deadline they go on, and their answer is
    dropped: what takes long once, such as opening a large collection, gets done. The thread is a daemon, and does not
    hold up the end of the process. A caller that is cancelled cancels the task. Attempts inside that fail are not
    logged: the caller hears of the last one.

    Raises:
        StoreUnavailableError: the time has passed.
    """

    __slots__ = ("_make", "_seconds", "_what")

    def __init__(self, make: Callable[[], Steps[T]], seconds: float, what: str) -> None:
        """
        Args:
            make: makes the steps.
            seconds: how long they are waited for.
            what: for the message, such as ``the memory store``.
        """
        self._make = make
        self._seconds = seconds
        self._what = what

    def wait(self) -> T:
        answers: list[Any] = []
        errors: list[BaseException] = []
        ended = threading.Event()

        def work() -> None:
            QUIET.set(True)
            try:
                answers.append(run(self._make()))
            except BaseException as error:  # noqa: BLE001 - raised where the caller waits
                errors.append(error)
            ended.set()

        threading.Thread(target=copy_context().run, args=(work,), name="memory-read", daemon=True).start()
        if not ended.wait(self._seconds):
            raise self._too_late()
        if errors:
            raise errors[0]
        return answers[0]  # type: ignore[no-any-return]

    async def awaited(self) -> T:
        task = asyncio.ensure_future(self._quietly())
        try:
            ended, _ = await asyncio.wait({task}, timeout=self._seconds)
        except BaseException:
            task.cancel()
            raise
        if not ended:
            _LATE.add(task)
            task.add_done_callback(_drop)
            raise self._too_late()
        return task.result()

    async def _quietly(self) -> T:
        QUIET.set(True)  # in the context of the task
        return await arun(self._make())

    def _too_late(self) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"{self._what} did not answer within {self._seconds:g} s (recall_timeout)", outcome=Outcome.NOT_DONE
        )


def _drop(task: asyncio.Future[Any]) -> None:
    _LATE.discard(task)
    if not task.cancelled():
        task.exception()  # asyncio would log one that nobody has looked at
