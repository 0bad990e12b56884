"""Words for counts in messages."""

from __future__ import annotations


def memories(count: int) -> str:
    """``1 memory``, ``2 memories``."""
    return counted(count, "memory", "memories")


def counted(count: int, one: str, many: str | None = None) -> str:
    """``1 write``, ``2 writes``.

    Args:
        count: how many.
        one: the noun.
        many: its plural, if it is not made with an s.
    """
    return f"{count} {one if count == 1 else many or f'{one}s'}"
