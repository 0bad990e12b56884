"""Which entry of a store an id names: a whole id, or a short one as ``list`` shows it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from .output import one_line
from .short_ids import named

if TYPE_CHECKING:
    from ..store.base import MemoryStore


class EntryIds:
    """The ids of the entries that a store's scope sees. They are read when the first short id is asked for."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def find(self, given: str) -> str | None:
        """The whole id; ``None`` if no entry has it.

        Raises:
            ConfigurationError: a short id matches several entries.
        """
        if self._store.get(given) is not None:
            return given
        name = named(given, list(self._by_name))
        return None if name is None else self._by_name[name]

    def find_forgotten(self, given: str) -> str | None:
        """The whole id of an entry that was forgotten, and can be brought back; ``None`` if no such entry has it.

        Raises:
            ConfigurationError: a short id matches several of them.
        """
        if not self._store.capabilities.undoes_deletes:
            return None
        by_name = {one_line(entry.id): entry.id for entry in self._store.undo_delete(dry_run=True)}
        if given in by_name.values():
            return given
        name = named(given, list(by_name))
        return None if name is None else by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, str]:
        return {one_line(entry.id): entry.id for entry in self._store.scan(page_size=1_000)}
