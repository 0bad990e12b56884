"""Chroma: a search that found too few of an owner's memories is answered from all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .corrected import CorrectedStore
from .table import Provider

_TIMEOUT: Final = 30.0
"""Seconds without an answer of a server. The client waits for ever."""
_RESERVED: Final = "chroma:document"
"""Chroma has no metadata with this key, none without a key, and none with ``#`` or ``$`` at its beginning."""


class Chroma(CorrectedStore):
    """A collection of Chroma's.

    Its index is searched with the filter, and ends its search early: of 100 memories of one user among 5,000 of others,
    12 were found where 40 were wanted (chromadb 1.1.1). It says nothing of that.
    """

    def __init__(self, store: Any, provider: Provider, settings: Mapping[str, Any], patience: float) -> None:
        super().__init__(store, provider, settings, patience)
        session: Any = getattr(getattr(store.client, "_server", None), "_session", None)
        if session is not None and settings.get("client") is not store.client:
            session.timeout = _TIMEOUT

    def nearest(self, query: str, vector: Any, wanted: int, filters: Mapping[str, Any] | None) -> Sequence[Any]:
        found: Sequence[Any] = super().nearest(query, vector, wanted, filters)
        if not filters or len(found) >= wanted:
            return found
        where, collection = self.store._generate_where_clause(filters), self.store.collection
        there = collection.get(where=where, limit=wanted, include=[])["ids"]
        if len(there) <= len(found):
            return found
        every = collection.get(where=where, include=["embeddings", "metadatas"])
        far = [squared_distance(vector, other) for other in every["embeddings"]]
        best = sorted(range(len(far)), key=far.__getitem__)[:wanted]
        answer = {
            name: [[values[each] for each in best]]
            for name, values in [("ids", every["ids"]), ("distances", far), ("metadatas", every["metadatas"])]
        }
        return self.store._parse_output(answer)  # type: ignore[no-any-return]

    def row(self, id: str) -> Any:
        """Below 2.0 Mem0 raises ``IndexError`` if there is none."""
        return next(iter(self.store._parse_output(self.store.collection.get(ids=[id]))), None)

    def added(self, vectors: Sequence[Any], payloads: Any, ids: Any) -> None:
        super().added(vectors, [_storable(payload) for payload in payloads], ids)

    def changed(self, id: str, vector: Any, payload: Any) -> None:
        super().changed(id, vector, None if payload is None else _storable(payload))


def _storable(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Without what Chroma refuses. It is a copy of the caller's metadata, which is kept as one text as well."""
    return {key: value for key, value in payload.items() if key and key[0] not in "#$" and key != _RESERVED}


def squared_distance(one: Sequence[float], other: Sequence[float]) -> float:
    return float(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)))
