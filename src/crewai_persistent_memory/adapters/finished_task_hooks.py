"""Wraps the methods of CrewAI that save a task, to set ``finished_task`` while they run.

CrewAI >= 1.10 passes one text to a memory; older versions pass a value with metadata. In both, the agent's output may
imitate the request, and the request may imitate the output. CrewAI's saving methods have the task, the agent and the
output as objects, so this module wraps them (seen in 0.203.2 to 1.15.30):

- ``_save_to_memory(output: AgentFinish)`` of the executor's base class, since 1.10; before, ``_create_external_memory``
  and ``_create_short_term_memory``;
- ``LiteAgent._save_to_memory(output_text: str)``, since 1.10;
- ``Agent._save_kickoff_to_memory(messages, output_text: str)``, since 1.10.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from ..io.context import setting
from ..store.operations import Message
from ..text.finished_task import answer_in
from .finished_task import FinishedTask, finished_task
from .transcript import feedback_in, turns_of
from .version import is_unified

Describe = Callable[..., FinishedTask | None]

# The base class of the executors, under its name since 1.14 and before.
_EXECUTORS: Final = (
    ("crewai.agents.agent_builder.base_agent_executor", "BaseAgentExecutor"),
    ("crewai.agents.agent_builder.base_agent_executor_mixin", "CrewAgentExecutorMixin"),
)
_WRAPPED: Final = "__sets_finished_task__"


def install() -> None:
    """Wrap the methods. Idempotent."""
    for owner, name, describe in _saving_methods():
        method = vars(owner)[name]
        if not hasattr(method, _WRAPPED):
            setattr(owner, name, _announcing(method, describe))


def executor_class() -> type:
    """The base class of CrewAI's executors, whose methods save an agent's answer."""
    found: type = next(
        getattr(import_module(module), name) for module, name in _EXECUTORS if find_spec(module) is not None
    )
    return found


def _saving_methods() -> Iterator[tuple[type, str, Describe]]:
    executor = executor_class()
    if not is_unified():
        yield executor, "_create_external_memory", _of_executor
        yield executor, "_create_short_term_memory", _of_executor
        return
    from crewai import Agent
    from crewai.lite_agent import LiteAgent

    yield executor, "_save_to_memory", _of_executor
    yield LiteAgent, "_save_to_memory", _of_lite_agent
    yield Agent, "_save_kickoff_to_memory", _of_kickoff


def _announcing(method: Callable[..., Any], describe: Describe) -> Callable[..., Any]:
    @functools.wraps(method)
    def save(*args: Any, **kwargs: Any) -> Any:
        with setting(finished_task, describe(*args, **kwargs)):
            return method(*args, **kwargs)

    setattr(save, _WRAPPED, True)
    return save


def _of_executor(executor: Any, output: Any) -> FinishedTask | None:
    if executor.task is None:
        return None
    request = executor.task.description.strip()
    comments = feedback_in(executor.messages)
    asked = tuple(Message(role="user", content=text) for text in (request, *comments) if text)
    # CrewAI removes the agent's thoughts from ``output``, up to the last "Final Answer:" in the text.
    has_thoughts = isinstance(output.output, str) and output.output.strip() != output.text.strip()
    return FinishedTask(asked, output.text, answer_in(output.text, has_thoughts=has_thoughts))


def _of_lite_agent(agent: Any, output_text: str) -> FinishedTask:
    asked = [message for message in agent._messages if message.get("role") == "user"]
    return FinishedTask(tuple(turns_of(asked[-1:])), output_text, output_text.strip())


def _of_kickoff(agent: Any, messages: Any, output_text: str) -> FinishedTask:
    given = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    return FinishedTask(tuple(turns_of(given)), output_text, output_text.strip())
