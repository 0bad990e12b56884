"""Removes the state that a run leaves in CrewAI's objects.

A kickoff leaves this state in its objects (seen in 0.203.2 to 1.15.30):

- the inputs, written into descriptions and roles;
- the executor with the whole conversation (1.9.3 to 1.12.2 send its ``messages`` again at the next kickoff);
- tool results, both cached and uncached;
- the context of other tasks;
- results of knowledge searches.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any, Final

from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.agents.cache.cache_handler import CacheHandler
from crewai.task import Task

from .version import EXECUTORS_STAY_FROM, EXECUTORS_STAY_UNTIL, installed

_EXECUTORS_STAY: Final = EXECUTORS_STAY_FROM <= installed() < EXECUTORS_STAY_UNTIL
_TASK_TEXTS: Final = ("description", "expected_output", "output_file")
_AGENT_TEXTS: Final = ("role", "goal", "backstory")
_MADE_BY_A_CREW: Final = ("manager_agent",)
"""A hierarchical crew creates a manager and keeps it. Until 1.12.2 it refuses that manager at the next kickoff."""


class _Written:
    """The texts of one object before a run wrote into them, and after it."""

    def __init__(self, each: Any, names: tuple[str, ...]) -> None:
        # CrewAI's own copies take precedence: the object may have run before this package was imported.
        own = {name: getattr(each, f"_original_{name}", None) or getattr(each, name, None) for name in names}
        self.before: dict[str, Any] = own
        self.after: dict[str, Any] = {}


_written: Final[dict[int, tuple[weakref.ref[Any], _Written]]] = {}


def before_runs(each: Any) -> Mapping[str, Any] | None:
    """The fields of an object as they were before its runs; ``None`` if no guarded run has used it."""
    found = _written.get(id(each))
    return found[1].before if found is not None and found[0]() is each else None


def clean(each: Any) -> None:
    """Restore an object to its state before any run. Idempotent."""
    if isinstance(each, Task):
        _restore(each, _TASK_TEXTS)
        _forget_task(each)
    elif isinstance(each, BaseAgent):
        _restore(each, _AGENT_TEXTS)
        _forget_agent(each)
        if not _is_resuming(each):
            _set(each, "agent_executor", None)
    else:
        _restore(each, _MADE_BY_A_CREW)
        _forget_results(getattr(each, "_cache_handler", None))
        _set(each, "_inputs", None)


def close(each: Any) -> None:
    """After a run: record the texts that it wrote, and drop the conversation, which CrewAI would pass to a later crew
    without memory. Results stay readable until the next run."""
    found = _written.get(id(each))
    if found is not None and found[0]() is each:
        found[1].after = {name: getattr(each, name, None) for name in found[1].before}
    executor = getattr(each, "agent_executor", None)
    if _EXECUTORS_STAY and isinstance(each, BaseAgent) and executor is not None and not _is_resuming(each):
        _set(executor, "messages", [])
        _set(executor, "iterations", 0)
    if isinstance(each, BaseAgent):
        each.tools_results = []
        _forget_results(each.cache_handler)
        _forget_results(getattr(each.tools_handler, "cache", None))


def clean_copy(original: Any, copied: Any, *, texts: bool = True) -> None:
    """Remove from a copy the state that runs have left in the original. CrewAI's ``copy()`` copies it too."""
    before = before_runs(original)
    if before is None:
        return
    if texts:
        for name, value in before.items():
            _set(copied, name, value)
    if isinstance(copied, Task):
        _forget_task(copied)
    elif isinstance(copied, BaseAgent):
        _forget_agent(copied)


def _restore(each: Any, names: tuple[str, ...]) -> None:
    found = _written.get(id(each))
    if found is None or found[0]() is not each:
        key = id(each)
        written = _Written(each, names)
        _written[key] = (weakref.ref(each, lambda _: _written.pop(key, None)), written)
    else:
        written = found[1]
    for name, before in written.before.items():
        now = getattr(each, name, None)
        if name in written.after and now != written.after[name]:
            written.before[name] = now  # the application has changed the text since the run
        elif now != before:
            _set(each, name, before)
    written.after = {}


def _forget_task(task: Any) -> None:
    task.output = None
    task.prompt_context = None
    task.processed_by_agents = set()
    task.used_tools = task.tools_errors = task.delegations = task.retry_count = 0
    _set(task, "start_time", None)
    _set(task, "end_time", None)
    _set(task, "_guardrail_retry_counts", {})


def _forget_agent(agent: Any) -> None:
    agent.tools_results = []
    _forget_results(agent.cache_handler)
    handler = agent.tools_handler
    if handler is not None:
        _forget_results(handler.cache)
        handler.last_used_tool = None
    _set(agent, "_times_executed", 0)
    _set(agent, "_last_messages", [])
    for name in ("agent_knowledge_context", "crew_knowledge_context", "knowledge_search_query"):
        _set(agent, name, None)


def _forget_results(cache: Any) -> None:
    if isinstance(cache, CacheHandler):
        cache._cache = {}


def _is_resuming(agent: Any) -> bool:
    """Whether a checkpoint was restored into the agent. Its executor then holds the state to continue from."""
    return bool(getattr(agent.agent_executor, "_resuming", False))


def _set(each: Any, name: str, value: Any) -> None:
    """Set an attribute if the object has it: some versions, and some classes of agents, do not."""
    if hasattr(each, name):
        setattr(each, name, value)
