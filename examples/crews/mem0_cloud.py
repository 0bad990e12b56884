"""Mem0's published configuration for CrewAI, on today's CrewAI: only the import of Crew and ExternalMemory is another.

MEM0_API_KEY=... OPENAI_API_KEY=... python examples/crews/mem0_cloud.py "I am allergic to nuts. Book a table."
MEM0_API_KEY=... OPENAI_API_KEY=... python examples/crews/mem0_cloud.py "What must the cook know about me?"
"""

import os
import sys

from crewai import Agent, Process, Task

from crewai_persistent_memory import Crew, ExternalMemory

external_memory = ExternalMemory(
    embedder_config={
        "provider": "mem0",
        "config": {
            "user_id": "john",
            "org_id": "my_org_id",
            "project_id": "my_project_id",
            "run_id": "session_123",
            "api_key": os.getenv("MEM0_API_KEY"),
            "includes": "preferences",
            "excludes": "small_talk",
            "infer": True,
            "custom_categories": [{"dietary_preferences": "Tracks food allergies, restrictions, and preferences"}],
        },
    }
)

concierge = Agent(role="Concierge", goal="Serve guests", backstory="At the desk for years")
request = Task(description=sys.argv[1], expected_output="A short answer", agent=concierge)
crew = Crew(agents=[concierge], tasks=[request], external_memory=external_memory, process=Process.sequential)
print(crew.kickoff())
