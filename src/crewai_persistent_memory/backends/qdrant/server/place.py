"""The target of a request's calls, their common arguments, and reading all results page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from ....io.steps import Steps
from ..engine_requests import (
    HasId,
    Where,
)
from ..manifest import Descriptor
from ..schema import DENSE, points_named
from .client import RetryingClient
from .errors import PointMissing
from .strict_mode import NO_LIMITS, Limits
from .translate import server_filter

PAGE: Final = 1000
"""Points per request when all results are read."""

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """The target of a request, and the arguments of every call to it.

    Attributes:
        size: about how many entries the collection has.
        guarded: whether a change must be refused once the collection takes no more writes, see ``writes``.
    """

    client: RetryingClient
    collection: str
    descriptor: Descriptor
    version: tuple[int, int]
    wait: bool = True
    reading: Mapping[str, Any] = field(default_factory=dict)
    writing: Mapping[str, Any] = field(default_factory=dict)
    shard_key: Any = None
    limits: Limits = NO_LIMITS
    size: int = 0
    guarded: bool = False

    def read(self, method: str, **arguments: Any) -> Steps[Any]:
        consistency = {} if method == "count" else self.reading
        return self.client.call(method, {**self._common(), **consistency, **arguments})

    def write(self, method: str, *, repeatable: bool = True, large: bool = False, **arguments: Any) -> Steps[Any]:
        arguments = {**self._common(), "wait": self.wait, **self.writing, **arguments}
        return self.client.call(method, arguments, repeatable=repeatable, large=large)

    def change(self, operations: Sequence[Any], *, repeatable: bool = False) -> Steps[Any]:
        """Several writes in one request.

        The call always waits for the writes, regardless of ``wait``, because the following step reads their result. By
        default it is not retried, because a second write could undo a change by another process.
        """
        arguments = {"collection_name": self.collection, "wait": True, **self.writing}
        arguments["update_operations"] = list(operations)
        return self.client.call("batch_update_points", arguments, repeatable=repeatable)

    def _common(self) -> dict[str, Any]:
        common: dict[str, Any] = {"collection_name": self.collection}
        if self.shard_key is not None:
            common["shard_key_selector"] = self.shard_key
        return common


def for_those_there(write: Callable[[Sequence[T]], Steps[Any]], points: Sequence[T]) -> Steps[list[T]]:
    """Write to points of which some may have been deleted since they were read.

    Args:
        write: writes to some of the points; it can be done again.
        points: what it takes.

    Returns:
        Those that were deleted.
    """
    try:
        yield from write(points)
    except PointMissing:
        pass  # the server may have stopped at one: each by itself then
    else:
        return []
    missing = []
    for point in points:
        try:
            yield from write([point])
        except PointMissing:
            missing.append(point)
    return missing


def in_shard(key: Any) -> dict[str, Any]:
    """The argument that names a shard: in a collection that is sharded by project, a write must name it."""
    return {} if key is None else {"shard_key_selector": key}


def by_shard(records: Iterable[Any]) -> list[tuple[dict[str, Any], list[Any]]]:
    """The ids of records, by the argument that names their shard."""
    groups: dict[Any, list[Any]] = {}
    for record in records:
        groups.setdefault(record.shard_key, []).append(record.id)
    return [(in_shard(key), ids) for key, ids in groups.items()]


def has_ids(where: Where) -> bool:
    return any(isinstance(condition, HasId) for condition in where)


def scroll(where: Where, place: Place, with_payload: bool | list[str], most: int | None = None) -> Steps[Any]:
    """All matching points, or the first ``most``, page by page."""
    found: list[Any] = []
    for part in parts(where, place):
        offset = None
        while True:
            left = PAGE if most is None else most - len(found)
            if left <= 0:
                return found
            records, offset = yield from place.read(
                "scroll",
                scroll_filter=server_filter(part),
                limit=place.limits.page(min(left, PAGE)),
                offset=offset,
                with_payload=with_payload,
            )
            found += records
            if offset is None:
                break
    return found


def parts(where: Where, place: Place) -> Iterator[Where]:
    """Split a filter with very many ids into several filters."""
    others = tuple(condition for condition in where if not isinstance(condition, HasId))
    ids = points_named(where)
    most = place.limits.condition(PAGE)
    if len(ids) <= most:
        yield where
        return
    for start in range(0, len(ids), most):
        yield (*others, HasId(tuple(ids[start : start + most])))


def dense_of(vector: Any) -> Sequence[float] | None:
    return vector.get(DENSE) if isinstance(vector, Mapping) else None
