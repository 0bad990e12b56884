"""Erase a person, a run or a project: in all scopes of a store and in the host's outbox, with a check and a receipt."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Final

from ..errors import InvalidArgumentError
from ..io.steps import run
from ..scope import check_field, check_fields
from ..store.base import MemoryStore
from ..store.operations import Erased
from ..validation import utcnow
from .every_project import in_each_project, require_reach
from .receipt import Receipt

MOST_ROUNDS: Final = 10
MOST_SETTLE: Final = 3600.0
"""Seconds. A longer wait would be a mistake, and the receipt is there when it has ended only."""


def erase(store: MemoryStore, *, settle: float = 2.0, dry_run: bool = False, **scope: str) -> Receipt:
    """Remove the entries of all scopes with these fields, and what waits for them in this host's outbox.

    ``erase(store, user_id="john")`` removes a person: in all projects, runs and agents. What a save that is under way
    brings back within ``settle`` seconds is removed as well. In an embedded store the texts are then removed from its
    files. In Mem0 all that it has of the person goes, also what was stored without this package; Mem0 OSS keeps no
    messages and no history of it.

    Args:
        store: in Mem0 a person's ``user_id`` has to be given. One that is fixed to a project and has
            ``collection_per_project`` erases in that project; otherwise it needs a key that may list collections.
        settle: seconds for which nothing may have come back, before it counts as done; at most :data:`MOST_SETTLE`.
        dry_run: count only.
        scope: at least ``user_id``, ``run_id``, ``project_id`` or ``org_id``, by name.

    Returns:
        What was removed. ``left`` is not 0 if somebody went on saving: stop that, and erase again.

    Raises:
        InvalidArgumentError: no field is given, or only ``agent_id``: an agent has memories of many people; or
            ``settle`` is no number of seconds. Nothing is erased.
        ConfigurationError: Mem0, without a ``user_id``, or a store that cannot list across scopes.
        StoreUnavailableError: the store is away. Nothing is erased, in the outbox neither: do it again.
        StoreError: the store failed, or its key may not.
    """
    _check(scope)
    _check_settle(settle)
    require_reach(store, scope, "erase", "call reset() in each scope of the person")
    began_at = utcnow()
    projects = there = _counts(store, scope)
    total, rounds, under_way = Erased(0), 0, 0
    while not dry_run and rounds < MOST_ROUNDS:
        rounds += 1
        parts = [run(steps.erase_scopes(dict(scope))) for steps in in_each_project(store, scope)]
        done = Erased(*map(sum, zip(Erased(0), *parts, strict=True)))
        total = Erased(*map(sum, zip(total, done, strict=True)))
        # Saves that were under way in any process arrive meanwhile. Nobody can tell when the last one has.
        threading.Event().wait(settle)
        under_way = done.under_way
        there = _counts(store, scope)
        if not there and not any(done[1:]):
            break
    in_files = rounds > 0 and not store.compact()
    return Receipt(
        store=repr(store.backend),
        scope=scope,
        began_at=began_at,
        ended_at=utcnow(),
        entries=total.entries,
        projects=projects,
        waiting=total.waiting,
        dead_letters=total.dead_letters,
        rounds=rounds,
        left=sum(there.values()) + under_way,
        remains=_remains(store, in_files=in_files),
    )


def _check(scope: dict[str, str]) -> None:
    check_fields(scope)
    for name, value in scope.items():
        check_field(name, value)  # None would be all people without the field
    if not scope.keys() - {"agent_id"}:
        raise InvalidArgumentError("whose memories? Give user_id=, or run_id=, project_id= or org_id=")


def _check_settle(seconds: float) -> None:
    # Before anything is erased: a wait that fails would leave an erasure without its check and its receipt.
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds <= MOST_SETTLE:
        raise InvalidArgumentError(f"settle must be seconds from 0 to {MOST_SETTLE:,.0f}, got {seconds!r}")


def _counts(store: MemoryStore, scope: dict[str, str]) -> dict[str, int]:
    # Entries that have expired are erased as well, and looked for afterwards.
    counts = Counter[str]()
    for steps in in_each_project(store, scope):
        counts.update(run(steps.count_scopes("project_id", dict(scope), with_expired=True)))
    return dict(counts)


def _remains(store: MemoryStore, *, in_files: bool) -> tuple[str, ...]:
    remains = []
    if store.capabilities.extracts:
        remains.append("messages that Mem0 was still working on: erase again when it is done with them")
        remains.append("what the operator of Mem0 and of its vector store keeps: files, logs, snapshots and backups")
    elif in_files:
        remains.append("the server's files: until its optimizer has written the segments anew")
        remains.append("snapshots and backups of the server: until they are deleted")
    else:
        remains.append("backups of the store's folder: until they are deleted")
    if store.capabilities.outbox:
        remains.append("outboxes of other hosts that the store was away from: erase again when they are delivered")
    remains.append("exports that were made before: until they are deleted")
    remains.append("what CrewAI keeps by itself: long-term memory, checkpoints, traces and output files")
    remains.append("what the LLM's and the embedder's providers keep, and logs of the application")
    return tuple(remains)
