"""The check of every result of an engine against the visibility rule, after the engine's own."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ....expiry import now
from ....scope import Scope, visible
from ..engine_requests import Hit
from .layout import EXPIRES_AT_KEY
from .owners import owner_of
from .times import format_end

logger = logging.getLogger("crewai_persistent_memory")


def checked(hits: Iterable[Hit], reader: Scope, *, include_shared: bool) -> list[tuple[Hit, Scope]]:
    """Drop, loudly, what the engine returned against the rule, and what has expired. The second of the two checks of
    every result."""
    kept: list[tuple[Hit, Scope]] = []
    owner, allowed = reader, True
    moment: str | None = None
    for hit in hits:
        get = hit.payload.get  # as owner_in, without a call for each of many results
        found = owner_of(get("user_id"), hit.payload["project_id"], get("run_id"), get("agent_id"), get("org_id"))
        if found is not owner:  # most results of a call belong to one owner
            owner, allowed = found, visible(found, reader, include_shared=include_shared)
        if allowed:
            if (end := get(EXPIRES_AT_KEY)) is not None:
                moment = moment or format_end(now())
                if end <= moment:
                    continue  # without a word: an entry may expire while a request is under way
            kept.append((hit, owner))
        else:
            logger.error("dropped point %s: the engine returned it outside the scope of the call", hit.id)
    return kept
