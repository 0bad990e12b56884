"""Texts as entries: the same text with the same fields is the same entry, on both generations of CrewAI.

CrewAI passes texts, fields and messages that a store may be unable to hold. This module makes them storable.
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
    """One entry per text. The same text with the same fields has the same id and a newer date.

    A task that runs every hour, or is retried, therefore makes no copies.

    Raises:
        InvalidEntryError: a content or the metadata cannot be stored.
    """
    check_metadata(about["metadata"])
    now = utcnow()
    entries = {}
    # A blank text among others is dropped, so that it does not make the whole batch fail.
    said = [content for content in contents if not isinstance(content, str) or content.strip()] or contents
    for content in said:
        check_text("content", content, allow_blank=False)
        entry_id = _id(content, about)
        entries[entry_id] = MemoryEntry(entry_id, content, created_at=now, last_accessed=now, **cast(Any, about))
    return list(entries.values())


def _id(content: str, about: EntryFields) -> str:
    """The hash of the canonical JSON of ``[path, categories, metadata, source, private, content]``. A kind other than
    the default is hashed too."""
    fields = [about["path"], about["categories"], about["metadata"], about["source"], about["private"]]
    kind = about.get("kind", MEMORY)
    digest = hashlib.blake2b(canonical_json(fields)[:-1].encode(), digest_size=16)
    digest.update(b',"')
    for start in range(0, len(content), _PIECE):
        digest.update(json.dumps(content[start : start + _PIECE])[1:-1].encode())
    digest.update(b'"]' if kind == MEMORY else f'",{canonical_json(kind)}]'.encode())
    return str(uuid.uuid5(_NAMESPACE, digest.hexdigest()))


def accepted(text: str, about: EntryFields) -> MemoryEntry:
    """A placeholder entry for a text that the store has accepted and is still processing.

    CrewAI's tool reads the fields of the result of ``remember``, and treats ``None`` as a failure.

    Returns:
        An entry with the given text and fields. No entry in the store has its id.
    """
    fields: Any = storable_fields(about)
    return MemoryEntry(id=str(uuid.uuid4()), content=storable_text(text), **fields)


def storable_fields(about: EntryFields) -> EntryFields:
    """The fields that CrewAI passes, with text in place of values that a store cannot hold. A text is thus not lost
    because of its fields."""
    storable = about.copy()
    storable["metadata"] = storable_metadata(about["metadata"])
    storable["path"] = storable_text(about["path"])
    storable["categories"] = tuple(map(storable_text, about["categories"]))
    source = about["source"]
    storable["source"] = None if source is None else storable_text(source)
    return storable
