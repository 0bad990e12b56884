"""What this process knows of the last short entries of each owner; see ``context``."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

NEAR: Final = timedelta(minutes=30)
"""Two entries further apart belong to two conversations."""

BEFORE: Final = 2
"""Entries whose words an entry takes in."""

_MOST_OWNERS: Final = 10_000
_MOST_FOLLOWED: Final = 100_000


class Said(NamedTuple):
    """A short entry that others may follow."""

    point: str
    content: str
    created_at: datetime
    conversation: tuple[Any, ...]
    expires_at: datetime | None = None

    def is_before(self, other: Said) -> bool:
        return (
            self.conversation == other.conversation
            and self.point != other.point
            and timedelta(0) <= other.created_at - self.created_at <= NEAR
            and self._outlives(other)
        )

    def _outlives(self, other: Said) -> bool:
        """Whether its words are not kept in the other for longer than it is itself, by more than :data:`NEAR`."""
        if self.expires_at is None:
            return True
        return other.expires_at is not None and other.expires_at - self.expires_at <= NEAR


class SaidBefore:
    """The last short entries of each owner, as one process has saved or read them; shared by its handles."""

    def __init__(self) -> None:
        self._by_owner: OrderedDict[str, deque[Said]] = OrderedDict()
        self._followed: OrderedDict[str, None] = OrderedDict()
        self._changes = 0
        self._lock = threading.Lock()

    def last_of(self, owner: str) -> tuple[Said, ...] | None:
        """The last entries of an owner, oldest first; ``None`` if they are not known."""
        with self._lock:
            known = self._by_owner.get(owner)
            return None if known is None else tuple(known)

    @property
    def changes(self) -> int:
        """How often anything was forgotten."""
        return self._changes

    def note(self, owner: str, said: Iterable[Said], since: int, followed: Iterable[str] = ()) -> None:
        """Note entries, oldest first. What was read before something was forgotten is not noted.

        Args:
            owner: of the entries.
            said: the entries.
            since: how often anything had been forgotten when they were read or made.
            followed: points whose words are in these entries.
        """
        with self._lock:
            for point in followed:
                self._followed[point] = None
            while len(self._followed) > _MOST_FOLLOWED:
                self._followed.popitem(last=False)
            if since != self._changes:
                return
            last = self._by_owner.setdefault(owner, deque(maxlen=BEFORE))
            self._by_owner.move_to_end(owner)
            for each in said:
                if not last or last[-1].created_at <= each.created_at:
                    last.append(each)
            while len(self._by_owner) > _MOST_OWNERS:
                self._by_owner.popitem(last=False)

    def are_followed(self, points: Iterable[str]) -> list[str]:
        """Those of these entries whose words are known to be in others."""
        return [point for point in points if point in self._followed]

    def forget(self) -> None:
        """Something was deleted or changed: read again what was said before."""
        with self._lock:
            self._changes += 1
            self._by_owner.clear()
