"""Operations on the store itself: its embedder, its files, its outbox, whether it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ...embedding import Embedder
from .operation import ScopedOperation, StoreOperation


@dataclass(frozen=True)
class DescribeEmbedder(StoreOperation[Embedder | None]):
    """The dense embedder; ``None`` for keywords only, and where the backend embeds by itself."""


@dataclass(frozen=True)
class EmbedMissing(ScopedOperation[int]):
    """Embed the scope's entries that have no vector; the answer is how many have got one."""

    writes = True


class Reembedded(NamedTuple):
    """What a change of the embedder has done, or would do.

    Attributes:
        entries: how many there are.
        embedded: how many were embedded now.
        there: how many had a vector of the new embedder already, from an earlier attempt.
        without: how many have none, because the embedder refuses them: they are found by their words.
        characters: that were embedded, or would be.
        changed: whether the store had another embedder before.
    """

    entries: int
    embedded: int = 0
    there: int = 0
    without: int = 0
    characters: int = 0
    changed: bool = False


@dataclass(frozen=True)
class Reembed(StoreOperation[Reembedded]):
    """Change the embedder of the whole store; if it has this one, embed the entries that have no vector.

    Attributes:
        embedder: the new one; ``None``: keywords only.
        tokens: whether it makes token vectors, too (``reranker="maxsim"``); ``None``: as the store has them now.
        dry_run: say what would be done.
        progress: is told how many entries were looked at so far.
        passages: with the embedder that the store has: if the passages of long texts have no vectors, they get them.
    """

    writes = True
    embedder: Embedder | None = field(repr=False)
    tokens: bool | None = None
    dry_run: bool = False
    progress: Callable[[int], None] = field(default=lambda count: None, repr=False)
    passages: bool = False


@dataclass(frozen=True)
class Compact(StoreOperation[bool]):
    """Remove the text of deleted entries from files; the answer is whether they were written anew."""

    writes = True


@dataclass(frozen=True)
class Taken:
    """What a backup has taken.

    Attributes:
        engine: ``"embedded"``: the folder of a store; ``"server"``: a snapshot of a collection.
        entries: how many there are in it.
        collection: its name on the server.
        sha256: of the snapshot.
    """

    engine: str
    entries: int
    collection: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class BackUp(StoreOperation[Taken]):
    """Copy the whole store, as it is at one moment, into a folder of this host, which is there and empty."""

    folder: Path


@dataclass(frozen=True)
class CountPending(ScopedOperation[int]):
    """How many accepted writes of the scope's user the store has not taken. For the capability ``outbox``."""


@dataclass(frozen=True)
class Flush(ScopedOperation[bool]):
    """Wait until the store has taken the accepted writes of the scope's user. For the capability ``outbox``.

    Attributes:
        seconds: how long to wait at most.
    """

    seconds: float


@dataclass(frozen=True)
class Health(StoreOperation[dict[str, Any]]):
    """Whether the engine answers, and what it is."""
