"""When an entry expires: the clock, the checks of what a caller gives, and the rules of a store."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Final, TypeAlias

from .errors import InvalidEntryError
from .scope import Scope

NEVER: Final = datetime.max.replace(tzinfo=timezone.utc)
"""``expires_at=NEVER``: the entry never expires, whatever the rules of the store are."""

Ttl: TypeAlias = timedelta | float
"""A time to live: a ``timedelta``, or seconds."""


_set_to: datetime | None = None
_as_of: ContextVar[datetime | None] = ContextVar("expiring_as_of", default=None)


def now() -> datetime:
    """The time by which entries expire, with its time zone, UTC."""
    if (moment := _as_of.get()) is not None:
        return moment
    return datetime.now(timezone.utc) if _set_to is None else _set_to


@contextmanager
def expiring_as_of(moment: datetime | None) -> Iterator[None]:
    """In this context, entries expire as if it were ``moment``: for a change that was accepted then. ``None``: now."""
    before = _as_of.set(moment)
    try:
        yield
    finally:
        _as_of.reset(before)


@contextmanager
def clock_set_to(moment: datetime) -> Iterator[None]:
    """In this process, entries expire as if it were ``moment`` (with a time zone). For tests."""
    global _set_to
    before, _set_to = _set_to, moment
    try:
        yield
    finally:
        _set_to = before


def is_expired(expires_at: datetime | None, moment: datetime | None = None) -> bool:
    """Whether the time of an entry is over.

    Args:
        expires_at: of the entry.
        moment: left out: :func:`now`.
    """
    return expires_at is not None and expires_at <= (now() if moment is None else moment)


def check_expires_at(value: object) -> datetime:
    """``value`` in UTC, if it is a time with a time zone. It may be over.

    Raises:
        InvalidEntryError: it is no ``datetime``, or has no time zone.
    """
    if not isinstance(value, datetime):
        raise InvalidEntryError(
            f"expires_at must be a datetime, got {type(value).__name__}: give a datetime with a time zone, or ttl= in "
            "seconds"
        )
    if value.utcoffset() is None:
        raise InvalidEntryError(
            f"expires_at {value.isoformat()} has no time zone: write datetime(..., tzinfo=timezone.utc), or give ttl="
        )
    try:
        return value.astimezone(timezone.utc)
    except OverflowError as error:
        raise InvalidEntryError(f"expires_at is outside of the years 1 to 9999 in UTC, got {value}") from error


def check_ttl(value: object, name: str = "ttl") -> timedelta:
    """``value`` as a ``timedelta``.

    Raises:
        InvalidEntryError: it is neither a ``timedelta`` nor a number of seconds, or it is not above 0.
    """
    if isinstance(value, timedelta):
        length = value
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        try:
            length = timedelta(seconds=value)
        except OverflowError as error:
            raise _too_long(name, value) from error
    else:
        raise InvalidEntryError(f"{name} must be a timedelta or seconds, got {value!r}")
    if length <= timedelta(0):
        raise InvalidEntryError(f"{name} must be longer than 0 seconds, got {value}: to remove an entry, delete it")
    return length


def after(length: timedelta, name: str = "ttl", moment: datetime | None = None) -> datetime:
    """The time that comes ``length`` after now.

    Raises:
        InvalidEntryError: the year would be after 9999.
    """
    try:
        return (now() if moment is None else moment) + length
    except OverflowError as error:
        raise _too_long(name, length) from error


def _too_long(name: str, value: object) -> InvalidEntryError:
    return InvalidEntryError(f"{name} {value} ends after the year 9999: for an entry that stays, give expires_at=NEVER")


def own_expiry(expires_at: object, ttl: object, *, may_be_over: bool = False) -> datetime | None:
    """What the caller of a save says of an entry's end; :data:`NEVER` for none, ``None`` if nothing is said.

    Args:
        expires_at: a time, :data:`NEVER`, or ``None``.
        ttl: a ``timedelta``, seconds, or ``None``.
        may_be_over: take a time that has passed.

    Raises:
        InvalidEntryError: both are given, or one of them is malformed or in the past.
    """
    if ttl is not None:
        if expires_at is not None:
            raise InvalidEntryError("expires_at and ttl are both given: an entry has one end, leave one out")
        return after(check_ttl(ttl))
    if expires_at is None:
        return None
    checked = check_expires_at(expires_at)
    if not may_be_over and is_expired(checked):
        raise InvalidEntryError(
            f"expires_at {checked.isoformat()} has passed: give a later time. To remove an entry, delete it"
        )
    return checked


@dataclass(frozen=True)
class ExpiryRules:
    """When the entries of a store expire that say nothing of it themselves. The first rule that applies decides.

    Attributes:
        by_kind: time to live of entries of these kinds.
        run_ttl: of entries that belong to a run.
        ttl: of all others.
        end: an end for all entries, in place of these rules; :data:`NEVER` for none.
    """

    by_kind: Mapping[str, timedelta] = field(default_factory=dict)
    run_ttl: timedelta | None = None
    ttl: timedelta | None = None
    end: datetime | None = None

    def of(self, kind: str, owner: Scope) -> timedelta | None:
        """The time to live of an entry of this kind and owner; ``None``: it stays."""
        if self.by_kind and kind in self.by_kind:
            return self.by_kind[kind]
        if self.decides_by_run(kind, owner):
            return self.run_ttl
        return self.ttl

    def decides_by_run(self, kind: str, owner: Scope) -> bool:
        """Whether :attr:`run_ttl` is the rule for such an entry."""
        return self.run_ttl is not None and owner.run_id is not None and kind not in self.by_kind

    def end_of(self, own: datetime | None, kind: str, owner: Scope) -> datetime | None:
        """When an entry that is saved now expires; ``None``: never.

        Args:
            own: what its caller says, see :func:`own_expiry`.
            kind: its kind.
            owner: its scope.
        """
        own = self.end if own is None else own
        if own is not None:
            return None if own == NEVER else own
        ttl = self.of(kind, owner)
        return None if ttl is None else after(ttl)


NO_RULES: Final = ExpiryRules()


def expiry_rules(ttl: Any, run_ttl: Any) -> ExpiryRules:
    """The rules of the options ``ttl`` and ``run_ttl``.

    Args:
        ttl: one time to live, or one for each of some kinds.
        run_ttl: of entries that belong to a run.

    Raises:
        InvalidEntryError: one is malformed; the message names it.
    """
    run = None if run_ttl is None else check_ttl(run_ttl, "run_ttl")
    if isinstance(ttl, Mapping):
        return ExpiryRules({kind: check_ttl(each, f"ttl[{kind!r}]") for kind, each in ttl.items()}, run)
    return ExpiryRules({}, run, None if ttl is None else check_ttl(ttl))
