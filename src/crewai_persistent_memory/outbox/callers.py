"""Which process waits for an answer, as one number, and whether it is gone."""

from __future__ import annotations

import os
import sys
from typing import Final

UNKNOWN: Final = 1
"""A process that cannot be named here; it is never taken for gone."""

_PID_BITS: Final = 22
"""Linux has no larger process ids."""


def this_process() -> int:
    """The number of this process: its id, and the namespace in which it has that id.

    Containers of one host may share a queue, and none of them sees the processes of another one.
    """
    namespace = _namespace()
    return UNKNOWN if namespace is None else namespace << _PID_BITS | os.getpid()


def is_gone(caller: int) -> bool:
    """Whether a process has ended. ``False`` if this process cannot see it."""
    pid = caller & ((1 << _PID_BITS) - 1)
    if caller == UNKNOWN or caller >> _PID_BITS != _namespace():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _namespace() -> int | None:
    if sys.platform != "linux":
        return None
    try:
        return os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - follows the link, as Path.stat does, and is faster
    except OSError:
        return None
