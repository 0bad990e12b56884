"""Undoing deletes that were accepted: taken back while they wait, else brought back from the store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..entry import MemoryEntry
from ..errors import Outcome, StoreUnavailableError
from ..io.steps import Steps, Work
from ..store import operations as op
from .pending import Pending
from .queue import Queue
from .reading import Reading
from .records import Write, lane_of


def undo_delete(operation: op.UndoDelete, queue: Queue, reading: Reading) -> Steps[list[MemoryEntry]]:
    """See :class:`~..store.operations.UndoDelete`. Of an entry that the store alone has, and that cannot be read while
    the store is away, the answer has the id, and no text.

    Raises:
        StoreUnavailableError: a delete waits that cannot be taken back, or the store is away. What is not back is still
            kept: it can be tried again.
    """
    back: list[MemoryEntry] = []
    if not operation.dry_run:
        back = yield Work(partial(_take_back, operation, queue))
    yield Work(partial(reading.wait_for_delivery, operation.scope))
    try:
        if (yield Work(partial(queue.count, lane_of(operation.scope), kinds=("delete",)))):
            raise StoreUnavailableError(
                "deletes of this user wait in the outbox, and can be undone when the store has them: try again",
                outcome=Outcome.NOT_DONE,
            )
        found: list[MemoryEntry] = yield from reading.ask(operation, patiently=True)
    except StoreUnavailableError:
        if not back:
            raise
        return back
    return [*back, *found]


def _take_back(operation: op.UndoDelete, queue: Queue) -> list[MemoryEntry]:
    """Withdraw the deletes that were never sent, and that are about nothing but what comes back."""
    writes = queue.pending([lane_of(operation.scope)])
    back: dict[str, MemoryEntry] = {}
    for number, write in enumerate(writes):
        delete = write.operation
        if not isinstance(delete, op.Delete) or not _is_within(delete, operation) or not queue.withdraw(write.seq):
            continue
        for entry in _about(delete, writes[:number]):
            back[entry.id] = entry
    return list(back.values())


def _is_within(delete: op.Delete, undo: op.UndoDelete) -> bool:
    if delete.undo_until is None or delete.scope != undo.scope:
        return False
    if undo.path is not None:
        return (
            delete.filter.path is not None
            and f"{delete.filter.path}/".startswith(f"{undo.path.rstrip('/')}/")
            and (undo.ids is None or _ids_within(delete, undo))
        )
    return undo.ids is None or _ids_within(delete, undo)


def _ids_within(delete: op.Delete, undo: op.UndoDelete) -> bool:
    return delete.filter.ids is not None and set(delete.filter.ids) <= set(undo.ids or ())


def _about(delete: op.Delete, before: Sequence[Write]) -> list[MemoryEntry]:
    local = {each.id: each for each in Pending(before, delete.scope, include_shared=False).matched_by(delete)}
    unread = [id for id in delete.filter.ids or () if id not in local]
    return [*local.values(), *(MemoryEntry(id, "", delete.scope) for id in unread)]
