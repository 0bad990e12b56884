"""The examples run, with a scripted LLM in the model's place."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from crewai_persistent_memory import PersistentMemory

from ..support.crews import ScriptedLLM, final

pytestmark = pytest.mark.crew

EXAMPLES = Path(__file__).parents[2] / "examples" / "crews"


def test_the_concierge_knows_each_guest_and_no_other(tmp_path: Path) -> None:
    serve = runpy.run_path(str(EXAMPLES / "concierge.py"))["serve"]
    asked = "What must the cook know about my allergies? Am I allergic?"
    prompts = {}
    for request in ("I am allergic to nuts.", asked):
        for guest in ("john", "jane") if request == asked else ("john",):
            llm = ScriptedLLM(final("noted"))
            # A new memory object each time: only the folder connects them.
            with PersistentMemory(path=tmp_path / "s", project_id="concierge", embedder=None) as memory:
                assert serve(memory, guest, request, llm) == "noted"
            prompts[guest] = llm.prompts[-1]
    assert "allergic to nuts" in prompts["john"]
    assert "nuts" not in prompts["jane"]
