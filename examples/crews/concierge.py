"""A concierge who knows the guests. Run it twice, as two processes, and as two guests:

    python examples/crews/concierge.py john "I am allergic to nuts."
    python examples/crews/concierge.py john "What must the cook know about my allergies?"
    python examples/crews/concierge.py jane "What must the cook know about my allergies?"

Needs a model for the agent: MODEL, for example openai/gpt-4o-mini, and its key. The memory needs none.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from crewai_persistent_memory import PersistentMemory, use_scope

from crewai import Agent, Crew, Task  # isort: skip (after ours: no telemetry)


def serve(memory: PersistentMemory, guest: str, request: str, llm: Any) -> str:
    """Answer one guest. The memory is the desk's; whose part of it is used, ``use_scope`` says."""
    concierge = Agent(
        role="Concierge",
        goal="Serve each guest as someone who knows them",
        backstory="You have worked at this desk for years.",
        llm=llm,
    )
    task = Task(description=request, expected_output="A short, helpful answer", agent=concierge)
    with use_scope(user_id=guest):
        return str(Crew(agents=[concierge], tasks=[task], **memory.crew_kwargs()).kickoff())


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    project = os.environ.get("CREWAI_MEMORY_PROJECT_ID") or "concierge"
    with PersistentMemory(project_id=project, path="./concierge-memory") as memory:
        print(serve(memory, sys.argv[1], sys.argv[2], os.environ.get("MODEL", "openai/gpt-4o-mini")))


if __name__ == "__main__":
    main()
