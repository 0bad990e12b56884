"""Importing the package is light, and its public names are what they say."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import crewai_persistent_memory
from crewai_persistent_memory import crewai_version as generation
from crewai_persistent_memory.adapters.version import is_unified

HEAVY = ["crewai", "mem0", "qdrant_client", "qdrant_edge", "openai", "pydantic", "chromadb", "lancedb"]


def loaded_after(code: str) -> list[str]:
    program = f"import sys, json\n{code}\nprint(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.newest
def test_import_brings_in_nothing_heavy() -> None:
    assert loaded_after("import crewai_persistent_memory") == []
    assert loaded_after("from crewai_persistent_memory import Scope, use_scope, MemoryEntry, ConfigurationError") == []


@pytest.mark.newest
def test_a_store_of_keywords_needs_no_crewai() -> None:
    code = (
        "import tempfile, crewai_persistent_memory as m\n"
        "with m.open_store(path=tempfile.mkdtemp() + '/s', user_id='john', embedder=None) as s:\n"
        "    s.add('x'); s.search('x')"
    )
    assert "crewai" not in loaded_after(code)


@pytest.mark.newest
def test_help_needs_no_engine() -> None:
    code = "from crewai_persistent_memory.cli import app"
    assert set(loaded_after(code)) <= {"pydantic"}


@pytest.mark.parametrize("name", crewai_persistent_memory.__all__)
def test_public_names_exist_and_are_documented(name: str) -> None:
    if name == "QdrantStorageBackend" and not is_unified():
        with pytest.raises(crewai_persistent_memory.UnsupportedCrewAIError, match=r"needs crewai >= 1\.10"):
            getattr(crewai_persistent_memory, name)
    else:
        value = getattr(crewai_persistent_memory, name)
        assert value.__doc__
        assert inspect.ismodule(value) is (name == "operations")


@pytest.mark.newest
def test_what_is_imported_is_declared() -> None:
    """Not only brought along by another package, which may stop doing so."""
    source = Path(crewai_persistent_memory.__file__).parent
    imported: set[str] = set()
    for file in source.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(str(node.module).partition(".")[0])
    imported -= {*sys.stdlib_module_names, "crewai_persistent_memory"}
    distributions = packages_distributions()
    needed = {name: {canonicalize_name(each) for each in distributions.get(name, [name])} for name in imported}
    # Not by importlib.metadata: of an editable installation that is what was declared when it was made.
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    lists = re.findall(r"^(?:dependencies|local|migrate|testing) = \[$(.*?)^\]$", project, re.MULTILINE | re.DOTALL)
    declared = {canonicalize_name(Requirement(each).name) for each in re.findall('"(.+)"', "".join(lists))}
    assert {name: of for name, of in needed.items() if not of & declared} == {}
    # OpenAI's package is what CrewAI's and Mem0's own embedders and models of that name need.
    assert declared - set().union(*needed.values()) == {"openai"}


class TestVersionsOfCrewAI:
    @pytest.mark.parametrize("found", ["0.201.1", "1.16.0", "2.0", None])
    def test_one_that_is_not_known_gets_a_sentence(self, found: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
        def version(name: str) -> str:
            if found is None:
                raise PackageNotFoundError(name)
            return found

        monkeypatch.setattr(generation, "version", version)
        generation.installed.cache_clear()
        try:
            with pytest.raises(ImportError, match=r"pip install 'crewai>=0\.203") as caught:
                generation.installed()
        finally:
            generation.installed.cache_clear()
        assert str(caught.value).startswith(f"crewai {found} is installed" if found else "crewai is not installed")

    def test_the_command_line_says_it_too(self) -> None:
        """In a process of its own, where another version is found installed."""
        program = (
            "import importlib.metadata as m; real = m.version; "
            "m.version = lambda name: '0.100.0' if name == 'crewai' else real(name); "
            "from crewai_persistent_memory import Crew"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.returncode == 1
        assert (
            "crewai 0.100.0 is installed, and this version of crewai-persistent-memory works with"
            in (done.stderr.splitlines()[-1])
        )

    def test_the_packages_metadata_says_the_same(self) -> None:
        [required] = [Requirement(each) for each in requires("crewai-persistent-memory") or [] if "crewai" in each]
        assert required.name == "crewai"
        assert required.specifier == SpecifierSet(">=0.203,<1.16")
        for version, known in (("0.202.9", False), ("0.203.0", True), ("1.15.99", True), ("1.16.0", False)):
            assert (generation.OLDEST <= generation.parsed(version) < generation.BEFORE) is known
            assert (version in required.specifier) is known

    def test_every_version_of_the_matrix_has_its_constraints(self) -> None:
        folder = Path(__file__).parents[1] / "constraints"
        for file in folder.glob("crewai-*.txt"):
            pinned = file.stem.removeprefix("crewai-")
            assert f"\ncrewai=={pinned}\n" in file.read_text()
            assert generation.OLDEST <= generation.parsed(pinned) < generation.BEFORE


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="Crw"):
        crewai_persistent_memory.Crw  # noqa: B018
    assert dir(crewai_persistent_memory) == sorted(crewai_persistent_memory.__all__)


def test_telemetry_is_off_before_crewai_is_imported() -> None:
    code = (
        "import os, sys; os.environ.pop('CREWAI_DISABLE_TELEMETRY', None)\n"
        "class AtTheImport:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'crewai':\n"
        "            print(os.environ.get('CREWAI_DISABLE_TELEMETRY'), flush=True)\n"
        "            os._exit(0)\n"
        "sys.meta_path.insert(0, AtTheImport())\n"
        "from crewai_persistent_memory import PersistentMemory\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "true\n"
