"""Conditions on points. All of a filter's must hold."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple


class Match(NamedTuple):
    """The payload key has (or its list contains) one of the values, or, with ``or_missing``, is not there."""

    key: str
    values: tuple[str, ...] | tuple[int, ...]
    or_missing: bool = False


class Between(NamedTuple):
    """The time under the payload key is at or after ``start`` and before ``end``."""

    key: str
    start: datetime | None
    end: datetime | None


class HasId(NamedTuple):
    """The point has one of these ids."""

    ids: tuple[str, ...]


class HasNoId(NamedTuple):
    """The point has none of these ids."""

    ids: tuple[str, ...]


class Lacks(NamedTuple):
    """The payload key does not have the value (nor its list), or is not there."""

    key: str
    value: str


class FieldHolds(NamedTuple):
    """The point has the value of a filter field, and it meets a condition; or the point is one of some others.

    Attributes:
        named: the point names the field among those whose values it has.
        condition: on the value.
        others: the points that meet the condition by a value that is not stored.
    """

    named: Match
    condition: Match | Between
    others: HasId


class InScopes(NamedTuple):
    """The point belongs to one of some scopes.

    Attributes:
        keys: the scopes, as every point of layout 3 names its own. One condition is enough where all points have it.
        before: the same as conditions that points of every layout meet.
    """

    keys: tuple[str, ...]
    before: tuple[Match, ...]


class NotExpired(NamedTuple):
    """The entry of the point has not expired at this moment. A point that says nothing of it never expires."""

    moment: datetime
    expired: Literal[False] = False
    """Tells the two conditions apart where a filter is kept: named tuples of equal values are equal."""


class Expired(NamedTuple):
    """The entry of the point has expired at this moment."""

    moment: datetime
    expired: Literal[True] = True


class NoDense(NamedTuple):
    """The point has no dense vector."""


class NoPassages(NamedTuple):
    """The point has a dense vector, and none of passages: its text is short, or an earlier version has saved it."""

    passages: Literal[False] = False
    """Tells it apart from :class:`NoDense`, as above."""


Condition = (
    Match | Between | Lacks | HasId | HasNoId | FieldHolds | InScopes | NotExpired | Expired | NoDense | NoPassages
)
Where = tuple[Condition, ...]
