"""What CrewAI gives a memory to keep, as entries: without prompt wrapping, and once each."""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import Any, Final

from ..checking import canonical_json, check_metadata, check_text, utcnow
from ..entry import MemoryEntry
from ..stores.text_native import Message

# What CrewAI (1.10.1 to 1.15.30) hands to extract_memories after a task, and after Agent.kickoff().
_DUMP: Final = re.compile(
    r"\A(?:Task|Input): (?P<request>.*?)\nAgent: [^\n]*\n(?:Expected result: .*?\n)?Result: (?P<result>.*)\Z", re.DOTALL
)
_FINAL_ANSWER: Final = re.compile(r"\A.*\bFinal Answer:\s*", re.DOTALL)

_NAMESPACE: Final = uuid.UUID("0d6f2f0e-4f41-5a53-8a7e-1f0a4f9f7c11")


def memory_texts(content: str) -> list[str]:
    """The memory in what was said, kept as it is: the request and the answer, one text."""
    dump = _DUMP.match(content)
    if dump is None:
        return [content] if content.strip() else []
    return [f"{dump['request'].strip()}\nResult: {_FINAL_ANSWER.sub('', dump['result']).strip()}"]


def messages_of(content: str) -> list[Message]:
    """What was said, as a conversation: the request is the user's, the answer the assistant's."""
    dump = _DUMP.match(content)
    if dump is None:
        return [{"role": "user", "content": content}]
    request, result = dump["request"].strip(), _FINAL_ANSWER.sub("", dump["result"]).strip()
    said: list[Message] = [{"role": "user", "content": request}, {"role": "assistant", "content": result}]
    return [message for message in said if message["content"]]


def entries_of(contents: list[str], about: dict[str, Any]) -> list[MemoryEntry]:
    """One entry per text. The same text said the same way again is the same entry with a newer date, so that a
    task that runs every hour, or is retried, fills no memory with copies.

    Raises:
        InvalidEntryError: a content or the metadata cannot be stored.
    """
    check_metadata(about["metadata"])
    now = utcnow()
    entries = {}
    for content in contents:
        check_text("content", content, allow_blank=False)
        said = [about["path"], about["categories"], about["metadata"], about["source"], about["private"], content]
        digest = hashlib.blake2b(canonical_json(said).encode(), digest_size=16).hexdigest()
        entry_id = str(uuid.uuid5(_NAMESPACE, digest))
        entries[entry_id] = MemoryEntry(entry_id, content, created_at=now, last_accessed=now, **about)
    return list(entries.values())
