"""Times as the layout has them, and an entry's place among those of its run."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Final

from ..engine_requests import Between

_EPOCH: Final = datetime(1970, 1, 1)
_MICROSECOND: Final = timedelta(microseconds=1)


def format_time(value: datetime) -> str:
    """Naive UTC as RFC 3339 with microseconds: text order is time order."""
    return value.isoformat(timespec="microseconds") + "Z"


def parse_time(value: str) -> datetime:
    return datetime.fromisoformat(value.removesuffix("Z"))


def format_end(value: datetime) -> str:
    """A time in UTC, with its time zone, as :func:`format_time` writes it: text order is time order."""
    return format_time(value.replace(tzinfo=None))


def parse_end(value: str) -> datetime:
    return parse_time(value).replace(tzinfo=timezone.utc)


def created_at(moment: datetime) -> Between:
    """The condition that an entry was created at this very microsecond."""
    return Between("created_at", moment, None if moment == datetime.max else moment + _MICROSECOND)


def position_at(created_at: datetime) -> int:
    """The position of an entry in its run: the microseconds from 1970 to its creation, naive UTC.

    A worker needs no request to know it, two workers agree on it, and an entry that a worker of layout 1 saved gets the
    same from its ``created_at``.
    """
    return (created_at - _EPOCH) // _MICROSECOND
