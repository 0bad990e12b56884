"""Mem0's published configuration with other vector stores in place of Qdrant, run by crews in two processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..support.openai_server import OpenAIServer
from .test_crews import ASKED, TOLD, run_example
from .test_vector_store_faults import only

pytestmark = pytest.mark.crew


@only("chroma", "pgvector")
def test_what_one_process_hears_another_recalls(
    kind: str, request: pytest.FixtureRequest, openai_server: OpenAIServer, tmp_path: Path
) -> None:
    openai_server.prompts.clear()
    environment = {"MEM0_DIR": str(tmp_path / "mem0"), "CHROMA_PATH": str(tmp_path / "chroma")}
    name = "mem0_chroma.py"
    if kind == "pgvector":
        name = "mem0_pgvector.py"
        environment["POSTGRES_URL"] = request.getfixturevalue("vector_servers")("postgres").url
    run_example(name, TOLD, openai_server, tmp_path, **environment)
    assert openai_server.extractions, "extracted by Mem0"
    run_example(name, ASKED, openai_server, tmp_path, **environment)
    assert "I am allergic to nuts" in openai_server.agent_prompts[-1]
    assert "rains" not in openai_server.agent_prompts[-1]
