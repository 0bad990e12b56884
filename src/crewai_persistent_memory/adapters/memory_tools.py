"""CrewAI's memory tools over a memory of this package: never cached, bound to the run that created them, and within the
memory's budget.

The tool cache belongs to the crew and its agents, and lives as long as they do. It would return one user's results to
another user, and results from before a save after the save. It would also answer a repeated save with "Saved", without
saving. The cache is on by default until 1.14.7, and with ``Crew(cache=True)`` in 1.15.30.

CrewAI creates the tools at every kickoff and calls them in threads, under ``akickoff`` without the caller's context
(1.10.1 to 1.15.30). The tools are therefore bound to the scope in which they are created.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, Final

from .crew_memories import store_of
from .current_run import current_run
from .version import is_unified

_UNCACHED: Final = "__uncached__"


def install() -> None:
    """Disable caching for the tools of this package's memories. Idempotent."""
    if not is_unified():
        return  # there are no memory tools
    from crewai.tools import memory_tools

    create = memory_tools.create_memory_tools
    if hasattr(create, _UNCACHED):
        return
    uncached = _uncached(create)
    setattr(uncached, _UNCACHED, True)
    for module in [module for key, module in sys.modules.items() if key.partition(".")[0] == "crewai"]:
        if vars(module).get("create_memory_tools") is create:
            module.create_memory_tools = uncached  # type: ignore[attr-defined]


def _uncached(create: Callable[[Any], list[Any]]) -> Callable[[Any], list[Any]]:
    @functools.wraps(create)
    def tools_of(memory: Any) -> list[Any]:
        if store_of(memory) is None:
            return create(memory)
        tools = [_bounded(tool) for tool in create(_of_this_run(memory))]
        for tool in tools:
            tool.cache_function = never
            tool.memory = _AnswersAlways(tool.memory)
        return tools

    return tools_of


def _bounded(tool: Any) -> Any:
    """The tool, within the memory's budget if it searches a ``PersistentMemory``."""
    from crewai.tools.memory_tools import RecallMemoryTool

    from .unified.recall_tool import BoundedRecallTool

    if type(tool) is not RecallMemoryTool or not hasattr(tool.memory, "_recall_together"):
        return tool
    return BoundedRecallTool(memory=tool.memory, description=tool.description)


class _AnswersAlways:
    """A memory whose ``remember`` returns a record of its input if nothing was saved.

    CrewAI's save tool fails on ``None``, and the agent then tries again.
    """

    def __init__(self, memory: Any) -> None:
        self._memory = memory

    def remember(self, content: str, **about: Any) -> Any:
        from crewai.memory.types import MemoryRecord

        return self._memory.remember(content, **about) or MemoryRecord(content=content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)


def _of_this_run(memory: Any) -> Any:
    from .unified.memory import PersistentMemory

    is_bindable = current_run.get() is not None and isinstance(memory, PersistentMemory)
    return memory._bound() if is_bindable else memory


def never(_arguments: Any = None, _result: Any = None) -> bool:
    """A tool's ``cache_function``. Defined at module level, because a checkpoint stores it by its dotted path."""
    return False
