"""What a queue gives: accepted writes, and how many there are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..scope import Scope
from .serialised import Writing


@dataclass(frozen=True)
class Write:
    """An accepted write.

    Attributes:
        seq: its number, larger than those of all writes accepted before it.
        lane: whose writes are delivered in order: those of one organisation, project and user.
        operation: what was accepted.
        size: bytes of the operation in the queue.
        client_id: names this write to a store that has no id for it.
        accepted_at: naive UTC. Of a delete: later than every entry of the lane that was accepted before it.
        attempts: how often it was sent.
        doubt: an earlier attempt may have been done.
        tried_at: when it was last sent, seconds since 1970.
        waits: the number of the process whose caller waits for the answer, see ``callers``; 0: nobody waits.
    """

    seq: int
    lane: str
    operation: Writing
    size: int
    client_id: str
    accepted_at: datetime
    attempts: int = 0
    doubt: bool = False
    tried_at: float | None = None
    waits: int = 0


@dataclass(frozen=True)
class Depth:
    """How much is in a queue.

    Attributes:
        writes: accepted and not delivered.
        dead: refused for good by the store.
        bytes: of both.
        oldest: when the oldest of the writes was accepted, naive UTC.
        error: the error of the last attempt to deliver the oldest write that failed.
    """

    writes: int
    dead: int
    bytes: int
    oldest: datetime | None = None
    error: str | None = None


def lane_of(scope: Scope) -> str:
    """The lane of a scope's writes. A write of one lane neither changes nor deletes an entry of another."""
    return json.dumps([scope.org_id, scope.project_id, scope.user_id], ensure_ascii=False)


def numbers_of(writes: Sequence[Write]) -> str:
    """The numbers of writes, for a query."""
    return ", ".join(str(write.seq) for write in writes)
