"""A crew that asks: real kickoffs, with an LLM that keeps the prompt it is given."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from crewai_persistent_memory import PersistentMemory, use_scope
from crewai_persistent_memory.cli.demo_crew import remembered

from crewai import Agent, Crew, Task  # isort: skip (after ours, which switches CrewAI's telemetry off)
from crewai.llms.base_llm import BaseLLM  # isort: skip

WORDINGS = {
    "bare": "{question}",
    "short": "Answer the question of the user: {question}",
    "letter": (
        "You are the personal assistant of this user. A message has come in, and it has to be answered today. "
        "Read it with care, find out what the user wants to know, and write a friendly answer of at most five "
        "sentences.\n\nMessage: {question}\n\nDo not invent anything. If you do not know the answer, say so."
    ),
    "steps": (
        "Research request of a client.\n"
        "1. Look at the request: {question}\n"
        "2. Collect every detail that matters for it: people, places, dates, plans, preferences.\n"
        "3. Check the details against each other, and prefer the most recent ones.\n"
        "4. Write a report of two paragraphs with a conclusion at the end.\n"
        "The report is read by the head of the department, who has little time, so the first sentence must hold the "
        "answer. Use plain words, name the source of each statement and do not repeat the request."
    ),
}
"""Descriptions of tasks, from nothing but the question to a page of instructions around it."""

FORMS = ("inputs", "f-string")
"""How the question gets into the description: by ``kickoff(inputs=...)``, or before the task is built."""


_heard: list[str] = []


class _Listener(BaseLLM):
    """An LLM that keeps its last prompt. It is this module's own, because another checkout may have none."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        parts = [messages] if isinstance(messages, str) else [str(each.get("content")) for each in messages]
        _heard[:] = ["\n\n".join(parts)]
        return "Thought: I now can give a great answer\nFinal Answer: Noted."

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        return self.call(messages, *args, **kwargs)


def ask_all(memory: PersistentMemory, user: str, questions: list[str], wording: str, form: str) -> Iterator[str]:
    """The memory block of the agent's prompt, for each question in turn."""
    template = WORDINGS[wording]
    crew = _crew(memory, template) if form == "inputs" else None
    for question in questions:
        _heard.clear()
        with use_scope(user_id=user):
            if crew is not None:
                crew.kickoff(inputs={"question": question})
            else:
                _crew(memory, template.format(question=question)).kickoff()
        yield remembered(_heard[0]) if _heard else ""


def _crew(memory: PersistentMemory, description: str) -> Any:
    agent = Agent(
        role="Assistant",
        goal="Serve each user as somebody who knows them",
        backstory="You have worked here for years.",
        llm=_Listener(model="listener"),
    )
    task = Task(description=description, expected_output="A short answer", agent=agent)
    return Crew(agents=[agent], tasks=[task], **memory.crew_kwargs(long_term=False))


class _Failures(logging.Handler):
    """A crew goes on without memory if a recall fails. Its figures would be of nothing."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.seen: list[str] = []
        log = logging.getLogger("crewai_persistent_memory")
        log.addHandler(self)
        log.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        if "failed" in record.getMessage():
            self.seen.append(record.getMessage())


_failures = _Failures()


def refuse_failures() -> None:
    """Raise the first failure that the crews of this process met."""
    if _failures.seen:
        raise RuntimeError(f"{len(_failures.seen)} recalls failed, the first: {_failures.seen[0]}")
