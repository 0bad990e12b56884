"""The collection layout, the same for the embedded engine and the server, described here and nowhere else.

One collection holds all tenants. A tenant is an organisation, a project and a user together; its key is indexed
``is_tenant``, so that one user's entries lie together and a query costs what one user's memory costs.

| payload key | type | holds |
| --- | --- | --- |
| ``tenant`` | keyword, is_tenant | digest of organisation, project and user |
| ``org_id`` … ``agent_id`` | keyword | the scope's fields; ``""`` where unset (a field is never blank) |
| ``id``, ``content``, ``path``, ``categories``, ``importance``, ``source``, ``private`` | | the entry |
| ``metadata`` | text | the entry's metadata as JSON text, so that it comes back exactly |
| ``metadata_terms`` | keyword list | digest of each top-level key and value: the engine filters any JSON value |
| ``ancestors`` | keyword list | the path and every path above it: a prefix is an exact match |
| ``audience`` | keyword | ``""`` for a public entry, else who may read it |
| ``created_at``, ``last_accessed`` | datetime | RFC 3339, UTC, microseconds |

Vectors: ``keywords`` (sparse, BM25, IDF) on every point, ``dense`` (cosine) where there is one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ...embedding import KeywordEncoder, check_vector
from ...entry import (
    EntryFilter,
    MemoryEntry,
    canonical_json,
    check_id,
    check_importance,
    check_text,
    metadata_to_json,
    path_ancestors,
    text_tuple,
    to_naive_utc,
)
from ...errors import InvalidEntryError
from ...scope import Scope, visible
from .requests import Between, HasId, Hit, Match, PointData, Where

DENSE: Final = "dense"
KEYWORDS: Final = "keywords"

TENANT_KEY: Final = "tenant"
KEYWORD_INDEXES: Final = (
    "org_id",
    "project_id",
    "user_id",
    "run_id",
    "agent_id",
    "ancestors",
    "categories",
    "metadata_terms",
    "audience",
)
DATETIME_INDEXES: Final = ("created_at", "last_accessed")
FLOAT_INDEXES: Final = ("importance",)

PUBLIC: Final = ""

logger = logging.getLogger("crewai_persistent_memory")

_NAMESPACE = uuid.UUID("6f0a4c55-8d0e-5b0f-9d4e-0d2f5f0c7a11")


# -- scope ---------------------------------------------------------------------------------------------------------


def _digest(*parts: str | None) -> str:
    # JSON of a list is injective: ("a", "b/c") and ("a/b", "c") differ, and so do None and "".
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def tenant_key(scope: Scope) -> str:
    return _digest(scope.org_id, scope.project_id, scope.user_id)


def point_id(owner: Scope, entry_id: str) -> str:
    """The engine's id: the same entry id in two scopes is two points."""
    key = [owner.org_id, owner.project_id, owner.user_id, owner.run_id, owner.agent_id, entry_id]
    return str(uuid.uuid5(_NAMESPACE, json.dumps(key)))


def owners_visible_to(reader: Scope, *, include_shared: bool) -> list[Scope]:
    """Every scope whose entries the reader can see, the most specific first."""
    users = [reader.user_id] + ([None] if include_shared and reader.user_id is not None else [])
    runs = [reader.run_id] + ([None] if reader.run_id is not None else [])
    agents = [reader.agent_id] + ([None] if reader.agent_id is not None else [])
    return [
        Scope.trusted(user, reader.project_id, run, agent, reader.org_id)
        for user in users
        for run in runs
        for agent in agents
    ]


def where_visible(reader: Scope, *, include_shared: bool) -> Where:
    """The visibility rule as conditions for the engine."""
    owners = owners_visible_to(reader, include_shared=include_shared)
    return (
        Match(TENANT_KEY, tuple(dict.fromkeys(map(tenant_key, owners)))),
        Match("run_id", tuple(dict.fromkeys(owner.run_id or "" for owner in owners))),
        Match("agent_id", tuple(dict.fromkeys(owner.agent_id or "" for owner in owners))),
    )


def owner_of(payload: Mapping[str, Any]) -> Scope:
    """Whose a point is, by its payload."""
    return Scope.trusted(
        payload["user_id"] or None,
        payload["project_id"],
        payload["run_id"] or None,
        payload["agent_id"] or None,
        payload["org_id"] or None,
    )


def checked(hits: Iterable[Hit], reader: Scope, *, include_shared: bool) -> list[tuple[Hit, Scope]]:
    """Drop, loudly, what the engine returned against the rule. The second of the two checks of every result."""
    kept = []
    for hit in hits:
        owner = owner_of(hit.payload)
        if visible(owner, reader, include_shared=include_shared):
            kept.append((hit, owner))
        else:
            logger.error("dropped point %s: the engine returned it outside the scope of the call", hit.id)
    return kept


# -- filters -------------------------------------------------------------------------------------------------------


def where_filter(filter: EntryFilter, reader: Scope, *, include_shared: bool) -> Where:
    """An entry filter as conditions for the engine, inside the reader's scope."""
    where: list[Match | Between | HasId] = list(where_visible(reader, include_shared=include_shared))
    if filter.ids is not None:
        owners = owners_visible_to(reader, include_shared=include_shared)
        where.append(HasId(tuple(point_id(owner, entry_id) for entry_id in filter.ids for owner in owners)))
    if filter.path is not None and filter.path != "/":
        where.append(Match("ancestors", (filter.path,)))
    if filter.categories:
        where.append(Match("categories", filter.categories))
    for key, value in (filter.metadata or {}).items():
        where.append(Match("metadata_terms", (_metadata_term(key, value),)))
    if filter.created_before is not None or filter.created_after is not None:
        where.append(Between("created_at", filter.created_after, filter.created_before))
    if not filter.include_private:
        readers = (PUBLIC,) if filter.reader is None else (PUBLIC, _audience(filter.reader))
        where.append(Match("audience", readers))
    return tuple(where)


def _metadata_term(key: str, value: Any) -> str:
    try:
        return hashlib.blake2b(canonical_json([key, value]).encode(), digest_size=12).hexdigest()
    except (TypeError, ValueError) as error:
        raise InvalidEntryError(f"metadata[{key!r}] is not a JSON value: {error}") from error


def _audience(source: str | None) -> str:
    # A private entry without a source is for nobody but those who ask for private entries.
    return "nobody" if source is None else f"source:{source}"


# -- entries -------------------------------------------------------------------------------------------------------


def format_time(value: datetime) -> str:
    return value.isoformat(timespec="microseconds") + "Z"


def parse_time(value: str) -> datetime:
    return datetime.fromisoformat(value.removesuffix("Z"))


def to_point(entry: MemoryEntry, owner: Scope, encoder: KeywordEncoder) -> PointData:
    """An entry as a point that belongs to ``owner``, without a dense vector if the entry brings none.

    Raises:
        InvalidEntryError: a field cannot be stored; the message names it.
    """
    content = check_text("content", entry.content)
    entry_id = check_id(entry.id)
    source = None if entry.source is None else check_text("source", entry.source)
    categories = [check_text("a category", c) for c in text_tuple("categories", entry.categories)]
    metadata = metadata_to_json(entry.metadata)
    payload = {
        "tenant": tenant_key(owner),
        "org_id": owner.org_id or "",
        "project_id": owner.project_id,
        "user_id": owner.user_id or "",
        "run_id": owner.run_id or "",
        "agent_id": owner.agent_id or "",
        "id": entry_id,
        "content": content,
        "path": check_text("path", entry.path),
        "ancestors": path_ancestors(entry.path),
        "categories": categories,
        "metadata": metadata,
        "metadata_terms": [_metadata_term(key, value) for key, value in entry.metadata.items()],
        "importance": check_importance(entry.importance),
        "created_at": format_time(to_naive_utc("created_at", entry.created_at)),
        "last_accessed": format_time(to_naive_utc("last_accessed", entry.last_accessed)),
        "source": source,
        "private": bool(entry.private),
        "audience": _audience(source) if entry.private else PUBLIC,
    }
    dense = None if entry.embedding is None else check_vector("embedding", entry.embedding)
    return PointData(point_id(owner, entry_id), payload, encoder.document(content), dense or None)


def to_entry(hit: Hit, owner: Scope, *, score: float | None = None) -> MemoryEntry:
    """A point read back as the entry it was made from."""
    payload = hit.payload
    metadata = payload["metadata"]
    return MemoryEntry(
        id=payload["id"],
        content=payload["content"],
        scope=owner,
        path=payload["path"],
        categories=tuple(payload["categories"]),
        metadata={} if metadata == "{}" else json.loads(metadata),
        importance=payload["importance"],
        created_at=parse_time(payload["created_at"]),
        last_accessed=parse_time(payload["last_accessed"]),
        source=payload["source"],
        private=payload["private"],
        embedding=hit.dense,
        score=score,
    )


def child_paths(parent: str, ancestors: Iterable[str]) -> list[str]:
    """The paths one level below ``parent`` among all paths that have entries."""
    prefix = parent.rstrip("/") + "/"
    children = {prefix + path[len(prefix) :].split("/", 1)[0] for path in ancestors if path.startswith(prefix)}
    return sorted(children - {prefix})


def batches(points: Sequence[PointData], size: int = 256) -> Iterable[Sequence[PointData]]:
    """At most ``size`` points each: an embedded shard replays its last write-ahead operation when it is opened,
    and a giant one costs seconds and gigabytes there (qdrant-edge-py 0.9)."""
    for start in range(0, len(points), size):
        yield points[start : start + size]
