"""What a store keeps of what was deleted or changed, so that it can be seen and taken back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from .entry import EarlierText, MemoryEntry
from .errors import InvalidEntryError
from .expiry import after, check_ttl, now
from .scope import Scope
from .validation import check_text, to_naive_utc

MOST_TEXTS: Final = 100
"""Earlier texts that one entry can keep."""

MOST_CHARACTERS: Final = 65_536
"""Of all earlier texts of one entry together. The oldest give way."""


LONGEST_UNDO: Final = timedelta(days=36_500)


@dataclass(frozen=True)
class Corrections:
    """What a store keeps.

    Attributes:
        undo_for: so long a deleted entry can be brought back; ``None``: a delete is for good.
        history: so many earlier texts an entry keeps.
    """

    undo_for: timedelta | None = None
    history: int = 0

    def undo_until(self) -> datetime | None:
        """Until when what is deleted now can be brought back."""
        return None if self.undo_for is None else after(self.undo_for, "undo_for")


NOTHING_KEPT: Final = Corrections()


def check_undo_for(value: object) -> timedelta | None:
    """``value`` as a ``timedelta``; ``None`` for 0.

    Raises:
        InvalidEntryError: it is neither a ``timedelta`` nor a number of seconds, is below 0, or too long.
    """
    nothing = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value == 0
    if value is None or nothing or value == timedelta(0):
        return None
    length = check_ttl(value, "undo_for")
    if length > LONGEST_UNDO:
        raise InvalidEntryError(f"undo_for must be at most {LONGEST_UNDO.days} days, got {value}")
    return length


def texts_after(stored: MemoryEntry, content: str, by: Scope, most: int) -> tuple[EarlierText, ...]:
    """The earlier texts of an entry after a change.

    Args:
        stored: the entry before it.
        content: its text from now on.
        by: who changes it.
        most: so many are kept; of a changed text with 0 none, and those that there were go.
    """
    if content == stored.content:
        return stored.history
    if most == 0:
        return ()
    since = stored.history[-1].until if stored.history else stored.created_at
    until = now().replace(tzinfo=None)
    texts = [*stored.history, EarlierText(stored.content, since, until, by.run_id, by.agent_id)][-most:]
    left = MOST_CHARACTERS
    kept: list[EarlierText] = []
    for each in reversed(texts):
        left -= len(each.content)
        if left < 0:
            break
        kept.insert(0, each)
    return tuple(kept)


def checked_history(values: Sequence[Any]) -> tuple[EarlierText, ...]:
    """Earlier texts that somebody gives.

    Raises:
        InvalidEntryError: one is malformed.
    """
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InvalidEntryError("history must be a list of earlier texts")
    checked = []
    for each in values:
        if not isinstance(each, EarlierText):
            raise InvalidEntryError(f"history: expected EarlierText, got {type(each).__name__}")
        checked.append(
            EarlierText(
                check_text("an earlier text", each.content),
                to_naive_utc("since", each.since),
                to_naive_utc("until", each.until),
                None if each.run_id is None else check_text("run_id", each.run_id),
                None if each.agent_id is None else check_text("agent_id", each.agent_id),
            )
        )
    return tuple(checked)


def history_from_json(values: Any) -> tuple[EarlierText, ...]:
    """Earlier texts from JSON values; see :meth:`EarlierText.to_dict`.

    Raises:
        InvalidEntryError: they are malformed.
    """
    if not isinstance(values, list):
        raise InvalidEntryError("history must be a list")
    try:
        return checked_history([EarlierText.of(each) for each in values])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidEntryError(f"history: an earlier text has content, since and until ({error})") from error
