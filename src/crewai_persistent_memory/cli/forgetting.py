"""Forgetting from the command line: some entries by their short ids, or all of them after a question."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from ..errors import ConfigurationError
from ..wording import memories
from .entry_ids import EntryIds
from .output import one_line

if TYPE_CHECKING:
    from ..store.base import MemoryStore


def some_of(
    store: MemoryStore, wanted: Sequence[str], *, for_good: bool = False, dry_run: bool = False
) -> tuple[int, list[str]]:
    """Forget the entries with these ids, short or whole.

    Args:
        store: where.
        wanted: the ids.
        for_good: also what was forgotten before, and could be brought back.
        dry_run: count only.

    Returns:
        How many were forgotten, or would be, and the ids that no entry of the scope has.

    Raises:
        ConfigurationError: a short id matches several entries. Nothing was forgotten.
    """
    ids = EntryIds(store)
    meant: dict[str, None] = {}
    unknown = []
    for given in dict.fromkeys(wanted):
        id = ids.find(given)
        if id is None and for_good:
            id = ids.find_forgotten(given)
        if id is None:
            unknown.append(given)
        else:
            meant[id] = None
    if dry_run:
        return len(meant), unknown
    return (store.delete(ids=list(meant), for_good=for_good) if meant else 0), unknown


def everything_of(
    store: MemoryStore, yes: bool, *, for_good: bool = False, dry_run: bool = False
) -> tuple[int, list[str]]:
    """Forget all of the scope, after a question on the terminal. ``dry_run``: count what can be read.

    Raises:
        ConfigurationError: there is no terminal, and ``yes`` is not set.
        typer.Abort: the answer was no.
    """
    if dry_run:
        return store.count(), []
    if not yes:
        count = store.count()
        if not sys.stdin.isatty():
            raise ConfigurationError(f"this would forget {memories(count)} of {store.scope}: add --yes to do it")
        if count:
            typer.confirm(one_line(f"Forget {memories(count)} of {store.scope}?"), abort=True, err=True)
    return store.reset(for_good=for_good), []
