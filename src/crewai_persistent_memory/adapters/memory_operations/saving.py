"""How a memory saves and changes texts.

A text is saved in one of three ways:

- Without ``infer``, every store saves the text unchanged, before the call returns.
- With ``infer`` on Qdrant, CrewAI's LLM extracts, analyses and consolidates, in the background.
- With ``infer`` on a store that extracts memories (Mem0), the store receives the messages. CrewAI's LLM is not called,
  because the text would be interpreted twice. Since CrewAI 1.10, ``remember_many`` does this in the background.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from ...entry import MEMORY, EntryFields, MemoryEntry
from ...errors import PersistentMemoryError
from ...expiry import Ttl, own_expiry
from ...io.steps import Steps, run, work
from ...storable import storable_metadata, storable_text
from ...store.operations import Message
from ...validation import normalize_path, text_tuple, utcnow
from ..deduplication import accepted, entries_of, storable_fields
from ..events import logged, save_events
from ..record_conversion import RecordFields
from ..transcript import conversation, handed_over, memory_texts, messages_of, storable_messages, text_of
from .parts import MemoryParts

if TYPE_CHECKING:
    from crewai.memory.types import MemoryRecord

logger = logging.getLogger("crewai_persistent_memory")


def remember(
    memory: MemoryParts,
    content: str,
    scope: str | None = None,
    categories: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
    importance: float | None = None,
    source: str | None = None,
    private: bool = False,
    agent_role: str | None = None,
    root_scope: str | None = None,
    expires_at: datetime | None = None,
    ttl: Ttl | None = None,
) -> Steps[MemoryRecord | None]:
    """Remember a text. When this returns, the text is stored.

    Args:
        content: the text.
        scope: a path.
        categories: tags.
        metadata: a mapping that JSON can hold.
        importance: 0…1.
        source: the origin of the text.
        private: only recalls that name the same source find it.
        agent_role: for CrewAI's events.
        root_scope: a path that replaces the memory's own.
        expires_at: a time with a time zone; from then on nothing finds the text. ``NEVER``: it stays.
        ttl: the same as a ``timedelta``, or seconds from now. Without both, the options ``ttl`` and ``run_ttl`` decide.

    Returns:
        The memory; the first one if the store extracted several. If the store is still processing the text (Mem0),
        a placeholder with the given text and fields, under an id that no entry has. ``None`` if the memory is
        read-only, or if the store extracted nothing.

    Raises:
        InvalidEntryError, ScopeError, StoreError, EmbedderError: nothing was stored.
    """
    fields = RecordFields(
        scope, categories, metadata, importance, source, private, agent_role, root_scope, own_expiry(expires_at, ttl)
    )
    if memory.read_only:
        return None
    if memory.pipeline is not None and memory.pipeline.extracts:
        with logged("remember", memory.source):
            remember = partial(
                memory.pipeline.bound(fields.expires_at).remember, storable_text(content), **_given(memory, fields)
            )
            return (yield from work(remember))
    return next(iter((yield from _save(memory, [content], fields))), None)


def remember_many(
    memory: MemoryParts,
    contents: list[str],
    scope: str | None = None,
    categories: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
    importance: float | None = None,
    source: str | None = None,
    private: bool = False,
    agent_role: str | None = None,
    root_scope: str | None = None,
    expires_at: datetime | None = None,
    ttl: Ttl | None = None,
) -> Steps[list[MemoryRecord]]:
    """Remember several texts, see :func:`remember`.

    Without ``infer``, they are stored when this returns. With ``infer``, since CrewAI 1.10, they are analysed and
    saved in the background, and the list is empty. :func:`.finding.recall` waits for background saves.
    """
    fields = RecordFields(
        scope, categories, metadata, importance, source, private, agent_role, root_scope, own_expiry(expires_at, ttl)
    )
    if memory.read_only or not contents:
        return []
    if memory.pipeline is None or not (memory.pipeline.extracts or memory.infers):
        return (yield from _save(memory, contents, fields))
    if not memory.pipeline.extracts:
        memory.pipeline.submit(partial(_save_reported, replace(memory, store=memory.store.bound()), contents, fields))
        return []
    with logged("remember", memory.source):
        texts = list(map(storable_text, contents))
        return (
            yield from work(
                partial(memory.pipeline.bound(fields.expires_at).remember_many, texts, **_given(memory, fields))
            )
        )


def extract_memories(memory: MemoryParts, content: str) -> Steps[list[str]]:
    """The memories in a text.

    With ``infer`` the LLM extracts them. Without it, the result is the text without CrewAI's prompt around it. For
    a store that extracts memories itself, the result is the whole text.
    """
    if memory.pipeline is not None and memory.pipeline.extracts:
        return (yield from work(partial(memory.pipeline.extract_memories, storable_text(content))))
    return handed_over(content) if memory.infers else memory_texts(content)


def save(memory: MemoryParts, value: Any, metadata: Mapping[str, Any] | None = None) -> Steps[None]:
    """Save an answer, with the arguments of CrewAI's memories until 1.9.3. ``metadata`` is not changed.

    Args:
        value: the text; an agent's answer.
        metadata: a mapping that JSON can hold. Its ``messages``, the conversation before the answer, are saved
            with the value, without CrewAI's prompt; see :func:`.transcript.conversation`.

    Raises:
        InvalidEntryError, ScopeError, StoreError, EmbedderError: nothing was stored.
    """
    if memory.read_only:
        return
    with logged("save", memory.source):
        messages, rest = conversation(value, metadata or {})
        yield from _keep(
            memory, [text_of(messages)], messages, _about(memory, RecordFields(metadata=rest), memory.kind)
        )


def update(
    memory: MemoryParts,
    record_id: str,
    content: str | None = None,
    scope: str | None = None,
    categories: list[str] | None = None,
    metadata: dict[str, Any] | None = None,
    importance: float | None = None,
    expires_at: datetime | None = None,
    ttl: Ttl | None = None,
) -> Steps[MemoryRecord]:
    """Change fields of a memory. New content is embedded again, and was said now: it has the time of the change. A
    read-only memory changes nothing. ``expires_at`` or ``ttl`` gives it another end, ``expires_at=NEVER`` none.

    Returns:
        The memory after the change.

    Raises:
        ValueError: the scope (or the view) has no memory with this id.
        InvalidEntryError: a field cannot be stored.
    """
    entry = yield from memory.store.steps.get(record_id)
    if entry is None or not memory.paths.reaches(entry.path):
        raise ValueError(f"Record not found: {record_id}")
    if memory.read_only:
        return memory.results.record_of(entry)
    changes: dict[str, Any] = {
        "content": None if content is None else storable_text(content),
        "path": None if scope is None else normalize_path(storable_text(scope)),
        "categories": None if categories is None else text_tuple("categories", categories),
        "metadata": None if metadata is None else storable_metadata(metadata),
        "importance": importance,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    if changes.get("content", entry.content) != entry.content:
        changes["created_at"] = utcnow()
    end = own_expiry(expires_at, ttl)
    changed = replace(entry, **changes, expires_at=end, last_accessed=utcnow(), embedding=None, score=None)
    keep = ("expires_at",) if end is None else ()
    if not (yield from memory.store.steps.replace(changed, create=False, keep=keep)):
        logger.info("a record was deleted while it was about to be changed (%s): it stays deleted", record_id)
    return memory.results.record_of(changed)


def _save(memory: MemoryParts, contents: list[str], fields: RecordFields) -> Steps[list[MemoryRecord]]:
    messages = [message for content in contents for message in messages_of(content)]  # before the texts are changed
    # Before the values go into CrewAI's events: pydantic refuses unpaired surrogates, and keys that are not text.
    contents, about = list(map(storable_text, contents)), storable_fields(_about(memory, fields, MEMORY))
    value = contents[0] if len(contents) == 1 else f"{len(contents)} memories"
    metadata = fields.metadata and dict(about["metadata"])
    with save_events(memory.source, str(value), metadata, fields.agent_role):
        entries = yield from _keep(memory, contents, messages, about)
    return list(map(memory.results.record_of, entries))


def _save_reported(memory: MemoryParts, contents: list[str], fields: RecordFields) -> None:
    """:func:`_save`, in the background. It reports its failure, and CrewAI would report what is raised once more."""
    with suppress(PersistentMemoryError):
        run(_save(memory, contents, fields))


def _keep(
    memory: MemoryParts, texts: Sequence[str], messages: Sequence[Message], about: EntryFields
) -> Steps[list[MemoryEntry]]:
    """Store the texts, one entry each. A store that infers receives the messages instead.

    Returns:
        The stored entries. If the store is still processing the messages: placeholders, see :func:`accepted`.
    """
    about = storable_fields(about)
    texts = list(map(storable_text, texts))
    if memory.infers:
        added = yield from memory.store.steps.add_messages(storable_messages(messages), **about)
        return [accepted(text, about) for text in texts] if added.pending else list(added.entries)
    entries = entries_of(texts, about)
    yield from memory.store.steps.put(entries)
    return entries


def _about(memory: MemoryParts, fields: RecordFields, kind: str) -> EntryFields:
    importance = fields.importance
    return {
        "path": memory.paths.place(fields.scope, fields.root_scope),
        "categories": text_tuple("categories", fields.categories or ()),
        "metadata": fields.metadata or {},
        "importance": memory.default_importance if importance is None else importance,
        "source": fields.source,
        "private": fields.private,
        "kind": kind,
        "expires_at": fields.expires_at,
    }


def _given(memory: MemoryParts, fields: RecordFields) -> dict[str, Any]:
    """The fields for CrewAI's pipeline, which prefixes the path with the root itself."""
    return replace(fields, scope=memory.paths.inner_place(fields.scope)).given()
