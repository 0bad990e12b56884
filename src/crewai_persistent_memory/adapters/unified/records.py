"""Converts CrewAI's records (>= 1.10) to this package's entries, and back."""

from __future__ import annotations

from typing import Any

from crewai.memory.types import MemoryRecord

from ...entry import MemoryEntry
from ...errors import EmbedderError, StoreUnavailableError
from ...storable import storable_metadata, storable_text
from ...store.base import MemoryStore
from ..checkpoint_recipe import written_as
from ..record_conversion import record_fields


def to_entry(record: MemoryRecord) -> MemoryEntry:
    return MemoryEntry(
        id=record.id,
        content=storable_text(record.content),
        path=record.scope,
        categories=tuple(record.categories),
        metadata=storable_metadata(record.metadata),
        importance=record.importance,
        created_at=record.created_at,
        last_accessed=record.last_accessed,
        source=record.source,
        private=record.private,
        embedding=record.embedding or None,
    )


def to_record(entry: MemoryEntry) -> MemoryRecord:
    return MemoryRecord(**record_fields(entry))


class TextVector(list[float]):
    """An embedding that carries its text through CrewAI's flows.

    CrewAI's storage interface passes only vectors, and its flows skip items with an empty vector. A store of keywords
    searches by text. Its "vectors" are therefore empty, evaluate as true, and hold the text. CrewAI's ``embed_texts``
    keeps the result of ``tolist()`` (1.10.1 to 1.15.30). A saved record gets a plain list.
    """

    def __init__(self, values: list[float], text: str) -> None:
        super().__init__(values)
        self.text = text

    def __bool__(self) -> bool:
        return True

    def tolist(self) -> TextVector:
        return self


class TextEmbedder:
    """The embedder for CrewAI's flows: the store's own. For a store of keywords, and while the embedder is
    unavailable, it returns the text in place of a vector.

    The store's embedder is looked up at each call, because the collection on a server may not have been read earlier.
    """

    # Restoring builds it from the store, so the JSON holds none.
    __pydantic_serializer__ = written_as(lambda embedder: None)

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __call__(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = [[] for _ in texts]
        try:
            embedder = self._store.embedder
            if embedder is not None:
                vectors = embedder.embed(texts)
        except EmbedderError:
            pass  # The embedder logs the error. The store saves a record without a vector and embeds it later.
        except StoreUnavailableError:
            # So does its outbox. A process that starts while a server is away does not know the server's embedder yet.
            if not self._store.capabilities.outbox:
                raise
        return [vector or TextVector([], text) for vector, text in zip(vectors, texts, strict=True)]

    def __repr__(self) -> str:
        return f"the embedder of {self._store!r}"

    def __deepcopy__(self, memo: dict[int, Any]) -> TextEmbedder:
        return self
