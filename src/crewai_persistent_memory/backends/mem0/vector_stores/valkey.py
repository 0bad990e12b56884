"""Valkey with a search module: as Redis, with what Mem0 does otherwise there.

Seen with mem0ai 2.2.1, Valkey 9.1.2 with RediSearch 2.10.5: Mem0 gets ten memories at most, of a search as of a
listing, and does not open a collection that is new.
"""

from __future__ import annotations

import importlib
from typing import Any

from .redis import Redis


def make_missing_indexes() -> None:
    """Before Mem0 opens Valkey: an index that is not there is made. Mem0 knows that it is missing by the words of one
    search module only, and of two processes that make it one fails."""
    module: Any = importlib.import_module("mem0.vector_stores.valkey")

    def create_index(self: Any, embedding_model_dims: int) -> None:
        command = self._build_index_schema(self.collection_name, embedding_model_dims, "COSINE", self.prefix)
        try:
            self.client.execute_command(*command)
        except module.ResponseError as error:
            if "already exists" not in str(error):
                raise

    module.ValkeyDB._create_index = create_index


class Valkey(Redis):
    """An index of Valkey's."""

    name = "valkey"

    @staticmethod
    def place_of(store: Any) -> tuple[str, str]:
        return store.collection_name, store.prefix
