"""Waking the thread of the outbox: by other threads of this process, and by other processes of the host.

The sender listens at a named pipe in the queue's folder. A process that accepts a write, and is not the sender, writes
a byte to it. So nobody asks again and again. Windows has no such pipes; there the sender looks every 50 ms.
"""

from __future__ import annotations

import errno
import os
import select
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..io.private_files import FILE_MODE, identity_of

_LOOKS: Final = 0.05
_HAS_PIPES: Final = hasattr(os, "mkfifo")


class Bell:
    """Rung by those who accept writes; the thread waits for it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "bell"
        self._event = threading.Event()
        self._lock = threading.Lock()  # the number of a closed pipe may belong to another file by then
        self._near: tuple[int, int] | None = None
        self._far: int | None = None
        self._to_far: int | None = None
        self._is_rung = False
        """A call of :meth:`ring` is not answered yet, so another one need not enter the system."""
        if _HAS_PIPES:
            self._near = _pipe()

    def listen(self) -> None:
        """Be woken by other processes too. For the sender alone."""
        if not _HAS_PIPES:
            return
        if self._far is not None and identity_of(self._path) != identity_of(self._far):
            # The folder was deleted. Who has the old pipe open for writing sees its end, and opens the new one.
            with self._lock:
                os.close(self._far)
                self._far = None
        if self._far is None:
            with suppress(FileExistsError):
                os.mkfifo(self._path, FILE_MODE)
            # For reading and writing, so that it does not end when nobody has it open for writing.
            self._far = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def ring(self) -> None:
        """Wake the thread of this process."""
        self._event.set()
        if self._is_rung:
            return  # the thread has not looked since
        with self._lock:
            if self._near is not None:
                self._is_rung = True
                _put_byte(self._near[1])

    def ring_far(self) -> None:
        """Wake the sender, which is in another process. Without one, nothing happens."""
        if _HAS_PIPES:
            with self._lock:
                self._ring_far()

    def _ring_far(self) -> None:
        if self._near is None:
            return  # closed
        for _ in range(2):
            try:
                if self._to_far is None:
                    self._to_far = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                os.write(self._to_far, b"x")
                return
            except BlockingIOError:
                return  # it is full of calls already
            except OSError as error:
                if self._to_far is not None:
                    os.close(self._to_far)
                    self._to_far = None
                if error.errno != errno.EPIPE:
                    return  # there is no sender

    def wait(self, seconds: float) -> None:
        """Wait for a call, or for the time to pass."""
        if self._near is None:
            self._event.wait(min(seconds, _LOOKS))
            self._event.clear()
            return
        ends = select.poll()  # select() takes no descriptor above 1,023
        for each in (self._near[0], self._far):
            if each is not None:
                ends.register(each, select.POLLIN)
        for each, _ in ends.poll(max(0.0, seconds) * 1000):
            with suppress(BlockingIOError):
                os.read(each, 65536)
        # After the bytes are read: a call between the two puts none, and is seen by the look that follows.
        self._is_rung = False

    def close(self) -> None:
        """For the thread that waits, or when there is none."""
        with self._lock:
            near, self._near = self._near, None
            for each in (*(near or ()), self._far, self._to_far):
                if each is not None:
                    os.close(each)
            self._far = self._to_far = None

    def forget(self) -> None:
        """In a forked child: close the parent's pipes here."""
        self._lock = threading.Lock()  # another thread of the parent may have held it
        self.close()


def _pipe() -> tuple[int, int]:
    ends = os.pipe()
    for each in ends:
        os.set_blocking(each, False)
    return ends


def _put_byte(end: int) -> None:
    with suppress(BlockingIOError):
        os.write(end, b"x")
