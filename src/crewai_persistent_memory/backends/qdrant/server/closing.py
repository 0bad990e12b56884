"""The switch of a move (``moving``): from the moment when the old collection takes no more writes.

A worker that is refused meanwhile waits until the descriptor says ``moved_to``. If the process that moves the memories
has ended just then, the worker does the rest: it is a request or two, and can be done by several at once.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import Final

from ....embedding import KeywordEncoder
from ....errors import StoreBusyError, StoreMissingError
from ....io.steps import Steps
from ..engine_requests import Profile
from ..manifest import MOVED, Descriptor
from ..said_before import SaidBefore
from .bootstrap import describe, read_descriptor
from .carrying import Carrying
from .client import RetryingClient
from .strict_mode import limits_of

MOST_ROUNDS: Final = 20
"""Over what has changed, while others write. What the last round leaves is carried over after the switch."""

PATIENCE: Final = 2.0
"""Seconds that a worker waits for the process that moves the memories."""

_PAUSE: Final = 0.02

logger = logging.getLogger("crewai_persistent_memory")


class _HasMoved(StoreBusyError):
    """Another worker was faster."""


def switch(carrying: Carrying, stored: Descriptor) -> Steps[None]:
    """Carry over what was written last, and make the old collection a pointer. It takes no more writes."""
    for _ in range(MOST_ROUNDS):
        if not (yield from carrying.changes()):
            break
    yield from carrying.check()
    pointer = {"moved_to": carrying.target, "schema_version": MOVED}
    yield from describe(carrying.client, carrying.source, stored, pointer)


def wait_for_switch(client: RetryingClient, collection: str, where: str) -> Steps[bool]:
    """Wait until the memories of a collection that takes no more writes have moved. Returns whether they have."""
    deadline = time.monotonic() + PATIENCE
    while True:
        stored: Descriptor | None = yield from read_descriptor(client, collection, where)
        if stored is None or (stored.moved_to is None and not stored.closing):
            return False
        if stored.moved_to is not None:
            return True
        if time.monotonic() > deadline:
            break
        yield client.pause(_PAUSE)
    assert stored.moving_to is not None
    try:
        new: Descriptor | None = yield from read_descriptor(client, stored.moving_to, where)
    except StoreMissingError:
        return False
    if new is None:
        return False
    logger.warning(
        "the process that changes the embedder of collection %r at %s has ended in the midst of the switch: this one "
        "does the switch. Call reembed again, which removes what is left in the old collection",
        collection,
        where,
    )
    info = yield from client.call("get_collection", {"collection_name": stored.moving_to})
    profile = Profile(new, None, KeywordEncoder(new.language), SaidBefore())

    def check() -> Steps[None]:
        current: Descriptor | None = yield from read_descriptor(client, collection, where)
        if current is None or current.moved_to is not None:
            raise _HasMoved("somebody else has done the switch")

    carrying = Carrying(client, collection, stored.moving_to, limits_of(info), profile, check, switched=True)
    with suppress(_HasMoved):
        yield from switch(carrying, stored)
    return True
