"""The texts that CrewAI hands to a memory, as messages: the request is the user's, the answer is the assistant's.

CrewAI writes a finished task into one text, or into metadata with varying keys. The request and the answer may contain
the separators that CrewAI puts between them, so the text alone does not show where the answer begins. While CrewAI
saves a task, ``finished_task`` holds the task's own fields, and they decide. A text from another caller is split only
if exactly one reading is possible. Otherwise the whole text is one message of the user.

All functions take linear time, and no step holds the interpreter lock for long. A request may be 1 MB of any text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from ..storable import storable_text
from ..store.operations import Message
from ..text.finished_task import answer_in, request_and_answer, request_and_answer_in
from .finished_task import FinishedTask, finished_task

# The task in the prompt of an agent (CrewAI 0.203 to 1.9.3), and CrewAI's words after it.
_CURRENT_TASK: Final = "Current Task:"
_AFTER_THE_TASK: Final = (
    "\nThis is the expected criteria for your final answer:",
    "\nThis is the context you're working with:",
    "\n# Useful context:",
    "\nBegin! This is VERY important",
    "\nProvide your complete response:",
)
_USER_MESSAGE: Final = "User message:"
# A person's comment on an answer (``human_input=True``), in CrewAI's words (0.203 to 1.15).
_FEEDBACK: Final = "User feedback: "
_AFTER_THE_FEEDBACK: Final = (
    "\nInstructions: Use this feedback to enhance the next output iteration.\nNote: Do not respond or add commentary."
)
# CrewAI replaces all messages with this one when they exceed the model's context.
_SUMMARY: Final = "This is a summary of our conversation so far:"
_REQUEST_AND_ANSWER: Final = ("user", "assistant")


class HandedOver(str):
    """A text from CrewAI, with its messages, for a store that extracts memories from messages."""

    messages: list[Message]


def memory_texts(content: str) -> list[str]:
    """The memory in a text from CrewAI: the request and the answer, as one text."""
    messages = _turns_in(content)
    if messages is None:
        messages = [Message(role="user", content=content)] if content.strip() else []
    return [text_of(messages)] if messages else []


def handed_over(content: str) -> list[str]:
    """The whole text from CrewAI, for a store that extracts memories itself. :func:`messages_of` splits it into
    messages with roles."""
    messages = _turns_in(content)
    if messages is None:
        return [content] if content.strip() else []
    text = HandedOver(content)
    text.messages = messages
    return [text] if messages else []


def messages_of(content: str) -> list[Message]:
    """The messages in a text from :func:`handed_over`. Any other text is one message of the user, even if it looks like
    a request and an answer."""
    if isinstance(content, HandedOver):
        return content.messages
    return [{"role": "user", "content": content}]


def conversation(value: Any, metadata: Mapping[str, Any]) -> tuple[list[Message], dict[str, Any]]:
    """The arguments of a save in CrewAI until 1.9.3, as a conversation and the rest of the metadata.

    - If an agent has finished a task, the task and a person's comments on the answer are the user's messages, and the
      value is the assistant's message. Messages between them, such as tool results, are not remembered. Such a call
      has ``finished_task``, or ``messages`` that pass ``description`` to an agent, or only ``observation``.
    - Other ``messages`` are reduced to those of user and assistant. The value is added as the assistant's message, if
      there is none.
    - Otherwise the value is the user's message.
    """
    rest = dict(metadata)
    messages = rest.pop("messages", None) or []
    text = _plain(value)
    request = rest.get("description") if messages else rest.get("observation") if len(rest) == 1 else None
    task = finished_task.get()
    if task is not None and request is not None and text == task.output:
        rest.pop("description" if messages else "observation")
        return _conversation(task), rest
    if isinstance(request, str) and request.strip() and _is_asked_in(messages, request):
        rest.pop("description" if messages else "observation")
        return _turns(request, feedback_in(messages), answer_in(text)), rest
    said = [turn for message in messages if (turn := _turn(message))["content"]]
    answer = answer_in(text)
    if not said:
        return [{"role": "user", "content": answer}], rest
    if isinstance(request, str) and any(turn["content"] == request.strip() for turn in said):
        rest.pop("description", None)
    if answer and not any(turn["role"] == "assistant" or turn["content"] == answer for turn in said):
        said.append({"role": "assistant", "content": answer})
    return said, rest


def storable_messages(messages: Sequence[Message]) -> list[Message]:
    """The messages, with text in place of values that a store cannot hold."""
    return [{"role": message["role"], "content": storable_text(message["content"])} for message in messages]


def text_of(messages: Sequence[Message]) -> str:
    """A conversation as one text, for a store of texts."""
    if tuple(message["role"] for message in messages) == _REQUEST_AND_ANSWER:
        return request_and_answer(messages[0]["content"], messages[1]["content"])
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n".join(f"{message['role'].capitalize()}: {message['content']}" for message in messages)


def turns_of(messages: Sequence[Mapping[str, Any]]) -> list[Message]:
    """The messages of user and assistant among those that a caller passed to an agent, unchanged."""
    turns: list[Message] = []
    for message in messages:
        role, content = message.get("role"), _content(message).strip()
        if content and role == "user":
            turns.append({"role": "user", "content": content})
        elif content and role == "assistant":
            turns.append({"role": "assistant", "content": content})
    return turns


def feedback_in(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """A person's comments on the answer to the last task in an agent's messages, oldest first."""
    comments: list[str] = []
    for message in reversed(messages):
        if message.get("role") != "user":
            continue
        if comment := _feedback(_content(message)):
            comments.append(comment)
        elif _CURRENT_TASK in _content(message):
            break
    return comments[::-1]


def _turns_in(content: str) -> list[Message] | None:
    task = finished_task.get()
    if task is not None and task.is_in(content):
        return _conversation(task)
    return _split(content)


def _split(content: str) -> list[Message] | None:
    """Request and answer of a text in the form of a finished task; ``None`` if more than one reading is possible."""
    found = request_and_answer_in(content)
    return None if found is None else _turns(found[0], (), found[1])


def _conversation(task: FinishedTask) -> list[Message]:
    return [*task.asked, {"role": "assistant", "content": task.answer}] if task.answer else list(task.asked)


def _turns(request: str, comments: Sequence[str], answer: str) -> list[Message]:
    said: list[Message] = [
        {"role": "user", "content": request.strip()},
        *(Message(role="user", content=comment) for comment in comments),
        {"role": "assistant", "content": answer},
    ]
    return [message for message in said if message["content"]]


def _is_asked_in(messages: Sequence[Mapping[str, Any]], request: str) -> bool:
    """Whether these messages pass the request to an agent. Other conversations may have a description too, even with
    the same words, and all their messages are remembered."""
    asked = [_content(message) for message in messages if message.get("role") == "user"]
    given = {f"{_CURRENT_TASK} {request}", f"{_CURRENT_TASK} {request.strip()}"}
    return not asked or any(task in text for text in asked for task in given) or asked[0].startswith(_SUMMARY)


def _turn(message: Mapping[str, Any]) -> Message:
    """A message as a turn of the conversation; other roles, such as a tool's, have no content."""
    role, content = message.get("role"), _content(message)
    if role == "user":
        return {"role": "user", "content": (_feedback(content) or _request(content)).strip()}
    return {"role": "assistant", "content": answer_in(content) if role == "assistant" else ""}


def _request(content: str) -> str:
    """The user's text in a prompt, if its beginning and end are certain; otherwise the whole prompt."""
    body = content.lstrip()
    if body.startswith(_USER_MESSAGE):
        return body[len(_USER_MESSAGE) :]
    if not body.startswith(_CURRENT_TASK):
        return content
    found = [(at, mark) for mark in _AFTER_THE_TASK if (at := body.find(mark)) >= 0]
    if any(body.find(mark, at + 1) >= 0 for at, mark in found):
        return content
    return body[len(_CURRENT_TASK) : min(found)[0] if found else None]


def _feedback(content: str) -> str:
    if not content.startswith(_FEEDBACK) or not content.endswith(_AFTER_THE_FEEDBACK):
        return ""
    return content[len(_FEEDBACK) : -len(_AFTER_THE_FEEDBACK)].strip()


def _content(message: Mapping[str, Any]) -> str:
    """A message's text; of a multimodal message, the text of its parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in content if isinstance(part, Mapping) and part.get("text"))


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return value.model_dump_json() if isinstance(value, BaseModel) else str(value)
