"""Operations across scopes: for the operator of the server, never for an application on behalf of a user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

from typing_extensions import Unpack

from .config.arguments import ServerArgs
from .config.options import MemoryConfig
from .errors import ConfigurationError
from .io.steps import run
from .maintenance.backup import back_up, restore
from .maintenance.checking import Checked, check, repair
from .maintenance.manifest import Backup
from .maintenance.reembedding import reembed
from .store.base import MemoryStore
from .store.operations import Reembedded, ScopeField
from .transfer.copying import copy_entries
from .transfer.erasing import erase
from .transfer.every_project import in_each_project, require_reach
from .transfer.exporting import entries_of, export_entries
from .transfer.growth import Growth, growth
from .transfer.importing import Imported, import_entries
from .transfer.long_term import LongTerm
from .transfer.migrating import Migrated, migrate, migrate_store, undo_migration
from .transfer.owner_by_path import OwnerByPath
from .transfer.receipt import Receipt, is_signed_with
from .transfer.searching import search_scopes
from .transfer.sources import LeftOut

__all__ = [
    "Backup",
    "Checked",
    "Growth",
    "Imported",
    "LeftOut",
    "LongTerm",
    "Migrated",
    "OwnerByPath",
    "Receipt",
    "Reembedded",
    "Survey",
    "back_up",
    "check",
    "copy_entries",
    "count_by",
    "dedicate_project",
    "entries_of",
    "erase",
    "export_entries",
    "growth",
    "import_entries",
    "is_signed_with",
    "migrate",
    "migrate_store",
    "purge_expired",
    "reembed",
    "repair",
    "restore",
    "search_scopes",
    "survey",
    "undo_migration",
]

MANY: Final = 20
"""From so many on, users, or runs, with hardly more than one memory each are conspicuous."""


def dedicate_project(
    project_id: str, *, org_id: str | None = None, seconds: float = 3600, **options: Unpack[ServerArgs]
) -> int:
    """Give a large project a shard of its own, in a collection that is sharded by project.

    Reads and writes of all projects go on meanwhile. Copies of the new shard on other nodes are then made with Qdrant's
    own ``replicate_shard``.

    Args:
        project_id, org_id: the project.
        seconds: how long to wait; the server goes on, and calling again finishes.
        options: the server (``url``, ``api_key``, ``collection``, ...).

    Returns:
        How many entries moved.

    Raises:
        ConfigurationError: not a server, or the collection is not sharded by project.
        StoreError: the server failed or did not permit it.
    """
    settings = MemoryConfig.build(**options).server
    if settings is None:
        raise ConfigurationError("dedicate_project works on a Qdrant cluster: give its url=")
    from .backends.qdrant.server.admin import move_to_own_shard
    from .backends.qdrant.server.connection import open_server
    from .backends.qdrant.server.routes import project_name

    connection = open_server(settings, embedder=None)
    try:
        client, shard_key = connection.client("moving a project"), project_name(org_id, project_id)
        collection = run(connection.holding(client, connection.route(org_id, project_id)))
        steps = move_to_own_shard(client, collection, settings.address, shard_key, org_id, project_id, seconds)
        return int(run(steps))
    finally:
        connection.close()


def count_by(store: MemoryStore, field: ScopeField, **scope: str | None) -> dict[str, int]:
    """Count entries by one field of their scopes, across all scopes that the store's key may read.

    Args:
        store: a store in Qdrant; with ``collection_per_project`` all projects whose collections the key may list, if
            it is fixed to none. Or one in Mem0.
        field: entries without it are not counted.
        scope: fields that the entries have, by name; ``None`` for entries without the field.

    Returns:
        Each value of the field, with how many entries have it. Empty for Mem0 without ``user_id``: it cannot count
        across users.

    Raises:
        InvalidArgumentError: a name that no scope has.
        InvalidScopeError: a field is malformed.
        StoreError: the store failed.
    """
    counts = Counter[str]()
    for steps in in_each_project(store, scope):
        counts.update(run(steps.count_scopes(field, scope)))
    return dict(counts)


def purge_expired(store: MemoryStore, *, dry_run: bool = False, **scope: str | None) -> int:
    """Delete the entries whose ``expires_at`` has passed. No read finds them; this removes them from the store.

    A store does it by itself about once an hour, and an embedded one when it is closed. In an embedded store the texts
    are in its files until it is written anew: see :meth:`~.store.base.MemoryStore.compact`.

    Args:
        store: a store in Qdrant: all its scopes are purged, as for :func:`count_by`. Of Mem0 what the store's own
            scope sees.
        dry_run: count only.
        scope: fields that the entries have, by name; ``None`` for entries without the field.

    Returns:
        How many there were.

    Raises:
        InvalidArgumentError: fields are given for Mem0, or a name that no scope has.
        InvalidScopeError: a field is malformed.
        StoreError: the store failed, or its key may not delete.
    """
    return sum(run(steps.purge_expired(scope, dry_run=dry_run)) for steps in in_each_project(store, scope))


@dataclass(frozen=True)
class Survey:
    """What a store holds, by the fields of the entries' scopes.

    Attributes:
        entries: how many there are.
        counts: by field (``org_id``, ``project_id``, ``user_id``, ``run_id``, ``agent_id``): each value with how many
            entries have it, the largest first.
    """

    entries: int
    counts: Mapping[ScopeField, Mapping[str, int]]

    @property
    def users_of_one_request(self) -> bool:
        """Whether it looks as if ``user_id`` were made anew for each request, so that nobody recalls anything."""
        return _of_one_request(self.counts["user_id"])

    @property
    def runs_of_one_request(self) -> bool:
        """Whether it looks as if ``run_id`` were made anew for each request: nearly all entries belong to a run, and
        hardly a run has more than one."""
        counts = self.counts["run_id"]
        return _of_one_request(counts) and sum(counts.values()) >= 0.9 * self.entries


def survey(store: MemoryStore, **scope: str | None) -> Survey:
    """Count the entries of a store across all scopes that its key may read.

    Args:
        store: as for :func:`count_by`.
        scope: fields that the counted entries have, by name; ``None`` for entries without the field.

    Raises:
        ConfigurationError: Mem0 without ``user_id``: it cannot count across users.
        InvalidArgumentError: a name that no scope has.
        InvalidScopeError: a field is malformed.
        StoreError: the store failed.
    """
    require_reach(store, scope, "count")
    fields: tuple[ScopeField, ...] = get_args(ScopeField)
    counts = {field: count_by(store, field, **scope) for field in fields}
    # Every entry belongs to a project.
    return Survey(sum(counts["project_id"].values()), {field: _largest_first(counts[field]) for field in fields})


def _of_one_request(counts: Mapping[str, int]) -> bool:
    return len(counts) >= MANY and sum(counts.values()) < 2 * len(counts)


def _largest_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
