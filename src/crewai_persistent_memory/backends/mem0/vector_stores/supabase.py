"""Supabase's vecs over Postgres: its tables, read and written here.

Seen with mem0ai 2.2.1, vecs 0.4.5: a listing is a search for the nearest rows of all users, of 1,000 at most, before
they are filtered; reading one memory fails; a change of metadata alone does nothing.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .corrected import CorrectedStore, Row


def make_no_index() -> None:
    """Before Mem0 opens Supabase: it drops the index of vectors and builds it anew each time, which nothing here uses,
    while others wait."""
    module: Any = importlib.import_module("mem0.vector_stores.supabase")

    def create_col(self: Any, embedding_model_dims: int | None = None) -> None:
        length = embedding_model_dims or self.embedding_model_dims
        self.collection = self.db.get_or_create_collection(name=self.collection_name, dimension=length)

    module.Supabase.create_col = create_col


class Vecs(CorrectedStore):
    """A collection of vecs: a table of the schema ``vecs``. Its index of metadata finds the rows of an owner; that of
    vectors is not used, because it is searched before it is filtered."""

    def close(self) -> None:
        self.store.db.disconnect()

    def nearest(self, query: str, vector: Any, wanted: int, filters: Mapping[str, Any] | None) -> Sequence[Any]:
        given = json.dumps([float(number) for number in vector])
        # Adding 0 keeps Postgres from the index, whatever its settings.
        statement = (
            "SELECT id, vec <=> %s::vector AS distance, metadata FROM {} WHERE metadata @> %s::jsonb "
            "ORDER BY (vec <=> %s::vector) + 0 LIMIT %s"
        )
        found = self._rows(statement, given, json.dumps(dict(filters or {})), given, wanted)
        return [Row(str(id), payload, max(0.0, 1.0 - float(distance))) for id, distance, payload in found]

    def listed(self, filters: Mapping[str, Any] | None, wanted: int) -> Sequence[Any]:
        statement = "SELECT id, metadata FROM {} WHERE metadata @> %s::jsonb LIMIT %s"
        return [Row(*found) for found in self._rows(statement, json.dumps(dict(filters or {})), wanted)]

    def row(self, id: str) -> Any:
        found = self._rows("SELECT id, metadata FROM {} WHERE id = %s", id)
        return Row(*found[0]) if found else None

    def added(self, vectors: Sequence[Any], payloads: Any, ids: Any) -> None:
        statement = (
            "INSERT INTO {} (id, vec, metadata) VALUES (%s, %s::vector, %s::jsonb) "
            "ON CONFLICT (id) DO UPDATE SET vec = excluded.vec, metadata = excluded.metadata"
        )
        with self._connection() as connection:
            for vector, payload, id in zip(vectors, payloads, ids, strict=True):
                values = (id, json.dumps([float(number) for number in vector]), json.dumps(payload))
                connection.exec_driver_sql(self._about_table(statement), values)

    def changed(self, id: str, vector: Any, payload: Any) -> None:
        with self._connection() as connection:
            if vector is not None:
                given = json.dumps([float(number) for number in vector])
                connection.exec_driver_sql(
                    self._about_table("UPDATE {} SET vec = %s::vector WHERE id = %s"), (given, id)
                )
            if payload is not None:
                statement = self._about_table("UPDATE {} SET metadata = %s::jsonb WHERE id = %s")
                connection.exec_driver_sql(statement, (json.dumps(payload), id))

    def removed(self, id: str) -> None:
        with self._connection() as connection:
            connection.exec_driver_sql(self._about_table("DELETE FROM {} WHERE id = %s"), (id,))

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """Its changes are kept together, or none of them."""
        with self.store.db.engine.begin() as connection:
            yield connection

    def _rows(self, statement: str, *values: Any) -> list[Any]:
        with self._connection() as connection:
            return list(connection.exec_driver_sql(self._about_table(statement), values).fetchall())

    def _about_table(self, statement: str) -> str:
        name = self.store.collection_name.replace('"', '""').replace("%", "%%")
        return statement.format(f'vecs."{name}"')
