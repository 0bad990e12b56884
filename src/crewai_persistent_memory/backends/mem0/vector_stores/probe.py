"""A vector store that nobody tried is tried when it is opened: with a few memories of two users who do not exist."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Final

from ....errors import ConfigurationError
from .corrected import CorrectedStore

_OTHERS: Final = 30
"""Memories of another user that are nearer to the question."""


def probe(store: CorrectedStore, provider: str, embed: Callable[[str], Sequence[float]]) -> None:
    """Store, find and remove memories, and leave none.

    Args:
        store: just opened.
        provider: its name.
        embed: makes a vector for it.

    Raises:
        ConfigurationError: what holds on every vector store that is known does not hold on this one.
        Exception: the driver's.
    """
    near = list(embed("a probe"))
    middle, far = _turned(near, 0.5), _turned(near, -0.5)
    mine = f"probe-{uuid.uuid4().hex}-john"
    other = mine.upper()
    ids = [str(uuid.uuid4()) for _ in range(_OTHERS + 2)]
    first, second, *others = ids
    filters = {"user_id": mine}
    common = {"data": "a probe", "hash": "0", "created_at": "2020-01-01T00:00:00+00:00"}

    def listed() -> set[str]:
        return {row.id for row in store.list(filters=filters, top_k=100)[0]}

    def holds(is_true: bool, otherwise: str) -> None:
        if not is_true:
            raise ConfigurationError(
                f"local_mem0_config: the vector store {provider!r} was tried now, and {otherwise}: it is not opened"
            )

    left = list(ids)
    store.insert(
        vectors=[middle, far, *[near] * _OTHERS],
        payloads=[{**common, "user_id": other if id in others else mine} for id in ids],
        ids=list(ids),
    )
    try:
        holds(listed() == {first, second}, "a listing does not have all memories of a user")
        found = store.search(query="a probe", vectors=near, top_k=2, filters=filters)
        holds({row.id for row in found} == {first, second}, "a search beside other users does not find all of a user's")
        scores = [row.score or 0.0 for row in found]
        holds([row.id for row in found] == [first, second], "a search does not give the best first")
        holds(1.0 >= scores[0] > scores[1] >= 0.0, "its scores are not between 0 and 1, or do not differ")
        row = store.get(vector_id=first)
        holds(row is not None and row.id == first, "a memory is not found by its id")
        store.update(vector_id=first, vector=middle, payload={**row.payload, "data": "another"})
        changed = store.get(vector_id=first)
        holds(changed is not None and changed.payload.get("data") == "another", "a change is not kept")
        holds(listed() == {first, second}, "a memory that was changed is there twice, or not at all")
        store.delete(vector_id=first)
        left.remove(first)
        holds(listed() == {second}, "a memory that was deleted is still there")
        holds(_reads_nothing(store, first), "reading a memory that was deleted is an error")
    finally:
        for id in left:
            store.delete(vector_id=id)


def _turned(near: Sequence[float], share: float) -> list[float]:
    """A vector with this share of the smallest numbers of another one, up to half of its length squared.

    With -0.5 its cosine is 0.3 at least: stores may give a cosine below 0 as it is.
    """
    turned, left = list(near), sum(number**2 for number in near) * 0.5001
    for place in sorted(range(len(near)), key=lambda place: abs(near[place])):
        left -= near[place] ** 2
        if left < 0:
            break
        turned[place] *= share
    return turned


def _reads_nothing(store: CorrectedStore, id: str) -> bool:
    try:
        return store.get(vector_id=id) is None
    except (LookupError, ValueError):
        return False
