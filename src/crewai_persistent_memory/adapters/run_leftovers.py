"""What CrewAI's objects keep of a run, and putting them back to what they were before it.

A kickoff leaves in its objects: the inputs, written into descriptions and roles in place; the executor with the whole
conversation (``messages`` are sent again at the next kickoff on 1.9.3 to 1.12.2); results of tools, cached and not; the
context of other tasks; what was found in knowledge. Seen in 0.203.2 to 1.15.30.
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
"""A hierarchical crew makes a manager and keeps it; until 1.12.2 it refuses its own one at the next kickoff."""


class _Written:
    """What one object had before a run wrote into it, and what the run has left."""

    def __init__(self, each: Any, names: tuple[str, ...]) -> None:
        # CrewAI's own notes come first: the object may have run before this package saw it.
        own = {name: getattr(each, f"_original_{name}", None) or getattr(each, name, None) for name in names}
        self.before: dict[str, Any] = own
        self.after: dict[str, Any] = {}


_written: Final[dict[int, tuple[weakref.ref[Any], _Written]]] = {}


def before_runs(each: Any) -> Mapping[str, Any] | None:
    """The fields of an object without what a run has written into them; ``None`` if no run of ours used it."""
    found = _written.get(id(each))
    return found[1].before if found is not None and found[0]() is each else None


def clean(each: Any) -> None:
    """Make an object that may have served another run as it was when it was built. Idempotent."""
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
    """After a run: note what it has written, and drop a conversation that a crew without memory would be given next.
    Results stay readable until the next run."""
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
    """Take out of a copy what runs have left in the original: CrewAI's ``copy()`` takes everything as it is."""
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
            written.before[name] = now  # the application has given it another text since
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
    """Whether a checkpoint was restored into the agent, whose executor then holds what it is to go on with."""
    return bool(getattr(agent.agent_executor, "_resuming", False))


def _set(each: Any, name: str, value: Any) -> None:
    """Set an attribute that only some versions, or some classes of agents, have."""
    if hasattr(each, name):
        setattr(each, name, value)
