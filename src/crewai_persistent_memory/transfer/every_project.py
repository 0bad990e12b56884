"""The operations of a store in all of its projects, also where each project has a collection of its own."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import ConfigurationError
from ..io.steps import run
from ..scope import ExactScope, check_fields, has_fields
from ..store.base import MemoryStore
from ..store.scoped_operations import ScopedOperations


def require_reach(
    store: MemoryStore, scope: Mapping[str, object], doing: str, otherwise: str = "use a store in Qdrant"
) -> None:
    """Refuse to work in all scopes with these fields, if the store cannot list them.

    Args:
        store: the store.
        scope: the fields.
        doing: "count", "list" or "erase", for the message.
        otherwise: the remedy where the store can do it for no user either.

    Raises:
        ConfigurationError: it cannot; the message has the remedy.
    """
    can = store.capabilities
    if not can.reaches(scope):
        remedy = "give user_id=" if can.scans_users else otherwise
        raise ConfigurationError(f"{store.backend!r} cannot {doing} across users: {remedy}")


def in_each_project(store: MemoryStore, scope: Mapping[str, str | None]) -> list[ScopedOperations]:
    """The store's operations, in all of its projects.

    With ``collection_per_project`` these are the operations of each project whose fields are in ``scope``; with
    ``shard_by_project`` those of one project in each shard, which reach everything in it.

    A store that is fixed to a project stays in it.

    Raises:
        InvalidArgumentError: a name that no scope has.
        InvalidScopeError: a field is malformed. An answer "nothing" would hide that the id is wrong.
        StoreError: the server failed, or its key may not list collections or shards.
    """
    check_fields(scope)
    server = None if store.opened_with is None else store.opened_with.server
    if server is None or store.binding.project_id is not None:
        return [store.steps]
    own = store.binding.resolve_project()  # also if it has no collection yet: writes may wait for it
    others = [each for each in run(store.steps.list_projects()) if (each.org_id, each.project_id) != own]
    if server.collection_per_project:
        fields = {name: scope[name] for name in ("org_id", "project_id") if name in scope}
        others = [each for each in others if has_fields(vars(each), fields)]
    return [store.steps, *(store.steps.within(ExactScope.of(each)) for each in others)]
