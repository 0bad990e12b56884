"""Clients that belong to an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Generic, TypeVar

Client = TypeVar("Client")


class ClosedWithItsLoop(Generic[Client]):
    """A client that is closed when its event loop ends, while the loop can still do it.

    A loop closes the asynchronous generators that are still open when it ends (``asyncio.run`` and every server that
    runs one see to it), so the client lives in one.
    """

    def __init__(self, client: Client, close: Callable[[], Awaitable[Any]], closed: Callable[[], Any]) -> None:
        self.client = client
        self._close = close
        self._closed = closed
        self._lifetime = self._live()

    async def start(self) -> None:
        """Tie it to the running loop."""
        await anext(self._lifetime)

    async def close(self) -> None:
        await self._lifetime.aclose()

    async def _live(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._closed()
            await self._close()
