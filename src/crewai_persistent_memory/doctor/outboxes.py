"""The outbox of this host: what waits, for how long and why, and what the store has refused."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..errors import PersistentMemoryError
from ..outbox.backend import OutboxBackend
from ..outbox.inspection import QueueFile, QueueState, age_of, queues_in
from ..outbox.sender_lock import SenderLock
from ..store.factory import outbox_of
from ..wording import counted
from .examined import Examined
from .findings import Findings, check, error, note, ok, warning

LONG: Final = 60.0
"""Seconds. A store that answers takes a write within one."""
NEARLY_FULL: Final = 0.8


@check("outbox", seconds=15)
def what_waits(examined: Examined) -> Findings:
    """Look at the queue of this store, and at those of other stores in the same folder."""
    config = examined.config
    if config is None or not config.has_outbox:
        return
    backend = None if examined.given is None else examined.given.backend
    own = backend.settings if isinstance(backend, OutboxBackend) else outbox_of(config, "own")
    if not own.exists:
        yield ok("nothing waits: this host has no outbox for this store yet")
    for folder in _queues(own.folder):
        is_own = folder == own.queue_folder
        try:
            with QueueFile(folder) as file:
                state = file.state()
        except PersistentMemoryError as failure:
            if is_own:
                yield error(
                    f"the outbox cannot be used, so no write is accepted: {failure}", "Repair or move its folder"
                )
            continue
        if is_own:
            yield from _of_this_store(state, folder, own.most_bytes)
        elif state.depth.writes or state.depth.dead:
            yield warning(
                f"this host's outbox has {counted(state.depth.writes, 'write')} for another store, {state.store}, and "
                f"{state.depth.dead} that it has refused",
                "They are delivered by a process that opens that very store: see crewai-memory outbox status",
            )


def _queues(folder: Path) -> list[Path]:
    try:
        return queues_in(folder)
    except OSError:  # the check of the folders says so
        return []


def _of_this_store(state: QueueState, folder: Path, most_bytes: int) -> Findings:
    depth, age = state.depth, age_of(state.depth) or 0.0
    why = f"; the last error: {depth.error}" if depth.error else ""
    waiting = f"waiting for the store: {counted(depth.writes, 'write')}, the oldest for {age:.0f} s{why}"
    if depth.dead:
        yield warning(
            f"the store has refused {counted(depth.dead, 'write')} for good: nobody recalls them",
            "crewai-memory outbox show --dead says why; outbox retry puts them back, outbox drop gives up",
        )
    if depth.writes and age > LONG:
        yield warning(
            f"{waiting}{_nobody_delivers(folder)}",
            "Make the store answer; a process that has the store open delivers them then",
        )
    elif depth.writes:
        yield note(waiting)
    if depth.bytes > NEARLY_FULL * most_bytes:
        yield warning(
            f"the outbox is nearly full: {depth.bytes >> 20} of {most_bytes >> 20} MiB; then writes are refused",
            "Make the store answer, or raise outbox_max_mb",
        )
    if not depth.writes and not depth.dead:
        yield ok("nothing waits in the outbox, and the store has refused nothing")


def _nobody_delivers(folder: Path) -> str:
    if not (folder / "sender.lock").exists():
        return ""
    lock = SenderLock(folder)
    try:
        is_free = lock.take()
    except OSError:
        return ""
    lock.release()
    return "; no process delivers at the moment" if is_free else ""
