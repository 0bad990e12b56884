"""A crew that asks: real kickoffs, with an LLM that answers nothing and keeps the prompt it is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from ..demo_crew import ScriptedLLM, prompt_text, remembered

from crewai import Agent, Crew, Task  # isort: skip (after ours, which switches CrewAI's telemetry off)

QUESTION: Final = "{question}"


class ListeningLLM(ScriptedLLM):
    """No model: it answers "Noted." to every prompt."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        _heard[:] = [prompt_text(messages)]
        return "Thought: I now can give a great answer\nFinal Answer: Noted."


_heard: list[str] = []


def crew_of(memory: Any, description: str) -> Any:
    """A crew of one agent and one task over this memory."""
    agent = Agent(
        role="Assistant",
        goal="Serve each user as somebody who knows them",
        backstory="You have worked here for years.",
        llm=ListeningLLM(model="scripted"),
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
    crew = crew_of(memory, template)
    for question in questions:
        _heard.clear()
        crew.kickoff(inputs={"question": question})
        yield last_memory()


def last_memory() -> str:
    """What the last prompt of this process held of memory."""
    return remembered(_heard[-1]) if _heard else ""
