"""The options as keyword arguments, for type checkers and editors.

Written by ``scripts/option_types.py``. To change an option, change its model in ``qdrant.py``, ``mem0.py`` or
``options.py``, and run that program.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, TypedDict

from ..filter_fields import FilterField
from ..scope import Scope


class CollectionArgs(TypedDict, total=False):
    """``collection_settings=``: how a new collection is laid out."""

    shard_number: int | None
    """Shards, for each project's key with shard_by_project."""
    replication_factor: int | None
    """Copies of each shard, on different nodes."""
    write_consistency_factor: int | None
    """Copies that must confirm a write before it is acknowledged."""
    shard_by_project: bool
    """Custom sharding: large projects can be given shards of their own (Qdrant >= 1.16, cluster)."""
    on_disk_vectors: bool | None
    """Originals of dense vectors on disk, not in memory."""
    on_disk_payload: bool | None
    """Payload on disk, not in memory."""
    quantization: Literal["scalar", "binary"] | None
    """A small copy of the dense vectors, in memory: int8 (a quarter) or one bit (a 32nd)."""
    strict_mode: bool
    """The server refuses filters over payload that is not indexed."""


class ServerArgs(TypedDict, total=False):
    """The options of a Qdrant server."""

    grpc_port: int
    """Port for gRPC."""
    api_key: str | None
    """Key or token (JWT)."""
    ca_cert: str | os.PathLike[str] | None
    """PEM file of a private CA, in place of the system's."""
    trust_env: bool
    """Use the proxies that the environment names; false: none."""
    prefer_grpc: bool
    """gRPC for everything that is asked of the server."""
    timeout: float
    """Seconds for one request; whole seconds, rounded up."""
    retry_for: float
    """Seconds over which a request that is safe to repeat is repeated; 0: never."""
    max_connections: int
    """Most connections of one process (and of one event loop)."""
    wait: bool
    """A write returns when it can be read; false: when it is in the server's log."""
    ordering: Literal["weak", "medium", "strong"] | None
    """Of writes, in a cluster."""
    read_consistency: int | Literal["majority", "quorum", "all"] | None
    """How many copies a read asks, in a cluster."""
    collection: str
    """Name of the collection."""
    collection_per_project: bool
    """One collection for each project (own backups, keys, retention), not one for all."""
    create_collection: bool
    """Create the collection if there is none."""
    dimensions: int | None
    """For QdrantStorageBackend: length of a new collection's vectors, else the first one's."""
    url: str | Sequence[str] | None
    """Address; several (a list, or comma-separated) are nodes of one cluster, tried in turn."""
    host: str | None
    """In place of url, with port."""
    port: int | None
    """Port for REST, if it is not in url. Default: 6333."""
    https: bool | None
    """For host: TLS. Left out: when api_key or ca_cert is given."""
    prefix: str | None
    """Path below which the server answers, behind a proxy."""
    headers: Mapping[str, str] | None
    """Sent with every request."""
    startup_check: bool
    """Open fails if the server does not answer."""
    startup_timeout: float
    """Seconds for that check."""
    collection_settings: CollectionArgs | None
    """How a new collection is laid out: a dict of settings."""


class Mem0Args(TypedDict, total=False):
    """``mem0=``: the options of Mem0."""

    api_key: str | None
    """Of Mem0 Cloud. Left out: MEM0_API_KEY."""
    host: str | None
    """Where Mem0 Cloud answers. Left out: MEM0_HOST, else Mem0's own."""
    local_mem0_config: Mapping[str, Any] | None
    """For Mem0 OSS: what Memory.from_config takes, given to it as it is."""
    allow_untested_vector_store: bool
    """Mem0 OSS over a vector store that this package was never tried with; see docs/mem0.md."""
    trust_env: bool
    """Mem0 Cloud: use the proxies that the environment names; false: none."""
    timeout: float
    """Seconds for one request."""
    retry_for: float
    """Seconds over which a request that is safe to repeat is repeated; 0: never."""
    startup_check: bool
    """Open fails if Mem0 does not answer or refuses the key."""
    startup_timeout: float
    """Seconds for that check."""
    wait: bool
    """Adding messages returns when their memories are there, not at once."""
    wait_timeout: float
    """Seconds to wait for that at most."""
    run_expiry_days: int | None
    """What is remembered in a run (run_id) is forgotten after so many days."""
    rerank: bool
    """Mem0 Cloud ranks results a second time: better order, more latency."""
    telemetry: bool
    """Let the mem0 package report usage events to its makers."""


class MemoryOptions(ServerArgs, total=False):
    """The options of :func:`open_store`: scope, store, ranking, recall."""

    undo_for: timedelta | float | None
    """So long what is deleted can be brought back: a timedelta or seconds. Left out, or 0: it is gone."""
    history: int
    """So many earlier texts an entry keeps when it is changed; 0: none."""
    durability: Literal["outbox", "store"] | None
    """'outbox': writes are kept here and delivered; 'store': they wait. Left out: 'store' if embedded."""
    outbox_path: str | os.PathLike[str] | None
    """Folder of the outboxes, on a local disk. Left out: beside the default path."""
    outbox_max_mb: float
    """Size at which an outbox refuses further writes, in MiB."""
    recall_timeout: float
    """With an outbox: seconds that a read, or a change's answer, waits for the store."""
    exit_wait: float | None
    """With an outbox: seconds that closing waits for delivery. Left out: 2, and 30 for Mem0 OSS."""
    recall_budget: int
    """Characters of memory in one prompt, dates and marks included; 0: whole texts, no bound."""
    min_score: float
    """The least score of a memory that a recall gives, 0…1; 0: any that has a word."""
    reranker: Callable[[str, Sequence[str]], Any] | str | None
    """A function (query, texts) -> scores; a cross-encoder: 'local:/folder', 'local/<model>'; 'maxsim'."""
    reranker_timeout: float
    """Seconds after which memories keep the order that they have without the reranker."""
    includes: str | None
    """What to remember, in words."""
    excludes: str | None
    """What not to remember, in words."""
    custom_categories: list[Mapping[str, str]] | None
    """[{name: description}]: how memories are categorised, in place of Mem0's own categories."""
    user_id: str | None
    """The user. Fixed here, or set for each request by use_scope."""
    project_id: str | None
    """The project or deployment stage. Default: 'default'."""
    run_id: str | None
    """One run or session."""
    agent_id: str | None
    """One agent."""
    org_id: str | None
    """The organisation."""
    scope: Scope | None
    """A whole Scope, in place of the single fields."""
    include_shared: bool
    """Reads also see the project's shared memory."""
    ttl: timedelta | float | Mapping[str, timedelta | float] | None
    """Entries expire so long after they are saved: a timedelta or seconds, or a dict of them by kind."""
    run_ttl: timedelta | float | None
    """The same, for entries of a run (run_id); it goes before a ttl for all kinds."""
    path: str | os.PathLike[str] | None
    """Folder of an embedded store."""
    fsync: Literal["always", "interval", "close"]
    """When writes reach the disk: before they return, within a second, or at close."""
    mem0: Mem0Args | None
    """Keep memories in Mem0: a dict of its options, {} for none."""
    embedder: Mapping[str, Any] | Callable[[list[str]], Any] | str | None
    """'local', 'provider/model', a spec {'provider': ..., ...}, a function, or None: keywords only."""
    language: str | None
    """Stop words and stemming of keywords; 'none' for neither."""
    semantic_weight: float
    """Weight of relevance; see RankingWeights."""
    recency_weight: float
    """Weight of an entry's age."""
    importance_weight: float
    """Weight of an entry's importance."""
    recency_half_life_days: float
    """Days after which the weight of the age has halved."""
    filter_fields: Sequence[FilterField]
    """Fields of your own that reads can filter by; see FilterField."""
