"""What was said before entries of an older layout, on a server: one request for a page of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from qdrant_client import models

from ....io.steps import Steps
from ..context import is_said_before
from ..earlier_context import said_at
from ..engine_requests import Between
from ..said_before import BEFORE, NEAR, Said
from ..schema import not_expired, owner_in, where_owner
from .client import RetryingClient
from .strict_mode import Limits
from .translate import server_filter

MOST_READ: Final = BEFORE + 4
"""The entry itself is among them, and perhaps long and private ones."""


def said_before_each(
    client: RetryingClient, collection: str, records: Sequence[Any], limits: Limits
) -> Steps[Mapping[str, Sequence[Said]]]:
    """The context of each of these points that has one, oldest first; see ``..context``."""
    said = {str(record.id): each for record in records if (each := said_at(str(record.id), record.payload))}
    asked = [record for record in records if str(record.id) in said]
    if not asked:
        return {}
    requests = [_request(record, said[str(record.id)]) for record in asked]
    most = limits.queries or len(requests)
    answers: list[Any] = []
    for start in range(0, len(requests), most):
        some = {"collection_name": collection, "requests": requests[start : start + most]}
        answers += yield from client.call("query_batch_points", some)
    contexts = {}
    for record, answer in zip(asked, answers, strict=True):
        own = said[str(record.id)]
        found = [said_at(str(point.id), point.payload) for point in answer.points if str(point.id) != own.point]
        last = [each for each in found if each is not None][:BEFORE]
        before = [each for each in reversed(last) if _is_before(each, own)]
        if before:
            contexts[own.point] = before
    return contexts


def _request(record: Any, said: Said) -> models.QueryRequest:
    start = said.created_at - NEAR if said.created_at > datetime.min + NEAR else None
    end = said.created_at + timedelta(microseconds=1) if said.created_at < datetime.max else None
    where = (*where_owner(owner_in(record.payload)), not_expired(), Between("created_at", start, end))
    newest_first = models.OrderBy(key="created_at", direction=models.Direction.DESC)
    return models.QueryRequest(
        query=models.OrderByQuery(order_by=newest_first),
        filter=server_filter(where),
        limit=MOST_READ,
        with_payload=True,
        shard_key=record.shard_key,
    )


def _is_before(one: Said, other: Said) -> bool:
    """Of two entries of the same moment, one is before the other, and not each before each."""
    return is_said_before(one, other) and (one.created_at, one.point) < (other.created_at, other.point)
