"""Mem0 OSS over Postgres with pgvector, configured as Mem0 publishes it: only the import of two classes is another.

    OPENAI_API_KEY=... python examples/crews/mem0_pgvector.py "I am allergic to nuts. Book a table."
    OPENAI_API_KEY=... python examples/crews/mem0_pgvector.py "What must the cook know about me?"

It needs ``psycopg[binary,pool]``; mem0ai 0.1 needs ``psycopg2-binary``. In Postgres, make an index that finds a user's
rows: ``CREATE INDEX ON mem0 USING hash ((payload->>'user_id'))``.

``llm`` and ``embedder`` take any provider that Mem0 knows, ``ollama`` for one that runs beside it.
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
            "project_id": "my_project_id",
            "local_mem0_config": {
                "vector_store": {
                    "provider": "pgvector",
                    "config": {
                        "connection_string": os.getenv("POSTGRES_URL", "postgresql://postgres@localhost:5432/postgres"),
                        "embedding_model_dims": 1536,
                    },
                },
                "llm": {"provider": "openai", "config": {"model": "gpt-4o-mini"}},
                "embedder": {"provider": "openai", "config": {"model": "text-embedding-3-small"}},
                "history_db_path": os.getenv("MEM0_HISTORY", "mem0-history.db"),
            },
        },
    }
)

concierge = Agent(role="Concierge", goal="Serve guests", backstory="At the desk for years")
request = Task(description=sys.argv[1], expected_output="A short answer", agent=concierge)
crew = Crew(agents=[concierge], tasks=[request], external_memory=external_memory, process=Process.sequential)
print(crew.kickoff())
