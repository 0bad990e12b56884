"""Dense vectors around an embedder that may be away: what is saved without one is embedded later."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

from ...embedding import Embedder
from ...errors import EmbedderError, EmbedderUnavailableError, PersistentMemoryError
from ...scope import Scope
from .requests import Embed, Hit, NewVector, Profile, SetVectors, Steps, Unembedded, ask
from .schema import checked, where_visible

PER_SAVE: Final = 32
"""Most entries that one save embeds besides its own."""

PER_PAGE: Final = 128
"""Entries that are embedded at once where all of a scope are."""

PER_SAVE_LENGTH: Final = 200_000
"""Most characters that one save embeds besides its own, but for the first entry."""

QUERY_PIECES: Final = 8
"""Most pieces of one long query that are embedded."""

LOOK_AGAIN: Final = 600.0
"""Seconds after which a scope is looked at again: another process may have saved there while its embedder was away."""

_MOST_KNOWN: Final = 10_000

logger = logging.getLogger("crewai_persistent_memory")


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


def vectors_to_save(profile: Profile, embedder: Embedder, texts: Sequence[str]) -> Steps[list[list[float]]]:
    """One vector per text; empty ones where the embedder is away or refuses, which it logs: the entry is kept."""
    try:
        vectors = yield from ask(Embed(embedder, texts))
    except EmbedderError:
        return [[] for _ in texts]
    return _of_one_length(profile, embedder, vectors)


def vectors_to_search(profile: Profile, texts: Sequence[str]) -> Steps[list[list[float]]]:
    """One vector per query; empty ones where there is no embedder, or where it is away: keywords find alone then."""
    if profile.embedder is None:
        return [[] for _ in texts]
    try:
        vectors = yield from ask(Embed(profile.embedder, texts, QUERY_PIECES))
    except EmbedderError:
        return [[] for _ in texts]
    return _of_one_length(profile, profile.embedder, vectors)


def _of_one_length(profile: Profile, embedder: Embedder, vectors: list[list[float]]) -> list[list[float]]:
    """Leave out vectors that the store cannot hold. The model behind an address was exchanged: what is said is kept."""
    length = profile.descriptor.dimensions or next(map(len, filter(None, vectors)), 0)
    others = {len(vector) for vector in vectors if vector} - {length}
    if not others:
        return vectors
    logger.error(
        "%r returned vectors of %s dimensions, the store holds %d: they are left out, and the texts are found by their "
        "words only. Use the model that the store was created with",
        embedder,
        " and ".join(map(str, sorted(others))),
        length,
    )
    return [vector if len(vector) == length else [] for vector in vectors]


def embed_some(profile: Profile, embedder: Embedder, scope: Scope, backlog: Backlog) -> Steps[None]:
    """Embed a few entries of the scope that have no vector, after a save: the embedder answers.

    A failure is logged: the save itself is done.
    """
    try:
        page = yield from _page(scope, backlog, PER_SAVE + 1)
        few = _few(page[:PER_SAVE])
        embedded = yield from _embed(profile, embedder, scope, backlog, few)
    except EmbedderUnavailableError:
        return  # logged by the embedder
    except PersistentMemoryError as error:
        logger.warning("entries without a vector were not embedded: %s", error)
        return
    if len(few) == len(page) and embedded + sum(str(hit.id) in backlog.refused for hit in few) >= len(few):
        backlog.is_empty(scope)


def embed_all(profile: Profile, embedder: Embedder, scope: Scope, backlog: Backlog) -> Steps[int]:
    """Embed every entry of the scope that has no vector. Returns how many have got one.

    Raises:
        EmbedderUnavailableError: the embedder does not answer; entries embedded before that keep their vectors.
        StoreError: the store failed.
    """
    backlog.ask_again()
    total = 0
    while True:
        page = yield from _page(scope, backlog, PER_PAGE)
        if not page:
            backlog.is_empty(scope)
            return total
        embedded = yield from _embed(profile, embedder, scope, backlog, page)
        total += embedded
        if not embedded:
            # All of them were refused, or changed or deleted by another process: leave those alone, look at the others.
            backlog.refuse(str(hit.id) for hit in page)


def _page(scope: Scope, backlog: Backlog, limit: int) -> Steps[list[Hit]]:
    where = where_visible(scope, include_shared=False)
    hits = yield from ask(Unembedded(where, limit, backlog.refused))
    return [hit for hit, _ in checked(hits, scope, include_shared=False)]


def _few(hits: Sequence[Hit]) -> Sequence[Hit]:
    """The first of them, as far as their texts together are not long."""
    length = 0
    for index, hit in enumerate(hits):
        length += len(hit.payload["content"])
        if index and length > PER_SAVE_LENGTH:
            return hits[:index]
    return hits


def _embed(profile: Profile, embedder: Embedder, scope: Scope, backlog: Backlog, hits: Sequence[Hit]) -> Steps[int]:
    if not hits:
        return 0
    ids, contents = [str(hit.id) for hit in hits], [hit.payload["content"] for hit in hits]
    try:
        vectors = yield from ask(Embed(embedder, contents))
    except EmbedderUnavailableError:
        raise
    except EmbedderError:
        vectors = [[] for _ in contents]
    vectors = _of_one_length(profile, embedder, vectors)
    made = [
        NewVector(id, content, vector) for id, content, vector in zip(ids, contents, vectors, strict=True) if vector
    ]
    backlog.refuse(id for id, vector in zip(ids, vectors, strict=True) if not vector)
    if not made:
        return 0
    return (yield from ask(SetVectors(where_visible(scope, include_shared=False), made)))
