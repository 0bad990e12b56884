"""One process of the demo: the concierge crew runs once for each message of each user."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from crewai_persistent_memory import PersistentMemory
from crewai_persistent_memory.adapters.version import is_unified
from crewai_persistent_memory.cli.demo import ASKED, TOLD
from crewai_persistent_memory.testing.scripted_llm import ScriptedLLM, prompt_text

from crewai import LLM, Agent, Crew, Task  # isort: skip (after ours, which switches CrewAI's telemetry off)

# The words of CrewAI's prompt before and after the memories: since 1.10, and until 1.9.3.
_MEMORIES = re.compile(
    r"(?:Relevant memories:|External memories:\n)(.*?)"
    r"(?:IMPORTANT: The memories above|\n\nBegin! This is VERY|\n\nProvide your complete response|\Z)",
    re.DOTALL,
)
_BULLET = re.compile(r"^- (?:\(score=[\d.]+\) )?(.*)", re.MULTILINE)


def answer_from_memory(prompt: str) -> str:
    """What the scripted LLM says: the memory that CrewAI put into its prompt."""
    facts = _BULLET.findall(remembered(prompt))
    return f"I remember: {' '.join(facts)}" if facts else "Noted."


def remembered(prompt: str) -> str:
    """The memory block of a prompt, without CrewAI's words around it."""
    found = _MEMORIES.search(prompt)
    return found[1].strip() if found else ""


def concierge(memory: PersistentMemory, llm: Any, request: str) -> tuple[str, str]:
    """One kickoff of a real crew. Returns the answer and the prompt that the agent's LLM was given."""
    agent = Agent(
        role="Concierge",
        goal="Serve each guest as someone who knows them",
        backstory="You have worked at the desk for years and never mix up two guests.",
        llm=llm,
    )
    task = Task(description=request, expected_output="A short answer", agent=agent)
    # Without CrewAI's long-term memory (until 1.9.3): an LLM would evaluate each answer for it.
    output: Any = Crew(agents=[agent], tasks=[task], **memory.crew_kwargs(long_term=False)).kickoff()
    executor: Any = agent.agent_executor  # older CrewAI's output has no messages
    messages = getattr(output.tasks_output[0], "messages", None) or getattr(executor, "messages", None)
    return str(output.raw), prompt_text(messages or [])


def main(phase: str, store: str, result: str, llm_name: str) -> None:
    # Built here: if an agent cannot build its LLM, some versions of CrewAI go on without it and fail later.
    llm: Any = LLM(model=llm_name) if llm_name else ScriptedLLM(answer_from_memory)
    users: dict[str, dict[str, list[str]]] = {}
    for user, told in TOLD.items():
        report: dict[str, list[str]] = {"stored": [], "recalled": [], "prompts": [], "answers": []}
        # Below 1.10 CrewAI's memory has no LLM: texts are kept as they are.
        analyst: Any = {"llm": llm_name} if llm_name and is_unified() else {}
        with PersistentMemory(path=store, user_id=user, **analyst) as memory:
            for request in told if phase == "tell" else ASKED:
                answer, prompt = concierge(memory, llm, request)
                report["answers"].append(answer)
                report["prompts"].append(prompt)
                report["recalled"].append(remembered(prompt))
            memory.drain_writes()
            report["stored"] = [entry.content for entry in reversed(memory.store.list())]
        users[user] = report
    Path(result).write_text(json.dumps({"pid": os.getpid(), "users": users}), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
