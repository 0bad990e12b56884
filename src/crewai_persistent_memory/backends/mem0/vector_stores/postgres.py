"""pgvector, through psycopg or psycopg2: exact searches, and connections that end."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

from ....errors import ConfigurationError
from ..compat import mem0_version
from .corrected import CorrectedStore
from .table import Provider


class PgVector(CorrectedStore):
    """A table of pgvector's.

    A search within one owner does not use an index of vectors: the index finds the nearest rows of the whole table,
    40 of them by default, and they are filtered afterwards. The rows of the owner are compared one by one instead.
    """

    def __init__(self, store: Any, provider: Provider, settings: Mapping[str, Any], patience: float) -> None:
        super().__init__(store, provider, settings, patience)
        self._module: Any = importlib.import_module(type(store).__module__)
        self._is_single = mem0_version() < (1,)
        pool: Any = getattr(store, "connection_pool", None)
        if self._is_single:
            _commit_each(store.conn)
        elif self._module.PSYCOPG_VERSION == 2:
            # psycopg2's pool refuses whom it has no connection for; psycopg's lets them wait.
            self.turn = threading.BoundedSemaphore(pool.maxconn)
        elif not self._is_lent(pool):
            pool.timeout = patience  # psycopg's is 30 s
        if hasattr(store, "_ensure_collection"):  # from 2.0 on with the first call, which several threads may make
            store._ensure_collection()

    def close(self) -> None:
        pool: Any = getattr(self.store, "connection_pool", None)
        if pool is None:
            self.store.conn.close()
        elif not self._is_lent(pool):
            (pool.closeall if hasattr(pool, "closeall") else pool.close)()

    def _is_lent(self, pool: Any) -> bool:
        return self.settings.get("connection_pool") is pool

    def prepare_call(self) -> None:
        if self._is_single and self.store.conn.closed:
            pool = self.store.connection_pool
            drivers = ("psycopg2",) if self._module.PSYCOPG_VERSION == 2 else ("psycopg",)
            self.store.conn = connected(self.settings, self.patience, drivers) if pool is None else pool.getconn()
            _commit_each(self.store.conn)
            self.store.cur = self.store.conn.cursor()

    def nearest(self, query: str, vector: Any, wanted: int, filters: Mapping[str, Any] | None) -> Sequence[Any]:
        plain = filters and all(isinstance(value, str) and value != "*" for value in filters.values())
        if not plain or not filters:
            return super().nearest(query, vector, wanted, filters)  # type: ignore[no-any-return]
        conditions = " AND ".join(["payload->>%s = %s"] * len(filters))
        # Adding 0 keeps Postgres from the index, whatever its settings.
        statement = (
            f"SELECT id, vector <=> %s::vector AS distance, payload FROM {{}} WHERE {conditions} "
            "ORDER BY (vector <=> %s::vector) + 0 LIMIT %s"
        )
        vector = list(vector)
        values = (vector, *(part for pair in filters.items() for part in pair), vector, wanted)
        with self._cursor() as cursor:
            cursor.execute(self._about_table(statement), values)
            found = cursor.fetchall()
        rows = [self._module.OutputData(id=str(id), score=float(far), payload=about) for id, far, about in found]
        if mem0_version() >= (2,):  # below, scores are made of distances for every store
            for row in rows:
                row.score = max(0.0, 1.0 - row.score)
        return rows

    def with_words(self, query: str, wanted: int, filters: Mapping[str, Any] | None) -> Any:
        return super().with_words(query.replace("\0", " "), wanted, filters)

    def _about_table(self, statement: str) -> Any:
        if hasattr(self.store, "_col"):
            return self._module.sql.SQL(statement).format(self.store._col())
        return statement.format(self.store.collection_name)  # as Mem0 writes it, until 2.0

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        if self._is_single:
            yield self.store.cur
        else:
            with self.store._get_cursor() as cursor:
                yield cursor


def _commit_each(connection: Any) -> None:
    """Each statement is committed by itself. mem0ai 0.1 commits what it writes, and leaves a transaction open after
    each read."""
    connection.rollback()
    connection.autocommit = True


_CREATING: Final = 0x6D656D30
"""The number of the lock that is held while tables are made."""


@contextmanager
def one_creates_tables(settings: Mapping[str, Any], patience: float) -> Iterator[None]:
    """Hold a lock in the database. Two processes that create a table at once get an error, ``IF NOT EXISTS`` or not."""
    connection = connected(settings, patience)
    try:
        with connection.cursor() as cursor:
            # Of the transaction, which a pooler in between does not divide.
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", (f"{round(patience * 1000)}ms",))
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_CREATING,))
        yield
    finally:
        connection.close()


def connected(settings: Mapping[str, Any], patience: float, drivers: Sequence[str] = ("psycopg", "psycopg2")) -> Any:
    """A connection to the Postgres of a configuration.

    Args:
        settings: of the vector store.
        patience: seconds.
        drivers: the first of them that is installed is taken.

    Raises:
        ConfigurationError: none of them is installed.
        Exception: the driver's ``OperationalError``.
    """
    driver = next((importlib.import_module(name) for name in drivers if find_spec(name)), None)
    if driver is None:
        raise ConfigurationError(
            "local_mem0_config: Postgres needs psycopg, which is not installed: pip install 'psycopg[binary,pool]', "
            "or psycopg2-binary for mem0ai 0.1"
        )
    place = settings.get("connection_string")
    names = () if place else ("dbname", "user", "password", "host", "port")
    about = {name: settings[name] for name in names if settings.get(name) is not None}
    if not place:
        about.setdefault("dbname", "postgres")
    if settings.get("sslmode"):
        about["sslmode"] = settings["sslmode"]
    # libpq takes whole seconds, 2 at least.
    return driver.connect(*([place] if place else []), **about, connect_timeout=max(2, round(patience)))
