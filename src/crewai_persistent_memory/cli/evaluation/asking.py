"""A crew that asks: real kickoffs, with an LLM that answers nothing and keeps the prompt it is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from ...testing.scripted_llm import ScriptedLLM
from ..demo_crew import remembered

from crewai import Agent, Crew, Task  # isort: skip (after ours, which switches CrewAI's telemetry off)

QUESTION: Final = "{question}"


def _crew_of(memory: Any, description: str, llm: ScriptedLLM) -> Any:
    """A crew of one agent and one task over this memory."""
    agent = Agent(
        role="Assistant",
        goal="Serve each user as somebody who knows them",
        backstory="You have worked here for years.",
        llm=llm,
    )
    task = Task(description=description, expected_output="A short answer", agent=agent)
    # Without CrewAI's long-term memory (until 1.9.3): an LLM would evaluate each answer for it.
    return Crew(agents=[agent], tasks=[task], **memory.crew_kwargs(long_term=False))


def prompts(memory: Any, template: str, questions: Iterable[str]) -> Iterator[str]:
    """What the agent's prompt holds of memory, for each question in turn.

    Args:
        memory: a ``PersistentMemory``; it should be read-only, or the answers are kept.
        template: the description of the task, with ``{question}`` in it.
        questions: texts.
    """
    llm = ScriptedLLM("Noted.")
    crew = _crew_of(memory, template, llm)
    for question in questions:
        llm.prompts.clear()
        crew.kickoff(inputs={"question": question})
        yield remembered(llm.prompts[-1]) if llm.prompts else ""
