"""A crew, an agent's memory and a flow out of a checkpoint, in another process: the same store, the same scope."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory.adapters.version import installed

from ..support.programs import run_program

pytestmark = [
    pytest.mark.crew,
    pytest.mark.xdist_group("checkpoints"),  # written once, for all of them
    pytest.mark.skipif(installed() < (1, 14, 0), reason="CrewAI has checkpoints since 1.14"),
]

ROOT = Path(__file__).parents[2]
NUTS = "The guest is allergic to nuts"
SECRET = "sk-canary-4711"


def program(act: str, folder: Path) -> Any:
    environment = {**os.environ, "CREWAI_STORAGE_DIR": str(folder.parent / "crewai"), "OPENAI_API_KEY": SECRET}
    command = [sys.executable, "-m", "tests.support.checkpoints", act, str(folder)]
    done = run_program(command, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "kinds"
    folder.mkdir()
    program("write", folder)
    return folder


@pytest.fixture(scope="module")
def resumed(written: Path) -> Any:
    return program("resume", written)


@pytest.mark.parametrize(
    "kind", ["memory", "scoped", "scope", "slice", "external", "default", "no user", "embedder", "flow"]
)
def test_what_is_resumed_remembers(resumed: Any, kind: str) -> None:
    assert NUTS in resumed["recalled"][kind]


def test_whose_memory_it_is_is_said_by_the_process_that_resumes(resumed: Any) -> None:
    """Where the memory was built without a user."""
    assert "nuts" not in resumed["recalled"]["somebody else"]


def test_what_a_checkpoint_does_not_hold_is_named(resumed: Any) -> None:
    assert "needs embedder" in resumed["recalled"]["what is missing"]
    assert "restoring(embedder=...)" in resumed["recalled"]["what is missing"]


def test_it_goes_on_in_the_same_place(resumed: Any) -> None:
    assert resumed["places"] == {"scoped": ["/ chef"], "scope": ["/diet None"]}


def test_crewai_fills_no_memory_of_its_own(resumed: Any, written: Path) -> None:
    assert list((written.parent / "crewai").rglob("memories.lance")) == []


def test_no_secret_is_written(written: Path) -> None:
    checkpoints = [path for path in written.rglob("*.json") if "checkpoints" in path.parts]
    assert len(checkpoints) >= 9
    for path in checkpoints:
        text = path.read_text(encoding="utf-8")
        assert SECRET not in text
        assert "WordHashEmbedder" not in text


def test_without_the_package_it_is_an_error_that_says_what_to_do(written: Path) -> None:
    said = program("unaware", written)["said"]
    assert set(said) == {"memory", "scope", "default", "flow"}
    for text in said.values():
        assert "from crewai_persistent_memory import PersistentMemory" in text
