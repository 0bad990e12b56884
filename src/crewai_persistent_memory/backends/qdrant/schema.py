"""The collection layout, the same for the embedded engine and the server, described here and nowhere else.

One collection holds all tenants. A tenant is an organisation, a project and a user together; its key is indexed
``is_tenant``, so that one user's entries lie together and a query costs what one user's memory costs.

| payload key | type | holds |
| --- | --- | --- |
| ``tenant`` | keyword, is_tenant | digest of organisation, project and user |
| ``owner`` | keyword | where a run or an agent is set: digest of the whole scope |
| ``scope`` | keyword | digest of the whole scope; an entry that lacks it was written before layout 3 |
| ``org_id``, ``project_id``, ``user_id``, ``run_id``, ``agent_id`` | keyword | the scope's fields that are set |
| ``content`` | text | the entry's content |
| ``ancestors`` | keyword list | the path and those above it but ``/``: a prefix is an exact match |
| ``categories`` | keyword list | |
| ``metadata_terms`` | integer list | digest of each top-level key and value: the engine filters any JSON value |
| ``audience`` | keyword | of a private entry: who may read it |
| ``kind`` | keyword | where it is not ``memory`` |
| ``importance`` | float | where it is not 0.5 |
| ``created_at`` | datetime | RFC 3339, UTC, microseconds |
| ``expires_at`` | datetime | the same: from then on no read finds the entry; missing: it stays |
| ``forgotten`` | text | of an entry that was deleted and can be brought back: its ``expires_at``, or empty text; see \
  ``forgotten`` |
| ``history`` | text | what the entry said before, as JSON text |
| ``position`` | integer | the entry's place among those of its run, see :func:`position_at`; missing: the one of its \
  ``created_at`` |
| ``context`` | keyword list | ids of the points whose words the keyword vector has besides the entry's own, see \
  ``context`` |
| ``last_accessed`` | text | the same, of an entry that was read since it was written |
| ``record`` | text | the rest of the entry as JSON text, so that metadata comes back exactly |
| ``field_…`` | keyword, integer or datetime list | what the entry has of a filter field of the application, by the \
  field's name |
| ``filter_fields`` | keyword list | the names of the filter fields whose values the entry has; one that is missing is \
  computed when a filter needs it, see ``field_completion`` |
| ``path``, ``metadata``, ``source``, ``private`` | text | JSON text, of an entry whose field was changed since it was \
  written: it holds in place of the one in ``record`` |

A change sets the keys of the changed field only. So two processes that change two fields of one entry at the same time
both succeed, which they would not if each wrote ``record`` anew.

Keys without a value are left out: every value costs 3 µs to hand to the engine (qdrant-edge-py 0.9), and most entries
have few.

Vectors: ``keywords`` (sparse, BM25, IDF) on every point, ``dense`` (cosine) where there is one.

A new filter of the package touches these places:

| module | what |
| --- | --- |
| ``entry`` | the field, in ``MemoryEntry`` and in ``EntryFields`` |
| ``entry_filter`` | the filter: ``FilterArgs``, ``EntryFilter`` with its check, ``EntryFilter.matches`` |
| this one | the key in the table above and in :data:`INDEXES`; the condition in :func:`where_filter` |
| ``codec`` | the key in ``to_draft`` and ``to_entry``; in ``_KEYS_OF``, so that an update changes it |
| ``migrations`` | a ``Migration`` with the index, and a ``Fill`` if a missing key does not say enough |
| ``backends.mem0.codec`` | the field in ``metadata_of`` and in ``record_of`` |
| ``tests/contract`` | the filter, over every store |

An application adds a filter without any of them: see ``filter_fields``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ...entry import MEMORY
from ...entry_filter import EntryFilter
from ...errors import InvalidEntryError
from ...expiry import now
from ...filter_fields import FieldCondition, FieldKind, FilterField
from ...scope import SCOPE_FIELDS, Scope, owners_visible_to, visible
from ...validation import canonical_json
from .engine_requests import (
    Between,
    Condition,
    FieldHolds,
    HasId,
    Hit,
    InScopes,
    Match,
    NoteAccess,
    NotExpired,
    SetPayload,
    Where,
)

DENSE: Final = "dense"
KEYWORDS: Final = "keywords"
PASSAGES: Final = "passages"

TENANT_KEY: Final = "tenant"
SCOPE_KEY: Final = "scope"
EXPIRES_AT_KEY: Final = "expires_at"
POSITION_KEY: Final = "position"
CONTEXT_KEY: Final = "context"
FORGOTTEN_KEY: Final = "forgotten"
HISTORY_KEY: Final = "history"


class IndexKind(Enum):
    """How a payload key is indexed. Each engine has its own parameters for it."""

    TENANT = "tenant"
    """A keyword by which the engine keeps points together."""
    KEYWORD = "keyword"
    DIGEST = "digest"
    """An integer that is looked up, never compared."""
    NUMBER = "number"
    """An integer that is compared and ordered by."""
    FLOAT = "float"
    TIME = "time"


class Index(NamedTuple):
    """Attributes:
    kind: how the key is indexed.
    since: the first layout that has the index.
    """

    kind: IndexKind
    since: int = 1


INDEXES: Final[Mapping[str, Index]] = {
    TENANT_KEY: Index(IndexKind.TENANT),
    "org_id": Index(IndexKind.KEYWORD),
    "project_id": Index(IndexKind.KEYWORD),
    "user_id": Index(IndexKind.KEYWORD),
    "run_id": Index(IndexKind.KEYWORD),
    "agent_id": Index(IndexKind.KEYWORD),
    "owner": Index(IndexKind.KEYWORD),
    "ancestors": Index(IndexKind.KEYWORD),
    "categories": Index(IndexKind.KEYWORD),
    "audience": Index(IndexKind.KEYWORD),
    "kind": Index(IndexKind.KEYWORD),
    "metadata_terms": Index(IndexKind.DIGEST),
    "created_at": Index(IndexKind.TIME),
    "importance": Index(IndexKind.FLOAT),
    EXPIRES_AT_KEY: Index(IndexKind.TIME, since=2),
    POSITION_KEY: Index(IndexKind.NUMBER, since=2),
    CONTEXT_KEY: Index(IndexKind.KEYWORD, since=3),
    SCOPE_KEY: Index(IndexKind.KEYWORD, since=3),
}
"""Every index of a collection. A new one needs a migration, see ``migrations``."""

FIELD_PREFIX: Final = "field_"
"""Of the payload keys of an application's filter fields. No key of the layout's own begins with it."""

FILTER_FIELDS_KEY: Final = "filter_fields"

_FIELD_INDEXES: Final[Mapping[FieldKind, IndexKind]] = {
    "keyword": IndexKind.KEYWORD,
    "integer": IndexKind.DIGEST,
    "time": IndexKind.TIME,
}

_json_of = json.JSONEncoder().encode
_POINT_ID: Final = re.compile("-".join(f"[0-9a-f]{{{size}}}" for size in (8, 4, 4, 4, 12)))
_EPOCH: Final = datetime(1970, 1, 1)
_MICROSECOND: Final = timedelta(microseconds=1)

logger = logging.getLogger("crewai_persistent_memory")


# -- filter fields of the application ---------------------------------------------------------------------------------


def field_key(name: str) -> str:
    """The payload key of a filter field."""
    return FIELD_PREFIX + name


def field_indexes(fields: Iterable[FilterField]) -> dict[str, Index]:
    """The indexes that a collection needs for these filter fields. They belong to no layout: a worker that opens
    the collection with a field creates its index."""
    indexes = {field_key(each.name): Index(_FIELD_INDEXES[each.kind]) for each in fields}
    return {FILTER_FIELDS_KEY: Index(IndexKind.KEYWORD), **indexes} if indexes else {}


@dataclass(frozen=True)
class PartlyStored(FieldCondition):
    """A condition on a field whose values are not stored with all entries.

    Attributes:
        others: the points without a stored value that meet the condition.
    """

    others: tuple[str, ...] = ()


def _where_field(condition: FieldCondition) -> Condition:
    name = condition.field.name
    key = field_key(name)
    holds: Match | Between = Match(key, condition.values)
    if condition.field.kind == "time":
        holds = Between(key, condition.start, condition.end)
    if isinstance(condition, PartlyStored):
        return FieldHolds(Match(FILTER_FIELDS_KEY, (name,)), holds, HasId(condition.others))
    return holds


# -- times ------------------------------------------------------------------------------------------------------------


def format_time(value: datetime) -> str:
    """Naive UTC as RFC 3339 with microseconds: text order is time order."""
    return value.isoformat(timespec="microseconds") + "Z"


def parse_time(value: str) -> datetime:
    return datetime.fromisoformat(value.removesuffix("Z"))


def format_end(value: datetime) -> str:
    """A time in UTC, with its time zone, as :func:`format_time` writes it: text order is time order."""
    return format_time(value.replace(tzinfo=None))


def parse_end(value: str) -> datetime:
    return parse_time(value).replace(tzinfo=timezone.utc)


def created_at(moment: datetime) -> Between:
    """The condition that an entry was created at this very microsecond."""
    return Between("created_at", moment, None if moment == datetime.max else moment + _MICROSECOND)


def position_at(created_at: datetime) -> int:
    """The position of an entry in its run: the microseconds from 1970 to its creation, naive UTC.

    A worker needs no request to know it, two workers agree on it, and an entry that a worker of layout 1 saved gets the
    same from its ``created_at``.
    """
    return (created_at - _EPOCH) // _MICROSECOND


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
    # As ``_digest(owner_key(owner), entry_id)``, at half of its time.
    return _id_of(f'["{owner_key(owner)}", {_json_of(entry_id)}]')


def forgotten_id(owner: Scope, entry_id: str) -> str:
    """The engine's id of an entry that was deleted and can be brought back."""
    return _id_of(f'["{owner_key(owner)}", {_json_of(entry_id)}, "forgotten"]')


def _id_of(parts: str) -> str:
    key = hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()
    return f"{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}"  # a UUID's form, at a third of uuid's time


def is_point_id(text: str) -> bool:
    """Whether :func:`point_id` can have made it."""
    return _POINT_ID.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def scope_payload(owner: Scope) -> Mapping[str, str]:
    """Payload keys that identify a point's owner."""
    payload = {name: value for name in SCOPE_FIELDS if (value := getattr(owner, name)) is not None}
    payload[TENANT_KEY] = tenant_key(owner)
    payload[SCOPE_KEY] = owner_key(owner)
    if owner.run_id is not None or owner.agent_id is not None:
        payload["owner"] = owner_key(owner)
    return payload


def scope_of(payload: Mapping[str, Any]) -> str:
    """The value of the key ``scope`` for a point with this payload."""
    return owner_key(owner_in(payload))


@lru_cache(maxsize=4096)
def where_visible(reader: Scope, *, include_shared: bool) -> Where:
    """The visibility rule as conditions for the engine."""
    owners = owners_visible_to(reader, include_shared=include_shared)
    narrow = [owner_key(owner) for owner in owners if owner.run_id is not None or owner.agent_id is not None]
    before = (
        Match(TENANT_KEY, tuple(dict.fromkeys(map(tenant_key, owners)))),
        Match("owner", tuple(narrow), or_missing=True),
    )
    return (InScopes(tuple(dict.fromkeys(map(owner_key, owners))), before),)


@lru_cache(maxsize=4096)
def where_owner(owner: Scope) -> Where:
    """The entries of exactly this scope."""
    is_narrow = owner.run_id is not None or owner.agent_id is not None
    before = (
        Match(TENANT_KEY, (tenant_key(owner),)),
        Match("owner", (owner_key(owner),) if is_narrow else (), or_missing=not is_narrow),
    )
    return (InScopes((owner_key(owner),), before),)


_owner = lru_cache(maxsize=4096)(Scope.trusted)
"""Returns the same object for equal scopes, so that :func:`checked` can compare owners by identity."""


def where_scopes(fields: Mapping[str, str | None]) -> Where:
    """The entries of all scopes with these fields; ``None`` for those without the field."""
    return tuple(
        Match(name, () if value is None else (value,), or_missing=value is None) for name, value in fields.items()
    )


def owner_in(payload: Mapping[str, Any]) -> Scope:
    """The owner of the point with this payload."""
    get = payload.get
    return _owner(get("user_id"), payload["project_id"], get("run_id"), get("agent_id"), get("org_id"))


def checked(hits: Iterable[Hit], reader: Scope, *, include_shared: bool) -> list[tuple[Hit, Scope]]:
    """Drop, loudly, what the engine returned against the rule, and what has expired. The second of the two checks of
    every result."""
    kept: list[tuple[Hit, Scope]] = []
    owner, allowed = reader, True
    moment: str | None = None
    for hit in hits:
        get = hit.payload.get  # as owner_in, without a call for each of many results
        found = _owner(get("user_id"), hit.payload["project_id"], get("run_id"), get("agent_id"), get("org_id"))
        if found is not owner:  # most results of a call belong to one owner
            owner, allowed = found, visible(found, reader, include_shared=include_shared)
        if allowed:
            if (end := get(EXPIRES_AT_KEY)) is not None:
                moment = moment or format_end(now())
                if end <= moment:
                    continue  # without a word: an entry may expire while a request is under way
            kept.append((hit, owner))
        else:
            logger.error("dropped point %s: the engine returned it outside the scope of the call", hit.id)
    return kept


# -- filters -------------------------------------------------------------------------------------------------------


def not_expired() -> NotExpired:
    """The condition that an entry has not expired now."""
    return NotExpired(now())


def where_filter(
    filter: EntryFilter, reader: Scope, *, include_shared: bool, with_expired: bool = False, owner_only: bool = False
) -> Where:
    """An entry filter as conditions for the engine, inside the reader's scope.

    Args:
        filter: the filter.
        reader: the scope.
        include_shared: see :func:`where_visible`.
        with_expired: also entries that have expired, and those that were deleted and can be brought back.
        owner_only: entries of exactly this scope.
    """
    seen = where_owner(reader) if owner_only else where_visible(reader, include_shared=include_shared)
    where: list[Condition] = list(seen)
    if not with_expired:
        where.append(NotExpired(now()))
    if filter.ids is not None:
        owners = [reader] if owner_only else owners_visible_to(reader, include_shared=include_shared)
        named = [point_id(owner, entry_id) for entry_id in filter.ids for owner in owners]
        if with_expired:
            named += [forgotten_id(owner, entry_id) for entry_id in filter.ids for owner in owners]
        where.append(HasId(tuple(named)))
    if filter.path is not None and filter.path != "/":
        where.append(Match("ancestors", (filter.path,)))
    if filter.categories:
        where.append(Match("categories", filter.categories))
    for key, value in (filter.metadata or {}).items():
        where.append(Match("metadata_terms", (metadata_term(key, value),)))
    if filter.created_before is not None or filter.created_after is not None:
        where.append(Between("created_at", filter.created_after, filter.created_before))
    if not filter.include_private:
        readers = () if filter.reader is None else (audience(filter.reader),)
        where.append(Match("audience", readers, or_missing=True))
    if filter.kind is not None:
        usual = filter.kind == MEMORY
        where.append(Match("kind", () if usual else (filter.kind,), or_missing=usual))
    if filter.fields:
        where += map(_where_field, filter.fields)
    return tuple(where)


def points_named(where: Where) -> list[str]:
    """The ids of the points to which a filter by ids is limited; none, if it is not."""
    return [id for condition in where if isinstance(condition, HasId) for id in condition.ids]


def access_write(note: NoteAccess) -> SetPayload:
    """The request that writes when entries were read."""
    where = where_filter(EntryFilter(ids=note.ids), note.scope, include_shared=False)
    return SetPayload(where, {"last_accessed": format_time(note.moment)})


def metadata_term(key: str, value: Any) -> int:
    # 63 bits: what JSON integers and Qdrant's index hold without loss.
    try:
        # The JSON text of a key ends at its quote, so key and value cannot be read another way.
        digest = hashlib.blake2b(f"{json.dumps(key)}:{canonical_json(value)}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1
    except (TypeError, ValueError) as error:
        raise InvalidEntryError(f"metadata[{key!r}] is not a JSON value: {error}") from error


def audience(source: str | None) -> str:
    # A private entry without a source is for nobody but those who ask for private entries.
    return "nobody" if source is None else f"source:{source}"
