"""Changing the embedder of a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ..config.recall import MAXSIM
from ..embedding import Embedder, spec_of_name
from ..errors import ConfigurationError
from ..io.steps import run
from ..store.base import MemoryStore
from ..store.operations import Reembedded
from ..store.scoped_operations import ScopedOperations
from ..transfer.every_project import in_each_project


def reembed(
    store: MemoryStore,
    embedder: Any,
    *,
    reranker: Literal["maxsim", "none"] | None = None,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda count: None,
    passages: bool = False,
) -> Reembedded:
    """Change the embedder of a store, for all its users, while it is in use.

    In an embedded store the new vectors are collected beside the old ones, which answer meanwhile, also to other
    threads and handles of this process. Then the store is written anew beside itself, and exchanged; reads and writes
    wait for a moment. From then on every handle of this process uses the new embedder.

    On a server the memories are copied to a new collection, which takes the place of the old one. The old one is
    emptied, and stays as a pointer. Handles that are open in any process go on, and use the new collection a few
    seconds after the switch; so this takes 20 s at least.

    A handle that is opened with the old embedder is refused afterwards: leave ``embedder`` out, and a store opens with
    the one that it has. If the process is killed, call it again with the same embedder: it goes on, and embeds nothing
    twice. Called with the embedder that the store has, it gives up a change to another one, or completes what was cut
    short; and it embeds the entries that have no vector.

    Args:
        store: the store. Its own handle may be opened by words, without its embedder. With ``collection_per_project``
            all projects whose collections the key may list, if it is fixed to none.
        embedder: the new one, as for :func:`open_store`; ``None`` or ``"keywords"``: keywords only.
        reranker: ``"maxsim"``: the entries get token vectors, too, of an embedder with a method ``embed_tokens``;
            ``"none"``: they get none. Left out: as the store has it now.
        dry_run: say what would be done.
        progress: is told how many entries were looked at so far.
        passages: with the embedder that the store has: long texts of an earlier version, whose passages have no
            vectors, get them. Only long texts are embedded.

    Raises:
        ConfigurationError: the store is in Mem0; the embedder is not known, or gives no token vectors; ``reranker`` is
            something else; or ``passages`` comes with another embedder than the store's.
        EmbedderUnavailableError: the embedder cannot be built, or does not answer. What is done is kept.
        StoreBusyError: somebody else in this process does it already. On a server: another call has begun since, which
            goes on.
        StorePermissionError: the key may not create a collection on the server. Nothing was changed.
        StoreFullError: the disk has no room for the store beside itself. Nothing was changed.
        StoreError: the store failed; see the subclasses.
    """
    if not store.capabilities.vectors:
        raise ConfigurationError(f"{store.backend!r} embeds by itself: change its embedder in its own configuration")
    new, tokens = _built(embedder), _with_tokens(reranker)
    if new is None and tokens:
        raise ConfigurationError("reranker: 'maxsim' needs token vectors, and without an embedder there are none")
    parts = [_in_project(steps, new, tokens, dry_run, progress, passages) for steps in in_each_project(store, {})]
    entries, embedded, there, without, characters, changed = map(sum, zip(*parts, strict=True))
    # With shard_by_project the first part embeds for all shards, and the others find what it has done.
    there = max(0, min(there, entries - embedded - without))
    return Reembedded(entries, embedded, there, without, characters, bool(changed))


def _in_project(
    steps: ScopedOperations,
    new: Embedder | None,
    tokens: bool | None,
    dry_run: bool,
    progress: Callable[[int], None],
    passages: bool,
) -> Reembedded:
    done = run(steps.reembed(new, tokens=tokens, dry_run=dry_run, progress=progress, passages=passages))
    if dry_run or not done.changed or new is None:
        return done
    # What was saved while the vectors were exchanged.
    rest = run(steps.reembed(new, tokens=tokens))
    embedded, characters = done.embedded + rest.embedded, done.characters + rest.characters
    return done._replace(entries=rest.entries, embedded=embedded, without=rest.without, characters=characters)


def _with_tokens(reranker: object) -> bool | None:
    if reranker not in (MAXSIM, "none", None):
        raise ConfigurationError(f"reranker is {reranker!r}: give 'maxsim' or 'none', or leave it out")
    return None if reranker is None else reranker == MAXSIM


def _built(embedder: Any) -> Embedder | None:
    if isinstance(embedder, str):
        embedder = None if embedder == "keywords" else spec_of_name(embedder)
    return None if embedder is None else Embedder.build(embedder)
