"""The context of entries that code of an older layout has saved: it gave them none. See ``context``."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from .codec import to_entry
from .context import is_said_before, said_in
from .engine_requests import Hit
from .said_before import BEFORE, Said
from .schema import FORGOTTEN_KEY, owner_in, owner_key


def said_at(point: str, payload: Mapping[str, Any]) -> Said | None:
    """The entry of a point as others may follow it; ``None`` for a long, a private and a forgotten one."""
    if FORGOTTEN_KEY in payload:
        return None
    return said_in(to_entry(Hit(point, dict(payload)), owner_in(payload)), point)


def contexts_among(points: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, list[str]]:
    """What was said before each of these entries, as far as it is among them.

    Args:
        points: their ids and payloads, in any order. Some 300 bytes of each short one are held in memory.

    Returns:
        For each point that has a context, the points of it, oldest first.
    """
    by_owner: dict[str, list[Said]] = {}
    for point, payload in points:
        said = said_at(point, payload)
        if said is not None:
            by_owner.setdefault(owner_key(owner_in(payload)), []).append(said._replace(content=""))
    contexts = {}
    for all_said in by_owner.values():
        all_said.sort(key=lambda said: said.created_at)
        before: deque[Said] = deque(maxlen=BEFORE)
        for said in all_said:
            if followed := [one.point for one in before if is_said_before(one, said)]:
                contexts[said.point] = followed
            before.append(said)
    return contexts
