"""Real crews with a scripted LLM, and what that LLM was given to read."""

from __future__ import annotations

from typing import Any

import pytest
from crewai import Agent, Crew, Task

from crewai_persistent_memory.adapters.version import is_unified
from crewai_persistent_memory.testing import ScriptedLLM, memories_in
from crewai_persistent_memory.testing.scripted_llm import final_answer as final

__all__ = ["ScriptedLLM", "final", "memories_in", "needs_contextual", "needs_unified", "one_agent_crew"]

needs_unified = pytest.mark.skipif(not is_unified(), reason="what CrewAI has since 1.10 only")
needs_contextual = pytest.mark.skipif(is_unified(), reason="what CrewAI has until 1.9.3 only")


def one_agent_crew(llm: Any, request: str, *, agent_memory: Any = None, **crew: Any) -> Crew:
    """A crew of one agent and one task. ``memory`` may be a ``PersistentMemory`` on every CrewAI."""
    own = {} if agent_memory is None else {"memory": agent_memory}
    agent = Agent(role="Concierge", goal="Serve guests", backstory="At the desk for years", llm=llm, **own)
    if hasattr(crew.get("memory"), "crew_kwargs"):
        crew = {**crew, **crew["memory"].crew_kwargs()}
    return Crew(
        agents=[agent], tasks=[Task(description=request, expected_output="A short answer", agent=agent)], **crew
    )
