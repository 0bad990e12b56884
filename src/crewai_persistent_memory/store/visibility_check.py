"""The last check of every result, whatever backend or middleware has answered: invariant 4 of the design."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..entry import MemoryEntry
from ..expiry import is_expired
from ..scope import Scope, visible
from .operations import Page, ReadOperation, ScanPage, ScopedOperation

logger = logging.getLogger("crewai_persistent_memory")


def only_visible(operation: ScopedOperation[Any], answer: Any) -> Any:
    """The answer without entries that the operation's scope must not see. Each one dropped is logged as an error.

    An entry must carry its scope, and that must be visible by :func:`~..scope.visible`; shared entries only to a read
    that includes them. Answers without entries
    (counts, categories, paths) are returned as they are: only the backend can check those. An entry that has expired is
    dropped without a word: its time may end while a request is under way.
    """
    if isinstance(answer, list):
        if answer and isinstance(answer[0], list):
            answers = []
            for entries in answer:
                answers.append(_seen(operation, entries))
            return answers
        return _seen(operation, answer)
    if isinstance(answer, MemoryEntry):
        return next(iter(_seen(operation, [answer])), None)
    if isinstance(answer, (Page, ScanPage)):
        return replace(answer, entries=tuple(_seen(operation, answer.entries)))
    return answer


def _seen(operation: ScopedOperation[Any], entries: Iterable[MemoryEntry]) -> list[MemoryEntry]:
    include_shared = isinstance(operation, ReadOperation) and operation.include_shared
    kept: list[MemoryEntry] = []
    owner: Scope | None = None
    allowed = False
    for entry in entries:
        if entry.scope is not owner:  # most results of a call belong to one owner
            owner = entry.scope
            allowed = owner is not None and visible(owner, operation.scope, include_shared=include_shared)
        if allowed:
            if entry.expires_at is None or not is_expired(entry.expires_at):
                kept.append(entry)
        else:
            logger.error("dropped entry %s: it was returned outside the scope of the call", entry.id)
    return kept
