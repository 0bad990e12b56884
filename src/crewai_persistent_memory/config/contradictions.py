"""Which options mean nothing to a store, and are refused where they are given."""

from __future__ import annotations

from collections.abc import Set
from typing import Final, Literal

from ..errors import ConfigurationError
from .corrections import CorrectionOptions
from .mem0 import ExtractionOptions
from .outbox import OutboxOptions
from .qdrant import ServerOptions

RANKING_OPTIONS: Final = ("semantic_weight", "recency_weight", "importance_weight", "recency_half_life_days")
"""Options that say how results are ranked."""

_OF_QDRANT: Final = ("embedder", "language", *RANKING_OPTIONS, *CorrectionOptions.model_fields)
"""Options that mean nothing to Mem0, which embeds and ranks by itself, and keeps nothing of what we delete."""


def refuse_options_of_other_stores(
    given: Set[str],
    store: Literal["mem0", "embedded", "server"],
    *,
    has_outbox: bool,
    without_outbox_by: str | None,
) -> None:
    """Refuse options that mean nothing to this store.

    Args:
        given: the options that are given.
        store: where memories are kept.
        has_outbox: whether writes go through an outbox.
        without_outbox_by: the option, or the variable, that decides whether they do; ``None`` if none is given.

    Raises:
        ConfigurationError: one of the options means nothing to the store.
    """
    if not has_outbox and (unused := given & {*OutboxOptions.model_fields} - {"durability"}):
        why = "" if without_outbox_by is None else f', and {without_outbox_by} is "store"'
        raise ConfigurationError(
            f'{", ".join(sorted(unused))} is of an outbox{why}: give durability="outbox" as well, or leave it out'
        )
    if store == "mem0":
        foreign = given & {*ServerOptions.model_fields, *_OF_QDRANT}
        if not has_outbox:
            foreign |= given & {"fsync"}
        if foreign:
            raise ConfigurationError(
                f"{', '.join(sorted(foreign))} is of a Qdrant store, and Mem0 was asked for: leave it out (Mem0 "
                "embeds and ranks by itself; its own options go into mem0={...})"
            )
        return
    foreign = given & set(ExtractionOptions.model_fields)
    if foreign:
        raise ConfigurationError(
            f"{', '.join(sorted(foreign))} is for Mem0's extraction, and this store is Qdrant: give mem0=, or "
            "leave it out"
        )
    if store == "embedded":
        foreign = given & set(ServerOptions.model_fields)
        if foreign:
            raise ConfigurationError(
                f"{', '.join(sorted(foreign))} is of a Qdrant server, and this store is embedded: give url= "
                "(or host=, or QDRANT_URL), or leave it out"
            )
    elif "fsync" in given and not has_outbox:
        raise ConfigurationError(
            "fsync is of an embedded store (path=) or an outbox: leave it out, a server decides itself"
        )
