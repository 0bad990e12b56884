"""One suite, three ways to call: blocking, awaiting, and from other threads."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def call_sync(target: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    return getattr(target, method)(*args, **kwargs)


def call_async(target: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    return asyncio.run(getattr(target, "a" + method)(*args, **kwargs))


def call_in_thread(target: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        context = contextvars.copy_context()
        return pool.submit(context.run, getattr(target, method), *args, **kwargs).result()


CALLS = {"sync": call_sync, "async": call_async, "thread": call_in_thread}


def until(look: Callable[[], T], right: Callable[[T], bool], seconds: float = 30) -> T:
    """Look again until it is right: for what happens in the background. Fails with what was seen last."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if right(seen):
            return seen
        assert time.monotonic() < deadline, seen
        time.sleep(0.01)
