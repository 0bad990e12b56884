"""Context variables that are set for a block, wherever the block ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def setting(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Set a context variable inside a ``with`` block.

    A coroutine that is never finished is closed in whatever context the garbage collector has, where
    ``ContextVar.reset`` raises; there is nothing to restore there.
    """
    previous = variable.get()
    variable.set(value)
    try:
        yield
    finally:
        if variable.get() is value:
            variable.set(previous)
