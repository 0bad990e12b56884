"""The examples run, with a scripted LLM in the model's place."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crewai_persistent_memory import PersistentMemory

from ..support.crews import ScriptedLLM, final, memories_in
from ..support.memories import no_local_vectors
from ..support.openai_server import OpenAIServer
from ..support.programs import run_program

pytestmark = pytest.mark.crew

Run = Callable[..., str]
"""Runs a program with arguments, and returns what it prints."""

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


def test_the_concierge_as_a_program(
    tmp_path: Path, openai_server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is run from a shell; the environment's project is the one it uses."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{openai_server.url}/v1")
    monkeypatch.setenv("OPENAI_API_BASE", "")
    prompts = {}
    for stage, request in (
        ("staging", "I am allergic to nuts."),
        ("staging", "Allergic?"),
        ("production", "Allergic?"),
    ):
        openai_server.prompts.clear()
        monkeypatch.setenv("CREWAI_MEMORY_PROJECT_ID", stage)
        monkeypatch.setattr(sys, "argv", ["concierge.py", "john", request])
        runpy.run_path(str(EXAMPLES / "concierge.py"), run_name="__main__")
        assert "Noted." in capsys.readouterr().out
        [prompts[stage]] = openai_server.agent_prompts
    assert "allergic to nuts" in prompts["staging"]
    assert "nuts" not in prompts["production"]


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(program: Path, *arguments: str) -> str:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", [str(program), *arguments])
        runpy.run_path(str(program), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.fixture
def in_a_process() -> Run:
    def run(program: Path, *arguments: str) -> str:
        done = run_program([sys.executable, str(program), *arguments])
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.ends
@pytest.mark.parametrize("where", ["in_this_process", pytest.param("in_a_process", marks=pytest.mark.repeated)])
def test_the_support_desk(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    openai_server: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    """The program as it stands: two runs, two customers, and what the LLM behind the agents was given to read."""
    start: Run = request.getfixturevalue(where)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{openai_server.url}/v1")
    monkeypatch.setenv("OPENAI_API_BASE", "")
    told = "My router is a FritzBox 7590, and it drops the line at night."
    asked = "The line is gone again. Which router have I got?"

    def run(customer: str, said: str) -> list[str]:
        openai_server.prompts.clear()
        assert "Noted." in start(EXAMPLES / "support_desk.py", customer, said)
        assert len(openai_server.agent_prompts) == 2, "one answer of each agent"
        return openai_server.agent_prompts

    run("ana", told)
    technician, writer = run("ana", asked)
    for prompt in (technician, writer):
        assert memories_in(prompt).count(f"A customer writes: {told}") == 1
    assert not any("FritzBox" in prompt for prompt in run("ben", asked))
    assert no_local_vectors()
