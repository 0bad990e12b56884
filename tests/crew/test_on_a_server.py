"""Real crews over a real Qdrant server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import PersistentMemory, use_scope

from ..support.crews import ScriptedLLM, final, needs_unified, one_agent_crew
from ..support.embedders import WordHashEmbedder
from ..support.memory_llm import MemoryLLM
from ..support.qdrant_server import QdrantServer

pytestmark = pytest.mark.crew


@pytest.mark.ends
@pytest.mark.repeated  # a crew asks for the same on each store, and every outbox is one of ours
@pytest.mark.parametrize("where", ["same-host", "another-host"])
def test_what_one_replica_stores_the_other_recalls(
    server: QdrantServer, collection: str, tmp_path: Path, where: str
) -> None:
    """Two memories with connections of their own, as two processes have them; many times in a row.

    On the same host at once, on another one as soon as it is delivered.
    """
    options: Any = {"url": server.url, "collection": collection, "user_id": "john", "embedder": None}
    of_b: Any = {} if where == "same-host" else {"outbox_path": tmp_path / "outbox-of-another-host"}
    a, b = PersistentMemory(**options), PersistentMemory(**options, **of_b, timeout=7)
    a_backend: Any = a.store.backend
    b_backend: Any = b.store.backend
    assert a_backend.backend.connection._engine is not b_backend.backend.connection._engine
    assert (a_backend.outbox is b_backend.outbox) == (where == "same-host")
    for number in range(30):
        llm = ScriptedLLM(final(f"noted sign{number}"))
        one_agent_crew(llm, f"My sign is sign{number}", **a.crew_kwargs()).kickoff()
        if where == "another-host":
            assert a.flush(30)
        asked = ScriptedLLM(final("it is in the prompt"))
        one_agent_crew(asked, f"What do you know about sign{number}?", **b.crew_kwargs()).kickoff()
        assert f"My sign is sign{number}" in asked.prompts[0], number
    a.close()
    b.close()


@needs_unified
@pytest.mark.parametrize("per_project", [False, True], ids=["one-collection", "collection-per-project"])
def test_crewais_own_pipeline_with_an_llm(server: QdrantServer, collection: str, per_project: bool) -> None:
    """Its flows save and search in threads, some without the caller's context."""
    llm = MemoryLLM()
    memory = PersistentMemory(
        url=server.url,
        collection=collection,
        collection_per_project=per_project,
        embedder=WordHashEmbedder(),
        llm=llm,
    )
    for project in ("staging", "production"):
        with use_scope(user_id="john", project_id=project):
            one_agent_crew(llm, f"FACT: John is allergic to nuts in {project}.", memory=memory).kickoff()
            memory.drain_writes()
    for project, other in (("staging", "production"), ("production", "staging")):
        with use_scope(user_id="john", project_id=project):
            texts = [match.record.content for match in memory.recall("nuts", depth="deep")]
            assert any(project in text for text in texts)
            assert not any(other in text for text in texts)
    with use_scope(user_id="jane", project_id="staging"):
        assert memory.recall("nuts") == []
    memory.close()
    with server.admin() as admin:
        for each in admin.get("/collections").json()["result"]["collections"]:
            if each["name"].startswith(f"{collection}_"):
                admin.delete(f"/collections/{each['name']}")
