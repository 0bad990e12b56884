"""The request and the answer that CrewAI is saving, read from CrewAI's own objects."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from ..store.operations import Message

_LABELS: Final = ("Task: ", "Input: ")


@dataclass(frozen=True)
class FinishedTask:
    """One request and its answer.

    Attributes:
        asked: the turns before the answer, oldest first.
        output: the agent's output as CrewAI passes it, with the agent's thoughts.
        answer: the output without the thoughts.
    """

    asked: tuple[Message, ...]
    output: str
    answer: str

    def is_in(self, text: str) -> bool:
        """Whether ``text`` is CrewAI's own description of this task."""
        return text.startswith(_LABELS) and text.endswith(f"\nResult: {self.output}")


finished_task: Final[ContextVar[FinishedTask | None]] = ContextVar("finished_task", default=None)
"""Set while CrewAI saves a task; see ``finished_task_hooks``."""
