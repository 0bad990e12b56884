"""Whose memories have an end. The purge in the background goes by it, because Mem0 cannot list across users."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta, timezone
from itertools import islice
from typing import Final

from ...expiry import is_expired
from ...scope import Scope

MOST_OWNERS: Final = 10_000
"""That are kept in mind. Of others it is noticed when a read comes upon what has ended."""
MOST_AT_ONCE: Final = 500
"""Owners that one purge looks through, with a request each. The next one goes on."""


class OwnersWithEnds:
    """The owners of whom this process has stored, or come upon, a memory with an end; with the earliest end.

    It has no lock, so that a forked child does not inherit a held one. If two threads note an end of one owner at the
    same moment, the later end may be kept. A read, or the next purge, puts that right.
    """

    def __init__(self) -> None:
        self._earliest: dict[Scope, datetime] = {}

    def note(self, owner: Scope, expires_at: datetime | None, last_day: date | None) -> None:
        """A memory of this owner ends then. Without an end nothing is noted."""
        ends = [] if expires_at is None else [expires_at]
        if last_day is not None:
            ends.append(datetime.combine(last_day + timedelta(days=1), time(), timezone.utc))
        if not ends:
            return
        known = self._earliest.get(owner)
        if known is not None:
            ends.append(known)
        elif len(self._earliest) >= MOST_OWNERS:
            return
        self._earliest[owner] = min(ends)

    @contextmanager
    def taken(self) -> Iterator[list[Scope]]:
        """The owners of whom something has ended. They are forgotten, unless the block fails."""
        due = {owner: end for owner, end in self._earliest.copy().items() if is_expired(end)}
        taken = dict(islice(due.items(), MOST_AT_ONCE))
        for owner in taken:
            self._earliest.pop(owner, None)
        try:
            yield list(taken)
        except BaseException:
            for owner, end in taken.items():
                self.note(owner, end, None)
            raise
