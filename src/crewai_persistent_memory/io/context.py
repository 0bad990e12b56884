"""Context variables that are set for a block, even if the block ends in another context."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def setting(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Set a context variable inside a ``with`` block.

    The garbage collector closes an unfinished coroutine in another context. ``ContextVar.reset`` raises there, and
    nothing needs to be restored.
    """
    previous = variable.get()
    variable.set(value)
    try:
        yield
    finally:
        if variable.get() is value:
            variable.set(previous)
