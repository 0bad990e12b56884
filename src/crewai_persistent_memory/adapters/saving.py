"""What both generations do with a store: keep what was said, and note what was read."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from typing import Any

from ..entry import EntryFields, MemoryEntry
from ..errors import PersistentMemoryError
from ..storable import storable_metadata, storable_text
from ..store.base import MemoryStore
from ..store.operations import AddedMessages, Message
from ..validation import utcnow
from .deduplication import entries_of

logger = logging.getLogger("crewai_persistent_memory")


def keep(
    store: MemoryStore, texts: Sequence[str], messages: Sequence[Message], about: EntryFields, *, infer: bool
) -> list[MemoryEntry]:
    """Keep what was said.

    Args:
        store: where.
        texts: kept as they are, one entry each.
        messages: with ``infer``, what a store is given that decides itself what to remember.
        about: every field of the entries.
        infer: whether it decides.

    Returns:
        What was remembered. Where the store is still at work on it: the texts, see :func:`accepted`.
    """
    about = storable_fields(about)
    if infer and store.capabilities.extracts:
        return _remembered(store.add_messages(_storable(messages), **about), texts, about)
    entries = entries_of(list(map(storable_text, texts)), about)
    store.put(entries)
    return entries


async def akeep(
    store: MemoryStore, texts: Sequence[str], messages: Sequence[Message], about: EntryFields, *, infer: bool
) -> list[MemoryEntry]:
    """:func:`keep`, awaited."""
    about = storable_fields(about)
    if infer and store.capabilities.extracts:
        return _remembered(await store.aadd_messages(_storable(messages), **about), texts, about)
    entries = entries_of(list(map(storable_text, texts)), about)
    await store.aput(entries)
    return entries


def _remembered(added: AddedMessages, texts: Sequence[str], about: EntryFields) -> list[MemoryEntry]:
    return [accepted(text, about) for text in texts] if added.pending else list(added.entries)


def accepted(text: str, about: EntryFields) -> MemoryEntry:
    """What a store has accepted and is still at work on.

    CrewAI's tool reads the fields of what ``remember`` returns, and takes ``None`` for a failure.

    Returns:
        The text and fields as they were given. Its id is of no entry of the store.
    """
    fields: Any = storable_fields(about)
    return MemoryEntry(id=str(uuid.uuid4()), content=storable_text(text), **fields)


def storable_fields(about: EntryFields) -> EntryFields:
    """The fields of what CrewAI hands over, with text in place of what a store cannot hold: what was said is not lost
    because of what is said about it."""
    storable = about.copy()
    storable["metadata"] = storable_metadata(about["metadata"])
    storable["path"] = storable_text(about["path"])
    storable["categories"] = tuple(map(storable_text, about["categories"]))
    source = about["source"]
    storable["source"] = None if source is None else storable_text(source)
    return storable


def _storable(messages: Sequence[Message]) -> list[Message]:
    return [{"role": message["role"], "content": storable_text(message["content"])} for message in messages]


def touch(store: MemoryStore, ids: Sequence[str]) -> None:
    """Note that entries were read."""
    try:
        store.touch(ids, soon=True)
    except PersistentMemoryError as error:
        _not_noted(error)


async def atouch(store: MemoryStore, ids: Sequence[str]) -> None:
    """:func:`touch`, awaited."""
    try:
        await store.atouch(ids, soon=True)
    except PersistentMemoryError as error:
        _not_noted(error)


def record_fields(entry: MemoryEntry) -> dict[str, Any]:
    """An entry by the names that CrewAI gives the parts of a memory."""
    return {
        "id": entry.id,
        "content": entry.content,
        "scope": entry.path,
        "categories": list(entry.categories),
        "metadata": dict(entry.metadata),
        "importance": entry.importance,
        "created_at": entry.created_at,
        "last_accessed": entry.last_accessed,
        "source": entry.source,
        "private": entry.private,
    }


def match_reasons(store: MemoryStore, entry: MemoryEntry) -> list[str]:
    """Why an entry was found, in CrewAI's words."""
    by_meaning = store.capabilities.extracts or store.embedder is not None
    by_words = not store.capabilities.extracts
    reasons = ["semantic"] * by_meaning + ["keywords"] * by_words
    if (utcnow() - entry.created_at).total_seconds() / 86_400 < store.weights.half_life_days:
        reasons.append("recency")
    if entry.importance > 0.5:
        reasons.append("importance")
    return reasons


def _not_noted(error: PersistentMemoryError) -> None:
    # What was found is worth more than the note that it was read.
    logger.warning("access times were not updated: %s", error)
