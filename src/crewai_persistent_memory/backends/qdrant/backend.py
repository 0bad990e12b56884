"""The backend that keeps memories in Qdrant: which function answers which operation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from ...embedding import Embedder
from ...io.steps import Steps
from ...scope import Scope, ScopeBinding
from ...store import operations as op
from ...store.backend import Backend, Capabilities
from ...store.background_purge import purge
from ...store.operations import fields_asked
from . import reads, writes
from .backlog import Backlog
from .collection import Collection, Connection
from .engine_requests import BackUp, Compact, Describe, Facet, Health, ListProjects
from .field_completion import complete_fields, with_computed_values
from .purge import purge_expired
from .reembedding import reembed
from .schema import not_expired, where_scopes


class QdrantBackend(Backend):
    """Answers operations over one connection: the embedded engine's, or a server's."""

    capabilities = Capabilities(
        vectors=True,
        ranking=True,
        keywords=True,
        access_times=True,
        filters_first=True,
        counts_scopes=True,
        backs_up=True,
        compacts=True,
        stores_fields=True,
        expires=True,
        undoes_deletes=True,
        keeps_history=True,
        repeatable=True,
    )

    def __init__(self, connection: Connection, *, purges_at_close: bool = False) -> None:
        """
        Args:
            connection: to the collections. It is closed with this.
            purges_at_close: closing takes the time to delete what has expired.
        """
        self._purges_at_close = purges_at_close
        self.connection = connection
        self._backlog = Backlog()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.connection!r})"

    def execute(self, operation: Any, /) -> Steps[Any]:
        route = self.connection.route(*operation.project)
        collection = Collection(partial(self.connection.ask, route=route), self._backlog)
        if fields_asked(operation) and not operation.fields_complete:
            return _by_partly_stored_fields(operation, collection)
        return _ANSWERS[type(operation)](operation, collection)

    def close(self) -> None:
        self._purge()
        self.connection.close()

    async def aclose(self) -> None:
        await asyncio.to_thread(self._purge)
        await self.connection.aclose()

    def _purge(self) -> None:
        if self._purges_at_close:
            self._purges_at_close = False
            purge(self, ScopeBinding())


def _by_partly_stored_fields(operation: Any, collection: Collection) -> Steps[Any]:
    operation = yield from with_computed_values(operation, collection)
    return (yield from _ANSWERS[type(operation)](operation, collection))


def _describe_embedder(operation: op.DescribeEmbedder, collection: Collection) -> Steps[Embedder | None]:
    return (yield from collection.ask(Describe())).embedder


def _compact(operation: op.Compact, collection: Collection) -> Steps[bool]:
    return collection.ask(Compact())


def _back_up(operation: op.BackUp, collection: Collection) -> Steps[op.Taken]:
    return collection.ask(BackUp(operation.folder))


def _health(operation: op.Health, collection: Collection) -> Steps[dict[str, Any]]:
    return collection.ask(Health())


def _count_scopes(operation: op.CountScopes, collection: Collection) -> Steps[dict[str, int]]:
    where = where_scopes(operation.scope)
    return collection.ask(Facet(operation.field, where if operation.with_expired else (*where, not_expired())))


def _list_projects(operation: op.ListProjects, collection: Collection) -> Steps[Sequence[Scope]]:
    return collection.ask(ListProjects())


_ANSWERS: Final[Mapping[type, Callable[[Any, Collection], Steps[Any]]]] = {
    op.Put: writes.put,
    op.Replace: writes.replace_visible,
    op.Update: writes.update,
    op.Delete: writes.delete,
    op.UndoDelete: writes.undo_delete,
    op.Touch: writes.touch,
    op.EmbedMissing: writes.embed_missing,
    op.CompleteFields: complete_fields,
    op.Search: reads.search,
    op.Nearest: reads.nearest,
    op.Get: reads.get,
    op.List: reads.list_entries,
    op.ListPage: reads.list_page,
    op.Scan: reads.scan,
    op.Count: reads.count,
    op.CountCategories: reads.count_categories,
    op.ListChildren: reads.list_children,
    op.DescribePath: reads.describe_path,
    op.DescribeEmbedder: _describe_embedder,
    op.Compact: _compact,
    op.BackUp: _back_up,
    op.Health: _health,
    op.CountScopes: _count_scopes,
    op.ListProjects: _list_projects,
    op.ScanScopes: reads.scan_scopes,
    op.EraseScopes: writes.erase_scopes,
    op.Reembed: reembed,
    op.PurgeExpired: purge_expired,
}
