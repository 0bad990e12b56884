"""Objects that all handles of a process share, one for each key: an open shard, a server's sockets, a client."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

logger = logging.getLogger("crewai_persistent_memory")


@dataclass
class _Entry(Generic[V]):
    value: V
    holders: int


class Shared(Generic[K, V]):
    """A registry of values by key. A value is made for its first holder, and closed after its last one or at exit.

    A forked child starts with an empty registry, and never closes or frees what its parent made: that could speak on
    the parent's sockets. A value that can go on in the child says so by ``after_fork``.

    Make one as a module's global: it lives as long as the process.
    """

    def __init__(
        self,
        close: Callable[[V], Any],
        *,
        exclusive: bool = False,
        after_fork: Callable[[V], bool] = lambda value: False,
    ) -> None:
        """
        Args:
            close: closes a value, blocking.
            exclusive: no two values of a key may exist at once, not even while one of them is being closed.
            after_fork: is called in a forked child for each value of the parent; returns whether its holders go on
                with it there, and are counted.
        """
        self._close = close
        self._exclusive = exclusive
        self._after_fork = after_fork
        self._entries: dict[K, _Entry[V]] = {}
        self._abandoned: list[V] = []
        self.lock = threading.RLock()
        """Held while a value is made, and while an exclusive one is closed; made anew in a forked child."""
        atexit.register(self._close_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget_after_fork)

    def acquire(self, key: K, create: Callable[[], V], join: Callable[[V], Any] | None = None) -> V:
        """The value of a key; each call is one holder, who gives it back with :meth:`release`.

        Args:
            key: what tells values apart.
            create: makes the value. No other value is made meanwhile.
            join: is called with a value that exists; if it raises, the caller is no holder.
        """
        with self.lock:
            entry = self._entries.get(key)
            if entry is None:
                entry = self._entries[key] = _Entry(create(), 0)
            elif join is not None:
                join(entry.value)
            entry.holders += 1
            return entry.value

    def release(self, key: K, value: V) -> None:
        """Give a value back; the last holder closes it."""
        with self.lock:
            is_last = self._leave(key, value)
            if is_last and self._exclusive:
                self._close(value)
        if is_last and not self._exclusive:
            self._close(value)

    async def arelease(self, key: K, value: V, aclose: Callable[[V], Awaitable[Any]] | None = None) -> None:
        """:meth:`release`, awaited.

        Args:
            key: as in :meth:`acquire`.
            value: as it was returned there.
            aclose: closes a value that is not exclusive; left out: ``close`` does, in a thread.
        """
        if aclose is None:
            await asyncio.to_thread(self.release, key, value)
        elif self._leave(key, value):
            await aclose(value)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def keys(self) -> list[K]:
        """Of the values that are open."""
        with self.lock:
            return list(self._entries)

    def _leave(self, key: K, value: V) -> bool:
        """Whether the caller was the last holder, and is to close the value."""
        with self.lock:
            entry = self._entries.get(key)
            if entry is None or entry.value is not value:
                return False  # of another process, or closed at exit
            entry.holders -= 1
            if entry.holders:
                return False
            del self._entries[key]
            return True

    def _close_all(self) -> None:
        with self.lock:
            entries, self._entries = self._entries, {}
        for entry in entries.values():
            try:
                self._close(entry.value)
            except Exception as error:  # noqa: BLE001 - the others are to be closed too
                # A key may hold settings and secrets; the error names the store.
                logger.error("closing %s at exit failed: %s", type(entry.value).__name__, error)

    def _forget_after_fork(self) -> None:
        self.lock = threading.RLock()  # another thread of the parent may have held it
        entries, self._entries = self._entries, {}
        for key, entry in entries.items():
            if self._after_fork(entry.value):
                self._entries[key] = entry
            else:
                self._abandoned.append(entry.value)
