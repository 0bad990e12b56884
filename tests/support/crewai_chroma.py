"""A program on CrewAI until 1.9.3 with ``memory=True``: one kickoff for each argument. CrewAI chooses the folder of its
Chroma when it is imported, from ``CREWAI_STORAGE_DIR``, so this runs in a process of its own."""

from __future__ import annotations

import os
import sys

from crewai import Crew

from .crews import ScriptedLLM, final, one_agent_crew
from .memories import EVALUATION

if __name__ == "__main__":
    at = {"api_key": "sk-test", "api_base": os.environ["TEST_EMBEDDINGS"]}
    llm = ScriptedLLM(lambda prompt: final(f"Noted: {len(prompt)}"), EVALUATION)
    for request in sys.argv[1:]:
        plain = one_agent_crew(llm, request)
        embedder = {"provider": "openai", "config": at}
        Crew(agents=plain.agents, tasks=plain.tasks, memory=True, embedder=embedder).kickoff()
