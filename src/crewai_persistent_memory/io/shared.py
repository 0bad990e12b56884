"""Objects that all handles in a process share, one per key: an open shard, a server's sockets, a client."""

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
    """A registry of values by key, with reference counts.

    A value is created for its first holder. It is closed when its last holder releases it, or at exit. A forked child
    starts with an empty registry, and never closes or frees its parent's values, because that could send data on the
    parent's sockets. ``after_fork`` decides whether a value stays usable in the child.

    Create instances as module globals. They live as long as the process.
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
            exclusive: whether only one value per key may exist at a time, also while one is being closed.
            after_fork: called in a forked child for each value of the parent. Returns whether its holders keep it
                there, and are counted.
        """
        self._close = close
        self._exclusive = exclusive
        self._after_fork = after_fork
        self._entries: dict[K, _Entry[V]] = {}
        self._abandoned: list[V] = []
        self.lock = threading.RLock()
        """Held while a value is created, and while an exclusive one is closed. A forked child has a new lock."""
        atexit.register(self._close_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget_after_fork)

    def acquire(self, key: K, create: Callable[[], V], join: Callable[[V], Any] | None = None) -> V:
        """The value of a key. Each call adds one holder, which must call :meth:`release`.

        Args:
            key: identifies the value.
            create: creates the value. No other value is created at the same time.
            join: called with an existing value. If it raises, the caller does not become a holder.
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
        """Release a value. The last release closes it."""
        with self.lock:
            is_last = self._leave(key, value)
            if is_last and self._exclusive:
                self._close(value)
        if is_last and not self._exclusive:
            self._close(value)

    async def arelease(self, key: K, value: V, aclose: Callable[[V], Awaitable[Any]] | None = None) -> None:
        """:meth:`release`, awaited.

        Args:
            key: the key passed to :meth:`acquire`.
            value: the value that it returned.
            aclose: closes a value that is not exclusive. Default: ``close``, in a thread.
        """
        if aclose is None:
            await asyncio.to_thread(self.release, key, value)
        elif self._leave(key, value):
            await aclose(value)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def keys(self) -> list[K]:
        """The keys of the open values."""
        with self.lock:
            return list(self._entries)

    def values(self) -> list[V]:
        """The open values."""
        with self.lock:
            return [entry.value for entry in self._entries.values()]

    def _leave(self, key: K, value: V) -> bool:
        """Whether the caller was the last holder, and must close the value."""
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
                # The key is not logged, because it may hold secrets. The error names the store.
                logger.error("closing %s at exit failed: %s", type(entry.value).__name__, error)

    def _forget_after_fork(self) -> None:
        self.lock = threading.RLock()  # another thread of the parent may have held it
        entries, self._entries = self._entries, {}
        for key, entry in entries.items():
            if self._after_fork(entry.value):
                self._entries[key] = entry
            else:
                self._abandoned.append(entry.value)
