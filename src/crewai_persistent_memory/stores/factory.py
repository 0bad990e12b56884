"""Which store a configuration means, and opening it."""

from __future__ import annotations

from typing_extensions import Unpack

from ..config import MemoryConfig, MemoryOptions
from ..errors import ConfigurationError
from ..mem0_config import Mem0Options
from .base import MemoryStore
from .types import RankingWeights


def open_store(**options: Unpack[MemoryOptions]) -> MemoryStore:
    """Open a store, without a crew.

    Args:
        options: see :class:`MemoryConfig`; the scope (``user_id``, ``project_id``, ``run_id``, ``agent_id``,
            ``org_id`` or ``scope``), the store (``path``, ``url`` of a server, or ``mem0``), ``embedder`` and how to
            rank.

    Returns:
        A handle bound to the scope. Use it in a ``with`` block or call ``close()``.

    Raises:
        ConfigurationError: an option is unknown, malformed or contradicts another.
        ScopeError: about the scope fields.
        StoreError, EmbedderError: the store cannot be opened; see their subclasses.
    """
    return open_configured(MemoryConfig.build(**options))


def open_configured(config: MemoryConfig, *, external_vectors: bool = False) -> MemoryStore:
    """Open the store of a checked configuration.

    Args:
        config: the options.
        external_vectors: vectors come from the caller (CrewAI's own engine), not from an embedder of the store.
    """
    store = _open(config, external_vectors)
    store.opened_with = config
    return store


def _open(config: MemoryConfig, external_vectors: bool) -> MemoryStore:
    if config.mem0 is not None:
        if external_vectors:
            raise ConfigurationError("Mem0 makes its own vectors: use PersistentMemory, or path= or url= here")
        return _open_mem0(config, config.mem0)
    from .qdrant.descriptor import EXTERNAL, FROM_STORE
    from .qdrant.store import Connection, QdrantStore

    embedder = EXTERNAL if external_vectors else config.embedder if config.embedder_given else FROM_STORE
    connection: Connection
    if config.server is not None:
        from .qdrant.server import open_server

        connection = server = open_server(config.server, embedder=embedder, language=config.language)
        if config.startup_check:
            try:
                server.check(config.binding(), config.startup_timeout)
            except BaseException:
                server.close()
                raise
    else:
        from .qdrant.embedded import open_embedded

        connection = open_embedded(config.store_path, embedder=embedder, language=config.language, fsync=config.fsync)
    weights = RankingWeights(
        config.semantic_weight, config.recency_weight, config.importance_weight, config.recency_half_life_days
    )
    return QdrantStore(connection, config.binding(), include_shared=config.include_shared, weights=weights)


def _open_mem0(config: MemoryConfig, options: Mem0Options) -> MemoryStore:
    from .mem0.service import Extraction, Service
    from .mem0.store import Mem0Store

    service: Service
    if options.local_mem0_config is not None:
        from .mem0.oss import LocalService

        service = LocalService(options)
    else:
        from .mem0.cloud import CloudService

        service = CloudService(options)
    if options.startup_check:
        try:
            service.run(service.health(config.binding()), options.startup_timeout)
        except BaseException:
            service.close()
            raise
    return Mem0Store(
        service,
        config.binding(),
        include_shared=config.include_shared,
        extraction=Extraction(config.includes, config.excludes, tuple(config.custom_categories or ())),
        wait=options.wait,
        run_expiry_days=options.run_expiry_days,
    )
