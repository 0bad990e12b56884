"""How a memory ends a run."""

from __future__ import annotations

from ...errors import StorePermissionError
from ...io.steps import Steps
from ...store.run_end import EndedRun, Keep, end_part_of_run
from ..events import logged
from .parts import MemoryParts
from .waiting import drain_writes


def end_run(memory: MemoryParts, keep: Keep = ()) -> Steps[EndedRun]:
    """End the run in scope: its memories are deleted, and those that are kept become the user's.

    Pending saves come first. Everything that is kept is stored before anything is deleted; a call that was cut short is
    made again. See :meth:`~....store.base.MemoryStore.end_run`.

    Args:
        keep: which ones: their ids, filters (``{"kind": "entity"}``), or a function of a :class:`MemoryEntry`. Left
            out: none. A view, or a memory with ``root_scope``, ends what it sees.

    Raises:
        MissingScopeError: there is no user, or no ``run_id``, in scope.
        InvalidArgumentError: the run has no memory with one of the ids. Nothing was deleted.
        StorePermissionError: the memory, or the view, is read-only.
        StoreError: the store failed. Everything is there: call it again.
    """
    if memory.read_only:
        raise StorePermissionError("this memory is read-only, and ends no run: use one without read_only=True")
    yield from drain_writes(memory)
    with logged("end_run", memory.source):
        return (yield from end_part_of_run(memory.store.steps, keep, lambda entry: memory.paths.reaches(entry.path)))
