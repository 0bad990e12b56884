"""Select the store of a configuration and open it."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeGuard

from typing_extensions import Unpack

from ..addresses import same_for_all
from ..config.arguments import MemoryOptions
from ..config.mem0 import Mem0Options, address_of
from ..config.options import MemoryConfig
from ..config.qdrant import routing_of
from ..config.recall import MAXSIM
from ..errors import (
    ConfigurationError,
    Outcome,
    PersistentMemoryError,
    StoreBusyError,
    StoreMissingError,
    StoreUnavailableError,
)
from ..filter_fields import fields_by_name
from ..io.steps import run
from ..redaction import seal
from ..scope import ScopeBinding
from .backend import Backend
from .background_purge import PURGES
from .base import MemoryStore

if TYPE_CHECKING:
    from ..outbox.shared import OutboxSettings

CUT_OFF_AFTER: Final = 30.0
"""Seconds that closing leaves to a delivery to Mem0 OSS that is under way. Its library works in this process, in many
steps: of one that is cut off, a part of the memories would be there, and the rest would not be sent again."""

OutboxUse: TypeAlias = Literal["by options", "if there", "if usable"]

logger = logging.getLogger("crewai_persistent_memory")


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
    seal(options)
    return open_configured(MemoryConfig.build(**options))


def open_configured(
    config: MemoryConfig,
    *,
    external_vectors: bool = False,
    by_words: bool = False,
    existing: bool = False,
    recalls_in_part: bool = True,
    outbox: OutboxUse = "by options",
) -> MemoryStore:
    """Open the store of a checked configuration.

    Args:
        config: the options.
        external_vectors: vectors come from the caller (CrewAI's own engine), not from an embedder of the store.
        by_words: do not use the store's embedder: searches match words, and new entries have no vector yet.
        existing: create no Qdrant store.
        recalls_in_part: with an outbox, a search while the store is away finds what waits for it; else it raises.
        outbox: ``"if there"`` uses the outbox of the options if this host has it already, and makes none;
            ``"if usable"``, for one who only reads, does without one that cannot be used, too.

    Raises:
        ConfigurationError: the outbox cannot be kept, or read.
        StoreMissingError: the store does not exist and ``existing`` is set. A server may report it at the first use.
    """
    settings = None
    if config.has_outbox:
        settings = outbox_of(config, "external" if external_vectors else "own")
        settings = replace(settings, embeds=not by_words, recalls_in_part=recalls_in_part)
        if by_words:
            settings = replace(settings, exit_wait=0.0)  # what waits may need the embedder
        if outbox != "by options" and not settings.exists:
            settings = None
    backend, away = _open(config, external_vectors, by_words, existing, has_outbox=settings is not None)
    if settings is not None:
        from ..outbox.backend import OutboxBackend

        try:
            backend = OutboxBackend(backend, settings, fields_by_name(config.filter_fields), away)
        except BaseException as error:
            if outbox != "if usable" or not isinstance(error, PersistentMemoryError):
                backend.close()
                raise
            logger.warning("what waits in this host's outbox is not seen: %s", error)
    if backend.capabilities.expires and not existing:
        PURGES.watch(backend, ScopeBinding(project_id=config.binding().project_id, org_id=config.binding().org_id))
    return MemoryStore(
        backend,
        config.binding(),
        include_shared=config.include_shared,
        weights=config.weights,
        opened_with=config,
        filter_fields=config.filter_fields,
        expiry=config.expiry,
        corrections=config.corrections,
    )


def _open(
    config: MemoryConfig, external_vectors: bool, by_words: bool, existing: bool, *, has_outbox: bool
) -> tuple[Backend, PersistentMemoryError | None]:
    """The backend, and why it is used all the same if the store is away."""
    if config.reranker == MAXSIM and config.source_of("reranker") == "argument":
        _refuse_token_vectors(config, external_vectors)
    if config.mem0 is not None:
        if external_vectors:
            raise ConfigurationError("Mem0 makes its own vectors: use PersistentMemory, or path= or url= here")
        return _open_mem0(config, config.mem0, has_outbox)
    from ..backends.qdrant.backend import QdrantBackend
    from ..backends.qdrant.collection import Connection
    from ..backends.qdrant.embedder_choice import BY_WORDS, FROM_STORE, WithTokens
    from ..backends.qdrant.manifest import EXTERNAL

    away: PersistentMemoryError | None = None
    embedder: Any = FROM_STORE
    if external_vectors:
        embedder = EXTERNAL
    elif by_words:
        embedder = BY_WORDS
    elif config.embedder_given:
        embedder = config.embedder
    if config.reranker == MAXSIM and not external_vectors and not by_words:
        embedder = WithTokens(embedder)
    connection: Connection
    if config.server is not None:
        from ..backends.qdrant.server.connection import open_server

        settings = config.server
        if existing:
            settings = settings.model_copy(update={"create_collection": False})
        connection = server = open_server(
            settings, embedder=embedder, language=config.language, filter_fields=config.filter_fields
        )
        if config.startup_check:
            try:
                server.check(config.binding(), _patience(config, config.startup_timeout, has_outbox))
            except BaseException as error:
                check_asked_for = config.source_of("startup_check") != "default"
                if not has_outbox or check_asked_for or not _is_away(error):
                    server.close()
                    raise
                away = error
    else:
        from ..backends.qdrant.embedded.connection import open_embedded

        if existing:
            require_store(config.store_path)
        connection = open_embedded(
            config.store_path,
            embedder=embedder,
            language=config.language,
            fsync=config.fsync,
            filter_fields=config.filter_fields,
        )
    # A command that looks at a store leaves it as it is.
    return QdrantBackend(connection, purges_at_close=config.server is None and not existing), away


def _refuse_token_vectors(config: MemoryConfig, external_vectors: bool) -> None:
    """Refuse ``reranker="maxsim"`` for a store that has no token vectors. The environment may be that of other stores.

    Raises:
        ConfigurationError: the store has none.
    """
    if config.mem0 is not None:
        raise ConfigurationError("reranker: 'maxsim' needs token vectors, which Mem0 does not keep: leave it out")
    if external_vectors:
        raise ConfigurationError(
            "reranker: 'maxsim' needs the store's own embedder, and these vectors come from CrewAI: leave it out"
        )


def _patience(config: MemoryConfig, seconds: float, has_outbox: bool) -> float:
    """Seconds for the start-up check. With an outbox, a store that is away costs no more than a recall."""
    return min(seconds, config.recall_timeout) if has_outbox else seconds


def _is_away(error: BaseException) -> TypeGuard[PersistentMemoryError]:
    """Whether a store that does not answer can be opened all the same, if its outbox accepts writes meanwhile.

    Another server at the address, say, or a wrong certificate hardly comes right by itself.
    """
    return isinstance(error, (StoreUnavailableError, StoreBusyError)) and error.outcome is not Outcome.REFUSED


def outbox_of(config: MemoryConfig, vectors: str) -> OutboxSettings:
    """Where the outbox of a configuration is, and how it works.

    Args:
        config: the options.
        vectors: ``"own"``, or ``"external"`` for those of CrewAI's own engine.
    """
    from ..outbox.shared import OutboxSettings

    address: tuple[Any, ...]
    if config.mem0 is not None:
        store, address = address_of(config.mem0)
        # Extraction is that of the handle that delivers, so handles that differ in it have different queues.
        extraction = config.includes, config.excludes, config.custom_categories, config.mem0.run_expiry_days
        address += (str(extraction),)
    elif config.server is not None:
        server, named = config.server, "Qdrant at {}, collection {}"
        store = named.format(server.address, server.collection)
        nodes = ", ".join(sorted(map(same_for_all, server.urls)))
        which = named.format(nodes, server.collection)
        address = (which, server.collection_per_project, vectors, *routing_of(server.headers))
    else:
        store = f"the memory store at {os.path.realpath(os.path.expanduser(config.store_path))}"
        address = (store, vectors)
    return OutboxSettings(
        folder=Path(os.path.realpath(os.path.expanduser(config.outbox_folder))),
        store=store,
        address=address,
        durable=config.fsync == "always",
        most_bytes=int(config.outbox_max_mb * 2**20),
        recall_timeout=config.recall_timeout,
        exit_wait=config.waits_at_exit,
        language=config.language,
        waits_for_messages=config.mem0 is not None and config.mem0.wait,
        stopping=CUT_OFF_AFTER if config.mem0 is not None and config.mem0.local_mem0_config is not None else 0.5,
        messages_timeout=config.recall_timeout if config.mem0 is None else config.mem0.wait_timeout,
    )


def require_store(path: Path) -> None:
    """Raise if no embedded store is at ``path``, without creating anything.

    An unreadable folder passes this check: opening it raises the error with the reason.

    Raises:
        StoreMissingError: the store does not exist.
    """
    folder = Path(os.path.realpath(os.path.expanduser(path)))
    for part in ("store.json", "shard"):
        try:
            (folder / part).stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return
        return
    raise StoreMissingError(f"there is no memory store at {folder}: nothing was remembered there yet")


def _open_mem0(
    config: MemoryConfig, options: Mem0Options, has_outbox: bool
) -> tuple[Backend, PersistentMemoryError | None]:
    from ..backends.mem0.api import Extraction, Mem0Api
    from ..backends.mem0.backend import Mem0Backend

    api: Mem0Api
    if options.local_mem0_config is not None:
        from ..backends.mem0.library import LibraryApi

        api = LibraryApi(options)
    else:
        from ..backends.mem0.cloud import CloudApi

        api = CloudApi(options)
    away: PersistentMemoryError | None = None
    if options.startup_check:
        try:
            run(api.health(config.binding(), _patience(config, options.startup_timeout, has_outbox)))
        except BaseException as error:
            if not has_outbox or "startup_check" in options.model_fields_set or not _is_away(error):
                api.close()
                raise
            away = error
    backend = Mem0Backend(
        api,
        extraction=Extraction(config.includes, config.excludes, tuple(config.custom_categories or ())),
        wait=options.wait,
        run_expiry_days=options.run_expiry_days,
    )
    return backend, away
