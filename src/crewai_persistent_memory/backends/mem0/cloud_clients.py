"""The clients of Mem0 Cloud: one for each process and one for each event loop.

Handles with the same settings share them, and so their sockets.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from weakref import WeakKeyDictionary

import httpx
from pydantic import SecretStr

from ...config.mem0 import Mem0Options
from ...io.event_loop_client import ClosedWithItsLoop
from ...io.shared import Shared
from .compat import import_mem0


@dataclass(frozen=True)
class ClientSettings:
    """What clients must have in common to be one."""

    host: str
    key: SecretStr
    timeout: float
    trust_env: bool
    telemetry: bool

    @classmethod
    def of(cls, options: Mem0Options) -> ClientSettings:
        return cls(options.host, options.key, options.timeout, options.trust_env, options.telemetry)


class CloudClients:
    """Makes and keeps the clients of one host and key."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._blocking: Any = None
        self._awaiting: WeakKeyDictionary[asyncio.AbstractEventLoop, ClosedWithItsLoop[Any]] = WeakKeyDictionary()
        self._abandoned: list[Any] = []

    def blocking(self) -> Any:
        """This process's client."""
        found = self._blocking
        if found is None:
            blocking, _ = client_classes(self._settings.telemetry)
            with self._lock:
                found = self._blocking
                if found is None:
                    found = self._blocking = blocking(client=httpx.Client(**self._http()), **self._arguments())
        return found

    async def awaiting(self) -> Any:
        """The running loop's client."""
        loop = asyncio.get_running_loop()
        found = self._awaiting.get(loop)
        if found is None:
            _, awaiting = await asyncio.to_thread(client_classes, self._settings.telemetry)
            found = self._awaiting.get(loop)  # another task of this loop may have been faster
        if found is None:
            client = awaiting(client=httpx.AsyncClient(**self._http()), **self._arguments())
            found = ClosedWithItsLoop(client, client.async_client.aclose, lambda: self._awaiting.pop(loop, None))
            self._awaiting[loop] = found
            await found.start()
        return found.client

    def close(self) -> None:
        """Close this process's client. Those of loops close with their loops."""
        blocking, self._blocking = self._blocking, None
        if blocking is not None:
            blocking.client.close()

    async def aclose(self) -> None:
        """Close this process's client, and that of the running loop."""
        mine = self._awaiting.pop(asyncio.get_running_loop(), None)
        if mine is not None:
            await mine.close()
        self.close()

    def forget_after_fork(self) -> bool:
        """In a forked child: start afresh. The parent's clients are kept: even freeing one may close its sockets."""
        self._abandoned += [self._blocking, dict(self._awaiting)]
        self._lock = threading.Lock()
        self._blocking = None
        self._awaiting = WeakKeyDictionary()
        return True

    def _http(self) -> dict[str, Any]:
        return {"timeout": self._settings.timeout, "trust_env": self._settings.trust_env}

    def _arguments(self) -> dict[str, Any]:
        return {"api_key": self._settings.key.get_secret_value(), "host": self._settings.host}


CLIENTS: Final[Shared[ClientSettings, CloudClients]] = Shared(
    CloudClients.close, after_fork=CloudClients.forget_after_fork
)


@lru_cache(maxsize=2)
def client_classes(telemetry: bool) -> tuple[type[Any], type[Any]]:
    """Mem0's blocking and awaiting client, with what they lack: events, a ping that can be repeated, and a constructor
    that does not use the network (Mem0's own blocks the event loop, without a timeout)."""
    mem0 = import_mem0(telemetry=telemetry)
    from mem0.client.main import api_error_handler  # type: ignore[import-untyped, unused-ignore]

    class Blocking(mem0.MemoryClient):  # type: ignore[misc, name-defined]
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            _belong_to_the_key(self)

        def _validate_api_key(self) -> None:
            _name_a_project(self)

        @api_error_handler  # type: ignore[untyped-decorator, unused-ignore]
        def ping(self) -> Any:
            return _answer(self.client.get("/v1/ping/"))

        @api_error_handler  # type: ignore[untyped-decorator, unused-ignore]
        def event(self, event_id: str) -> Any:
            return _answer(self.client.get(f"/v1/event/{event_id}/"))

        @api_error_handler  # type: ignore[untyped-decorator, unused-ignore]
        def change(self, memory_id: str, body: Mapping[str, Any]) -> Any:
            return _answer(self.client.put(f"/v1/memories/{memory_id}/", json=dict(body)))

    class Awaiting(mem0.AsyncMemoryClient):  # type: ignore[misc, name-defined]
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            _belong_to_the_key(self)

        def _validate_api_key(self) -> None:
            _name_a_project(self)

        @api_error_handler  # type: ignore[untyped-decorator, unused-ignore]
        async def ping(self) -> Any:
            return _answer(await self.async_client.get("/v1/ping/"))

        @api_error_handler  # type: ignore[untyped-decorator, unused-ignore]
        async def event(self, event_id: str) -> Any:
            return _answer(await self.async_client.get(f"/v1/event/{event_id}/"))

        @api_error_handler  # type: ignore[untyped-decorator, unused-ignore]
        async def change(self, memory_id: str, body: Mapping[str, Any]) -> Any:
            return _answer(await self.async_client.put(f"/v1/memories/{memory_id}/", json=dict(body)))

    return Blocking, Awaiting


def _name_a_project(client: Any) -> None:
    """The constructor requires a project. Only operations on projects use it, which this package does not make."""
    client.org_id = client.project_id = "of-the-key"


def _belong_to_the_key(client: Any) -> None:
    """Until 2.0 a client sends its organisation and project. Here the key decides, as from 2.0 on, so that an update
    of mem0ai finds what was stored before."""
    client.org_id = client.project_id = None


def _answer(response: Any) -> Any:
    response.raise_for_status()
    return response.json()
