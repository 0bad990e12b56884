"""A process's record of entries that have no dense vector."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from ...scope import Scope

LOOK_AGAIN: Final = 600.0
"""Seconds after which a scope is looked at again: another process may have saved there while its embedder was away."""

_MOST_KNOWN: Final = 10_000


class Backlog:
    """What a process knows about entries without a dense vector. Nothing is lost with it: it saves looking for them."""

    def __init__(self) -> None:
        self._looked_at: OrderedDict[Scope, float] = OrderedDict()
        self._refused: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def is_due(self, scope: Scope) -> bool:
        """Whether there may be entries to embed."""
        with self._lock:
            looked_at = self._looked_at.get(scope)
        return looked_at is None or time.monotonic() - looked_at > LOOK_AGAIN

    def is_empty(self, scope: Scope) -> None:
        """There are none."""
        with self._lock:
            self._looked_at[scope] = time.monotonic()
            self._looked_at.move_to_end(scope)
            while len(self._looked_at) > _MOST_KNOWN:
                self._looked_at.popitem(last=False)

    def has_some(self, scope: Scope) -> None:
        """There is one, or several."""
        with self._lock:
            self._looked_at.pop(scope, None)

    def refuse(self, ids: Iterable[str]) -> None:
        """These have no vector that the embedder would make; they are left alone until :meth:`ask_again`."""
        with self._lock:
            self._refused.update(dict.fromkeys(ids))
            while len(self._refused) > _MOST_KNOWN:
                self._refused.popitem(last=False)

    def ask_again(self) -> None:
        """The embedder may have been mended: entries that it refused before are tried once more."""
        with self._lock:
            self._refused.clear()

    @property
    def refused(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._refused)
