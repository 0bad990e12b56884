"""What passes from stage to stage of a recall."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from ..entry import MemoryEntry


class Found(NamedTuple):
    """An entry that a search found, with what the stages of a recall add to it.

    A stage takes a list, best first, and returns a list, best first. It may leave out entries and change their order.
    The order decides what is shown; the score is reported as it is.

    Attributes:
        entry: the entry.
        score: its score, 0…1; that of the best entry that says the same or quotes it, if that is higher.
        times: the number of entries that say the same, this one included. It stands for all of them.
        since: when the oldest of them was created (naive UTC); ``None`` if there is no other.
        repeats: it is a long text, and another entry says nearly the same and stands for it. A prompt has only those of
            its passages that say something else.
        is_empty: it states nothing. A prompt has it only where room is left.
    """

    entry: MemoryEntry
    score: float
    times: int = 1
    since: datetime | None = None
    repeats: bool = False
    is_empty: bool = False
