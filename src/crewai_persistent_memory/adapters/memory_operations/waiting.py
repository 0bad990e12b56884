"""How a memory waits for what is under way, and says how its store does."""

from __future__ import annotations

from concurrent.futures import wait
from functools import partial
from typing import Any

from ...io.steps import Call, Steps
from ..llm_pipeline import awaited
from .parts import MemoryParts


def drain_writes(memory: MemoryParts) -> Steps[None]:
    """Wait for background saves. A failed save was already reported, and does not raise here."""
    pending = [] if memory.pipeline is None else memory.pipeline.pending()
    if pending:
        yield Call(partial(wait, pending), partial(awaited, pending))


def pending(memory: MemoryParts) -> Steps[int]:
    """How many writes of this user are accepted and not delivered to the store yet; 0 without an outbox."""
    return memory.store.steps.pending()


def flush(memory: MemoryParts, timeout: float = 10.0) -> Steps[bool]:
    """Wait for background saves, and until the store has taken what this user has written so far.

    Args:
        timeout: seconds to wait for the store at most.

    Returns:
        Whether the store has taken it. ``True`` without an outbox.
    """
    yield from drain_writes(memory)
    return (yield from memory.store.steps.flush(timeout))


def health(memory: MemoryParts) -> Steps[dict[str, Any]]:
    """The state of the store, and under ``"outbox"`` how much waits for it, since when, and why."""
    return memory.store.steps.health()
