"""The text of a finished task: what an agent's output answers, and the form in which request and answer are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

# The form of a finished task (CrewAI 1.10.1 to 1.15.30), and of a finished ``Agent.kickoff()``.
_TASK_LABEL: Final = "Task: "
_INPUT_LABEL: Final = "Input: "
_AGENT: Final = "\nAgent: "
_RESULT: Final = "\nResult: "

_THOUGHT: Final = "Thought:"
_FINAL_ANSWER: Final = "Final Answer:"
_FENCE: Final = "```"


def request_and_answer(request: str, answer: str) -> str:
    """A request and its answer as one text: the form of a finished task in a store of texts."""
    return f"{request}\nResult: {answer}"


def request_and_answer_in(content: str) -> tuple[str, str] | None:
    """Request and answer of a text in CrewAI's form of a finished task; ``None`` if more than one reading is possible,
    because the request and the answer may contain CrewAI's separators."""
    label = next((each for each in (_TASK_LABEL, _INPUT_LABEL) if content.startswith(each)), None)
    if label is None:
        return None
    agent, result = content.find(_AGENT), content.rfind(_RESULT)
    if agent < 0 or result < agent:
        return None
    if content.find(_RESULT, agent) != result or content.rfind(_AGENT, 0, result) != agent:
        return None
    return content[len(label) : agent], answer_in(content[result + len(_RESULT) :])


def answer_in(output: str, *, has_thoughts: bool = False) -> str:
    """An agent's answer without its thoughts, and without the end of a fence that began among them.

    Args:
        output: the agent's whole output.
        has_thoughts: whether CrewAI has found a final answer in it. If not, only an output that begins with "Thought:"
            or "Final Answer:" has thoughts. Any other output is returned whole, because it may be about final answers.
    """
    begins = output.lstrip("` \t\r\n")
    if begins.startswith(_FINAL_ANSWER):
        start = output.find(_FINAL_ANSWER)
    elif begins.startswith(_THOUGHT):
        start = _line_that_begins_with_final_answer(output)
        start = output.find(_FINAL_ANSWER) if start < 0 else start
    else:
        start = _line_that_begins_with_final_answer(output) if has_thoughts else -1
    if start < 0:
        return output.strip()
    answer = output[start + len(_FINAL_ANSWER) :].strip()
    return answer[: -len(_FENCE)].rstrip() if answer.endswith(_FENCE) and answer.count(_FENCE) % 2 else answer


def _line_that_begins_with_final_answer(output: str) -> int:
    end = 0
    for start in _occurrences(_FINAL_ANSWER, output):
        before = output[end:start].rstrip(" \t")  # each character is read once, even if the mark occurs often
        if before.endswith("\n") or (not before and end == 0):
            return start
        end = start + len(_FINAL_ANSWER)
    return -1


def _occurrences(mark: str, text: str) -> Iterator[int]:
    at = text.find(mark)
    while at >= 0:
        yield at
        at = text.find(mark, at + len(mark))
