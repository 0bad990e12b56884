"""What is deleted, and how it comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from typing_extensions import Unpack

from ...embedding import VECTORS
from ...entry import MemoryEntry
from ...entry_filter import EntryFilter, FilterArgs
from ...errors import InvalidArgumentError
from ...filter_fields import FilterField
from ...io.steps import Steps
from ...validation import check_id, normalize_path, text_tuple
from .. import operations as op
from ..visibility_check import only_visible
from .handle import StoreHandle


def delete(
    handle: StoreHandle, id: str | None = None, *, for_good: bool = False, **filters: Unpack[FilterArgs]
) -> Steps[int]:
    """Delete one entry by its id, or all that match the filters. Returns how many there were.

    Args:
        id: of an entry, in place of ``ids=``.
        for_good: at once, whatever the option ``undo_for`` says; what earlier deletes have kept of such entries
            goes too, and counts.
        filters: see :class:`FilterArgs`.

    Raises:
        InvalidEntryError: neither is given; :meth:`reset` empties the scope.
    """
    return _delete(handle, _selection(id, filters, handle.filter_fields), for_good=for_good)


def reset(handle: StoreHandle, path: str | None = None, *, for_good: bool = True) -> Steps[int]:
    """Delete everything that is visible in the scope, at ``path`` and below it. Returns how many there were.

    Entries that have expired, and are still in the store, are deleted and counted too; so is what earlier deletes
    have kept.

    Args:
        path: left out: everything.
        for_good: ``False``: as :meth:`delete` does it, so that it can be undone.
    """
    return _delete(handle, EntryFilter.of({"path": path}), for_good=for_good)


def delete_own(handle: StoreHandle, ids: Sequence[str]) -> Steps[int]:
    """Delete entries of exactly this scope, never of a wider one."""
    return _delete(handle, EntryFilter.of({"ids": ids}), owner_only=True)


def undo_delete(
    handle: StoreHandle,
    id: str | None = None,
    *,
    ids: Sequence[str] | None = None,
    path: str | None = None,
    dry_run: bool = False,
) -> Steps[list[MemoryEntry]]:
    """Bring back what was deleted, while the time of the option ``undo_for`` runs.

    An entry comes back as it was, with its times and its history. One whose own end has passed stays deleted. Where
    an entry with the same id was saved since, that one stays.

    Args:
        id, ids: of the entries. Left out: all that this scope would see.
        path: only entries at it and below it.
        dry_run: bring back nothing, and say what would come.

    Returns:
        What came back.

    Raises:
        InvalidArgumentError: the store keeps nothing of what was deleted (Mem0).
        StoreError: the store failed. What is not back is still kept: call it again.
    """
    if id is not None and ids is not None:
        raise InvalidArgumentError("id and ids are both given: use one of them")
    if not handle.capabilities.undoes_deletes:
        raise InvalidArgumentError("this store keeps nothing of what was deleted: only a store in Qdrant does")
    named = None if id is None and ids is None else text_tuple("ids", [id] if id is not None else ids or ())
    named = named and tuple(map(check_id, named))
    path = None if path is None or normalize_path(path) == "/" else normalize_path(path)
    operation = op.UndoDelete(handle.binding.resolve(), named, path, dry_run)
    if named == ():
        return []
    return only_visible(operation, (yield from handle.execute(operation)))  # type: ignore[no-any-return]


def _delete(handle: StoreHandle, filter: EntryFilter, *, owner_only: bool = False, for_good: bool = True) -> Steps[int]:
    scope = handle.binding.resolve()
    if filter.matches_nothing:
        return 0
    until = None if for_good or not handle.capabilities.undoes_deletes else handle.corrections.undo_until()
    try:
        return (yield from handle.execute(op.Delete(scope, filter, owner_only=owner_only, undo_until=until)))
    finally:
        VECTORS.clear()  # a vector tells something of its text


def _selection(id: str | None, filters: FilterArgs, known: Mapping[str, FilterField]) -> EntryFilter:
    if id is not None:
        if filters.get("ids") is not None:
            raise InvalidArgumentError("id and ids are both given: use one of them")
        filters = {**filters, "ids": [id]}
    # A filter that is None or empty (a variable that was never set, say) must not come to mean "everything".
    selective = [
        name == "ids" or bool(value)
        for name, value in filters.items()
        if value is not None and name not in ("reader", "include_private")
    ]
    if not any(selective) and filters.get("include_private") is not False:
        raise InvalidArgumentError(
            "delete needs an id or a filter, and one that is empty selects nothing: use reset() to empty the scope"
        )
    return EntryFilter.of(filters, known)
