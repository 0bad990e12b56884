"""Real crews over a store that is away: they go on, remember what was said meanwhile, and lose nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import PersistentMemory, use_scope

from ..support.crews import ScriptedLLM, final, memories_in, needs_unified, one_agent_crew
from ..support.embedders import WordHashEmbedder
from ..support.memory_llm import MemoryLLM
from ..support.qdrant_server import QdrantServer

pytestmark = pytest.mark.crew


def ask(memory: PersistentMemory, request: str, answer: str) -> str:
    """Run a crew. Returns what of its memory was in the prompt."""
    llm = ScriptedLLM(final(answer))
    one_agent_crew(llm, request, **memory.crew_kwargs()).kickoff()
    return memories_in(llm.prompts[0])


def test_kickoffs_over_a_dead_store(own_server: QdrantServer, tmp_path: Path) -> None:
    options: Any = {"url": own_server.url, "embedder": None, "recall_timeout": 0.5, "outbox_path": tmp_path / "outbox"}
    with PersistentMemory(durability="outbox", **options) as memory:
        with use_scope(user_id="john"):
            ask(memory, "My sign is leo", "noted leo")
            assert memory.flush(30)
            own_server.kill()
            start = time.monotonic()
            ask(memory, "My dish is risotto", "noted risotto")
            assert "risotto" in ask(memory, "What do you know about the dish risotto?", "it is risotto")
            assert time.monotonic() - start < 20, "three waits for a dead store take a minute"
            assert memory.pending() > 0
            assert memory.health()["status"] == "unavailable"
        with use_scope(user_id="jane"):
            assert "risotto" not in ask(memory, "What do you know about the dish risotto?", "nothing")
            assert memory.pending() > 0
        own_server.restart()
        with use_scope(user_id="john"):
            assert memory.flush(30)
            contents = " ".join(record.content for record in memory.list_records(limit=100))
            assert "leo" in contents
            assert "risotto" in contents


@needs_unified
def test_crewais_own_pipeline_in_an_outage(own_server: QdrantServer, tmp_path: Path) -> None:
    """It embeds what it saves. A process that starts in an outage does not know the server's embedder, and saves."""
    options: Any = {"url": own_server.url, "user_id": "john", "retry_for": 0, "recall_timeout": 0.5, "exit_wait": 0}
    PersistentMemory(embedder=WordHashEmbedder(), **options).close()
    own_server.kill()
    with PersistentMemory(embedder=WordHashEmbedder(), llm=MemoryLLM(), **options) as memory:
        memory.remember("FACT: John is allergic to nuts.")
        assert memory.pending() > 0
        own_server.restart()
        assert memory.flush(30)
        [entry] = memory.store.scan(with_vectors=True)
        assert "nuts" in entry.content
        assert entry.embedding
