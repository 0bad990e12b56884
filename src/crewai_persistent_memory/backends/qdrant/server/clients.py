"""The clients of one server: pooled, kept alive and bounded; safe after ``fork`` and across event loops.

A blocking client belongs to a process and an awaiting one to an event loop, so each is made where it is first used.
The client uses one of several nodes until it fails, then switches to the next one.
"""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
import threading
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import httpx
from qdrant_client import AsyncQdrantClient, QdrantClient

from ....addresses import is_loopback
from ....config.qdrant import ServerSettings
from ....io.event_loop_client import ClosedWithItsLoop

KEEP_ALIVE: Final = 4.0
"""Seconds an idle connection is kept: the server closes it after 5 (Qdrant 1.17), and a request that meets the closing
would be lost."""

_GRPC_CHANNELS: Final = 4
"""gRPC carries many requests over one channel."""

_GRPC_OPTIONS: Final = {
    # gRPC's own default waits up to two minutes before it tries a server again that came back.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 1000,
    "grpc.max_reconnect_backoff_ms": 1000,
    "grpc.keepalive_time_ms": 30_000,
}

_abandoned: list[Any] = []
"""A parent's clients in a forked child: never touched, for even freeing one may speak on the parent's socket."""

logger = logging.getLogger("crewai_persistent_memory")


_OfLoop = dict[int, ClosedWithItsLoop[AsyncQdrantClient]]
"""One event loop's client for each node."""


class Clients:
    """Makes and keeps the clients of one server (or of one cluster's nodes)."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._current = 0
        self._blocking: dict[int, QdrantClient] = {}
        self._awaiting: WeakKeyDictionary[
            asyncio.AbstractEventLoop, dict[int, ClosedWithItsLoop[AsyncQdrantClient]]
        ] = WeakKeyDictionary()
        _warn_of_a_bare_key(settings)

    def blocking(self) -> tuple[int, QdrantClient]:
        """The node in use, and this process's client for it."""
        node = self._current
        client = self._blocking.get(node)
        if client is None:
            with self._lock:
                client = self._blocking.get(node)
                if client is None:
                    client = self._blocking[node] = QdrantClient(**_arguments(self.settings, node))
        return node, client

    async def awaiting(self) -> tuple[int, AsyncQdrantClient]:
        """The node in use, and the running loop's client for it."""
        node = self._current
        loop = asyncio.get_running_loop()
        with self._lock:
            clients = self._awaiting.setdefault(loop, {})
        found = clients.get(node)
        if found is None:
            client = AsyncQdrantClient(**_arguments(self.settings, node))
            # Forgotten once closed, for a client may hold its loop, which would then hold its own entry here.
            found = ClosedWithItsLoop(client, client.close, lambda: clients.pop(node, None))
            clients[node] = found
            await found.start()
        return node, found.client

    def fail_over(self, node: int) -> None:
        """Switch to the next node, unless another thread has already switched."""
        if self._current == node:
            self._current = (node + 1) % len(self.settings.urls)

    @property
    def address(self) -> str:
        """Of the node in use."""
        return self.settings.urls[self._current]

    def close(self) -> None:
        """Close this process's clients. Those of running loops close there; the others closed with their loops."""
        with self._lock:
            blocking, self._blocking = self._blocking, {}
            awaiting = list(self._awaiting.items())
        for client in blocking.values():
            client.close()
        for loop, clients in awaiting:
            if loop.is_running():
                for found in list(clients.values()):
                    asyncio.run_coroutine_threadsafe(found.close(), loop)

    async def aclose(self) -> None:
        """Close this process's clients, and wait for those of the running loop."""
        with self._lock:
            mine = self._awaiting.pop(asyncio.get_running_loop(), {})
        for found in list(mine.values()):
            await found.close()
        self.close()

    def forget_after_fork(self) -> None:
        """In a forked child: start afresh, and leave the parent's sockets alone."""
        _abandoned.append((self._blocking, dict(self._awaiting)))
        self._lock = threading.Lock()
        self._blocking = {}
        self._awaiting = WeakKeyDictionary()


def _arguments(settings: ServerSettings, node: int) -> dict[str, Any]:
    url = settings.urls[node]
    arguments: dict[str, Any] = {
        "url": url,
        "grpc_port": settings.grpc_port,
        "prefer_grpc": settings.prefer_grpc,
        "timeout": math.ceil(settings.timeout),
        # Unpacking costs more than it saves on answers of a few kilobytes.
        "metadata": {"Accept-Encoding": "identity"},
        "check_compatibility": False,
        "verify": trust(settings, url),
    }
    if settings.prefer_grpc:
        roots = {} if settings.ca_cert is None else {"root_certificates": Path(settings.ca_cert).read_bytes()}
        proxies = {} if settings.trust_env else {"grpc.enable_http_proxy": 0}
        arguments.update(pool_size=_GRPC_CHANNELS, grpc_options={**_GRPC_OPTIONS, **roots, **proxies})
    else:
        arguments["trust_env"] = settings.trust_env
        # Said explicitly, because the client keeps no connection to localhost alive by itself.
        arguments["limits"] = httpx.Limits(
            max_connections=settings.max_connections,
            max_keepalive_connections=settings.max_connections,
            keepalive_expiry=KEEP_ALIVE,
        )
    # Last, so that no error above meets the key in a local variable.
    return {**arguments, "headers": headers_of(settings)}


def headers_of(settings: ServerSettings) -> dict[str, str]:
    """The headers of each request, the key among them."""
    headers = {name.lower(): value for name, value in settings.headers}  # gRPC takes no other
    if settings.api_key is not None:
        headers["api-key"] = settings.api_key.get_secret_value()
    return headers


def trust(settings: ServerSettings, url: str) -> ssl.SSLContext | bool:
    """Whom a connection to this address trusts."""
    if settings.ca_cert is not None:
        return ssl.create_default_context(cafile=str(settings.ca_cert))
    # Without TLS there is nothing to trust, and loading the usual CAs takes 20 ms for each client.
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.startswith("http://") else True


def _warn_of_a_bare_key(settings: ServerSettings) -> None:
    for url in settings.urls:
        parts = urlsplit(url)
        if settings.api_key is not None and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            logger.warning("the API key for %s is sent without TLS: use https://", url)
