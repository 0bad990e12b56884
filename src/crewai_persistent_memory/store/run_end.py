"""The end of a run: what is chosen of its memories becomes the user's, the rest is deleted."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, TypeAlias, cast

from ..entry import MemoryEntry
from ..entry_filter import EntryFilter, FilterArgs
from ..errors import InvalidArgumentError, MissingScopeError
from ..expiry import ExpiryRules
from ..io.steps import Steps
from ..scope import ExactScope, Scope
from ..text.passages import is_one_passage
from . import operations as op
from .scoped_operations import ScopedOperations

Keep: TypeAlias = Collection[str] | FilterArgs | Callable[[MemoryEntry], bool]
"""Which memories of a run stay: their ids, filters, or a function of an entry."""

PAGE: Final = 100
MOST_ROUNDS: Final = 10
_NAMES: Final = uuid.UUID("5b1f7c0e-7f0a-5e0c-9a53-2f0d7a1f6c11")
_CLOSE: Final = timedelta(seconds=5)


@dataclass(frozen=True)
class EndedRun:
    """What :meth:`~.base.MemoryStore.end_run` has done.

    Attributes:
        kept: how many memories are the user's now.
        deleted: how many memories the run had that are gone, those that were kept included.
    """

    kept: int
    deleted: int


def end_run(store: ScopedOperations, *, keep: Keep = ()) -> Steps[EndedRun]:
    """End the run in scope: its memories are deleted, and those that are kept become the user's.

    They keep their id, and their agent. If another memory of the user has the id, the kept one gets a new one.
    Everything that is kept is stored before anything is deleted; a call that was cut short is made again. Where the
    store can list agents (Qdrant), the memories that agents have in this run are ended as well, if no agent is in
    scope. What was deleted in the run before cannot be brought back any more. A kept memory keeps an ``expires_at`` of
    its own; one from ``run_ttl`` ends with the run.

    Args:
        keep: which ones: ids, filters as for :meth:`list` (``{"kind": "entity"}``), or a function of an entry. Left
            out: none.

    Raises:
        MissingScopeError: there is no user, or no ``run_id``, in scope.
        InvalidArgumentError: the run has no memory with one of the ids. Nothing was deleted.
        StoreError: the store failed. Everything is there: call it again.
    """
    return end_part_of_run(store, keep, None)


def end_part_of_run(
    store: ScopedOperations, keep: Keep, reaches: Callable[[MemoryEntry], bool] | None
) -> Steps[EndedRun]:
    """:func:`end_run` for some memories of the run.

    Args:
        store: in the scope of a run.
        keep: which memories stay.
        reaches: the memories that are concerned; ``None``: all of the run.
    """
    scope = store.binding.resolve()
    if scope.run_id is None:
        raise MissingScopeError(
            "end_run: no run_id is in scope, so it is not known which run ends: use store.scoped(run_id=...), or "
            "use_scope(run_id=...)"
        )
    chooses = _chooser(keep, store)
    runs = [_in(store, owner) for owner in (yield from _owners(store, scope))]
    if not callable(keep) and not isinstance(keep, Mapping):
        yield from _refuse_unknown(runs, set(keep))
    kept = deleted = 0
    for run in runs:
        done = yield from _end(run, chooses, reaches)
        kept += done.kept
        deleted += done.deleted
    return EndedRun(kept, deleted)


def _end(
    run: ScopedOperations, chooses: Callable[[MemoryEntry], bool], reaches: Callable[[MemoryEntry], bool] | None
) -> Steps[EndedRun]:
    """Of one owner, until nothing is there: something may be saved meanwhile."""
    kept = deleted = 0
    for _ in range(MOST_ROUNDS):
        done = yield from _end_once(run, chooses, reaches)
        kept += done.kept
        deleted += done.deleted
        if not done.deleted:
            break
    yield from _delete_what_was_forgotten(run, reaches)
    return EndedRun(kept, deleted)


def _delete_what_was_forgotten(run: ScopedOperations, reaches: Callable[[MemoryEntry], bool] | None) -> Steps[None]:
    """What was deleted in the run before, and could be brought back, ends with it."""
    if not run.capabilities.undoes_deletes:
        return
    owner = run.binding.resolve()
    forgotten = yield from run.undo_delete(dry_run=True)
    named = [entry.id for entry in forgotten if entry.scope == owner and (reaches is None or reaches(entry))]
    for start in range(0, len(named), PAGE):
        yield from run.delete_own(named[start : start + PAGE])


def _end_once(
    run: ScopedOperations, chooses: Callable[[MemoryEntry], bool], reaches: Callable[[MemoryEntry], bool] | None
) -> Steps[EndedRun]:
    """First all that is kept is the user's; only then anything is deleted."""
    owner = run.binding.resolve()
    user = _in(run, replace(owner, run_id=None) if owner.user_id is not None else _shared_without_run(owner))
    named: list[str] = []
    kept = 0
    page_at = run.scan(with_vectors=True)
    cursor: str | None = None
    while True:
        page = yield from page_at(cursor)
        mine = [entry for entry in page.entries if entry.scope == owner and (reaches is None or reaches(entry))]
        named += [entry.id for entry in mine]
        chosen = [entry for entry in mine if chooses(entry)]
        if chosen:
            yield from _carry_over(run, user, chosen)
            kept += len(chosen)
        cursor = page.cursor
        if cursor is None:
            break
    deleted = 0
    for start in range(0, len(named), PAGE):
        deleted += yield from run.delete_own(named[start : start + PAGE])
    return EndedRun(kept, deleted)


def _carry_over(run: ScopedOperations, user: ScopedOperations, chosen: Sequence[MemoryEntry]) -> Steps[None]:
    owner, target = run.binding.resolve(), user.binding.resolve()
    there: dict[str, MemoryEntry] = {}
    page_at = user.scan(ids=[entry.id for entry in chosen])
    cursor: str | None = None
    while True:
        page = yield from page_at(cursor)
        there |= {entry.id: entry for entry in page.entries if entry.scope == target}
        cursor = page.cursor
        if cursor is None:
            break
    carried = []
    for entry in chosen:
        taken = there.get(entry.id)
        if taken is not None and taken.content != entry.content:
            # Another memory of the user has this id. The new one is the same each time: a call that was cut short can
            # be made again.
            entry = replace(entry, id=str(uuid.uuid5(_NAMES, f"{owner.run_id}\n{entry.id}")))
        ends = None if _ends_with_its_run(entry, owner, run.expiry) else entry.expires_at
        embedding = entry.embedding if is_one_passage(entry.content) else None  # a long text has several
        carried.append(replace(entry, scope=None, score=None, embedding=embedding, expires_at=ends))
    yield from user.put_kept(carried)


def _ends_with_its_run(entry: MemoryEntry, owner: Scope, rules: ExpiryRules) -> bool:
    """Whether an entry has its end from ``run_ttl``, which says nothing of a memory of the user."""
    if entry.expires_at is None or rules.run_ttl is None or not rules.decides_by_run(entry.kind, owner):
        return False
    lives = entry.expires_at.replace(tzinfo=None) - entry.created_at
    return abs(lives - rules.run_ttl) <= _CLOSE


def _chooser(keep: Keep, store: ScopedOperations) -> Callable[[MemoryEntry], bool]:
    if callable(keep):
        return keep
    if isinstance(keep, Mapping):
        if not keep:
            raise InvalidArgumentError("keep is an empty dict of filters: leave it out to keep nothing")
        return EntryFilter.of(cast(FilterArgs, keep), store.filter_fields).matches
    if not _are_ids(keep):
        raise InvalidArgumentError(
            f"keep is {keep!r}: give a list of ids, a dict of filters such as {{'kind': 'entity'}}, or a function"
        )
    ids = frozenset(keep)
    return lambda entry: entry.id in ids


def _are_ids(keep: Any) -> bool:
    is_list = isinstance(keep, Collection) and not isinstance(keep, (str, bytes, Mapping))
    return is_list and all(isinstance(each, str) for each in keep)


def _owners(store: ScopedOperations, scope: Scope) -> Steps[list[Scope]]:
    """The scopes of a run: that of the call, and where the store can tell, those of all its agents."""
    agents: list[str | None] = [scope.agent_id]
    if scope.agent_id is None and store.counts_scopes:
        fields = {name: getattr(scope, name) for name in ("org_id", "project_id", "user_id", "run_id")}
        # With what was deleted and could be brought back: an agent may have nothing else.
        agents += sorted((yield from store.count_scopes("agent_id", fields, with_expired=True)))
    return [_with_agent(scope, agent) for agent in agents]


def _with_agent(scope: Scope, agent: str | None) -> Scope:
    return Scope.trusted(scope.user_id, scope.project_id, scope.run_id, agent, scope.org_id)


def _shared_without_run(scope: Scope) -> Scope:
    return Scope.trusted(None, scope.project_id, None, scope.agent_id, scope.org_id)


def _refuse_unknown(runs: Sequence[ScopedOperations], ids: set[str]) -> Steps[None]:
    """A wrong id would delete what was to be kept. One that is the user's already is fine: an earlier call was cut
    short."""
    unknown = set(ids)
    for run in runs:
        page_at = run.scan(ids=sorted(ids))
        cursor: str | None = None
        while True:
            page: op.ScanPage = yield from page_at(cursor)
            unknown -= {entry.id for entry in page.entries}
            cursor = page.cursor
            if cursor is None:
                break
    if unknown:
        named = ", ".join(map(repr, sorted(unknown)))
        raise InvalidArgumentError(f"keep: this run has no memory with the id {named}. Nothing was deleted")


def _in(store: ScopedOperations, scope: Scope) -> ScopedOperations:
    return store.within(ExactScope(**vars(scope), is_shared=scope.is_shared))
