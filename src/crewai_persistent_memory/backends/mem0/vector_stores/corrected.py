"""A vector store of Mem0's as Mem0's own code expects one: in front of every store, for callers and for Mem0 itself.

Mem0 searches, lists and scores through ``Memory.vector_store``, also for the memories that it quotes in its extraction
prompts, and from mem0ai 2.0 on through ``Memory.entity_store``. What is made right here is right for all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from ..compat import mem0_version, rows_in, takes
from .driver_errors import wrong_length
from .table import Provider

FEW = 5
"""How many results Mem0's stores give if a call names no number."""
LISTED = 100
"""How many rows they list then."""


class CorrectedStore:
    """Forwards to a vector store.

    It gives scores for distances, best first, returns rows of the owner only, calls in turn where the store is not
    safe for threads, and names the setting if the embedder's vectors have another length.
    """

    def __init__(self, store: Any, provider: Provider, settings: Mapping[str, Any], patience: float) -> None:
        """
        Args:
            store: as Mem0 has made it.
            provider: what is known of it.
            settings: the configuration of the vector store.
            patience: seconds to wait for a connection.
        """
        self.store = store
        self.settings = settings
        self.patience = patience
        self.most = provider.most
        self._score_of = provider.score_of if mem0_version() < (2,) else None
        is_in_turn = mem0_version() < provider.in_turn_below
        self.turn: Any = threading.RLock() if is_in_turn else nullcontext()
        self._limit = "top_k" if takes(store.search, "top_k", by_name=True) else "limit"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def close(self) -> None:
        """Close what the store holds open, unless the caller has lent it."""
        client: Any = getattr(self.store, "client", None)
        if hasattr(client, "close") and self.settings.get("client") is not client:
            client.close()

    # -- what Mem0 calls ---------------------------------------------------------------------------------------------

    def search(
        self,
        query: str,
        vectors: Any,
        top_k: int | None = None,
        filters: Mapping[str, Any] | None = None,
        limit: int | None = None,
    ) -> list[Any]:
        self._check_length([vectors])
        wanted = self._bounded(top_k or limit or FEW)
        with self._calling():
            found = [row for row in self.nearest(query, vectors, wanted, filters) if is_of(row, filters)]
        if self._score_of is not None:
            for row in found:
                row.score = self._score_of(row.score)
        found.sort(key=lambda row: -(row.score or 0.0))
        return found[:wanted]

    def search_batch(
        self,
        queries: Sequence[str],
        vectors_list: Sequence[Any],
        top_k: int = 1,
        filters: Mapping[str, Any] | None = None,
    ) -> list[list[Any]]:
        asked = zip(queries, vectors_list, strict=True)
        return [self.search(query, vectors, top_k, filters) for query, vectors in asked]

    def keyword_search(
        self, query: str, top_k: int = FEW, filters: Mapping[str, Any] | None = None
    ) -> list[Any] | None:
        with self._calling():
            found = self.with_words(query, self._bounded(top_k), filters)
        return None if found is None else [row for row in found if is_of(row, filters)]

    def list(
        self, filters: Mapping[str, Any] | None = None, top_k: int | None = None, limit: int | None = None
    ) -> list[list[Any]]:
        wanted = top_k or limit or LISTED
        with self._calling():
            return [[row for row in self.listed(filters, wanted) if is_of(row, filters)]]

    def get(self, vector_id: str) -> Any:
        with self._calling():
            return self.row(vector_id)

    def insert(self, vectors: Sequence[Any], payloads: Any = None, ids: Any = None) -> None:
        self._check_length(vectors)
        with self._calling():
            self.added(vectors, payloads, ids)

    def update(self, vector_id: str, vector: Any = None, payload: Any = None) -> None:
        self._check_length([] if vector is None else [vector])
        with self._calling():
            self.changed(vector_id, vector, payload)

    def delete(self, vector_id: str) -> None:
        with self._calling():
            self.removed(vector_id)

    # -- what a provider does otherwise ------------------------------------------------------------------------------

    def nearest(self, query: str, vector: Any, wanted: int, filters: Mapping[str, Any] | None) -> Any:
        return self.store.search(query=query, vectors=vector, filters=filters, **{self._limit: wanted})

    def with_words(self, query: str, wanted: int, filters: Mapping[str, Any] | None) -> Any:
        return self.store.keyword_search(query=query, top_k=wanted, filters=filters)

    def listed(self, filters: Mapping[str, Any] | None, wanted: int) -> Sequence[Any]:
        return rows_in(self.store.list(filters=filters, **{self._limit: wanted}))

    def row(self, id: str) -> Any:
        return self.store.get(vector_id=id)

    def added(self, vectors: Sequence[Any], payloads: Any, ids: Any) -> None:
        self.store.insert(vectors=vectors, payloads=payloads, ids=ids)

    def changed(self, id: str, vector: Any, payload: Any) -> None:
        self.store.update(vector_id=id, vector=vector, payload=payload)

    def removed(self, id: str) -> None:
        self.store.delete(vector_id=id)

    # ----------------------------------------------------------------------------------------------------------------

    def prepare_call(self) -> None:
        """Before each call, in its turn."""

    @contextmanager
    def _calling(self) -> Iterator[None]:
        with self.turn:
            self.prepare_call()
            yield

    def _bounded(self, wanted: int) -> int:
        return wanted if self.most is None else min(wanted, self.most)

    @property
    def length(self) -> int | None:
        """How many numbers a vector has, where the store itself does not say it if others come."""
        return None

    def _check_length(self, vectors: Sequence[Any]) -> None:
        length = self.length
        for vector in vectors:
            if length is not None and len(vector) != length:
                raise wrong_length(len(vector), length)


def is_of(row: Any, filters: Mapping[str, Any] | None) -> bool:
    """Whether a row has the values of a filter. Conditions that are no values are left to the store."""
    payload = row.payload or {}
    return all(
        payload.get(key) == value
        for key, value in (filters or {}).items()
        if isinstance(value, str) and value != "*" and not key.startswith("$")
    )


class Row:
    """A row as Mem0's vector stores return one."""

    def __init__(self, id: str, payload: dict[str, Any], score: float | None = None) -> None:
        self.id, self.payload, self.score = id, payload, score
