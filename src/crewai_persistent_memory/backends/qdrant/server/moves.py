"""Memories that move to another collection (``moving``), as a caller with an open handle meets it.

The descriptor of a collection says what becomes of it (see ``manifest``):

* ``moving_to``: its memories are being copied to that collection;
* ``moved_to``: that collection has the memories now. Whoever opens this one follows the pointer;
* ``copy_of``, in the other collection: the memories come from there, and what was written there last is still to come.

A process reads the descriptor again before a request when it last did so :data:`LEASE` seconds ago. So it knows of each
step soon enough, and takes part in it:

* A delete goes to both collections, first to the one that the memories leave. The copying looks into that one after
  each write, so what was deleted does not come back.
* A change takes the mark ``copied`` from the point, so that the copying takes the point again, or leaves it alone.
* A vector of the former embedder is not written into the new collection: the text is found by its words, and embedded
  later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, Final, NamedTuple, TypeVar

from qdrant_client import models

from ....embedding import Embedder
from ....errors import StoreCorruptedError, StoreMissingError, StorePermissionError
from ....io.steps import Steps
from ....scope import SCOPE_FIELDS
from ..engine_requests import Change, Delete, Match, Request, SetPayloads
from ..manifest import Descriptor
from ..schema import COPIED_KEY
from . import writes
from .bootstrap import read_descriptor
from .client import RetryingClient
from .place import PAGE, Place, scroll
from .strict_mode import StrictModeError

LEASE: Final = 5.0
"""Seconds for which a process uses what it has read of a descriptor."""


def noticed_after(timeout: float) -> float:
    """Seconds after which every open handle of this version knows of a step, and its requests have ended.

    Args:
        timeout: seconds that a request may take.
    """
    return LEASE + timeout


SUCCESSORS: Final[dict[tuple[str, str], Embedder | None]] = {}
"""By a server's address and a collection: the embedder with which this process has moved memories there. Handles that
are open in this process go on with it, also if it is a function."""

_MOST_POINTERS: Final = 20

T = TypeVar("T")


class Target(NamedTuple):
    """The collection that has the memories, and when that was last checked (monotonic seconds)."""

    name: str
    checked_at: float


class Role(Enum):
    """What a collection is in a move: the memories leave the source."""

    SOURCE = "source"
    TARGET = "target"


def follow(client: RetryingClient, name: str, where: str) -> Steps[tuple[str, Descriptor | None]]:
    """The collection that has the memories of the named one, and its descriptor (``None``: it has none yet).

    Raises:
        StoreMissingError: there is no such collection.
        StoreCorruptedError: the collection is a pointer to one that does not exist.
        StorePermissionError: this key may not read the collection.
    """
    first = name
    for _ in range(_MOST_POINTERS):
        try:
            stored: Descriptor | None = yield from read_descriptor(client, name, where)
        except StoreMissingError as error:
            if name == first:
                raise
            raise StoreCorruptedError(
                f"collection {first!r} at {where} says that its memories are in collection {name!r}, which does not "
                f"exist: restore {name!r} from a backup"
            ) from error
        except StorePermissionError as error:
            if name == first:
                raise
            raise StorePermissionError(
                f"the memories of collection {first!r} at {where} have moved to collection {name!r}, because their "
                f"embedder was changed, and this key may not read it: give a key that may, as api_key= or "
                f"QDRANT_API_KEY ({error})"
            ) from error
        if stored is None or stored.moved_to is None:
            break
        name = stored.moved_to
    return name, stored


def counterpart_of(name: str, descriptor: Descriptor | None) -> str | None:
    """The other collection, while the memories of this one move. Whether it still is that, its own descriptor says."""
    other = None if descriptor is None else descriptor.copy_of or descriptor.moving_to
    return None if other == name else other  # equal in a snapshot that was put back


def erases(request: Request[Any]) -> bool:
    """Whether it deletes everything of persons, projects or runs, across scopes."""
    if not isinstance(request, Delete):
        return False
    return all(isinstance(condition, Match) and condition.key in SCOPE_FIELDS for condition in request.where)


def unmarked(request: Request[T]) -> Request[T]:
    """A change that takes the mark ``copied`` from the points that it changes. A point written whole has none."""
    changed: Any = request
    if isinstance(request, Change) and not request.whole:
        changed = replace(request, payload={**request.payload, COPIED_KEY: None})
    elif isinstance(request, SetPayloads):
        changed = replace(request, writes=[(ids, {**payload, COPIED_KEY: None}) for ids, payload in request.writes])
    result: Request[T] = changed
    return result


def delete_in_both(request: Delete, here: Place, there: Place) -> Steps[int]:
    """Delete points in both collections of a move. Returns how many there were ``here``.

    Args:
        request: the delete.
        here: the collection that the caller uses.
        there: the other one. Its points may be of an earlier moment, so those that match here are named as well.
    """
    role = yield from _role(here, there)
    named = [] if role is None else [record.id for record in (yield from scroll(request.where, here, False))]
    if role is Role.SOURCE:
        yield from _delete_there(request, named, there)
    deleted: int = yield from writes.delete(request, here)
    if role is Role.TARGET:
        yield from _delete_there(request, named, there)
    return deleted


def _role(here: Place, there: Place) -> Steps[Role | None]:
    """What the other collection is to this one. ``None``: nothing any more. A backup that was made during a move, and
    was put back under another name, must not delete anything in the collections of that move."""
    try:
        other: Descriptor | None = yield from read_descriptor(there.client, there.collection, "the server")
    except StoreMissingError:
        return None  # given up, or deleted after the move
    if other is None:
        return None
    if here.collection in (other.moving_to, other.moved_to):
        return Role.SOURCE
    own_name = yield from without_alias(here.client, here.collection, unless=other.copy_of)
    return Role.TARGET if other.copy_of == own_name else None


def without_alias(client: RetryingClient, name: str, unless: str | None = None) -> Steps[str]:
    """A collection's own name, if this is an alias and the key may know. A name equal to ``unless`` stays."""
    if name == unless:
        return name
    try:
        found: Any = yield from client.call("get_aliases")
    except StorePermissionError:
        return name
    own = {each.alias_name: str(each.collection_name) for each in found.aliases}
    return own.get(name, name)


def _delete_there(request: Delete, named: Sequence[Any], there: Place) -> Steps[None]:
    try:
        for start in range(0, len(named), PAGE):
            selector = models.PointIdsList(points=list(named[start : start + PAGE]))
            yield from there.write("delete", points_selector=selector, repeatable=False)
        yield from writes.delete(request, there)
    except StoreMissingError:
        return  # deleted since
    except StrictModeError:
        # An emptied collection has no index any more.
        stored: Descriptor | None = yield from read_descriptor(there.client, there.collection, "the server")
        if stored is None or not stored.drained:
            raise
