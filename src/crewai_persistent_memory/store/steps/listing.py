"""What is listed and counted, without a query."""

from __future__ import annotations

import builtins
from dataclasses import replace
from functools import partial
from typing import Any

from typing_extensions import Unpack

from ...entry import MemoryEntry, PathInfo
from ...entry_filter import EntryFilter, FilterArgs
from ...io.steps import Steps
from ...validation import check_limit, check_page_size
from .. import operations as op
from ..cursors import opened, sealed
from ..operations import Page
from ..scanning import Pages
from .handle import StoreHandle


def list(
    handle: StoreHandle, *, limit: int = 200, offset: int = 0, **filters: Unpack[FilterArgs]
) -> Steps[builtins.list[MemoryEntry]]:
    """Entries, newest first; equal times keep one order over all pages.

    The engine reads ``offset`` entries to leave them out: :meth:`page` continues where the page before ended, and
    :meth:`scan` reads everything.
    """
    check_limit(limit)
    check_limit(offset, "offset")
    make = partial(op.List, limit=limit, offset=offset)
    return _read(handle, make, filters, [])


def page(
    handle: StoreHandle, *, cursor: str | None = None, limit: int = 100, **filters: Unpack[FilterArgs]
) -> Steps[Page]:
    """One page of the entries, in the order of :meth:`list`, and the cursor of the next page.

    A page costs the same wherever it begins, also among thousands of entries of one time. Entries that are added or
    deleted between two pages move no other entry. Mem0 lists the whole scope for each page::

        page = store.page(limit=50)
        while page.cursor is not None:
            page = store.page(cursor=page.cursor, limit=50)

    Args:
        cursor: the cursor of the page before; ``None`` for the first page. It holds a time and an id, no content.
            It works in every process, but only in its scope and its kind of store.
        limit: most entries, 1 to 10,000. A page may have fewer; only ``Page.cursor`` says whether it is the last.
        filters: see :class:`EntryFilter`; the same ones for each page.

    Raises:
        InvalidArgumentError: the cursor was cut or changed, or comes from another scope.
    """
    check_page_size(limit, "limit")
    filter = EntryFilter.of(filters, handle.filter_fields)
    scope = handle.binding.resolve()
    start = None if cursor is None else opened(cursor, scope, filter)
    if filter.matches_nothing:
        return Page((), None)
    page = yield from handle.read(op.ListPage(scope, handle.include_shared, filter, limit, start))
    return page if page.cursor is None else replace(page, cursor=sealed(page.cursor, scope, filter))


def scan(
    handle: StoreHandle, *, with_vectors: bool = False, page_size: int = 200, **filters: Unpack[FilterArgs]
) -> Pages:
    """Every entry of the scope that matches, once, however many there are.

    The memory used is that of one page. The order is the engine's, and no write changes it: an entry that exists
    during the whole scan comes exactly once; an entry that is added or deleted during the scan may come or not.
    The scope is that of this call, also where the iterator is read in another ``use_scope`` block. An iterator
    that is not read to its end holds nothing open.

    Mem0 has no stable cursor. There a scan is one listing of the whole scope, all of it in memory, without vectors.

    Args:
        with_vectors: entries have their ``embedding``.
        page_size: entries of one request, 1 to 10,000; a server's strict mode may make it smaller.
        filters: see :class:`EntryFilter`.

    Raises:
        InvalidArgumentError: an argument is wrong; raised by the call itself.
        StoreClosedError: the store was closed in the midst of it; raised where the next page is read.
    """
    check_page_size(page_size, "page_size")
    filter = EntryFilter.of(filters, handle.filter_fields)
    first = op.Scan(handle.binding.resolve(), handle.include_shared, filter, page_size, None, with_vectors)

    def page_at(cursor: str | None) -> Steps[op.ScanPage]:
        if filter.matches_nothing:
            return op.ScanPage((), None)
        return (yield from handle.read(replace(first, cursor=cursor)))

    return page_at


def count(handle: StoreHandle, **filters: Unpack[FilterArgs]) -> Steps[int]:
    """How many entries match."""
    return _read(handle, op.Count, filters, 0)


def categories(handle: StoreHandle, path: str | None = None) -> Steps[dict[str, int]]:
    """Each category at ``path`` and below it, with how many entries have it."""
    return _read(handle, op.CountCategories, {"path": path}, {})


def children(handle: StoreHandle, path: str = "/") -> Steps[tuple[str, ...]]:
    """The paths one level below ``path`` that have entries, sorted."""
    return _read(handle, op.ListChildren, {"path": path}, ())


def info(handle: StoreHandle, path: str = "/") -> Steps[PathInfo]:
    """Summarize ``path`` and the paths below it."""
    return _read(handle, op.DescribePath, {"path": path}, None)


def _read(handle: StoreHandle, make: Any, filters: FilterArgs, nothing: Any) -> Steps[Any]:
    filter = EntryFilter.of(filters, handle.filter_fields)
    scope = handle.binding.resolve()
    if filter.matches_nothing:
        return nothing
    return (yield from handle.read(make(scope, handle.include_shared, filter)))
