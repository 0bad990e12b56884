"""Qdrant: a folder has no words for vectors of another length. A server has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .corrected import CorrectedStore
from .table import Provider


class Qdrant(CorrectedStore):
    """A collection of Qdrant's."""

    def __init__(self, store: Any, provider: Provider, settings: Mapping[str, Any], patience: float) -> None:
        super().__init__(store, provider, settings, patience)
        self._length: int | None = None
        if store.is_local and not settings.get("client"):
            vectors = store.client.get_collection(store.collection_name).config.params.vectors
            self._length = getattr(vectors, "size", None)

    @property
    def length(self) -> int | None:
        return self._length
