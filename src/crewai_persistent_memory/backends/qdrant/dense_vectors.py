"""Dense vectors from an embedder that may be unavailable. Entries saved without a vector are embedded later."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from ...embedding import VECTORS, Embedder, TokenVectors
from ...embedding.limits import MOST_PIECES
from ...embedding.spread import SENTENCES, spread_of
from ...errors import EmbedderError, EmbedderUnavailableError, PersistentMemoryError
from ...io.steps import Steps, Work, work
from ...scope import Scope
from .collection import Collection
from .engine_requests import Hit, KeepSpread, NewVector, Profile, SetVectors, Unembedded
from .passage_vectors import LONG, NO_VECTORS, TextVectors, joined, parts_of
from .schema import checked, not_expired, where_visible

PER_SAVE: Final = 32
"""Maximum number of entries without a vector that one save embeds besides its own."""

PER_PAGE: Final = 128
"""Entries per step of :func:`embed_all`."""

PER_SAVE_LENGTH: Final = 200_000
"""Maximum number of characters that one save embeds besides its own. The first entry may be longer."""

QUERY_PIECES: Final = 8
"""Maximum number of pieces of a long query that are embedded."""

logger = logging.getLogger("crewai_persistent_memory")


def vectors_to_save(profile: Profile, embedder: Embedder, texts: Sequence[str]) -> Steps[list[TextVectors]]:
    """The vectors of each text. They are empty if the embedder is unavailable or refuses the text. The embedder logs
    that, and the entry is saved anyway."""
    try:
        return (yield from text_vectors(profile, embedder, texts))
    except EmbedderError:
        return [NO_VECTORS for _ in texts]


def text_vectors(profile: Profile, embedder: Embedder, texts: Sequence[str]) -> Steps[list[TextVectors]]:
    """The vectors of each text.

    The vectors of a text come together: there are none yet if the embedder does not answer for its tokens. Only a text
    whose tokens the embedder refuses has the other vectors alone.

    Raises:
        EmbedderError: the embedder does not answer, or refuses the texts; see :meth:`Embedder.embed`.
    """
    parts = [[text] for text in texts]
    if profile.descriptor.passages:
        long = sum(map(len, texts)) > LONG
        parts = yield from work(lambda: [parts_of(text) for text in texts], long=long)
    vectors = yield from _embedded(embedder, [part for some in parts for part in some])
    made = joined(parts, _of_one_length(profile, embedder, vectors))
    if profile.descriptor.tokens is None:
        return made
    tokens = yield from token_vectors(profile, embedder, texts)
    return [each._replace(tokens=some) if each.dense else each for each, some in zip(made, tokens, strict=True)]


def token_vectors(
    profile: Profile, embedder: Embedder | None, texts: Sequence[str], *, queries: bool = False
) -> Steps[list[TokenVectors]]:
    """The token vectors of each text; none where the collection has no such vectors, or the embedder refuses the text.

    Args:
        profile: of the collection.
        embedder: of the collection; ``None`` if this caller does not use it.
        texts: any number.
        queries: the texts are questions.

    Raises:
        EmbedderUnavailableError: the embedder does not answer, or this caller does not use it.
    """
    if profile.descriptor.tokens is None:
        return [()] * len(texts)
    if embedder is None or embedder.tokens is None:
        raise EmbedderUnavailableError("the store has token vectors, and this caller has no embedder to make them")
    try:
        return (yield Work(partial(embedder.tokens.embed, texts, queries=queries)))  # type: ignore[no-any-return]
    except EmbedderUnavailableError:
        raise
    except EmbedderError:
        return [()] * len(texts)  # logged by the embedder


def vectors_to_search(profile: Profile, embedder: Embedder, texts: Sequence[str]) -> Steps[list[list[float]]]:
    """One vector per query. They are empty if the embedder is unavailable. The search then uses keywords only."""
    try:
        vectors = yield from _embedded(embedder, texts, QUERY_PIECES, queries=True)
    except EmbedderError:
        return [[] for _ in texts]
    return _of_one_length(profile, embedder, vectors)


def tokens_to_search(profile: Profile, embedder: Embedder, texts: Sequence[str]) -> Steps[list[TokenVectors]]:
    """The token vectors of each query. They are empty if the embedder is unavailable. The search then does without."""
    try:
        return (yield from token_vectors(profile, embedder, texts, queries=True))
    except EmbedderUnavailableError:
        return [()] * len(texts)


def measure_spread(collection: Collection, profile: Profile) -> Steps[None]:
    """Measure the spread of the embedder's cosines, and keep it with the store; if it has one, do nothing. The same for
    token vectors.

    It is done with the first vectors that are saved. So a store is opened without its embedder, and a search asks the
    store once.
    """
    embedder = profile.embedder
    if embedder is None or profile.descriptor.spread is not None:
        return
    tokens = None
    if embedder.spread is None:
        try:
            embedder.spread = spread_of((yield from _embedded(embedder, SENTENCES)))
        except EmbedderError:
            return  # logged by the embedder; the next save measures it
    if embedder.tokens is not None:
        try:
            tokens = yield Work(embedder.tokens.spread)
        except EmbedderUnavailableError:
            return
        except EmbedderError:
            tokens = None  # logged by the embedder, which refuses plain sentences; that of usual models is taken
    if embedder.spread is not None:
        yield from collection.ask(KeepSpread(embedder.spread, tokens))


def _embedded(
    embedder: Embedder, texts: Sequence[str], most_pieces: int = MOST_PIECES, *, queries: bool = False
) -> Steps[list[list[float]]]:
    embed = partial(embedder.embed, texts, most_pieces=most_pieces, queries=queries)
    return (yield Work(embed))  # type: ignore[no-any-return]


def _of_one_length(profile: Profile, embedder: Embedder, vectors: list[list[float]]) -> list[list[float]]:
    """Replace vectors of another length than the store's by empty ones, if the model behind an address was exchanged.
    The entry is then saved without a vector."""
    length = profile.descriptor.dimensions or next(map(len, filter(None, vectors)), 0)
    others = {len(vector) for vector in vectors if vector} - {length}
    if not others:
        return vectors
    VECTORS.clear()  # so that a mended embedder is asked again
    logger.error(
        "%r returned vectors of %s dimensions, the store holds %d: they are left out, and the texts are found by their "
        "words only. Use the model that the store was created with",
        embedder,
        " and ".join(map(str, sorted(others))),
        length,
    )
    return [vector if len(vector) == length else [] for vector in vectors]


def embed_some(collection: Collection, profile: Profile, embedder: Embedder, scope: Scope) -> Steps[None]:
    """Embed a few entries of the scope that have no vector. Called after a save in which the embedder answered.

    A failure is only logged, because the save itself has succeeded.
    """
    try:
        page = yield from _page(collection, scope, PER_SAVE + 1)
        few = _few(page[:PER_SAVE])
        embedded = yield from _embed(collection, profile, embedder, scope, few)
    except EmbedderUnavailableError:
        return  # logged by the embedder
    except PersistentMemoryError as error:
        logger.warning("entries without a vector were not embedded: %s", error)
        return
    if len(few) == len(page) and embedded + sum(str(hit.id) in collection.backlog.refused for hit in few) >= len(few):
        collection.backlog.is_empty(scope)


def embed_all(collection: Collection, profile: Profile, embedder: Embedder, scope: Scope) -> Steps[int]:
    """Embed every entry of the scope that has no vector. Returns the number of new vectors.

    Raises:
        EmbedderUnavailableError: the embedder does not answer. Vectors written before that stay.
        StoreError: the store failed.
    """
    collection.backlog.ask_again()
    total = 0
    while True:
        page = yield from _page(collection, scope, PER_PAGE)
        if not page:
            collection.backlog.is_empty(scope)
            return total
        embedded = yield from _embed(collection, profile, embedder, scope, page)
        total += embedded
        if not embedded:
            # The embedder refused all of them, or another process changed or deleted them. Skip them from now on.
            collection.backlog.refuse(str(hit.id) for hit in page)


def _page(collection: Collection, scope: Scope, limit: int) -> Steps[list[Hit]]:
    where = (*where_visible(scope, include_shared=False), not_expired())
    hits = yield from collection.ask(Unembedded(where, limit, collection.backlog.refused))
    return [hit for hit, _ in checked(hits, scope, include_shared=False)]


def _few(hits: Sequence[Hit]) -> Sequence[Hit]:
    """The first hits whose texts together are at most ``PER_SAVE_LENGTH`` characters; at least one hit."""
    length = 0
    for index, hit in enumerate(hits):
        length += len(hit.payload["content"])
        if index and length > PER_SAVE_LENGTH:
            return hits[:index]
    return hits


def _embed(
    collection: Collection, profile: Profile, embedder: Embedder, scope: Scope, hits: Sequence[Hit]
) -> Steps[int]:
    if not hits:
        return 0
    ids, contents = [str(hit.id) for hit in hits], [hit.payload["content"] for hit in hits]
    try:
        vectors = yield from text_vectors(profile, embedder, contents)
    except EmbedderUnavailableError:
        raise
    except EmbedderError:
        vectors = [NO_VECTORS for _ in contents]
    made = [
        NewVector(id, content, *each) for id, content, each in zip(ids, contents, vectors, strict=True) if each.dense
    ]
    collection.backlog.refuse(id for id, each in zip(ids, vectors, strict=True) if not each.dense)
    if not made:
        return 0
    return (yield from collection.ask(SetVectors(where_visible(scope, include_shared=False), made)))
