"""Giving the entries of an older layout new keyword vectors, in the background.

An entry that lacks the key ``scope`` was written by code of an older layout. It gets its keyword vector anew, made of
its content and of what was said before it, and after that the key. Other workers may change or delete these entries at
any moment: all are read again after the vector is written, and only an entry of which nothing has changed gets the key.
The others' turn comes again.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from qdrant_client import models

from ....embedding import KeywordEncoder
from ....io.steps import Steps
from ..earlier_context import said_at
from ..said_before import Said
from ..schema import CONTEXT_KEY, KEYWORDS, SCOPE_KEY, TENANT_KEY, scope_of
from .client import RetryingClient
from .earlier_entries import said_before_each
from .errors import PointMissing
from .place import for_those_there, in_shard
from .strict_mode import NO_LIMITS, Limits, StrictModeError, limits_of

PAGE: Final = 128
"""Entries that are read at once."""

LENGTH: Final = 300_000
"""Characters, about, whose keywords are written at once: about 3 MB."""

MOST_ROUNDS: Final = 20
"""Times that the collection is looked through. Each one more needs another worker that changes an entry just then."""


def encode(client: RetryingClient, collection: str, language: str, stopped: Callable[[], bool]) -> Steps[int]:
    """Encode every entry that lacks it. Returns how many entries were encoded."""
    encoder = KeywordEncoder(language)
    limits, encoded = NO_LIMITS, 0
    # From anywhere to the end, so that several workers share the work. Then what is left, in order.
    offset: str | None = str(uuid.uuid4())
    for round in range(MOST_ROUNDS):
        found = 0
        while not stopped():
            try:
                records, following = yield from _without_scope(client, collection, limits.page(PAGE), offset)
                for batch in _batches(records, limits.batch(PAGE)):
                    encoded += yield from _encode(client, collection, encoder, batch, limits)
            except StrictModeError:
                allowed = limits_of((yield from client.call("get_collection", {"collection_name": collection})))
                if allowed == limits:
                    raise
                limits = allowed
                continue
            found += len(records)
            offset = following
            if offset is None:
                break
        if stopped() or (round and not found):
            break
        offset = None
    return encoded


def _without_scope(client: RetryingClient, collection: str, limit: int, offset: Any) -> Steps[Any]:
    """A page of entries without the key. The descriptor, which has none either, has no tenant."""
    lacking = models.Filter(must=[_is_empty(SCOPE_KEY)], must_not=[_is_empty(TENANT_KEY)])
    page = {"limit": limit, "offset": offset, "with_payload": True}
    return (yield from client.call("scroll", {"collection_name": collection, "scroll_filter": lacking, **page}))


def _batches(records: Sequence[Any], most: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    length = 0
    for record in records:
        size = len(record.payload["content"])
        if batch and (len(batch) >= most or length + size > LENGTH):
            yield batch
            batch, length = [], 0
        batch.append(record)
        length += size
    if batch:
        yield batch


def _encode(
    client: RetryingClient, collection: str, encoder: KeywordEncoder, records: Sequence[Any], limits: Limits
) -> Steps[int]:
    """Returns how many of these are encoded."""
    contexts = yield from said_before_each(client, collection, records, limits)
    yield from _name_contexts(client, collection, records, contexts)
    vectors = {
        record.id: encoder.document(
            record.payload["content"], [one.content for one in contexts.get(str(record.id), ())]
        )
        for record in records
    }
    # Where a collection is sharded by project, a write must say in which shard.
    for shard_key, some in _by(records, lambda record: record.shard_key):
        points = [
            models.PointVectors(
                id=record.id, vector={KEYWORDS: models.SparseVector(indices=v.indices, values=v.values)}
            )
            for record in some
            if (v := vectors[record.id]).indices  # the server takes no empty vector here
        ]
        yield from _write_vectors(client, collection, points, shard_key)
    followed = [one.point for before in contexts.values() for one in before]
    now = yield from _payloads(client, collection, [*vectors, *followed])
    same = [record for record in records if _is_as_it_was(record, contexts.get(str(record.id), ()), now)]
    for (shard_key, scope), some in _by(same, lambda record: (record.shard_key, scope_of(record.payload))):
        arguments = {"collection_name": collection, "payload": {SCOPE_KEY: scope}, "wait": True, **in_shard(shard_key)}
        with suppress(PointMissing):  # one was deleted since; the next round finds those that were left out
            yield from client.call("set_payload", {**arguments, "points": [record.id for record in some]})
    return len(same)


def _write_vectors(client: RetryingClient, collection: str, points: Sequence[Any], shard_key: Any) -> Steps[None]:
    arguments = {"collection_name": collection, "wait": True, **in_shard(shard_key)}
    if not points:
        return
    yield from for_those_there(lambda some: client.call("update_vectors", {**arguments, "points": list(some)}), points)


def _is_as_it_was(record: Any, before: Sequence[Said], now: Mapping[str, Any]) -> bool:
    """Whether an entry, and what was said before it, are in these payloads as they were read."""
    return now.get(str(record.id), {}).get("content") == record.payload["content"] and all(
        one.point in now and said_at(one.point, now[one.point]) == one for one in before
    )


def _name_contexts(
    client: RetryingClient, collection: str, records: Sequence[Any], contexts: Mapping[str, Sequence[Said]]
) -> Steps[None]:
    """Write whose words each entry gets: before the words, so that whoever deletes one of those finds the entry."""
    operations = []
    for record in records:
        ids = [one.point for one in contexts.get(str(record.id), ())]
        if ids != (record.payload.get(CONTEXT_KEY) or []):
            change = models.SetPayload(
                payload={CONTEXT_KEY: ids or None}, points=[record.id], shard_key=record.shard_key
            )
            operations.append(models.SetPayloadOperation(set_payload=change))
    if not operations:
        return
    arguments = {"collection_name": collection, "wait": True}
    yield from for_those_there(
        lambda some: client.call("batch_update_points", {**arguments, "update_operations": list(some)}), operations
    )


def _payloads(client: RetryingClient, collection: str, ids: Sequence[Any]) -> Steps[dict[str, Any]]:
    arguments = {"collection_name": collection, "ids": list({str(id): id for id in ids}.values()), "with_payload": True}
    records = yield from client.call("retrieve", arguments)
    return {str(record.id): record.payload for record in records}


def _by(records: Sequence[Any], key: Callable[[Any], Any]) -> list[tuple[Any, list[Any]]]:
    groups: dict[Any, list[Any]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return list(groups.items())


def _is_empty(key: str) -> models.IsEmptyCondition:
    return models.IsEmptyCondition(is_empty=models.PayloadField(key=key))
