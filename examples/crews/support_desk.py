"""A support desk with two agents that knows each customer. The same program on every CrewAI from 0.203 on.

Run it twice, as two processes, and as two customers:

    python examples/crews/support_desk.py ana "My router is a FritzBox 7590, and it drops the line at night."
    python examples/crews/support_desk.py ana "The line is gone again. Which router have I got?"
    python examples/crews/support_desk.py ben "The line is gone again. Which router have I got?"

Needs a model for the agents: MODEL, for example openai/gpt-4o-mini, and its key. The memory needs none; it is kept in
./support-desk-memory, or where CREWAI_MEMORY_PATH or QDRANT_URL say, in the project CREWAI_MEMORY_PROJECT_ID.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from crewai_persistent_memory import Crew, PersistentMemory, use_scope

from crewai import Agent, Process, Task  # isort: skip (after ours: no telemetry)


def desk(memory: PersistentMemory, llm: Any) -> Crew:
    """The desk's crew. It is built once, for all customers."""
    technician = Agent(
        role="Technician",
        goal="Find out what is wrong with the customer's line",
        backstory="You remember every device you have heard of.",
        llm=llm,
    )
    writer = Agent(
        role="Writer",
        goal="Answer the customer in two friendly sentences",
        backstory="You have answered customers for years.",
        llm=llm,
    )
    diagnosis = Task(
        description="A customer writes: {request}",
        expected_output="What is known, what is wrong, and what to do",
        agent=technician,
    )
    answer = Task(
        description="Answer the customer who wrote: {request}",
        expected_output="Two sentences",
        agent=writer,
        context=[diagnosis],
    )
    return Crew(
        agents=[technician, writer],
        tasks=[diagnosis, answer],
        process=Process.sequential,
        external_memory=memory,
    )


def serve(memory: PersistentMemory, customer: str, request: str, llm: Any) -> str:
    """Answer one customer. The memory is the desk's; whose part of it is used, ``use_scope`` says."""
    with use_scope(user_id=customer):
        return str(desk(memory, llm).kickoff(inputs={"request": request}))


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    elsewhere = os.environ.get("CREWAI_MEMORY_PATH") or os.environ.get("QDRANT_URL")
    place: Any = {} if elsewhere else {"path": "./support-desk-memory"}
    project = os.environ.get("CREWAI_MEMORY_PROJECT_ID") or "support-desk"
    with PersistentMemory(project_id=project, **place) as memory:
        print(serve(memory, sys.argv[1], sys.argv[2], os.environ.get("MODEL", "openai/gpt-4o-mini")))


if __name__ == "__main__":
    main()
