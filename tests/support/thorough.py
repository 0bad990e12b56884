"""How much of a long check is done: a sample in the usual run, all of it with ``THOROUGH=1`` in the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar
from zlib import crc32

Member = TypeVar("Member")

IS_THOROUGH = os.environ.get("THOROUGH", "") not in ("", "0")


def sample(everything: Sequence[Member], few: int) -> list[Member]:
    """``few`` of ``everything``, at even distances, the first and the last among them; all of it when thorough.

    The same ones each time: what failed in one run fails in the next.
    """
    count = len(everything)
    if IS_THOROUGH or count <= few:
        return list(everything)
    if few == 1:
        return [everything[0]]
    return [everything[index * (count - 1) // (few - 1)] for index in range(few)]


def one_of_each(everything: Iterable[Member], kind: Callable[[Member], Hashable]) -> list[Member]:
    """The first of each ``kind``, in the order given; all of it when thorough."""
    if IS_THOROUGH:
        return list(everything)
    firsts: dict[Hashable, Member] = {}
    for member in everything:
        firsts.setdefault(kind(member), member)
    return list(firsts.values())


def part_of(name: str, parts: int) -> int:
    """Which of so many parts a test belongs to: the same one in every run and on every machine."""
    return crc32(name.encode()) % parts
