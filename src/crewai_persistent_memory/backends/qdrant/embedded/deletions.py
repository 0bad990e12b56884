"""What was deleted from a shard since it was written anew: the engine counts it when it says how rare a word is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import qdrant_edge as edge

from ..schema import SCOPE_KEY

MOST_SCOPES: Final = 1_000
"""Scopes that are kept; more are as good as unknown."""


@dataclass
class Deletions:
    """Number and scopes of the entries that were deleted.

    Attributes:
        count: number of entries. It starts at 0 again in a store that was not closed.
        scopes: the keys of their scopes; ``None`` if they are not known.
    """

    count: int = 0
    scopes: set[str] | None = field(default_factory=set)

    def note(self, shard: Any, where: edge.Filter, count: int) -> None:
        """These entries are about to be deleted."""
        self.count += count
        if self.scopes is None:
            return
        asked = edge.FacetRequest(key=SCOPE_KEY, limit=MOST_SCOPES + 1, exact=True, filter=where)
        self.scopes.update(str(hit.value) for hit in shard.facet(asked).hits)
        if len(self.scopes) > MOST_SCOPES:
            self.scopes = None

    def are_all_of(self, scopes: Iterable[str]) -> bool:
        """Whether nobody else has deleted anything."""
        return self.scopes is not None and self.scopes <= set(scopes)

    def forget(self) -> None:
        """The shard was written anew."""
        self.count, self.scopes = 0, set()

    def to_json(self) -> dict[str, Any]:
        return {"deleted": self.count, "deleted_from": None if self.scopes is None else sorted(self.scopes)}

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Deletions:
        """Of a seal. One of an earlier version has no scopes."""
        scopes = data.get("deleted_from", None if data["deleted"] else [])
        return cls(data["deleted"], None if scopes is None else set(scopes))
