"""CrewAI's ``StorageBackend`` (>= 1.10) over a store. Every call is bound to the scope.

Contracts of CrewAI this relies on (1.10.1 to 1.15.30):

- Several threads call the backend, some without the caller's context (see :meth:`QdrantStorageBackend.bound`).
- A missing id gives ``None``. Timestamps are naive UTC. ``touch_records`` and ``close`` are called if they exist.
- A wrong dimension raises ``EmbeddingDimensionMismatchError``, if CrewAI has that class. It is not a ``RuntimeError``,
  because CrewAI swallows those.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from crewai.memory.storage import backend as crewai_backend
from crewai.memory.types import MemoryRecord, ScopeInfo
from typing_extensions import Unpack

from ...config.arguments import MemoryOptions
from ...config.options import MemoryConfig
from ...entry_filter import FilterArgs
from ...errors import DimensionMismatchError
from ...pickling import NotPickled
from ...redaction import seal
from ...store.base import MemoryStore
from ...store.factory import open_configured
from ..checkpoint_recipe import Recipe, spec_of, written_as
from ..checkpoint_restore import Share
from ..deletion_filters import deletion_filters
from ..record_conversion import scope_info_fields
from .records import to_entry, to_record

logger = logging.getLogger("crewai_persistent_memory")

# crewai 1.10 has no such class. Ours then has no base class of CrewAI's.
_CrewAIMismatch: type[Exception] = getattr(crewai_backend, "EmbeddingDimensionMismatchError", ValueError)


class EmbeddingDimensionMismatchError(DimensionMismatchError, _CrewAIMismatch):  # type: ignore[misc, valid-type]
    """A vector whose length differs from the store's. It is both CrewAI's and this package's error."""


def _unsaid(record: MemoryRecord) -> set[str]:
    """The fields that an update must keep from the stored entry.

    CrewAI's consolidation builds a new record without the entry's source and privacy, and a record has no kind, and no
    end.
    """
    return {"kind", "expires_at", *({"source", "private"} - record.model_fields_set)}


@contextmanager
def _crewai_errors() -> Iterator[None]:
    try:
        yield
    except DimensionMismatchError as error:
        raise EmbeddingDimensionMismatchError(error.stored_dim, error.new_dim) from error


class QdrantStorageBackend(NotPickled):
    """A storage backend for CrewAI's own ``Memory``: ``Memory(storage=QdrantStorageBackend(...))``.

    CrewAI embeds and analyses; the backend stores and searches inside one scope. The engine applies filters before the
    limit. Scores are cosines, cut to 0…1. ``/a`` never matches ``/ab``. ``reset`` and ``delete`` never reach outside
    the scope.

    Args:
        options: the scope (``user_id`` and so on) and the store (``path`` or ``url``); see :class:`MemoryConfig`.
            ``embedder`` is not allowed, because CrewAI's ``Memory`` embeds.

    Raises:
        ConfigurationError, ScopeError, StoreError: see :func:`open_store`.
    """

    def __init__(self, **options: Unpack[MemoryOptions]) -> None:
        seal(options)
        config = MemoryConfig.build(**options)
        self._store = open_configured(config, external_vectors=True)
        self._takes_vectors = True
        # Not part of the protocol. The save flow of crewai 1.10 holds it during consolidation.
        self.write_lock = threading.RLock()

    recipe: Recipe | None = None
    """How its ``PersistentMemory`` is built; ``None`` below CrewAI's own ``Memory``."""

    share: Share | None = None
    """The share in the store, if the backend was restored from a checkpoint."""

    _takes_vectors = False

    @classmethod
    def over(
        cls, store: MemoryStore, recipe: Recipe | None = None, *, takes_vectors: bool = False
    ) -> QdrantStorageBackend:
        """A backend over a store that is already open."""
        backend = object.__new__(cls)
        backend._store = store
        backend.recipe = recipe
        backend._takes_vectors = takes_vectors
        backend.write_lock = threading.RLock()
        return backend

    @property
    def store(self) -> MemoryStore:
        """The store handle."""
        return self._store

    def bound(self) -> QdrantStorageBackend:
        """This backend bound to the current scope, for threads without the caller's context."""
        bound = self.over(self._store.bound(), self.recipe, takes_vectors=self._takes_vectors)
        bound.write_lock = self.write_lock
        return bound

    # -- writing ---------------------------------------------------------------------------------------------------

    def save(self, records: list[MemoryRecord]) -> None:
        with _crewai_errors():
            self._store.put([to_entry(record) for record in records])

    async def asave(self, records: list[MemoryRecord]) -> None:
        with _crewai_errors():
            await self._store.aput([to_entry(record) for record in records])

    def update(self, record: MemoryRecord) -> None:
        """Replace the record with the same id. If no such record is visible in this scope, nothing is stored.

        CrewAI updates only records that it has read. A missing record was therefore deleted since, and must not be
        created again.
        """
        with _crewai_errors():
            self._told(self._store.replace(to_entry(record), create=False, keep=_unsaid(record)), record.id)

    async def aupdate(self, record: MemoryRecord) -> None:
        with _crewai_errors():
            stored = await self._store.areplace(to_entry(record), create=False, keep=_unsaid(record))
            self._told(stored, record.id)

    @staticmethod
    def _told(stored: bool, id: str) -> None:
        if not stored:
            logger.info("a record was deleted while CrewAI was about to change it (%s): it stays deleted", id)

    def delete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """Delete the records that match all criteria; without criteria, everything in the scope.

        An empty list of ids deletes nothing. Returns the number of deleted records.
        """
        criteria = deletion_filters(scope_prefix, categories, record_ids, older_than, metadata_filter)
        return self._store.delete(**criteria) if criteria else self._store.reset(for_good=False)

    async def adelete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        criteria = deletion_filters(scope_prefix, categories, record_ids, older_than, metadata_filter)
        return await (self._store.adelete(**criteria) if criteria else self._store.areset(for_good=False))

    def reset(self, scope_prefix: str | None = None) -> None:
        """Delete everything in the scope, at the path and below it. Never anything of another scope."""
        self._store.reset(scope_prefix)

    async def areset(self, scope_prefix: str | None = None) -> None:
        await self._store.areset(scope_prefix)

    def touch_records(self, record_ids: list[str]) -> None:
        """Update the records' access times. On a server this runs in the background, so a recall is one round trip."""
        self._store.touch(record_ids, soon=True)

    # -- reading ---------------------------------------------------------------------------------------------------

    def search(
        self,
        query_embedding: list[float],
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        metadata_filter: dict[str, Any] | None = None,
        limit: int = 10,
        min_score: float = 0.0,
    ) -> list[tuple[MemoryRecord, float]]:
        with _crewai_errors():
            found = self._store.nearest(
                query_embedding,
                text=getattr(query_embedding, "text", None),
                limit=limit,
                min_score=min_score,
                **_filters(scope_prefix, categories, metadata_filter),
            )
        return [(to_record(entry), entry.score or 0.0) for entry in found]

    async def asearch(
        self,
        query_embedding: list[float],
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        metadata_filter: dict[str, Any] | None = None,
        limit: int = 10,
        min_score: float = 0.0,
    ) -> list[tuple[MemoryRecord, float]]:
        with _crewai_errors():
            found = await self._store.anearest(
                query_embedding,
                text=getattr(query_embedding, "text", None),
                limit=limit,
                min_score=min_score,
                **_filters(scope_prefix, categories, metadata_filter),
            )
        return [(to_record(entry), entry.score or 0.0) for entry in found]

    def get_record(self, record_id: str) -> MemoryRecord | None:
        entry = self._store.get(record_id)
        return None if entry is None else to_record(entry)

    async def aget_record(self, record_id: str) -> MemoryRecord | None:
        entry = await self._store.aget(record_id)
        return None if entry is None else to_record(entry)

    def list_records(self, scope_prefix: str | None = None, limit: int = 200, offset: int = 0) -> list[MemoryRecord]:
        return [to_record(entry) for entry in self._store.list(path=scope_prefix, limit=limit, offset=offset)]

    def get_scope_info(self, scope: str) -> ScopeInfo:
        return ScopeInfo(**scope_info_fields(self._store.info(scope)))

    def list_scopes(self, parent: str = "/") -> list[str]:
        return list(self._store.children(parent))

    def list_categories(self, scope_prefix: str | None = None) -> dict[str, int]:
        return self._store.categories(scope_prefix)

    def count(self, scope_prefix: str | None = None) -> int:
        return self._store.count(path=scope_prefix)

    def close(self) -> None:
        if self.share is not None:
            self.share.close()
        else:
            self._store.close()

    # In the JSON of a memory, this value replaces the path of CrewAI's storage.
    __pydantic_serializer__ = written_as(
        lambda backend: spec_of(
            backend.recipe or Recipe("backend", options={"vectors": backend._takes_vectors}), backend.store
        )
    )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._store!r})"

    def __deepcopy__(self, memo: dict[int, Any]) -> QdrantStorageBackend:
        return self


def _filters(
    scope_prefix: str | None, categories: list[str] | None, metadata_filter: dict[str, Any] | None
) -> FilterArgs:
    return {"path": scope_prefix, "categories": categories, "metadata": metadata_filter}
