"""The payload keys of a collection, and their indexes, the same for the embedded engine and the server.

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
| ``position`` | integer | the entry's place among those of its run, see :func:`~.times.position_at`; missing: the one \
  of its ``created_at`` |
| ``context`` | keyword list | ids of the points whose words the keyword vector has besides the entry's own, see \
  ``context`` |
| ``copied`` | keyword | on a server, while the memories move to another collection: its name. In the collection that \
  they leave, the point was copied since it was changed; in the other one, it was not changed since it was copied. See \
  ``server/carrying`` |
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

Vectors: ``keywords`` (sparse, BM25, IDF) on every point; ``dense`` (cosine) where there is one, and beside it
``passages`` (cosine, the best of several) of a long text. In a collection that was created with ``reranker="maxsim"``,
``tokens`` (cosine, MaxSim) beside ``dense``.

A new filter of the package touches these places:

| module | what |
| --- | --- |
| ``entry`` | the field, in ``MemoryEntry`` and in ``EntryFields`` |
| ``entry_filter`` | the filter: ``FilterArgs``, ``EntryFilter`` with its check, ``EntryFilter.matches`` |
| this one | the key in the table above and in :data:`INDEXES` |
| ``filters`` | the condition in :func:`~.filters.where_filter` |
| ``codec`` | the key in ``to_draft`` and ``to_entry``; in ``_KEYS_OF``, so that an update changes it |
| ``migrations`` | a ``Migration`` with the index, and a ``Fill`` if a missing key does not say enough |
| ``backends.mem0.codec`` | the field in ``metadata_of`` and in ``record_of`` |
| ``tests/contract`` | the filter, over every store |

An application adds a filter without any of them: see ``filter_fields``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final, NamedTuple

from ....filter_fields import FieldKind, FilterField

DENSE: Final = "dense"
KEYWORDS: Final = "keywords"
PASSAGES: Final = "passages"
TOKENS: Final = "tokens"
TENANT_KEY: Final = "tenant"
SCOPE_KEY: Final = "scope"
EXPIRES_AT_KEY: Final = "expires_at"
POSITION_KEY: Final = "position"
CONTEXT_KEY: Final = "context"
FORGOTTEN_KEY: Final = "forgotten"
HISTORY_KEY: Final = "history"
COPIED_KEY: Final = "copied"


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


def field_key(name: str) -> str:
    """The payload key of a filter field."""
    return FIELD_PREFIX + name


def field_indexes(fields: Iterable[FilterField]) -> dict[str, Index]:
    """The indexes that a collection needs for these filter fields. They belong to no layout: a worker that opens
    the collection with a field creates its index."""
    indexes = {field_key(each.name): Index(_FIELD_INDEXES[each.kind]) for each in fields}
    return {FILTER_FIELDS_KEY: Index(IndexKind.KEYWORD), **indexes} if indexes else {}
