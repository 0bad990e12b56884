"""What CrewAI gives a memory to keep, as messages and as entries: without prompt wrapping, and once each.

The same task and answer become the same text, and so the same entry, on both generations of CrewAI.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from pydantic import BaseModel

from ..checking import canonical_json, check_metadata, check_text, utcnow
from ..entry import MEMORY, MemoryEntry
from ..stores.text_native import Message
from ..stores.types import EntryFields

# What CrewAI (1.10.1 to 1.15.30) hands to extract_memories after a task, and after Agent.kickoff().
_DUMP: Final = re.compile(
    r"\A(?:Task|Input): (?P<request>.*?)\nAgent: [^\n]*\n(?:Expected result: .*?\n)?Result: (?P<result>.*)\Z", re.DOTALL
)
# Where the agent's own marker is: after its thought, or where a line begins. Somebody may talk about final answers.
_FINAL_ANSWER: Final = re.compile(r"\A(?:Thought:.*|(?:.*\n)?[ \t]*)\bFinal Answer:\s*", re.DOTALL)
# The task in the prompt that an agent is given (CrewAI 0.203 to 1.9.3), without what CrewAI says around it.
_CURRENT_TASK: Final = re.compile(
    r"^Current Task: (?P<request>.*?)"
    r"(?=\n+This is the expected criteria for your final answer:|\n+This is the context you're working with:"
    r"|\n+# Useful context:|\n+Begin! This is VERY important|\n+Provide your complete response:|\Z)",
    re.DOTALL | re.MULTILINE,
)
# What the task of a crew that is chatted with says before the user's own words.
_USER_MESSAGE: Final = re.compile(r"\A.*^User message:\s*", re.DOTALL | re.MULTILINE)
# What a person said of an answer (``human_input=True``), in what CrewAI says around it.
_FEEDBACK: Final = re.compile(r"\AUser feedback: (?P<feedback>.*?)\nInstructions: Use this feedback ", re.DOTALL)
_ASKED: Final = "Current Task:"
# What stands in place of all messages once they were too long for the model.
_SUMMARY: Final = "This is a summary of our conversation so far:"
_SAID_TOGETHER: Final = ("user", "assistant")

_NAMESPACE: Final = uuid.UUID("0d6f2f0e-4f41-5a53-8a7e-1f0a4f9f7c11")


def memory_texts(content: str) -> list[str]:
    """The memory in what was said, kept as it is: the request and the answer, one text."""
    dump = _DUMP.match(content)
    if dump is None:
        return [content] if content.strip() else []
    return [text_of(_turns(dump["request"], dump["result"]))]


def messages_of(content: str) -> list[Message]:
    """What was said, as a conversation: the request is the user's, the answer the assistant's."""
    dump = _DUMP.match(content)
    if dump is None:
        return [{"role": "user", "content": content}]
    return _turns(dump["request"], dump["result"])


def conversation(value: Any, metadata: Mapping[str, Any]) -> tuple[list[Message], dict[str, Any]]:
    """What CrewAI until 1.9.3 saves, as a conversation, and the metadata that says something else.

    - ``messages`` that ask for the ``description``, from an agent that has ended a task: the task is the user's
      message, with what a person then said of the answer, and the value the assistant's; what lies between, tools and
      their results, is not remembered.
    - other ``messages``: what user and assistant said in them, and the value as the assistant's if it said nothing.
    - ``observation`` alone, from short-term memory: as the first.
    - else the value is what the user said.
    """
    rest = dict(metadata)
    messages = rest.pop("messages", None) or []
    request = rest.get("description") if messages else rest.get("observation") if len(rest) == 1 else None
    if isinstance(request, str) and request.strip() and _is_asked_in(messages, request):
        rest.pop("description" if messages else "observation")
        return _turns(request, _plain(value), [_feedback(message) for message in messages]), rest
    said = [turn for message in messages if (turn := _turn(message))["content"]]
    if not said:
        return [{"role": "user", "content": _answer(_plain(value))}], rest
    if isinstance(request, str) and any(turn["content"] == request.strip() for turn in said):
        rest.pop("description", None)
    answer = _answer(_plain(value))
    if answer and not any(turn["role"] == "assistant" or turn["content"] == answer for turn in said):
        said.append({"role": "assistant", "content": answer})
    return said, rest


def text_of(messages: Sequence[Message]) -> str:
    """A conversation as one text to be kept as it is."""
    if tuple(message["role"] for message in messages) == _SAID_TOGETHER:
        return f"{messages[0]['content']}\nResult: {messages[1]['content']}"
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n".join(f"{message['role'].capitalize()}: {message['content']}" for message in messages)


def _turns(request: str, result: str, feedback: Sequence[str] = ()) -> list[Message]:
    said: list[Message] = [
        {"role": "user", "content": request.strip()},
        *(Message(role="user", content=text) for text in feedback),
        {"role": "assistant", "content": _answer(result)},
    ]
    return [message for message in said if message["content"]]


def _is_asked_in(messages: Sequence[Mapping[str, Any]], request: str) -> bool:
    """Whether an agent was given the request in these messages. Other conversations may be described too, in words that
    stand in them as well, and then nothing of them may be lost."""
    asked = [_content(message) for message in messages if message.get("role") == "user"]
    tasks = [text.partition(_ASKED)[2].lstrip() for text in asked if _ASKED in text]
    return not asked or any(task.startswith(request.strip()) for task in tasks) or asked[0].startswith(_SUMMARY)


def _feedback(message: Mapping[str, Any]) -> str:
    found = _FEEDBACK.search(_content(message)) if message.get("role") == "user" else None
    return found["feedback"].strip() if found else ""


def _turn(message: Mapping[str, Any]) -> Message:
    """A message that has a place in a memory; others, a tool's for one, come back empty."""
    role, content = message.get("role"), _content(message)
    if role == "user":
        task = _CURRENT_TASK.search(content)
        request = task["request"] if task else _feedback(message) or _USER_MESSAGE.sub("", content)
        return {"role": "user", "content": request.strip()}
    return {"role": "assistant", "content": _answer(content) if role == "assistant" else ""}


def _content(message: Mapping[str, Any]) -> str:
    """A message's text; of parts of several media, what is text in them."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in content if isinstance(part, Mapping) and part.get("text"))


def _answer(text: str) -> str:
    """An agent's answer without its thoughts, and without the end of a fence that began among them."""
    answer = _FINAL_ANSWER.sub("", text).strip()
    return answer[:-3].rstrip() if answer.endswith("```") and answer.count("```") % 2 else answer


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return value.model_dump_json() if isinstance(value, BaseModel) else str(value)


def entries_of(contents: Sequence[str], about: EntryFields) -> list[MemoryEntry]:
    """One entry per text. The same text said the same way again is the same entry with a newer date, so that a
    task that runs every hour, or is retried, fills no memory with copies.

    Raises:
        InvalidEntryError: a content or the metadata cannot be stored.
    """
    check_metadata(about["metadata"])
    kind = about.get("kind", MEMORY)
    now = utcnow()
    entries = {}
    for content in contents:
        check_text("content", content, allow_blank=False)
        said: list[Any] = [
            about["path"],
            about["categories"],
            about["metadata"],
            about["source"],
            about["private"],
            content,
        ]
        if kind != MEMORY:
            said.append(kind)
        digest = hashlib.blake2b(canonical_json(said).encode(), digest_size=16).hexdigest()
        entry_id = str(uuid.uuid5(_NAMESPACE, digest))
        entries[entry_id] = MemoryEntry(entry_id, content, created_at=now, last_accessed=now, **cast(Any, about))
    return list(entries.values())
