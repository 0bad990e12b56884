"""Words for counts in messages."""

from __future__ import annotations


def memories(count: int) -> str:
    """``1 memory``, ``2 memories``."""
    return f"{count} {'memory' if count == 1 else 'memories'}"
