"""Requests meet in their LLM calls, so that they are under way at once and not one after the other by chance."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Final

_AT_MOST: Final = 1.0
"""Seconds that a call waits for the others. One that waits for a lock that this call holds never comes."""


class Rendezvous:
    """A call waits until each request that is under way has called too, or has ended."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way = 0
        self._waiting = 0
        self._meeting = 0
        self._told: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def expect(self, requests: int) -> None:
        """Requests that will be under way: none that comes first must think that it is alone."""
        with self._changed:
            self._under_way += requests

    def ended(self) -> None:
        """One of the expected requests has ended."""
        with self._changed:
            self._under_way -= 1
            self._meet()

    def wait(self) -> None:
        """Wait for the others. On an event loop nobody else would come meanwhile: :meth:`wait_awaited`."""
        if _on_a_loop():
            return
        with self._changed:
            meeting = self._arrive()
            self._changed.wait_for(lambda: self._meeting != meeting, _AT_MOST)
            self._leave(meeting)

    async def wait_awaited(self) -> None:
        """:meth:`wait`, on an event loop."""
        loop = asyncio.get_running_loop()
        met = loop.create_future()
        with self._changed:
            self._told.append((loop, met))
            meeting = self._arrive()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(met, _AT_MOST)
        with self._changed:
            self._leave(meeting)

    def _arrive(self) -> int:
        meeting = self._meeting
        self._waiting += 1
        self._meet()
        return meeting

    def _leave(self, meeting: int) -> None:
        if self._meeting == meeting:  # nobody came
            self._waiting -= 1

    def _meet(self) -> None:
        if self._waiting and self._waiting >= self._under_way:
            self._waiting = 0
            self._meeting += 1
            self._changed.notify_all()
            told, self._told = self._told, []
            for loop, met in told:
                loop.call_soon_threadsafe(_tell, met)


def _tell(met: asyncio.Future[None]) -> None:
    if not met.done():
        met.set_result(None)


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
