"""Texts as entries: the same text with the same fields is the same entry, on both generations of CrewAI.

CrewAI hands over texts, fields and messages that a store may be unable to hold; they are made storable here.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from typing import Any, Final, cast

from ..entry import MEMORY, EntryFields, MemoryEntry
from ..storable import storable_metadata, storable_text
from ..validation import canonical_json, check_metadata, check_text, utcnow

_NAMESPACE: Final = uuid.UUID("0d6f2f0e-4f41-5a53-8a7e-1f0a4f9f7c11")
_PIECE: Final = 100_000
"""Characters per step of hashing. A step holds the interpreter lock for less than 2 ms."""


def entries_of(contents: Sequence[str], about: EntryFields) -> list[MemoryEntry]:
    """One entry per text. A text that is said again with the same fields is the same entry with a newer date, so a task
    that runs every hour, or is retried, makes no copies.

    Raises:
        InvalidEntryError: a content or the metadata cannot be stored.
    """
    check_metadata(about["metadata"])
    now = utcnow()
    entries = {}
    # A blank text beside others says nothing, and must not take the others with it.
    said = [content for content in contents if not isinstance(content, str) or content.strip()] or contents
    for content in said:
        check_text("content", content, allow_blank=False)
        entry_id = _id(content, about)
        entries[entry_id] = MemoryEntry(entry_id, content, created_at=now, last_accessed=now, **cast(Any, about))
    return list(entries.values())


def _id(content: str, about: EntryFields) -> str:
    """The hash of the canonical JSON of ``[path, categories, metadata, source, private, content]``, and of the kind if
    it is not the usual one."""
    fields = [about["path"], about["categories"], about["metadata"], about["source"], about["private"]]
    kind = about.get("kind", MEMORY)
    digest = hashlib.blake2b(canonical_json(fields)[:-1].encode(), digest_size=16)
    digest.update(b',"')
    for start in range(0, len(content), _PIECE):
        digest.update(json.dumps(content[start : start + _PIECE])[1:-1].encode())
    digest.update(b'"]' if kind == MEMORY else f'",{canonical_json(kind)}]'.encode())
    return str(uuid.uuid5(_NAMESPACE, digest.hexdigest()))


def accepted(text: str, about: EntryFields) -> MemoryEntry:
    """The entry that stands for a text which a store has accepted and is still at work on.

    CrewAI's tool reads the fields of what ``remember`` returns, and takes ``None`` for a failure.

    Returns:
        The text and fields as they were given. Its id is of no entry of the store.
    """
    fields: Any = storable_fields(about)
    return MemoryEntry(id=str(uuid.uuid4()), content=storable_text(text), **fields)


def storable_fields(about: EntryFields) -> EntryFields:
    """The fields of what CrewAI hands over, with text in place of what a store cannot hold, so that a text is not lost
    because of its fields."""
    storable = about.copy()
    storable["metadata"] = storable_metadata(about["metadata"])
    storable["path"] = storable_text(about["path"])
    storable["categories"] = tuple(map(storable_text, about["categories"]))
    source = about["source"]
    storable["source"] = None if source is None else storable_text(source)
    return storable
