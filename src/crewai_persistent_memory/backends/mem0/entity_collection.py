"""Mem0 OSS's second collection: names of persons, places and things, taken from memories (mem0ai from 2.0 on).

Mem0 removes a deleted memory's names itself, but only in a process that has opened the collection before, and says
nothing if it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from .compat import rows_of


def forget(
    memory: Any, user_ids: Sequence[str], memory_ids: Collection[str], all_of: Callable[[str, Mapping[str, Any]], bool]
) -> None:
    """Remove the names that only these memories have. From here on Mem0 itself removes what a deletion leaves.

    Args:
        memory: a ``mem0.Memory``.
        user_ids: whose names, as Mem0 knows the users.
        memory_ids: ids of memories that are about to be deleted.
        all_of: whether a row, given with its user, goes whatever it belongs to.
    """
    if not hasattr(type(memory), "entity_store"):
        return
    names = memory.entity_store
    gone = set(memory_ids)
    for user_id in user_ids:
        for row in rows_of(names, user_id):
            linked = row.payload.get("linked_memory_ids") or []
            if gone.issuperset(linked) or all_of(user_id, row.payload):
                names.delete(vector_id=row.id)
