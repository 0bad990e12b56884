"""Which embedder a caller uses a collection with: that of its options, or that of the collection."""

from __future__ import annotations

import logging
from typing import Any, Final, NamedTuple

from ...embedding import Embedder
from ...errors import ConfigurationError, EmbedderMismatchError, EmbedderUnavailableError
from .manifest import EMBEDDER, EXTERNAL, KEYWORDS, Descriptor

logger = logging.getLogger("crewai_persistent_memory")


class _FromStore:
    """Says that no embedder was given: a store keeps what it was created with, and a new one goes by keywords."""

    def __repr__(self) -> str:
        return "FROM_STORE"

    def __deepcopy__(self, memo: dict[int, Any]) -> _FromStore:
        return self


FROM_STORE: Final = _FromStore()


class _ByWords:
    """This caller does not use the store's embedder: it reads, and searches by words, even if the store has one."""

    def __repr__(self) -> str:
        return "BY_WORDS"


BY_WORDS: Final = _ByWords()


class WithTokens(NamedTuple):
    """Asks for a store with token vectors (``reranker="maxsim"``).

    Attributes:
        embedder: what else :func:`settle` takes as an embedder.
    """

    embedder: Any


def without_tokens(embedder: Any) -> Any:
    """The same choice, which does not ask for token vectors. A store that has them gets them all the same."""
    return embedder.embedder if isinstance(embedder, WithTokens) else embedder


def settle(
    stored: Descriptor | None, embedder: Any, language: str | None, where: str
) -> tuple[Descriptor, Embedder | None]:
    """Reconcile the stored descriptor with the caller's options. Embedders are chosen only here.

    Args:
        stored: the collection's descriptor, ``None`` for a new collection.
        embedder: :data:`FROM_STORE`, ``None`` (keywords only), :data:`EXTERNAL`, :data:`BY_WORDS`, a CrewAI spec, its
            name (``"provider/model"``), or a callable; or one of these :class:`WithTokens`. A store that has token
            vectors gets them whether they are asked for or not.
        language: for keywords; ``None`` is the store's, English for a new one.
        where: the store's path or address, for messages.

    Raises:
        EmbedderMismatchError: the store was created with another embedder.
        EmbedderUnavailableError: it was created with one that cannot be built here.
        ConfigurationError: another language than the store's; or token vectors are asked for, and the store or the
            embedder has none.
    """
    with_tokens = isinstance(embedder, WithTokens)
    embedder = without_tokens(embedder)
    if stored is None:
        return _settle_new(
            FROM_STORE if embedder is BY_WORDS else embedder, language or "english", where, with_tokens=with_tokens
        )
    if language is not None and language != stored.language:
        raise ConfigurationError(
            f"language={language!r}, but the store at {where} was created with {stored.language!r}: "
            "leave language out, or use another path or collection"
        )
    if embedder is EXTERNAL or embedder is BY_WORDS:
        # CrewAI's engine brings its own vectors; their length is checked on every save.
        return stored, None
    if stored.vectors == EXTERNAL:
        if embedder is FROM_STORE and stored.dimensions is None:
            return stored, None
        raise EmbedderMismatchError(
            f"the store at {where} was created by QdrantStorageBackend with vectors from outside, "
            f"so its embedder is not known: open it with QdrantStorageBackend, or use another path or collection"
        )
    if with_tokens and stored.tokens is None:
        raise ConfigurationError(
            f"reranker: the store at {where} was created without token vectors, which 'maxsim' needs: leave reranker "
            "out (and CREWAI_MEMORY_RERANKER), give the store token vectors with crewai-memory reembed EMBEDDER "
            "--reranker maxsim or admin.reembed(store, embedder, reranker='maxsim'), or use another path or collection"
        )
    if embedder is FROM_STORE:
        return stored, _with_its_tokens(stored, _reopen(stored, where), where)
    if embedder is None or stored.fingerprint is None:
        if embedder is None and stored.fingerprint is None:
            return stored, None
        asked = "keywords only was asked for" if embedder is None else "an embedder was given"
        raise EmbedderMismatchError(_mismatch(where, stored, asked))
    built = Embedder.build(embedder)
    if not stored.fingerprint.same_embedder(built.fingerprint):
        given, there = built.fingerprint.describe(), stored.fingerprint.describe()
        asked = "another one, with other vectors, was given" if given == there else f"{given} was given"
        raise EmbedderMismatchError(_mismatch(where, stored, asked))
    return stored, _with_its_tokens(stored, built, where)


def _with_its_tokens(stored: Descriptor, embedder: Embedder | None, where: str) -> Embedder | None:
    """The embedder, with or without token vectors as the store has them."""
    if embedder is None:
        return None
    if stored.tokens is None:
        return embedder.without_tokens()
    try:
        found = embedder.with_tokens()
    except ConfigurationError as error:
        raise EmbedderMismatchError(
            f"the store at {where} was created with token vectors, and the embedder has no method embed_tokens: give "
            "the embedder that it was created with"
        ) from error
    if found.fingerprint.tokens != stored.tokens:
        raise EmbedderMismatchError(
            f"the store at {where} was created with token vectors of {stored.tokens} dimensions, and embed_tokens of "
            f"the embedder gives {found.fingerprint.tokens}: give the embedder that it was created with, or use "
            "another path or collection for the other one"
        )
    return found


def _settle_new(embedder: Any, language: str, where: str, *, with_tokens: bool) -> tuple[Descriptor, Embedder | None]:
    if with_tokens and (embedder is FROM_STORE or embedder is None):
        raise ConfigurationError(
            "reranker: 'maxsim' compares token vectors, and a new store without an embedder has none: give embedder= "
            "as well, such as 'local' or an object with a method embed_tokens, or leave reranker out"
        )
    if embedder is FROM_STORE:
        # By what is written, never by a key that happens to be in the environment: texts would go to its owner.
        embedder = None
        logger.info(
            "new memory store at %s: recall by keywords only, because no embedder= was given. This is kept with the "
            "store; to find other words for the same, create it with embedder='openai/text-embedding-3-small', say, "
            "or CREWAI_MEMORY_EMBEDDER",
            where,
        )
    if embedder is None:
        return Descriptor(vectors=KEYWORDS, language=language), None
    if embedder is EXTERNAL:
        return Descriptor(vectors=EXTERNAL, language=language), None
    built = Embedder.build(embedder)
    built = built.with_tokens() if with_tokens else built.without_tokens()
    descriptor = Descriptor(
        vectors=EMBEDDER, dimensions=built.dimensions, fingerprint=built.fingerprint, language=language
    )
    return descriptor, built


def _reopen(stored: Descriptor, where: str) -> Embedder | None:
    if stored.fingerprint is None:
        return None
    if stored.fingerprint.spec is None:
        raise EmbedderUnavailableError(
            f"the store at {where} was created with a custom embedding function: pass the same one as embedder="
        )
    try:
        return Embedder.build(stored.fingerprint.spec)
    except EmbedderUnavailableError as error:
        raise EmbedderUnavailableError(
            f"the store at {where} was created with {stored.fingerprint.describe()}, which is not usable here: {error}"
        ) from error


def _mismatch(where: str, stored: Descriptor, asked: str) -> str:
    created = "keywords only" if stored.fingerprint is None else stored.fingerprint.describe()
    return (
        f"the store at {where} was created with {created}, but {asked}: leave embedder out to go on with "
        "it (embedder= and CREWAI_MEMORY_EMBEDDER), or use another path or collection for the other embedder"
    )
