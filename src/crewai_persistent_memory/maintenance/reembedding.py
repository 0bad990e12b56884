"""Changing the embedder of a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..embedding import Embedder, spec_of_name
from ..errors import ConfigurationError
from ..io.steps import run
from ..store.base import MemoryStore
from ..store.operations import Reembedded


def reembed(
    store: MemoryStore, embedder: Any, *, dry_run: bool = False, progress: Callable[[int], None] = lambda count: None
) -> Reembedded:
    """Change the embedder of an embedded store, for all its users, while it is in use.

    The new vectors are collected beside the old ones, which answer meanwhile, also to other threads and handles of this
    process. Then the store is written anew beside itself, and exchanged; reads and writes wait for a moment. From then
    on every handle of this process uses the new embedder. A handle that is opened with the old one is refused: leave
    ``embedder`` out, and a store opens with the one that it has.

    If the process is killed, call it again with the same embedder: it goes on, and embeds nothing twice. If the store
    has this embedder already, the entries that have no vector are embedded; so on a server, too.

    Args:
        store: the store. Its own handle may be opened by words, without its embedder.
        embedder: the new one, as for :func:`open_store`; ``None`` or ``"keywords"``: keywords only.
        dry_run: say what would be done.
        progress: is told how many entries were looked at so far.

    Raises:
        ConfigurationError: the store is on a server and has another embedder, or is in Mem0; or the embedder is not
            known.
        EmbedderUnavailableError: the embedder cannot be built, or does not answer. What is done is kept.
        StoreBusyError: somebody else in this process does it already.
        StoreFullError: the disk has no room for the store beside itself. Nothing was changed.
        StoreError: the store failed; see the subclasses.
    """
    if not store.capabilities.vectors:
        raise ConfigurationError(f"{store.backend!r} embeds by itself: change its embedder in its own configuration")
    new = _built(embedder)
    done = run(store.steps.reembed(new, dry_run=dry_run, progress=progress))
    if dry_run or not done.changed or new is None:
        return done
    # What was saved while the vectors were exchanged.
    rest = run(store.steps.reembed(new))
    embedded, characters = done.embedded + rest.embedded, done.characters + rest.characters
    return done._replace(entries=rest.entries, embedded=embedded, without=rest.without, characters=characters)


def _built(embedder: Any) -> Embedder | None:
    if isinstance(embedder, str):
        embedder = None if embedder == "keywords" else spec_of_name(embedder)
    return None if embedder is None else Embedder.build(embedder)
