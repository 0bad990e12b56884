"""The manifest of a collection: its layout, its language, and the embedder that its vectors come from."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ...embedding import Embedder, Fingerprint
from ...errors import (
    ConfigurationError,
    EmbedderMismatchError,
    EmbedderUnavailableError,
    SchemaVersionError,
    StoreCorruptedError,
)
from ...ranking import CosineSpread

FORMAT: Final = "crewai-persistent-memory"

OLDEST_CODE: Final[Mapping[int, int]] = {1: 1, 2: 1, 3: 1}
"""By layout: the oldest layout whose code may use a store that has it. Layouts 2 and 3 add keys, indexes and vectors
that older code passes over."""

OLDEST_EMBEDDED_CODE: Final[Mapping[int, int]] = {**OLDEST_CODE, 3: 3}
"""The same for an embedded store. Code of layout 2 fails to open the vectors of layout 3."""

LAYOUT: Final = max(OLDEST_CODE)
"""The layout that this code writes, see ``migrations``."""

MOVED: Final = LAYOUT + 1
"""The ``oldest_code`` of a collection on a server whose memories have moved to another one. Code of this layout or an
earlier one that knows no pointer refuses it. Code that knows the pointer reads ``moved_to`` first, and follows it."""

KEYWORDS: Final = "keywords"
"""Keywords only; the store holds no dense vectors."""
EMBEDDER: Final = "embedder"
"""The store embeds, with the embedder of the fingerprint."""
EXTERNAL: Final = "external"
"""Vectors are given by the caller (CrewAI's own engine); their first length is the store's."""

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


MOVING: Final = ("moving_to", "closing", "moved_to", "copy_of", "drained")
"""What a descriptor says of a move, see ``server/moving``."""


@dataclass(frozen=True)
class Descriptor:
    """The choices made when a collection was created, kept with it.

    Attributes:
        vectors: ``"keywords"``, ``"embedder"`` or ``"external"``.
        dimensions: length of the dense vectors; ``None`` until the first one arrives.
        fingerprint: the embedder, for ``"embedder"``.
        language: stop words and stemmer of the keyword vectors.
        shards: on a server, how many shards an entry may be in.
        by_project: on a server, whether shards are chosen by project.
        passages: whether the passages of long texts have vectors of their own.
        layout: the layout of its points and indexes, see ``migrations``.
        spread: the embedder's cosines, once they were measured.
        oldest_code: the oldest layout whose code may use it. Its name in the JSON is ``schema_version``, which is what
            the first version of this package looks at.
        moving_to: on a server, the collection to which the memories are being copied, for another embedder.
        closing: on a server, whether everything was copied to ``moving_to``, and this collection takes no more writes:
            ``moved_to`` is about to be set, by whoever finds that nobody has.
        moved_to: on a server, the collection that holds the memories now. This one is a pointer to it.
        copy_of: on a server, the collection from which the memories are being copied, or are still carried over.
        drained: on a server, whether everything was carried over to ``moved_to``.
    """

    vectors: str
    dimensions: int | None = None
    fingerprint: Fingerprint | None = None
    language: str = "english"
    shards: int = 1
    by_project: bool = False
    passages: bool = False
    layout: int = LAYOUT
    oldest_code: int = OLDEST_CODE[LAYOUT]
    spread: CosineSpread | None = None
    moving_to: str | None = None
    closing: bool = False
    moved_to: str | None = None
    copy_of: str | None = None
    drained: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "schema_version": self.oldest_code,
            "layout": self.layout,
            "vectors": self.vectors,
            "dimensions": self.dimensions,
            "fingerprint": None if self.fingerprint is None else self.fingerprint.to_json(),
            "language": self.language,
            "shards": self.shards,
            "by_project": self.by_project,
            "passages": self.passages,
            "spread": None if self.spread is None else [self.spread.mean, self.spread.deviation],
            **{name: value for name in MOVING if (value := getattr(self, name))},
        }

    @classmethod
    def from_json(cls, data: Any, where: str) -> Descriptor:
        """Read back what :meth:`to_json` wrote.

        Raises:
            SchemaVersionError: written by a newer version of this package.
            StoreCorruptedError: not a descriptor.
        """
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise StoreCorruptedError(f"{where} does not describe a {FORMAT} store: restore it from a backup")
        oldest_code = _version(data, "schema_version", where)
        if oldest_code > LAYOUT and not data.get("moved_to"):
            raise SchemaVersionError(
                f"{where} has schema version {oldest_code}, this package reads up to {LAYOUT}: "
                "upgrade crewai-persistent-memory"
            )
        # The first version of this package writes no layout, and drops the one that it finds.
        layout = _version(data, "layout", where) if "layout" in data else min(oldest_code, LAYOUT)
        try:
            fingerprint = data["fingerprint"]
            return cls(
                vectors=data["vectors"],
                dimensions=data["dimensions"],
                fingerprint=None if fingerprint is None else Fingerprint.from_json(fingerprint),
                language=data["language"],
                shards=data.get("shards", 1),
                by_project=data.get("by_project", False),
                passages=data.get("passages", False),
                layout=layout,
                oldest_code=oldest_code,
                spread=CosineSpread(*spread) if (spread := data.get("spread")) else None,
                **{name: value for name in MOVING if (value := data.get(name))},
            )
        except (KeyError, AttributeError, TypeError) as error:
            raise StoreCorruptedError(f"{where} is incomplete ({error!r}): restore it from a backup") from error

    def has_embedder(self, fingerprint: Fingerprint | None) -> bool:
        """Whether this is the store's embedder. ``None``: keywords only."""
        if self.fingerprint is None or fingerprint is None:
            return self.fingerprint is None and fingerprint is None
        return self.fingerprint.same_embedder(fingerprint)

    def with_dimensions(self, dimensions: int) -> Descriptor:
        return replace(self, dimensions=dimensions)

    def with_spread(self, spread: CosineSpread) -> Descriptor:
        return replace(self, spread=spread)

    def with_layout(self, layout: int, *, embedded: bool = False) -> Descriptor:
        oldest = OLDEST_EMBEDDED_CODE if embedded else OLDEST_CODE
        return replace(self, layout=layout, oldest_code=oldest[layout], passages=self.passages or embedded)


def _version(data: Mapping[str, Any], name: str, where: str) -> int:
    version = data.get(name)
    if not isinstance(version, int) or version < 1:
        raise StoreCorruptedError(f"{where} has no usable {name} ({version!r}): restore it from a backup")
    return version


def settle(
    stored: Descriptor | None, embedder: Any, language: str | None, where: str
) -> tuple[Descriptor, Embedder | None]:
    """Reconcile the stored descriptor with the caller's options. Embedders are chosen only here.

    Args:
        stored: the collection's descriptor, ``None`` for a new collection.
        embedder: :data:`FROM_STORE`, ``None`` (keywords only), :data:`EXTERNAL`, :data:`BY_WORDS`, a CrewAI spec, its
            name (``"provider/model"``), or a callable.
        language: for keywords; ``None`` is the store's, English for a new one.
        where: the store's path or address, for messages.

    Raises:
        EmbedderMismatchError: the store was created with another embedder.
        EmbedderUnavailableError: it was created with one that cannot be built here.
        ConfigurationError: another language than the store's.
    """
    if stored is None:
        return _settle_new(FROM_STORE if embedder is BY_WORDS else embedder, language or "english", where)
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
    if embedder is FROM_STORE:
        return stored, _reopen(stored, where)
    if embedder is None or stored.fingerprint is None:
        if embedder is None and stored.fingerprint is None:
            return stored, None
        asked = "keywords only was asked for" if embedder is None else "an embedder was given"
        raise EmbedderMismatchError(_mismatch(where, stored, asked))
    built = Embedder.build(embedder)
    if not stored.fingerprint.same_embedder(built.fingerprint):
        raise EmbedderMismatchError(_mismatch(where, stored, f"{built.fingerprint.describe()} was given"))
    return stored, built


def _settle_new(embedder: Any, language: str, where: str) -> tuple[Descriptor, Embedder | None]:
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
