"""CrewAI's records (>= 1.10) and this package's entries, each as the other."""

from __future__ import annotations

from typing import Any

from crewai.memory.types import MemoryRecord

from ...entry import MemoryEntry
from ...errors import EmbedderError
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
    """An embedding that remembers its text, for the way through CrewAI's flows.

    CrewAI's storage interface carries vectors only, and its flows skip whatever has an empty one. A store of
    keywords searches by text; so its "vectors" are empty, count as true, and bring the text along. CrewAI's
    ``embed_texts`` keeps what ``tolist()`` returns (1.10.1 to 1.15.30); a record that is saved gets a plain list.
    """

    def __init__(self, values: list[float], text: str) -> None:
        super().__init__(values)
        self.text = text

    def __bool__(self) -> bool:
        return True

    def tolist(self) -> TextVector:
        return self


class TextEmbedder:
    """The embedder that CrewAI's flows are given: the store's own, or the text itself, for a store of keywords and
    while the embedder is away.

    The store is asked when texts come: a server may not have been asked yet which embedder its collection has.
    """

    # Made of the store again; what is written as JSON names none.
    __pydantic_serializer__ = written_as(lambda embedder: None)

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __call__(self, texts: list[str]) -> list[list[float]]:
        embedder = self._store.embedder
        if embedder is None:
            return [TextVector([], text) for text in texts]
        try:
            vectors: list[list[float]] = embedder.embed(texts)
        except EmbedderError:
            # Logged by the embedder. A record without a vector is kept by the store, which embeds it later.
            vectors = [[] for _ in texts]
        return [vector or TextVector([], text) for vector, text in zip(vectors, texts, strict=True)]

    def __repr__(self) -> str:
        return f"the embedder of {self._store!r}"

    def __deepcopy__(self, memo: dict[int, Any]) -> TextEmbedder:
        return self
