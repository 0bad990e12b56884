"""Write the entries of a store, of one user, project or all, to a file. The memory used is that of one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TextIO

from ..entry import MemoryEntry
from ..errors import StoreError
from ..io.steps import Steps, run
from ..scope import has_fields
from ..store.base import MemoryStore
from ..store.operations import ScanPage
from .every_project import in_each_project, require_reach
from .lines import Header, end, line_of

Progress = Callable[[int], None]
"""Is told how many entries were written or read so far."""


def entries_of(store: MemoryStore, *, with_vectors: bool = False, **scope: str | None) -> Iterator[MemoryEntry]:
    """Every entry of all scopes with these fields, once, with its owner.

    Args:
        store: a store in Qdrant; or in Mem0, if ``user_id`` is given. With ``collection_per_project`` all projects are
            read whose collections the key may list, if the store is fixed to none.
        with_vectors: with their vectors.
        scope: fields that the entries have, by name; ``None`` for entries without the field. None: all entries.

    Raises:
        ConfigurationError: Mem0, which cannot list across users.
        InvalidArgumentError: a name that no scope has.
        InvalidScopeError: a field is malformed.
        StoreError: the store failed.
    """
    require_reach(store, scope, "list")
    for steps in in_each_project(store, scope):
        yield from _pages_of(steps.scan_scopes(dict(scope), with_vectors=with_vectors), scope)


def _pages_of(
    page_at: Callable[[str | None], Steps[ScanPage]], scope: Mapping[str, str | None]
) -> Iterator[MemoryEntry]:
    cursor: str | None = None
    while True:
        page = run(page_at(cursor))
        for entry in page.entries:
            owner = entry.scope
            # The engine filters. That nothing of another user is given out is checked once more here.
            if owner is None or not has_fields(vars(owner), scope):
                raise StoreError(f"the engine returned an entry outside of {scope}: nothing more was exported")
            yield entry
        if page.cursor is None:
            return
        cursor = page.cursor


def export_entries(
    store: MemoryStore,
    file: TextIO,
    *,
    with_vectors: bool = False,
    progress: Progress | None = None,
    **scope: str | None,
) -> int:
    """Write entries as JSON Lines.

    What waits in an outbox is not in the store yet: call ``flush()`` before.

    Args:
        store: a store in Qdrant.
        file: is written to, and not closed.
        with_vectors: with their vectors.
        progress: is called now and then.
        scope: see :func:`entries_of`.

    Returns:
        How many entries were written.

    Raises:
        ConfigurationError: Mem0, which cannot list across users.
        InvalidArgumentError: a name that no scope has.
        InvalidScopeError: a field is malformed.
        StoreError: the store failed. The file has no last line then, and is refused by an import.
        OSError: the file cannot be written.
    """
    embedder = store.embedder if with_vectors else None
    file.write(Header(None if embedder is None else embedder.fingerprint.to_json(), scope).line())
    count = 0
    for entry in entries_of(store, with_vectors=with_vectors, **scope):
        file.write(line_of(entry))
        count += 1
        if progress is not None and count % 1_000 == 0:
            progress(count)
    file.write(end(count))
    return count
