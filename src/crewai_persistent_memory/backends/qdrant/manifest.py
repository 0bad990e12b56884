"""The manifest of a collection: its layout, its language, and the embedder that its vectors come from.

Which embedder a caller gets is decided in ``embedder_choice``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ...embedding import Fingerprint
from ...errors import SchemaVersionError, StoreCorruptedError
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
        token_spread: the same of its token vectors.
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
    token_spread: CosineSpread | None = None
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
            **spreads_to_json(self.spread, self.token_spread),
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
                token_spread=CosineSpread(*spread) if (spread := data.get("token_spread")) else None,
                **{name: value for name in MOVING if (value := data.get(name))},
            )
        except (KeyError, AttributeError, TypeError) as error:
            raise StoreCorruptedError(f"{where} is incomplete ({error!r}): restore it from a backup") from error

    @property
    def tokens(self) -> int | None:
        """Length of the token vectors; ``None`` if entries have none."""
        return None if self.fingerprint is None else self.fingerprint.tokens

    def has_embedder(self, fingerprint: Fingerprint | None) -> bool:
        """Whether this is the store's embedder, with or without token vectors as there. ``None``: keywords only."""
        if self.fingerprint is None or fingerprint is None:
            return self.fingerprint is None and fingerprint is None
        return self.fingerprint.same_vectors(fingerprint)

    def with_dimensions(self, dimensions: int) -> Descriptor:
        return replace(self, dimensions=dimensions)

    def with_spread(self, spread: CosineSpread, tokens: CosineSpread | None = None) -> Descriptor:
        return replace(self, spread=spread, token_spread=tokens)

    def with_layout(self, layout: int, *, embedded: bool = False) -> Descriptor:
        oldest = OLDEST_EMBEDDED_CODE if embedded else OLDEST_CODE
        return replace(self, layout=layout, oldest_code=oldest[layout], passages=self.passages or embedded)


def spreads_to_json(spread: CosineSpread | None, tokens: CosineSpread | None) -> dict[str, Any]:
    """The spreads as a descriptor has them in JSON."""
    found: dict[str, Any] = {"spread": None if spread is None else [spread.mean, spread.deviation]}
    return found if tokens is None else {**found, "token_spread": [tokens.mean, tokens.deviation]}


def _version(data: Mapping[str, Any], name: str, where: str) -> int:
    version = data.get(name)
    if not isinstance(version, int) or version < 1:
        raise StoreCorruptedError(f"{where} has no usable {name} ({version!r}): restore it from a backup")
    return version
