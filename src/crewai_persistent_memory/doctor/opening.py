"""Whether the store is there and can be opened. The checks of what is in it come after this one."""

from __future__ import annotations

from ..errors import (
    PersistentMemoryError,
    StoreInUseError,
    StoreMissingError,
    StorePermissionError,
    StoreUnavailableError,
)
from .examined import Examined
from .findings import Finding, Findings, check, error, note, ok, warning


@check("store", seconds=60)
def store_opens(examined: Examined) -> Findings:
    """Open the store as a command does, and create none."""
    if examined.config is None and examined.given is None:
        return
    examined.cannot_open = True  # until it is open: also if this takes too long, or fails in a way of its own
    try:
        examined.open()
    except PersistentMemoryError as failure:
        examined.cannot_open = not isinstance(failure, StoreMissingError)
        yield _why_not(examined, failure)
        return
    if examined.store is None:
        return
    examined.cannot_open = False
    health = examined.store.health()
    about = [f"{name} {health[name]}" for name in ("version", "vectors", "status") if health.get(name)]
    yield ok(f"it opens: {', '.join([str(health.get('engine', repr(examined.store.backend))), *about])}")
    if health.get("lost"):
        yield warning(
            f"the store was damaged and mended, and entries were lost: {health['lost']}",
            "Restore a backup beside it, and import what is missing (docs/moving.md)",
        )
    if health.get("unflushed_error"):
        yield error(
            f"writes do not reach the disk: {health['unflushed_error']}", "Make the disk work, then restart the process"
        )
    if health.get("optimizer_error") or health.get("status") == "red":
        why = health.get("optimizer_error") or "its status is red"
        yield error(f"the server cannot work on the collection: {why}", "See the log of the server, and its disk")


def _why_not(examined: Examined, failure: PersistentMemoryError) -> Finding:
    text = f"{type(failure).__name__}: {failure}"
    if isinstance(failure, StoreMissingError):
        return note(
            f"there is no store yet: {failure}",
            "It is created with the first memory. If there should be memories, they are somewhere else: see below",
        )
    if isinstance(failure, StoreInUseError):
        return warning(
            f"{failure}. What is in it was not checked",
            "If that process is your application, call health_report(memory) inside it. Several workers need a Qdrant "
            "server (QDRANT_URL)",
        )
    if isinstance(failure, StorePermissionError):
        return error(
            text, "Give the key of this very store: api_key= or QDRANT_API_KEY (Mem0: MEM0_API_KEY), without blanks"
        )
    if isinstance(failure, StoreUnavailableError):
        kept = ""
        if examined.config is not None and examined.config.has_outbox:
            kept = ". Meanwhile writes wait in the outbox of each host, and recalls find those only"
        return error(
            f"{text}{kept}", "Start the store, or correct its address; see also what is found about the server"
        )
    return error(text, "See the message. What is in the store was not checked")
