"""Which collection and which shard a project's entries are in."""

from __future__ import annotations

import hashlib
import json
import re
from functools import lru_cache
from typing import Final, NamedTuple

from ..engine_requests import Match, Where

COLLECTION_DIGEST: Final = 16
"""Bytes of the digest in the name of a project's collection: nobody finds a second project with the same one."""

SHARD_DIGEST: Final = 6
"""Bytes of the digest in a shard key. Two projects may share a shard, where a filter keeps them apart; and shards that
exist keep their names."""


class Route(NamedTuple):
    """Where a call goes: a collection, and the project by which it may be sharded.

    Attributes:
        collection: its name.
        project: the project's name as a shard key.
        own: with a collection for each project, the name that it had in earlier versions, and what all of its entries
            say of their project.
        seen: of one operation, the collection that its first request was answered by. See
            :func:`~..point_vectors.without_dense`.
    """

    collection: str
    project: str
    own: tuple[str, Where] | None = None
    seen: list[str] | None = None


@lru_cache(maxsize=4096)
def route_of(collection: str, per_project: bool, org_id: str | None, project_id: str) -> Route:
    """Where the requests of a project go; ``per_project``: it has a collection of its own."""
    shard = project_name(org_id, project_id)
    if not per_project:
        return Route(collection, shard)
    org = Match("org_id", () if org_id is None else (org_id,), or_missing=org_id is None)
    earlier = f"{collection}_{shard}", (Match("project_id", (project_id,)), org)
    return Route(f"{collection}_{project_name(org_id, project_id, size=COLLECTION_DIGEST)}", shard, earlier)


def project_name(org_id: str | None, project_id: str, *, size: int = SHARD_DIGEST) -> str:
    """A project as part of a collection's name, or as a shard key: readable, with a digest of ``size`` bytes."""
    readable = re.sub(r"[^a-z0-9]+", "-", project_id.lower()).strip("-")[:40]
    digest = hashlib.blake2b(json.dumps([org_id, project_id]).encode(), digest_size=size).hexdigest()
    return f"{readable}-{digest}" if readable else digest
