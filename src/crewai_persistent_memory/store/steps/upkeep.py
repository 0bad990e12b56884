"""The store itself: its embedder, its files, its outbox, whether it answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...embedding import Embedder
from ...io.steps import Steps
from .. import operations as op
from .handle import StoreHandle


def embedder(handle: StoreHandle) -> Steps[Embedder | None]:
    """The dense embedder; ``None`` for keywords only, and for a store that embeds by itself (Mem0)."""
    if not handle.capabilities.vectors:
        return None
    return (yield from handle.execute(op.DescribeEmbedder(handle.binding)))


def embed_missing(handle: StoreHandle) -> Steps[int]:
    """Embed the entries of this scope that have no dense vector because the embedder was away when they were saved.

    Every save embeds a few of them. This method embeds all of them now. Entries that the embedder refuses stay
    without a vector. A store that has no embedder, or embeds by itself (Mem0), returns 0.

    Returns:
        How many have got a vector.

    Raises:
        EmbedderUnavailableError: the embedder does not answer (yet).
        StoreError: the store failed.
    """
    scope = handle.binding.resolve()
    if not handle.capabilities.vectors:
        return 0
    return (yield from handle.execute(op.EmbedMissing(scope)))


def reembed(
    handle: StoreHandle,
    embedder: Embedder | None,
    *,
    tokens: bool | None = None,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda count: None,
    passages: bool = False,
) -> Steps[op.Reembedded]:
    return (yield from handle.execute(op.Reembed(handle.binding, embedder, tokens, dry_run, progress, passages)))


def compact(handle: StoreHandle) -> Steps[bool]:
    """Remove the text of deleted entries from the files of an embedded store, of all its users.

    A delete makes an entry unreachable at once; its text stays in the engine's log and pages until the store is
    written anew, which this does, and :meth:`close` when much was deleted. It takes about 0.2 ms an entry; writes
    wait for it, reads go on. A crash in the midst of it loses nothing.

    Returns:
        Whether the files were written anew. ``False`` for a server and for Mem0: they remove what was deleted in
        their own time, and their snapshots and backups keep it.

    Raises:
        StoreFullError: there is no room for a second copy.
        StoreError: the store failed; it is as it was.
    """
    if not handle.capabilities.compacts:
        return False
    return (yield from handle.execute(op.Compact(handle.binding)))


def back_up(handle: StoreHandle, folder: Path) -> Steps[op.Taken]:
    return (yield from handle.execute(op.BackUp(handle.binding, folder)))


def pending(handle: StoreHandle) -> Steps[int]:
    """How many writes of this scope's user are accepted and not delivered yet.

    0 without an outbox (``durability="store"``), where a write is in the store when it returns.
    """
    scope = handle.binding.resolve()
    if not handle.capabilities.outbox:
        return 0
    return (yield from handle.execute(op.CountPending(scope)))


def flush(handle: StoreHandle, timeout: float = 10.0) -> Steps[bool]:
    """Wait until the store has taken what this scope's user has written so far.

    Args:
        timeout: seconds to wait at most.

    Returns:
        Whether it has. What the store refused for good counts as taken: see ``health()["outbox"]``.
    """
    scope = handle.binding.resolve()
    if not handle.capabilities.outbox:
        return True
    return (yield from handle.execute(op.Flush(scope, timeout)))


def health(handle: StoreHandle) -> Steps[dict[str, Any]]:
    """Ask the engine whether it answers. Raises :class:`StoreError` if it does not.

    With an outbox nothing is raised: ``status`` is ``"unavailable"`` then, and ``outbox`` tells how many writes
    wait, for how long, and why.
    """
    return handle.execute(op.Health(handle.binding))
