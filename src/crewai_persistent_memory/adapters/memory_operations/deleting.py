"""How a memory deletes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ...errors import StorePermissionError
from ...io.steps import Steps
from ..deletion_filters import deletion_filters
from ..events import logged
from ..scope_views import WHOLE
from .parts import MemoryParts
from .waiting import drain_writes

if TYPE_CHECKING:
    from crewai.memory.types import MemoryRecord


def forget(
    memory: MemoryParts,
    scope: str | None = None,
    categories: list[str] | None = None,
    older_than: datetime | None = None,
    metadata_filter: dict[str, Any] | None = None,
    record_ids: list[str] | None = None,
    for_good: bool = False,
) -> Steps[int]:
    """Delete the memories that match all given filters; without filters, everything in the scope.

    With the option ``undo_for``, :func:`undo_forget` brings them back for that time.

    Args:
        scope: a path; memories at it or below it.
        categories: memories that have one of these.
        older_than: memories created before this time (naive is UTC).
        metadata_filter: memories whose metadata has each of these values.
        record_ids: memories with one of these ids; an empty list deletes nothing.
        for_good: at once, whatever ``undo_for`` says; what was forgotten before goes too.

    Returns:
        The number of deleted memories.

    Raises:
        StorePermissionError: the memory, or the view, is read-only.
    """
    _refuse_if_read_only(memory)
    filters = deletion_filters(None, categories, record_ids, older_than, metadata_filter)
    deleted = 0
    for path in memory.paths.of(scope):
        if filters:
            filters["path"] = path
            deleted += yield from memory.store.steps.delete(for_good=for_good, **filters)
        else:
            deleted += yield from memory.store.steps.reset(path, for_good=for_good)
    return deleted


def undo_forget(
    memory: MemoryParts, scope: str | None = None, record_ids: list[str] | None = None
) -> Steps[list[MemoryRecord]]:
    """Bring back what was forgotten, while the time of the option ``undo_for`` runs.

    Where the same memory was saved again since, that one stays.

    Args:
        scope: a path; memories at it or below it.
        record_ids: memories with one of these ids. Left out: all.

    Returns:
        The memories that came back.

    Raises:
        StorePermissionError: the memory, or the view, is read-only.
        InvalidArgumentError: the store keeps nothing of what was deleted (Mem0).
    """
    _refuse_if_read_only(memory)
    back = []
    for path in memory.paths.of(scope):
        back += yield from memory.store.steps.undo_delete(ids=record_ids, path=path)
    return list(map(memory.results.record_of, back))


def reset(memory: MemoryParts, scope: str | None = None) -> Steps[None]:
    """Delete everything that is visible in the scope, of every kind, at a path and below it.

    Raises:
        StorePermissionError: the memory, or the view, is read-only.
    """
    _refuse_if_read_only(memory)
    yield from drain_writes(memory)
    for path in memory.paths.of(scope):
        yield from memory.store.steps.reset(path)


def reset_kind(memory: MemoryParts) -> Steps[None]:
    """Delete the entries in the scope that have this memory's kind, and nothing else."""
    with logged("reset", memory.source):
        _refuse_if_read_only(memory)
        for path in memory.paths.of(None):
            yield from memory.store.steps.delete(kind=memory.kind, path=path, for_good=True)


def reset_all(memory: MemoryParts) -> Steps[None]:
    """Delete everything that is visible in the scope, also outside the memory's ``root_scope``. A view deletes only
    the entries in the view."""
    yield from (reset(memory) if memory.paths.view is not None else reset(replace(memory, paths=WHOLE)))


def _refuse_if_read_only(memory: MemoryParts) -> None:
    if memory.read_only:
        raise StorePermissionError(
            "this memory is read-only, and deletes nothing: use one without read_only=True; a slice() is read-only "
            "unless it is given read_only=False"
        )
