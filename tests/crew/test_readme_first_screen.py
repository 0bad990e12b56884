"""README's first screen, as it stands there: its two programs, and what they and the commands print."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crewai_persistent_memory import open_store

from ..support.crews import memories_in
from ..support.openai_server import OpenAIServer
from ..support.programs import run_program

pytestmark = pytest.mark.crew

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST = README.partition("## Start\n")[2].partition("\n## ")[0]
HELLO, CONCIERGE = re.findall(r"```python\n(.*?)```", FIRST, re.DOTALL)
HELLO_RUNS, CONCIERGE_RUNS = re.findall(r"```console\n(.*?)```", FIRST, re.DOTALL)

Run = Callable[[list[str]], str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a newcomer has saved the two programs. Nothing is configured."""
    (tmp_path / "hello.py").write_text(HELLO, encoding="utf-8")
    (tmp_path / "concierge.py").write_text(CONCIERGE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("OPENAI_API_KEY", "CREWAI_MEMORY_PATH", "QDRANT_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def in_a_process(command: list[str]) -> str:
    program = {"python": sys.executable, "crewai-memory": str(Path(sys.executable).with_name("crewai-memory"))}
    done = run_program([program[command[0]], *command[1:]])
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def in_this_process(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """CrewAI takes seconds to import. A program that ends closes its store, so this one's is closed."""

    def run(command: list[str]) -> str:
        if command[0] != "python":
            return in_a_process(command)
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", command[1:])
        names = runpy.run_path(command[1], run_name="__main__")
        names["memory"].close()
        return capsys.readouterr().out

    return run


def transcript(text: str) -> list[tuple[list[str], list[str]]]:
    """Each command of a console block, and the lines under it."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)[1:]
    return [(shlex.split(command), lines_of(shown)) for command, shown in zip(parts[::2], parts[1::2], strict=True)]


def lines_of(printed: str) -> list[str]:
    """What was printed, without CrewAI's frames and empty lines; times and ids, which differ, made alike."""
    kept = [line.rstrip() for line in printed.splitlines() if line.strip() and line[0] not in "╭│╰"]
    return [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d   [0-9a-f]{8}$", "TIME   ID", line) for line in kept]


def check_hello(run: Run) -> None:
    commands = transcript(HELLO_RUNS)
    assert [command[0] for command, _ in commands] == ["python", "python", "crewai-memory"]
    for command, expected in commands:
        assert lines_of(run(command)) == expected


def test_hello(in_this_process: Run) -> None:
    check_hello(in_this_process)


@pytest.mark.ends
@pytest.mark.repeated
def test_hello_in_processes_of_its_own() -> None:
    check_hello(in_a_process)


def test_concierge(in_this_process: Run, openai_server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{openai_server.url}/v1")
    monkeypatch.setenv("OPENAI_API_BASE", f"{openai_server.url}/v1")
    recalled = []
    for command, _ in transcript(CONCIERGE_RUNS):
        openai_server.prompts.clear()
        assert "Noted." in in_this_process(command)
        recalled.append(memories_in(openai_server.agent_prompts[-1]))
    assert ["allergic to nuts" in memory for memory in recalled] == [False, True, False]
    with open_store(user_id="john", path=Path(os.environ["CREWAI_STORAGE_DIR"], "persistent-memory")) as store:
        assert sorted(entry.content.splitlines()[0] for entry in store.list(kind="memory")) == [
            "I am allergic to nuts.",
            "What am I allergic to?",
        ]
