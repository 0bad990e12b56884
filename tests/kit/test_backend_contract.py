"""The contract accepts the package's own engine, and names what is wrong with backends that people write."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import Backend, Capabilities, EntryFilter, MemoryEntry, Scope, open_store, operations
from crewai_persistent_memory.io.steps import Steps
from crewai_persistent_memory.testing import BackendContract, FakeEmbedder

from ..extension.sqlite_backend import SqliteBackend


class TestEmbedded(BackendContract):
    """Qdrant's engine in the process."""

    def open_backend(self, folder: Path) -> Backend:
        return open_store(path=folder / "store", embedder=FakeEmbedder()).backend


class SeesEverything(SqliteBackend):
    """Leaves the scope to the store around it."""

    def _visible(
        self, reader: Scope, filter: EntryFilter, include_shared: bool = False, *, with_expired: bool = False
    ) -> list[MemoryEntry]:
        with self._connect() as connection:
            rows = connection.execute("SELECT owner, entry FROM entries").fetchall()
        from ..extension.sqlite_backend import _entry

        return [each for each in (_entry(*row) for row in rows) if filter.matches(each)]


class OneIdForAll(SqliteBackend):
    """An id belongs to whoever saved it last."""

    def _write(self, connection: Any, owner: Scope, entry: MemoryEntry) -> None:
        connection.execute("DELETE FROM entries WHERE id = ?", (entry.id,))
        super()._write(connection, owner, entry)


class OldestFirst(SqliteBackend):
    def _in_order(self, operation: operations.List | operations.ListPage) -> list[MemoryEntry]:
        return super()._in_order(operation)[::-1]


class DropsMetadata(SqliteBackend):
    def _write(self, connection: Any, owner: Scope, entry: MemoryEntry) -> None:
        super()._write(connection, owner, replace(entry, metadata={}))


class FiltersAfterTheLimit(SqliteBackend):
    def _search(self, operation: operations.Search) -> list[list[MemoryEntry]]:
        whole = replace(operation, filters=tuple(EntryFilter() for _ in operation.filters))
        found = zip(super()._search(whole), operation.filters, strict=True)
        return [[each for each in some if filter.matches(each)] for some, filter in found]


class Forgets(SqliteBackend):
    """Keeps everything in memory."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        super().__init__(path)


class ClosesOnce(SqliteBackend):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


class SharesWithAll(SqliteBackend):
    """A user's reads find the team's memory unasked."""

    def _visible(
        self, reader: Scope, filter: EntryFilter, include_shared: bool = False, *, with_expired: bool = False
    ) -> list[MemoryEntry]:
        return super()._visible(reader, filter, True, with_expired=with_expired)


class FindsTheExpired(SqliteBackend):
    """Leaves the ends of entries to the store around it."""

    def _visible(
        self, reader: Scope, filter: EntryFilter, include_shared: bool = False, *, with_expired: bool = False
    ) -> list[MemoryEntry]:
        return super()._visible(reader, filter, include_shared, with_expired=True)


class CannotCount(SqliteBackend):
    def execute(self, operation: operations.Operation[Any], /) -> Steps[Any]:
        if isinstance(operation, operations.Count):
            raise NotImplementedError("Count")
        return (yield from super().execute(operation))


class SaysVectors(SqliteBackend):
    capabilities = Capabilities(keywords=True, filters_first=True, vectors=True)


BROKEN: list[tuple[Callable[[Path], Backend], str, str]] = [
    (SeesEverything, "test_the_backend_itself_applies_the_scope", "by jane has answered with something of john's"),
    (SeesEverything, "test_random_operations_of_many_scopes_follow_the_rule", "(operation "),
    (OneIdForAll, "test_one_id_in_two_scopes_is_two_entries", "John's entry after Jane has saved one with its id"),
    (OldestFirst, "test_lists_are_newest_first_and_pages_are_the_list", "list() is newest first"),
    (DropsMetadata, "test_every_field_of_an_entry_comes_back", "get() of what add() returned"),
    (FiltersAfterTheLimit, "test_filters_come_before_the_limit", "a search for a rare category with limit=1"),
    (Forgets, "test_opened_again", "list() of a backend that was opened again"),
    (ClosesOnce, "test_closing_twice", "closed already"),
    (SharesWithAll, "test_random_operations_of_many_scopes_follow_the_rule", "where it is"),
    (FindsTheExpired, "test_what_has_expired_is_in_no_answer", "found an entry whose expires_at has passed"),
    (CannotCount, "test_filters_alone_and_together", "Count"),
    (SaysVectors, "test_vectors_are_kept_and_found_by", "_describeembedder"),
]


def contract_of(kind: Callable[[Path], Backend]) -> BackendContract:
    class Contract(BackendContract):
        def open_backend(self, folder: Path) -> Backend:
            return kind(folder / "memories.db")

    return Contract()


@pytest.mark.parametrize(("kind", "test", "told"), BROKEN)
def test_a_broken_one_fails(kind: Callable[[Path], Backend], test: str, told: str) -> None:
    contract = contract_of(kind)
    contract.setup_method()
    with pytest.raises((AssertionError, AttributeError, NotImplementedError, RuntimeError)) as caught:
        getattr(contract, test)()
    assert told in str(caught.value)
    if kind is not ClosesOnce:
        contract.teardown_method()


def test_what_capabilities_exclude_is_not_asked() -> None:
    class KeepsOnly(SqliteBackend):
        capabilities = Capabilities()

        def _search(self, operation: operations.Search) -> list[list[MemoryEntry]]:
            return [[] for _ in operation.queries]

    contract = contract_of(KeepsOnly)
    for name, test in inspect.getmembers(contract, inspect.ismethod):
        if name.startswith("test_") and "random" not in name:
            contract.setup_method()
            test()
            contract.teardown_method()


def test_not_a_backend() -> None:
    with pytest.raises(NotImplementedError, match="Nothing needs open_backend"):
        type("Nothing", (BackendContract,), {})().setup_method()
    with pytest.raises(TypeError, match=r"returned a dict, not a crewai_persistent_memory\.Backend"):
        contract_of(lambda path: {}).setup_method()  # type: ignore[arg-type, return-value]
