"""The text of a task around its inputs. It says nothing about a user: an agent has it in its prompt with every task.

The record of a task has the description with its inputs: "You are the concierge of the Grand Hotel … The message of the
guest: Where do I park?". Whether its request states something is asked of the inputs alone, where the template is
known: while a crew runs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_\-]*)\}")
_OF_NOW: Final = re.compile(r"(?:^|_)(?:today|now|current)(?:_|$)|_id$|^id$", re.IGNORECASE)
"""Names of inputs that say when, or in which request, something was asked, and nothing of the user."""


def inserted(text: str, template: str) -> list[str] | None:
    """What stands in a text at the places of the template's placeholders, and around the template.

    Returns:
        One part for each placeholder, between what stands before and after the template; ``None`` if the template has
        no placeholder, or the text is not made from it.
    """
    literals = _PLACEHOLDER.split(template)[::2]
    if len(literals) < 2:
        return None
    at = 0
    parts = []
    for number, literal in enumerate(literals):
        is_last = number == len(literals) - 1
        literal = literal.strip() if is_last or not number else literal
        start = text.find(literal, at) if literal else len(text) if is_last else at
        if start < 0:
            return None
        parts.append(text[at:start].strip())
        at = start + len(literal)
    return [*parts, text[at:].strip()]


class Frame:
    """The template of a task, and its inputs in the current run.

    Args:
        template: the description before its inputs were written into it.
        description: the description with the inputs of the current run.
    """

    def __init__(self, template: str, description: str) -> None:
        self._template = template
        self._names = _PLACEHOLDER.findall(template)
        self._now = inserted(description, template)

    def told_in(self, request: str) -> str | None:
        """The inputs of a request that was made from this template, each on a line, without those that the current run
        has too; ``None`` if the request is not made from it."""
        if self._now is None or (parts := inserted(request, self._template)) is None:
            return None
        before, *inputs, after = parts
        told = [before, after]
        for name, now, part in zip(self._names, self._now[1:], inputs, strict=False):
            if part != now and not _OF_NOW.search(name):
                told.append(part)
        return "\n".join(filter(None, told))


def told_in(request: str, frames: Sequence[Frame]) -> str | None:
    """:meth:`Frame.told_in` of the first of these frames from which a request was made."""
    return next((told for frame in frames if (told := frame.told_in(request)) is not None), None)
