"""Calls of a ``mem0.Memory`` for :class:`LibraryApi`, and the check of what they answer."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from ...scope import Scope, has_fields
from . import entity_collection, history
from .api import Extraction
from .codec import ID_KEY, Record, has_ended, record_of
from .compat import categories_in_words, instructed, library_add, library_read, results_of, rows_of, takes
from .ends import OwnersWithEnds
from .entities import library_owner, library_user_id

logger = logging.getLogger("crewai_persistent_memory")


def add(
    memory: Any, *, arguments: dict[str, Any], instructions: str | None, expires: date | None
) -> list[Mapping[str, Any]]:
    extractor, more = instructed(memory, instructions)
    if expires is not None and takes(extractor.add, "expiration_date"):
        more["expiration_date"] = expires.isoformat()
    return results_of(library_add(extractor, {**arguments, **more}))


def left_behind(memory: Any, *, owner: Scope, emptied: Sequence[Scope]) -> list[str]:
    """Ids of expired memories: no listing shows them, but an extraction would still read them."""
    rows = rows_of(memory.vector_store, library_user_id(owner))
    return [str(row.id) for row in rows if owner_of(row.payload, owner) in emptied]


def forget(memory: Any, *, ids: Sequence[str], owners: Sequence[Scope], emptied: Sequence[Scope]) -> None:
    history.forget(memory, ids, sorted({name for owner in owners for name in history.session_scopes(owner)}))
    users = {library_user_id(owner): owner for owner in owners}

    def is_emptied(user_id: str, payload: Mapping[str, Any]) -> bool:
        return owner_of(payload, users[user_id]) in emptied

    entity_collection.forget(memory, list(users), ids, is_emptied)


def delete(memory: Any, *, id: str) -> None:
    if memory.vector_store.get(vector_id=id) is not None:  # another process may have deleted it
        memory.delete(id)


def search(memory: Any, *, query: str, user_id: str, limit: int, min_score: float) -> list[Mapping[str, Any]]:
    more = {"threshold": min_score} if takes(memory.search, "threshold") else {}
    return results_of(memory.search(query, **library_read(memory.search, user_id, limit), **more))


def listing(memory: Any, *, user_id: str, limit: int, entry_id: str | None) -> list[Mapping[str, Any]]:
    extra = None if entry_id is None else {ID_KEY: entry_id}
    return results_of(memory.get_all(**library_read(memory.get_all, user_id, limit, extra)))


def owners_of(memory: Any, *, scope: Mapping[str, str | None]) -> dict[Scope, int]:
    """Mem0 OSS cannot list a user's owners: those of all rows and of all messages that it keeps."""
    counts: Counter[Scope] = Counter()
    for row in rows_of(memory.vector_store, None):
        counts[owner_of(row.payload, library_owner(str(row.payload["user_id"])))] += 1
    owners = {library_owner(user_id): 0 for user_id in history.users_of_messages(memory)}
    return {owner: count for owner, count in {**owners, **counts}.items() if has_fields(vars(owner), scope)}


def provider(memory: Any) -> str:
    """The name of the vector store, after a read from it."""
    memory.get_all(**library_read(memory.get_all, "health-check/of/nobody", 1))
    return str(memory.config.vector_store.provider)


def checked(
    found: Sequence[Mapping[str, Any]],
    searched: Scope,
    owners: Sequence[Scope],
    ends: OwnersWithEnds,
    *,
    with_expired: bool = False,
) -> list[Record]:
    """The memories that belong to one of the owners, and have not expired. This is the second of the two checks of
    every result. An end that has come is noted."""
    records = []
    for each in found:
        if each.get("user_id") != library_user_id(searched):
            logger.error("dropped memory %s: Mem0 returned it outside the scope of the call", each.get("id"))
            continue
        owner = owner_of(each, searched)
        if owner in owners:
            record = record_of(each, owner)
            if with_expired or not has_ended(record):
                records.append(record)
            else:
                ends.note(owner, record.entry.expires_at, record.expires)
    return records


def owner_of(found: Mapping[str, Any], searched: Scope) -> Scope:
    """The owner of a memory. One that was stored without this package may have a run or an agent of Mem0's own."""
    run, agent = found.get("run_id") or searched.run_id, found.get("agent_id") or searched.agent_id
    return Scope.trusted(searched.user_id, searched.project_id, run, agent, searched.org_id)


def instructions_of(infer: Extraction) -> str | None:
    parts = []
    if infer.includes:
        parts.append(f"Remember in particular: {infer.includes}.")
    if infer.excludes:
        parts.append(f"Never remember anything about: {infer.excludes}.")
    if infer.custom_categories:
        categories = categories_in_words(infer.custom_categories)
        parts.append(f"What is worth remembering belongs to one of these categories:\n{categories}")
    return "\n".join(parts) or None
