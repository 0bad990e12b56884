"""Work on a whole collection, across users: for the operator of the server."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Final

from qdrant_client import models

from ....errors import ConfigurationError, StoreUnavailableError
from ....io.steps import Steps
from ..engine_requests import Match
from .bootstrap import CREATION_TIMEOUT, DEFAULT_SHARD_KEY, read_descriptor
from .client import RetryingClient
from .errors import AlreadyExists
from .translate import server_filter

_HEARD_BY_ALL: Final = 1.0
"""Seconds after which every node of a cluster that works knows of a new shard."""


def move_to_own_shard(
    client: RetryingClient,
    collection: str,
    where: str,
    shard_key: str,
    org_id: str | None,
    project_id: str,
    seconds: float,
) -> Steps[Any]:
    """Copy a project's points into a shard key of its own, let requests go there, remove the old copies.

    The server does the moving: while it copies, reads and writes go on where they were, and writes are forwarded.
    Returns how many points the project had. It may be run again after it was interrupted.
    """
    name = {"collection_name": collection}
    descriptor = yield from read_descriptor(client, collection, where)
    if descriptor is None or not descriptor.by_project:
        raise ConfigurationError(
            f"collection {collection!r} at {where} is not sharded by project: that is decided when it is created, with "
            'collection_settings={"shard_by_project": True}'
        )
    project = server_filter((Match("project_id", (project_id,)), Match("org_id", () if org_id is None else (org_id,))))
    in_default = {**name, "count_filter": project, "exact": True, "shard_key_selector": DEFAULT_SHARD_KEY}
    if not (yield from _is_active(client, collection, shard_key)):
        key = {"shard_key": shard_key, "shards_number": 1, "replication_factor": 1}
        state = {"initial_state": models.ReplicaState.PARTIAL, "timeout": CREATION_TIMEOUT}
        with suppress(AlreadyExists):  # created by an earlier run that was interrupted
            yield from client.call("create_shard_key", {**name, **key, **state})
        operation = models.ReplicatePointsOperation(
            replicate_points=models.ReplicatePoints(
                filter=project, from_shard_key=DEFAULT_SHARD_KEY, to_shard_key=shard_key
            )
        )
        yield from client.call(
            "cluster_collection_update", {**name, "cluster_operation": operation, "timeout": CREATION_TIMEOUT}
        )
        deadline = time.monotonic() + seconds
        while not (yield from _is_active(client, collection, shard_key)):
            if time.monotonic() > deadline:
                raise StoreUnavailableError(
                    f"moving project {project_id!r} did not end within {seconds:g} s: it goes on at the server, run "
                    "this again later to finish"
                )
            yield client.pause(0.2)
        # A node that has not heard of it yet still looks where the points were. Nothing tells when all have.
        yield client.pause(_HEARD_BY_ALL)
    # Requests go to the new shard from the moment it is active, so these are copies that nobody reads any more.
    moved = yield from client.call("count", in_default)
    selector = models.FilterSelector(filter=project)
    yield from client.call(
        "delete", {**name, "points_selector": selector, "wait": True, "shard_key_selector": DEFAULT_SHARD_KEY}
    )
    return moved.count


def _is_active(client: RetryingClient, collection: str, shard_key: str) -> Steps[Any]:
    info: Any = yield from client.call("collection_cluster_info", {"collection_name": collection})
    states = [shard.state for shard in (*info.local_shards, *info.remote_shards) if shard.shard_key == shard_key]
    return bool(states) and all(state == models.ReplicaState.ACTIVE for state in states) and not info.shard_transfers
