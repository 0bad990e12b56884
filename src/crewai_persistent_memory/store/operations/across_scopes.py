"""Operations on the entries of many scopes: for the operator of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ...scope import Scope
from .operation import StoreOperation
from .reading import ScanPage

ScopeField = Literal["org_id", "project_id", "user_id", "run_id", "agent_id"]


@dataclass(frozen=True)
class CountScopes(StoreOperation[dict[str, int]]):
    """Count entries by one field of their scopes, across scopes: for the operator of the store.

    Attributes:
        field: entries without it are not counted.
        scope: fields that the entries have; ``None`` for entries without the field.
        with_expired: also those that have expired and are still there, to know whether anything is left.
    """

    field: ScopeField
    scope: Mapping[str, str | None]
    with_expired: bool = False


@dataclass(frozen=True)
class ListProjects(StoreOperation[Sequence[Scope]]):
    """The projects that have a collection of their own, each as the scope of what is shared in it.

    For a Qdrant server with ``collection_per_project`` only.
    """


@dataclass(frozen=True)
class ScanScopes(StoreOperation[ScanPage]):
    """The entries of all scopes with these fields, as :class:`~.reading.Scan` gives those of one: for the operator of
    the store.

    Attributes:
        scope: fields that the entries have; ``None`` for entries without the field. Empty: all entries.
        limit, cursor, with_vectors: see :class:`~.reading.Scan`.
    """

    scope: Mapping[str, str | None]
    limit: int
    cursor: str | None = None
    with_vectors: bool = False


class Erased(NamedTuple):
    """What an erasure removed.

    Attributes:
        entries: that were in the store.
        waiting: writes of this host's outbox, whole or in part, that were not delivered.
        dead_letters: writes that the store had refused.
        under_way: writes that are being delivered, or have to be before what they change can be erased.
    """

    entries: int
    waiting: int = 0
    dead_letters: int = 0
    under_way: int = 0


@dataclass(frozen=True)
class EraseScopes(StoreOperation[Erased]):
    """Delete the entries of all scopes with these fields, and what waits for them: for the operator of the store.

    Attributes:
        scope: fields that the entries have, at least one; ``None`` for entries without the field.
    """

    writes = True
    scope: Mapping[str, str | None]


@dataclass(frozen=True)
class PurgeExpired(StoreOperation[int]):
    """Delete the entries whose time is over; the answer is how many there were. For the capability ``expires``.

    A backend that cannot list across scopes (without ``counts_scopes``) purges what the scope of the call sees.

    Attributes:
        scope: fields that the entries have; ``None`` for entries without the field. Empty: all entries.
        dry_run: count only.
        of_nobody: in the background. A backend that cannot list across scopes then purges the owners of whom it has
            stored, or come upon, what has ended.
    """

    writes = True
    scope: Mapping[str, str | None]
    dry_run: bool = False
    of_nobody: bool = False
