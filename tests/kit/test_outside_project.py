"""Somebody else's project: its own conftest and tests, run by a pytest of its own, with the plugin found by name."""

from __future__ import annotations

import ast
import configparser
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ..support.thorough import IS_THOROUGH

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
SNIPPETS = dict(re.findall(r"^`([\w./]+)`[^\n]*:\n\n```python\n(.*?)```", DOCS, re.DOTALL | re.MULTILINE))
"""The code of the page by the file that it stands in."""

pytestmark = [pytest.mark.crew, pytest.mark.ends]


def declared() -> str:
    """``entry_points.txt`` as an installation of this package has it."""
    project = (ROOT / "pyproject.toml").read_text()
    [lines] = re.findall(r"^\[project\.entry-points\.pytest11\]\n(.*?)\n\n", project, re.MULTILINE | re.DOTALL)
    return f"[pytest11]\n{lines.replace(chr(34), '')}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files of the page, and the package as if it had been installed."""
    info = tmp_path / "site" / "outside-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 0\n")
    (info / "entry_points.txt").write_text(declared())
    folder = tmp_path / "project"
    for name, code in SNIPPETS.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)
    return folder


OTHER_PLUGINS = [word for name in ("hypothesispytest", "anyio", "langsmith") for word in ("-p", f"no:{name}")]
"""They are of other packages, and take longer than most runs."""


def run(project: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    paths = [str(project.parent / "site"), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        "PYTHONPATH": os.pathsep.join(paths),
        "CREWAI_STORAGE_DIR": str(project.parent / "crewai"),
        "CREWAI_MEMORY_PATH": str(project.parent / "production"),
        **more,
    }
    without = ["-p", "no:cacheprovider", "-p", "no:xdist", *OTHER_PLUGINS]
    command = [sys.executable, "-m", "pytest", "-q", *without, *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


@pytest.mark.skipif(not IS_THOROUGH, reason="takes a minute and more: set THOROUGH=1")
def test_the_files_of_the_page(project: Path) -> None:
    """All in one run: its fixtures, its crews, its backend. Nothing is written where production is."""
    assert set(SNIPPETS) >= {"app.py", "tests/test_app.py", "tests/test_memory.py", "tests/test_backend.py"}
    done = run(project, "tests")
    assert done.returncode == 0, done.stdout + done.stderr
    expected = sum(code.count("\ndef test_") for name, code in SNIPPETS.items() if name.startswith("tests/"))
    passed = int(re.findall(r"(\d+) passed", done.stdout)[0])
    assert passed > expected, "and the tests of the contract"
    assert not (project.parent / "production").exists()


def test_a_leak_is_told_by_pytest(project: Path) -> None:
    leaking = SNIPPETS["app.py"].replace("PersistentMemory()", 'PersistentMemory(user_id="everybody")')
    assert leaking != SNIPPETS["app.py"]
    (project / "app.py").write_text(leaking)
    done = run(project, "tests/test_app.py", "-k", "kept_apart")
    assert done.returncode == 1
    assert "The memory is fixed to a user of its own" in done.stdout


def test_the_plugin_is_light(project: Path) -> None:
    """In a run that does not use it, nothing of CrewAI or an engine is imported."""
    (project / "tests" / "test_light.py").write_text(
        "import sys\n\n"
        "def test_light(request):\n"
        "    assert request.config.pluginmanager.has_plugin('crewai_persistent_memory')\n"
        "    heavy = {'crewai', 'qdrant_client', 'qdrant_edge', 'pydantic', 'openai', 'mem0'}\n"
        "    assert not heavy & set(sys.modules)\n"
    )
    done = run(project, "tests/test_light.py")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_fixtures_are_listed_with_what_they_are(project: Path) -> None:
    # Those of the plugin are there whatever the files of a project import.
    (project / "tests" / "test_nothing.py").write_text("def test_nothing(persistent_memory): ...\n")
    done = run(project, "--fixtures", "--noconftest", "tests/test_nothing.py")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("persistent_memory", "memory_store", "scripted_llm", "fake_embedder"):
        assert re.search(rf"^{name} .*\n    \w+", done.stdout, re.MULTILINE), done.stdout


def test_the_plugin_is_declared() -> None:
    parser = configparser.ConfigParser()
    parser.read_string(declared())
    assert dict(parser["pytest11"]) == {"crewai_persistent_memory": "crewai_persistent_memory.testing.pytest_plugin"}


def test_pytest_is_needed_by_the_plugin_only() -> None:
    importing = {}
    for file in (ROOT / "src" / "crewai_persistent_memory").rglob("*.py"):
        names: list[Any] = []
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.append(node.module)
        if "pytest" in names:
            importing[file.name] = names
    assert list(importing) == ["pytest_plugin.py"]


def test_importing_the_kit_imports_nothing_heavy() -> None:
    code = (
        "import sys, crewai_persistent_memory.testing as kit\n"
        "kit.assert_isolated, kit.assert_survives_restart, kit.assert_shared_by_workers, kit.FakeEmbedder\n"
        "print(sorted({'crewai', 'pytest', 'qdrant_client', 'qdrant_edge'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
