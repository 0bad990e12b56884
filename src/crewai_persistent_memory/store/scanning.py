"""A scan: a function that gives the steps of its next page, and its entries one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeAlias

from ..entry import MemoryEntry
from ..io.steps import Steps, arun, run
from .operations import ScanPage

Pages: TypeAlias = Callable[[str | None], Steps[ScanPage]]
"""The cursor of the page before, or ``None``, gives the steps of the next page.

All pages have the scope of the call that made it.
"""


def entries_of(page_at: Pages) -> Iterator[MemoryEntry]:
    """Every entry of a scan, in the memory of one page."""
    cursor = None
    while True:
        page = run(page_at(cursor))
        yield from page.entries
        cursor = page.cursor
        if cursor is None:
            return


async def aentries_of(page_at: Pages) -> AsyncIterator[MemoryEntry]:
    """:func:`entries_of`, awaited."""
    cursor = None
    while True:
        page = await arun(page_at(cursor))
        for entry in page.entries:
            yield entry
        cursor = page.cursor
        if cursor is None:
            return
