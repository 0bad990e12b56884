"""The projects that have a collection of their own on a server (``collection_per_project``), or a shard of their own
(``shard_by_project``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from qdrant_client import models

from ....io.steps import Steps
from ....scope import Scope
from ..schema import TENANT_KEY
from .bootstrap import DEFAULT_SHARD_KEY
from .client import RetryingClient
from .routes import COLLECTION_DIGEST, SHARD_DIGEST, route_of

_FIRST: Final = {"limit": 2, "with_payload": ["org_id", "project_id", "moved_to"], "with_vectors": False}
"""The descriptor, which has no project, and an entry."""


def list_projects(client: RetryingClient, collection: str) -> Steps[Sequence[Scope]]:
    """The projects of which there are entries, by the collections that the key may list.

    A name holds only a digest of its project: an entry tells which project it is, and its name is checked.
    """
    digests = "|".join(f"[0-9a-f]{{{2 * size}}}" for size in (COLLECTION_DIGEST, SHARD_DIGEST))
    named = re.compile(rf"{re.escape(collection)}_([a-z0-9-]+-)?({digests})")
    found = yield from client.call("get_collections", {})
    projects: dict[Scope, None] = {}
    for name in sorted(each.name for each in found.collections if named.fullmatch(each.name)):
        for payload in (yield from _first_of(client, name)):
            project = _project_of(payload)
            if project is not None and name in _names_of(collection, project):
                projects[project] = None
    return list(projects)


def list_shards(client: RetryingClient, collection: str, own: str) -> Steps[Sequence[Scope]]:
    """One project for each shard of a collection that is sharded by project, but for the shard of the caller's project.
    Several projects share the default shard.

    Args:
        client: sends the requests.
        collection: the collection.
        own: the shard key of the caller's project. If there is none, the project is in the default shard.
    """
    info: Any = yield from client.call("collection_cluster_info", {"collection_name": collection})
    shards = (*info.local_shards, *info.remote_shards)
    moving = {shard.shard_key for shard in shards if shard.state != models.ReplicaState.ACTIVE}
    keys = {shard.shard_key for shard in shards} - (moving - {DEFAULT_SHARD_KEY})
    projects = []
    for key in sorted(keys - {own if own in keys else DEFAULT_SHARD_KEY}):
        entry = models.Filter(must_not=[models.IsEmptyCondition(is_empty=models.PayloadField(key=TENANT_KEY))])
        page = {"limit": 1, "with_payload": ["org_id", "project_id"], "scroll_filter": entry, "shard_key_selector": key}
        records, _ = yield from client.call("scroll", {"collection_name": collection, **page})
        projects += [project for record in records if (project := _project_of(record.payload or {})) is not None]
    return projects


def _first_of(client: RetryingClient, name: str) -> Steps[list[dict[str, Any]]]:
    """The payloads of the descriptor and of an entry; for a pointer, those of the collection that it leads to."""
    at: str | None = name
    payloads: list[dict[str, Any]] = []
    while at is not None:
        records, _ = yield from client.call("scroll", {"collection_name": at, **_FIRST})
        payloads = [record.payload or {} for record in records]
        at = next((str(payload["moved_to"]) for payload in payloads if payload.get("moved_to")), None)
    return payloads


def _project_of(payload: dict[str, Any]) -> Scope | None:
    project, org = payload.get("project_id"), payload.get("org_id")
    return None if project is None else Scope.trusted(None, str(project), None, None, org)


def _names_of(collection: str, project: Scope) -> tuple[str, ...]:
    route = route_of(collection, True, project.org_id, project.project_id)
    return (route.collection, *(() if route.own is None else route.own[:1]))
