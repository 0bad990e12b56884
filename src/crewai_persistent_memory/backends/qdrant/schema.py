"""The collection layout, the same for the embedded engine and the server, described here and nowhere else.

One collection holds all tenants. A tenant is an organisation, a project and a user together; its key is indexed
``is_tenant``, so that one user's entries lie together and a query costs what one user's memory costs.

| payload key | type | holds |
| --- | --- | --- |
| ``tenant`` | keyword, is_tenant | digest of organisation, project and user |
| ``owner`` | keyword | where a run or an agent is set: digest of the whole scope |
| ``org_id``, ``project_id``, ``user_id``, ``run_id``, ``agent_id`` | keyword | the scope's fields that are set |
| ``content`` | text | the entry's content |
| ``ancestors`` | keyword list | the path and those above it but ``/``: a prefix is an exact match |
| ``categories`` | keyword list | |
| ``metadata_terms`` | integer list | digest of each top-level key and value: the engine filters any JSON value |
| ``audience`` | keyword | of a private entry: who may read it |
| ``kind`` | keyword | where it is not ``memory`` |
| ``importance`` | float | where it is not 0.5 |
| ``created_at`` | datetime | RFC 3339, UTC, microseconds |
| ``last_accessed`` | text | the same, of an entry that was read since it was written |
| ``record`` | text | the rest of the entry as JSON text, so that metadata comes back exactly |
| ``path``, ``metadata``, ``source``, ``private`` | text | JSON text, of an entry whose field was changed since it was \
  written: it holds in place of the one in ``record`` |

A change sets the keys of the changed field only. So two processes that change two fields of one entry at the same time
both succeed, which they would not if each wrote ``record`` anew.

Keys without a value are left out: every value costs 3 µs to hand to the engine (qdrant-edge-py 0.9), and most entries
have few.

Vectors: ``keywords`` (sparse, BM25, IDF) on every point, ``dense`` (cosine) where there is one.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from ...embedding import KeywordEncoder, check_vector
from ...entry import MEMORY, EntryFilter, MemoryEntry
from ...errors import InvalidEntryError
from ...scope import SCOPE_FIELDS, Scope, owners_visible_to, visible
from ...validation import (
    canonical_json,
    check_id,
    check_importance,
    check_metadata,
    check_text,
    path_ancestors,
    text_tuple,
    to_naive_utc,
)
from .requests import Between, Condition, HasId, Hit, Match, PointData, Where

DENSE: Final = "dense"
KEYWORDS: Final = "keywords"

TENANT_KEY: Final = "tenant"
KEYWORD_INDEXES: Final = (
    "org_id",
    "project_id",
    "user_id",
    "run_id",
    "agent_id",
    "owner",
    "ancestors",
    "categories",
    "audience",
    "kind",
)
INTEGER_INDEXES: Final = ("metadata_terms",)
DATETIME_INDEXES: Final = ("created_at",)
FLOAT_INDEXES: Final = ("importance",)

DEFAULT_IMPORTANCE: Final = 0.5

logger = logging.getLogger("crewai_persistent_memory")


_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_from_json = json.JSONDecoder().raw_decode


# -- scope ---------------------------------------------------------------------------------------------------------


def _digest(*parts: str | None, size: int = 16) -> bytes:
    # JSON of a list is injective: ("a", "b/c") and ("a/b", "c") differ, and so do None and "".
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=size).digest()


@lru_cache(maxsize=4096)
def tenant_key(scope: Scope) -> str:
    return _digest(scope.org_id, scope.project_id, scope.user_id).hex()


@lru_cache(maxsize=4096)
def owner_key(scope: Scope) -> str:
    return _digest(scope.org_id, scope.project_id, scope.user_id, scope.run_id, scope.agent_id).hex()


def point_id(owner: Scope, entry_id: str) -> str:
    """The engine's id: the same entry id in two scopes is two points."""
    key = _digest(owner_key(owner), entry_id).hex()
    return f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}"  # a UUID's form, at a third of uuid's time


@lru_cache(maxsize=4096)
def _scope_payload(owner: Scope) -> Mapping[str, str]:
    """What a point says of its owner."""
    payload = {name: value for name in SCOPE_FIELDS if (value := getattr(owner, name)) is not None}
    payload["tenant"] = tenant_key(owner)
    if owner.run_id is not None or owner.agent_id is not None:
        payload["owner"] = owner_key(owner)
    return payload


@lru_cache(maxsize=4096)
def where_visible(reader: Scope, *, include_shared: bool) -> Where:
    """The visibility rule as conditions for the engine."""
    owners = owners_visible_to(reader, include_shared=include_shared)
    narrow = [owner_key(owner) for owner in owners if owner.run_id is not None or owner.agent_id is not None]
    return (
        Match(TENANT_KEY, tuple(dict.fromkeys(map(tenant_key, owners)))),
        Match("owner", tuple(narrow), or_missing=True),
    )


def owner_of(payload: Mapping[str, Any]) -> Scope:
    """Whose a point is, by its payload."""
    get = payload.get
    return _owner(get("user_id"), payload["project_id"], get("run_id"), get("agent_id"), get("org_id"))


_owner = lru_cache(maxsize=4096)(Scope.trusted)


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
    where: list[Condition] = list(where_visible(reader, include_shared=include_shared))
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
        readers = () if filter.reader is None else (_audience(filter.reader),)
        where.append(Match("audience", readers, or_missing=True))
    if filter.kind is not None:
        usual = filter.kind == MEMORY
        where.append(Match("kind", () if usual else (filter.kind,), or_missing=usual))
    return tuple(where)


def _metadata_term(key: str, value: Any) -> int:
    # 63 bits: what JSON integers and Qdrant's index hold without loss.
    try:
        # The JSON text of a key ends at its quote, so key and value cannot be read another way.
        digest = hashlib.blake2b(f"{json.dumps(key)}:{canonical_json(value)}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1
    except (TypeError, ValueError) as error:
        raise InvalidEntryError(f"metadata[{key!r}] is not a JSON value: {error}") from error


def _audience(source: str | None) -> str:
    # A private entry without a source is for nobody but those who ask for private entries.
    return "nobody" if source is None else f"source:{source}"


# -- entries -------------------------------------------------------------------------------------------------------


def format_time(value: datetime) -> str:
    """Naive UTC as RFC 3339 with microseconds: text order is time order."""
    return value.isoformat(timespec="microseconds") + "Z"


def parse_time(value: str) -> datetime:
    return datetime.fromisoformat(value.removesuffix("Z"))


def to_points(entries: Sequence[MemoryEntry], owners: Sequence[Scope], encoder: KeywordEncoder) -> list[PointData]:
    """Entries as points; see :func:`to_point`."""
    return [to_point(entry, owner, encoder) for entry, owner in zip(entries, owners, strict=True)]


def to_point(entry: MemoryEntry, owner: Scope, encoder: KeywordEncoder) -> PointData:
    """An entry as a point that belongs to ``owner``, without a dense vector if the entry brings none.

    Raises:
        InvalidEntryError: a field cannot be stored; the message names it.
    """
    content = check_text("content", entry.content)
    entry_id = check_id(entry.id)
    importance = check_importance(entry.importance)
    created_at = format_time(to_naive_utc("created_at", entry.created_at))
    last_accessed = format_time(to_naive_utc("last_accessed", entry.last_accessed))
    source = None if entry.source is None else check_text("source", entry.source)
    categories = [check_text("a category", c) for c in text_tuple("categories", entry.categories)]
    kind = check_text("kind", entry.kind, allow_blank=False)
    check_metadata(entry.metadata)

    payload: dict[str, Any] = {**_scope_payload(owner), "content": content, "created_at": created_at}
    if ancestors := path_ancestors(check_text("path", entry.path)):
        payload["ancestors"] = ancestors
    if categories:
        payload["categories"] = categories
    if entry.metadata:
        payload["metadata_terms"] = [_metadata_term(key, value) for key, value in entry.metadata.items()]
    if entry.private:
        payload["audience"] = _audience(source)
    if kind != MEMORY:
        payload["kind"] = kind
    if importance != DEFAULT_IMPORTANCE:
        payload["importance"] = importance

    record: dict[str, Any] = {"id": entry_id, "path": entry.path, "last_accessed": last_accessed}
    if source is not None:
        record["source"] = source
    if entry.private:
        record["private"] = True
    if entry.metadata:
        record["metadata"] = entry.metadata
    payload["record"] = _to_json(record)

    dense = None if entry.embedding is None else check_vector("embedding", entry.embedding)
    return PointData(point_id(owner, entry_id), payload, encoder.document(content), dense or None)


_KEYS_OF: Final[Mapping[str, str]] = {
    "content": "content",
    "path": "ancestors",
    "categories": "categories",
    "metadata": "metadata_terms",
    "importance": "importance",
    "source": "audience",
    "private": "audience",
    "kind": "kind",
}
"""The payload key that a field of an entry decides (``audience`` is decided by two)."""

_IN_RECORD: Final = ("path", "metadata", "source", "private")


def to_changes(whole: Mapping[str, Any], changed: MemoryEntry, fields: Iterable[str]) -> dict[str, Any]:
    """The payload keys to set for these fields of an entry; ``None`` removes a key.

    Args:
        whole: the payload of the changed entry.
        changed: the entry.
        fields: their names.
    """
    payload: dict[str, Any] = {"last_accessed": format_time(to_naive_utc("last_accessed", changed.last_accessed))}
    for name in fields:
        payload[_KEYS_OF[name]] = whole.get(_KEYS_OF[name])
        if name in _IN_RECORD:
            payload[name] = _to_json(getattr(changed, name))
    return payload


def audience_of(entry: MemoryEntry) -> str | None:
    """What the payload key ``audience`` must say of an entry."""
    return _audience(entry.source) if entry.private else None


def to_entry(hit: Hit, owner: Scope, *, score: float | None = None) -> MemoryEntry:
    """A point read back as the entry it was made from."""
    payload = hit.payload
    record, _ = _from_json(payload["record"])
    if not payload.keys().isdisjoint(_IN_RECORD):
        record.update({name: _from_json(payload[name])[0] for name in _IN_RECORD if name in payload})
    return MemoryEntry.trusted(
        id=record["id"],
        content=payload["content"],
        scope=owner,
        path=record["path"],
        categories=tuple(payload.get("categories", ())),
        metadata=record.get("metadata", {}),
        importance=payload.get("importance", DEFAULT_IMPORTANCE),
        created_at=parse_time(payload["created_at"]),
        last_accessed=parse_time(payload.get("last_accessed") or record["last_accessed"]),
        source=record.get("source"),
        private=record.get("private", False),
        kind=payload.get("kind", MEMORY),
        embedding=hit.dense,
        score=score,
    )
