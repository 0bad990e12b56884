"""Thirty-two entries, and filters of which each is a slice of them: what several filters give is the intersection."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from ..entry import MemoryEntry

NOON: Final = datetime(2026, 5, 1, 12)
DAY: Final = timedelta(days=1)

FILTERS: Final[dict[str, tuple[dict[str, Any], Any]]] = {
    "path": ({"path": "/a"}, lambda each: each.path in ("/a", "/a/b")),
    "categories": ({"categories": ["red", "blue"]}, lambda each: bool({"red", "blue"} & set(each.categories))),
    "metadata": ({"metadata": {"k": {"n": 1}}}, lambda each: each.metadata.get("k") == {"n": 1}),
    "before": ({"created_before": NOON + 20 * DAY}, lambda each: each.created_at < NOON + 20 * DAY),
    "after": ({"created_after": NOON + 4 * DAY}, lambda each: each.created_at >= NOON + 4 * DAY),
    "ids": ({"ids": [f"e{i}" for i in range(0, 32, 3)]}, lambda each: int(each.id[1:]) % 3 == 0),
    "private": ({"include_private": False, "reader": "s1"}, lambda each: not each.private or each.source == "s1"),
}


_METADATA: Final[list[dict[str, Any]]] = [{"k": {"n": 1}}, {"k": {"n": 1.0}, "x": 2}, {"k": 1}, {}]


def thirty_two() -> list[MemoryEntry]:
    return [
        MemoryEntry(
            id=f"e{i}",
            content=f"memory number {i} about tea",
            path=["/a", "/ab", "/a/b", "/"][i % 4],
            categories=[("red",), ("green", "blue"), (), ("green",)][(i // 2) % 4],
            metadata=_METADATA[(i // 4) % 4],
            created_at=NOON + i * DAY,
            private=i % 5 == 0,
            source=[None, "s1", "s2"][i % 3],
        )
        for i in range(32)
    ]
