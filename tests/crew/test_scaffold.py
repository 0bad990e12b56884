"""Projects that ``crewai create crew`` writes, from CrewAI's own templates: only request and answer are remembered."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from crewai_persistent_memory import open_store

from ..support.programs import run_program
from ..support.qdrant_server import ROOT

pytestmark = pytest.mark.crew

ANSWER = "# AI LLMs\n\nAgent: none\nResult: ten points\nExpected result: twelve"
OPTIONS = "path={path!r}, user_id='john', embedder=None"

MEMORY = f"""
from crewai_persistent_memory import PersistentMemory

MEMORY = PersistentMemory({OPTIONS})
"""
# The models of CrewAI's templates answer over the network, so the agents get a scripted one.
RUN = """
import json

from tests.support.crews import ScriptedLLM, final

{build}
for agent in crew.agents:
    agent.llm = ScriptedLLM(final({answer!r}))
crew.kickoff(inputs={{"topic": "AI LLMs", "current_year": "2026"}})
tasks = [task.description for task in crew.tasks]
with open("ran.json", "w") as file:
    json.dump({{"tasks": tasks, "roles": [agent.role for agent in crew.agents]}}, file)
"""
BY_DEFAULT = f"from crewai_persistent_memory import register\nregister(default=True, {OPTIONS})"


def cli_module(name: str) -> ModuleType | None:
    """CrewAI's command line: a package of its own since 1.14."""
    for package in ("crewai_cli", "crewai.cli"):
        if find_spec(package) is not None and find_spec(f"{package}.{name}") is not None:
            return import_module(f"{package}.{name}")
    return None


def run(folder: Path, store: Path, build: str) -> dict[str, Any]:
    """Run the crew that the program ``build`` names ``crew``, in a process of its own.

    Returns:
        The descriptions of its ``tasks``, the ``roles`` of its agents, and the texts ``kept`` in the store.
    """
    program = RUN.format(build=build.format(path=str(store)), answer=ANSWER)
    paths = [str(ROOT), str(folder), str(folder / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OPENAI_API_KEY": "sk-test"}
    done = run_program([sys.executable, "-c", program], cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((folder / "ran.json").read_text())
    with open_store(path=store, user_id="john", embedder=None) as opened:
        found["kept"] = [entry.content for entry in opened.list()]
    return found


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, f"CrewAI's template has changed: {old!r} is in {file.name} {text.count(old)} times"
    file.write_text(text.replace(old, new))


@pytest.fixture
def classic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``crewai create crew desk``, with YAML and ``@CrewBase``, without the questions about models and keys."""
    create = cli_module("create_crew")
    assert create is not None
    monkeypatch.chdir(tmp_path)
    folder, _, class_name = create.create_folder_structure("desk")
    create.copy_template_files(folder, "desk", class_name, None)
    return tmp_path / folder


@pytest.mark.parametrize("given", [pytest.param("crew_kwargs", marks=pytest.mark.ends), "by default"])
def test_a_classic_project_stores_request_and_answer_only(classic: Path, tmp_path: Path, given: str) -> None:
    crew_file = classic / "src" / "desk" / "crew.py"
    build = "from desk.crew import Desk\ncrew = Desk().crew()"
    if given == "crew_kwargs":
        (classic / "src" / "desk" / "memories.py").write_text(MEMORY.format(path=str(tmp_path / "store")))
        edit(crew_file, "from crewai import Agent,", "from desk.memories import MEMORY\nfrom crewai import Agent,")
        edit(crew_file, "process=Process.sequential,", "process=Process.sequential, **MEMORY.crew_kwargs(),")
    else:
        edit(crew_file, "process=Process.sequential,", "process=Process.sequential, memory=True,")
        build = f"{BY_DEFAULT}\n{build}"
    found = run(classic, tmp_path / "store", build)
    assert all(role.endswith("\n") for role in found["roles"]), "the scaffold writes `role: >`"
    assert sorted(found["kept"]) == sorted(f"{task.strip()}\nResult: {ANSWER}" for task in found["tasks"])
    assert len(found["kept"]) == 2


@pytest.mark.parametrize("given", ["python reference", "by default"])
def test_a_json_project_stores_request_and_answer_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    create = cli_module("create_json_crew")
    if create is None:
        pytest.skip("CrewAI has crew.jsonc since 1.15")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREWAI_DMN", "true")  # CrewAI's switch for "ask no questions"
    monkeypatch.setattr(create, "initialize_if_git_available", lambda folder: None)
    create.create_json_crew("desk")
    folder = tmp_path / "desk"
    assert '"memory": true' in (folder / "crew.jsonc").read_text(), "a new project has memory by default"
    build = "from crewai.project.crew_loader import load_crew\ncrew, _ = load_crew('crew.jsonc')"
    if given == "python reference":
        (folder / "memories.py").write_text(MEMORY.format(path=str(tmp_path / "store")))
        edit(folder / "crew.jsonc", '"memory": true', '"memory": {"python": "memories.MEMORY"}')
    else:
        build = f"{BY_DEFAULT}\n{build}"
    found = run(folder, tmp_path / "store", build)
    assert found["kept"] == [f"{task.strip()}\nResult: {ANSWER}" for task in found["tasks"]]
