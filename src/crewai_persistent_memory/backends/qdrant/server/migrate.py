"""Migrates a collection to the newest layout, when a worker first uses it. ``..migrations`` lists the steps.

Several workers may do this at the same time, and workers of an older version may use the collection meanwhile. A
request waits only for the indexes and the update of the descriptor. Missing keys are added to entries later, in the
background (see ``background_fill``). This is correct because a missing key has a defined meaning.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar, cast

from qdrant_client import models

from ....errors import (
    PersistentMemoryError,
    StoreBusyError,
    StoreFullError,
    StorePermissionError,
    StoreUnavailableError,
)
from ....io.steps import Steps
from ..engine_requests import Between, Change, Expired, Match, NotExpired, Request, SearchMany, Upsert
from ..manifest import LAYOUT, Descriptor
from ..migrations import Fill, Migration, migrations_from
from ..schema import EXPIRES_AT_KEY, INDEXES, TENANT_KEY
from .bootstrap import describe
from .client import RetryingClient
from .encode import encode
from .indexes import create_indexes
from .strict_mode import NO_LIMITS, StrictModeError, limits_of

_PAGE: Final = 256
_POSTPONES: Final = (StorePermissionError, StoreFullError, StoreBusyError, StoreUnavailableError)

T = TypeVar("T")

logger = logging.getLogger("crewai_persistent_memory")


def migrate(client: RetryingClient, collection: str, descriptor: Descriptor, where: str) -> Steps[Any]:
    """Run the steps that the collection lacks.

    Returns:
        The descriptor with the collection's new layout. The layout stays older if this API key may not migrate, or if
        the server cannot migrate now, and this code can use the older layout.

    Raises:
        StorePermissionError: this API key may not migrate, and this code cannot use the older layout.
        ConfigurationError: another program has created an index of another kind on a needed key.
    """
    for step in migrations_from(descriptor.layout):
        try:
            descriptor = yield from _take(client, step, collection, descriptor, where)
        except _POSTPONES as error:
            if not step.optional:
                raise _refused(collection, descriptor, where, error) from error
            level = logging.INFO if isinstance(error, StorePermissionError) else logging.WARNING
            logger.log(
                level,
                "collection %r at %s stays at layout %d: it is read and written as before, without %s. %s",
                collection,
                where,
                descriptor.layout,
                step.what,
                _remedy(error),
            )
            break
    return descriptor


def require_layout(request: Request[Any], descriptor: Descriptor, where: str) -> None:
    """Raise if the request needs an index that belongs to a layout which the collection does not have.

    Raises:
        StorePermissionError: the collection lacks the index; the message says what to do.
    """
    if descriptor.layout >= LAYOUT:
        return
    if descriptor.layout < INDEXES[EXPIRES_AT_KEY].since and _expires(request):
        raise _lacks(EXPIRES_AT_KEY, descriptor, where)
    searches = request.searches if isinstance(request, SearchMany) else [request]
    conditions = [condition for each in searches for condition in getattr(each, "where", ())]
    keys = [condition.key for condition in conditions if isinstance(condition, Match | Between)]
    keys += [EXPIRES_AT_KEY for condition in conditions if isinstance(condition, Expired)]
    for key in keys:
        if key in INDEXES and INDEXES[key].since > descriptor.layout:
            raise _lacks(key, descriptor, where)


def _lacks(key: str, descriptor: Descriptor, where: str) -> StorePermissionError:
    return StorePermissionError(
        f"the collection at {where} has layout {descriptor.layout}, and the index on {key!r} belongs to layout "
        f"{INDEXES[key].since}, to which this key could not migrate it. {_OPEN_IT}"
    )


def _expires(request: Request[Any]) -> bool:
    """Whether the request writes an entry that expires."""
    if isinstance(request, Upsert):
        return any(EXPIRES_AT_KEY in point.payload for point in request.points)
    return isinstance(request, Change) and request.payload.get(EXPIRES_AT_KEY) is not None


def for_layout(request: Request[T], descriptor: Descriptor) -> Request[T]:
    """The request without conditions on when entries expire, if the collection lacks the index: strict mode refuses
    them without it, and no entry of such a collection expires."""
    if descriptor.layout >= INDEXES[EXPIRES_AT_KEY].since:
        return request
    if isinstance(request, SearchMany):
        return cast("Request[T]", SearchMany([_for_old(search) for search in request.searches]))
    return _for_old(request) if hasattr(request, "where") else request


def _for_old(request: Any) -> Any:
    where = tuple(condition for condition in request.where if not isinstance(condition, NotExpired))
    return replace(request, where=where)


def fill_in(client: RetryingClient, collection: str, fill: Fill, stopped: Callable[[], bool]) -> Steps[Any]:
    """Add the key of ``fill`` to every entry without it. Returns the number of such entries.

    Every write is conditional: it selects the entries with one value of the source that still lack the key. Concurrent
    changes by other workers are therefore safe. (A write never selects by ids, see ``requests``.)
    """
    found, _ = yield from _without(client, collection, fill, limit=1)
    if not found:
        return 0
    # Start pages at random offsets, so that several workers share the work. Then read the rest in order.
    limits, filled = NO_LIMITS, 0
    anywhere = True
    offset: str | None = str(uuid.uuid4())
    while not stopped():
        try:
            records, following = yield from _without(client, collection, fill, limits.page(_PAGE), offset)
            given = yield from _give(client, collection, fill, records)
        except StrictModeError:
            allowed = limits_of((yield from client.call("get_collection", {"collection_name": collection})))
            if allowed == limits:
                raise
            limits = allowed
            continue
        filled += len(records)
        if anywhere:
            anywhere, offset = given, str(uuid.uuid4()) if given else None
        elif following is None:
            break
        else:
            offset = following
    return filled


def _take(client: RetryingClient, step: Migration, collection: str, descriptor: Descriptor, where: str) -> Steps[Any]:
    logger.info("collection %r at %s is migrated to layout %d: it gets %s", collection, where, step.layout, step.what)
    yield from create_indexes(client, collection, step.indexes, where)
    if not step.optional:
        for fill in step.fills:
            yield from fill_in(client, collection, fill, lambda: False)
        if step.encodes:
            yield from encode(client, collection, descriptor.language, lambda: False)
    migrated = descriptor.with_layout(step.layout)
    stated = {name: migrated.to_json()[name] for name in ("schema_version", "layout")}
    yield from describe(client, collection, migrated, stated)
    return migrated


def _without(client: RetryingClient, collection: str, fill: Fill, limit: int, offset: Any = None) -> Steps[Any]:
    """A page of entries that lack the key. The descriptor lacks it too, but has no tenant and is not selected."""
    lacking = models.Filter(must=[_is_empty(fill.key)], must_not=[_is_empty(TENANT_KEY)])
    page = {"limit": limit, "offset": offset, "with_payload": [fill.source]}
    return (yield from client.call("scroll", {"collection_name": collection, "scroll_filter": lacking, **page}))


def _give(client: RetryingClient, collection: str, fill: Fill, records: Sequence[Any]) -> Steps[Any]:
    """Add the key to these entries. Returns whether there were any."""
    # In a collection that is sharded by project, a write must name its shard.
    sources = dict.fromkeys((record.payload.get(fill.source), record.shard_key) for record in records)
    operations = [_give_all(fill, source, shard_key) for source, shard_key in sources if source]
    if operations:
        arguments = {"collection_name": collection, "update_operations": operations, "wait": True}
        yield from client.call("batch_update_points", arguments)
    return bool(operations)


def _give_all(fill: Fill, source: str, shard_key: Any) -> models.SetPayloadOperation:
    """The write that adds the key to all entries with this value of the source that lack it."""
    moment: Any = source  # the client parses it as a time
    same = models.FieldCondition(key=fill.source, range=models.DatetimeRange(gte=moment, lte=moment))
    where = models.Filter(must=[same, _is_empty(fill.key)])
    payload = models.SetPayload(payload={fill.key: fill.value(source)}, filter=where, shard_key=shard_key)
    return models.SetPayloadOperation(set_payload=payload)


def _is_empty(key: str) -> models.IsEmptyCondition:
    return models.IsEmptyCondition(is_empty=models.PayloadField(key=key))


_OPEN_IT: Final = (
    "Open the memory once with a key that may write to the collection (QDRANT_API_KEY=... crewai-memory health), then "
    "open this one again"
)


def _remedy(error: PersistentMemoryError) -> str:
    if isinstance(error, StorePermissionError):
        return f"This key may not migrate it. {_OPEN_IT}"
    return f"The next opening tries again: {error}"


def _refused(collection: str, descriptor: Descriptor, where: str, error: PersistentMemoryError) -> Exception:
    if not isinstance(error, StorePermissionError):
        return error
    return StorePermissionError(
        f"collection {collection!r} at {where} has layout {descriptor.layout}, this package needs layout {LAYOUT}, and "
        f"this key may not migrate it. {_OPEN_IT}"
    )
