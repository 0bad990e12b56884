"""Where there are memories, if there are none in a scope."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from ..wording import memories

if TYPE_CHECKING:
    from ..store.base import MemoryStore
    from ..store.operations import ScopeField

MOST: Final = 5
"""Most names in one hint."""


def why_nothing(store: MemoryStore) -> str:
    """Why a listing or a recall is empty: the memories may be in another project, run or agent, or the user may be
    spelled in another way.

    Returns:
        One sentence. For a store that cannot count across scopes (Mem0) it is about this scope only.
    """
    from ..admin import count_by

    scope = store.scope
    here = store.count()
    whose = "the shared memory" if scope.is_shared else f"user {scope.user_id}"
    if here:
        return f"nothing matches; {whose} has {memories(here)} in project {scope.project_id}"
    nothing = f"nothing in project {scope.project_id}"
    projects = count_by(store, "project_id", user_id=scope.user_id)
    narrower = projects.pop(scope.project_id, 0)
    found = []
    if narrower:
        fields = {"user_id": scope.user_id, "project_id": scope.project_id}
        by: list[tuple[str, ScopeField]] = [("--org", "org_id"), ("--run", "run_id"), ("--agent", "agent_id")]
        found += [
            f"{count} with {option} {name}"
            for option, field in by
            for name, count in _largest(count_by(store, field, **fields))
            if name != getattr(scope, field)
        ] or [f"{narrower} of no organisation, run or agent"]
    found += [f"{count} in {name}" for name, count in _largest(projects)]
    if found:
        return f"{nothing}; {whose} has {', '.join(found)}"
    if scope.is_shared:
        return nothing
    users = count_by(store, "user_id", project_id=scope.project_id)
    alike = difflib.get_close_matches(scope.user_id or "", users, n=1)
    if alike:
        return f"{nothing} for {whose}; {alike[0]} has {users[alike[0]]}"
    return f"{nothing} for {whose}" + (f"; other users there: {len(users)}" if users else "")


def _largest(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST]
