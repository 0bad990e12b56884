"""Importing the package is light, and its public names are what they say."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import crewai_persistent_memory

HEAVY = ["crewai", "mem0", "qdrant_client", "qdrant_edge", "openai", "pydantic", "chromadb", "lancedb"]


def loaded_after(code: str) -> list[str]:
    program = f"import sys, json\n{code}\nprint(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_import_brings_in_nothing_heavy() -> None:
    assert loaded_after("import crewai_persistent_memory") == []
    assert loaded_after("from crewai_persistent_memory import Scope, use_scope, MemoryEntry, ConfigurationError") == []


def test_a_store_of_keywords_needs_no_crewai() -> None:
    code = (
        "import tempfile, crewai_persistent_memory as m\n"
        "with m.open_store(path=tempfile.mkdtemp() + '/s', user_id='john', embedder=None) as s:\n"
        "    s.add('x'); s.search('x')"
    )
    assert "crewai" not in loaded_after(code)


def test_help_needs_no_engine() -> None:
    code = "from crewai_persistent_memory.cli import app"
    assert set(loaded_after(code)) <= {"pydantic"}


@pytest.mark.parametrize("name", crewai_persistent_memory.__all__)
def test_public_names_exist_and_are_documented(name: str) -> None:
    assert getattr(crewai_persistent_memory, name).__doc__


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="Crw"):
        crewai_persistent_memory.Crw  # noqa: B018
    assert dir(crewai_persistent_memory) == sorted(crewai_persistent_memory.__all__)


def test_telemetry_is_off_before_crewai_is_imported() -> None:
    code = (
        "import os; os.environ.pop('CREWAI_DISABLE_TELEMETRY', None)\n"
        "from crewai_persistent_memory import PersistentMemory\n"
        "assert os.environ['CREWAI_DISABLE_TELEMETRY'] == 'true'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
