"""Copies of crews, agents and tasks without the state that runs have left in the originals.

CrewAI's ``copy()`` copies results, and descriptions that contain the inputs (seen in 0.203.2 to 1.15.30).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

import crewai
from crewai.agents.agent_builder.base_agent import BaseAgent

from ..io.context import setting
from . import run_leftovers as leftovers

_CLEAN: Final = "__copies_clean__"


def install() -> None:
    """Make ``copy()`` leave out the state of runs. Idempotent."""
    for owner in (crewai.Crew, BaseAgent, crewai.Task):
        method = vars(owner)["copy"]
        if not hasattr(method, _CLEAN):
            copied = _copying_crew(method) if owner is crewai.Crew else _copying_part(method)
            setattr(copied, _CLEAN, True)
            type.__setattr__(owner, "copy", copied)


_copying: Final[ContextVar[bool]] = ContextVar("copying_a_crew", default=False)


def _copying_crew(copy: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(copy)
    def copied(self: Any, *args: Any, **kwargs: Any) -> Any:
        with setting(_copying, True):
            made = copy(self, *args, **kwargs)
        # Not earlier: CrewAI finds the agent of a copied task by its role, with the inputs of the run in it.
        for original, each in [*zip(self.agents, made.agents, strict=False), (self, made)]:
            leftovers.clean_copy(original, each)
        return made

    return copied


def _copying_part(copy: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(copy)
    def copied(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = copy(self, *args, **kwargs)
        leftovers.clean_copy(self, made, texts=isinstance(self, crewai.Task) or not _copying.get())
        return made

    return copied
