"""One process of the demo: the concierge crew, once for each user and each thing that user says."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from crewai_persistent_memory import PersistentMemory
from crewai_persistent_memory.cli.demo import ASKED, TOLD

from crewai import Agent, Crew, Task  # isort: skip (after ours, which sees to it that no telemetry is sent)
from crewai.llms.base_llm import BaseLLM  # isort: skip

_MEMORY_HEADING = "Relevant memories:"
_MEMORY_END = "IMPORTANT: The memories above"


class ScriptedLLM(BaseLLM):
    """No model: it answers with the memory that CrewAI put into its prompt."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        prompt = prompt_text(messages)
        facts = [
            line.removeprefix("- ").partition(") ")[2] for line in remembered(prompt).splitlines() if "(score" in line
        ]
        answer = f"I remember: {' '.join(facts)}" if facts else "Noted."
        return f"Thought: I now can give a great answer\nFinal Answer: {answer}"

    def supports_function_calling(self) -> bool:
        return False

    def supports_stop_words(self) -> bool:
        return False

    def get_context_window_size(self) -> int:
        return 32_000


def prompt_text(messages: Any) -> str:
    if isinstance(messages, str):
        return messages
    return "\n".join(str(message.get("content", "")) for message in messages)


def remembered(prompt: str) -> str:
    """The memory block of a prompt, without CrewAI's words around it."""
    _, found, rest = prompt.partition(_MEMORY_HEADING)
    return rest.partition(_MEMORY_END)[0].strip() if found else ""


def concierge(memory: PersistentMemory, llm: Any, request: str) -> tuple[str, str]:
    """One kickoff of a real crew. Returns the answer and the prompt that the agent's LLM was given."""
    agent = Agent(
        role="Concierge",
        goal="Serve each guest as someone who knows them",
        backstory="You have worked at the desk for years and never mix up two guests.",
        llm=llm,
    )
    task = Task(description=request, expected_output="A short answer", agent=agent)
    output: Any = Crew(agents=[agent], tasks=[task], **memory.crew_kwargs()).kickoff()
    return str(output.raw), prompt_text(output.tasks_output[0].messages or [])


def main(phase: str, store: str, result: str, llm_name: str) -> None:
    users: dict[str, dict[str, list[str]]] = {}
    for user, told in TOLD.items():
        report: dict[str, list[str]] = {"stored": [], "recalled": [], "prompts": [], "answers": []}
        with PersistentMemory(path=store, user_id=user, llm=llm_name or None) as memory:
            for request in told if phase == "tell" else ASKED:
                answer, prompt = concierge(memory, llm_name or ScriptedLLM(model="scripted"), request)
                report["answers"].append(answer)
                report["prompts"].append(prompt)
                report["recalled"].append(remembered(prompt))
            memory.drain_writes()
            report["stored"] = [entry.content for entry in reversed(memory.store.list())]
        users[user] = report
    Path(result).write_text(json.dumps({"pid": os.getpid(), "users": users}), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
