"""Versions that do not fit: a package's real metadata, before that of the installed one. And a real crew."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Task

from crewai_persistent_memory import PersistentMemory, crewai_version
from crewai_persistent_memory.crewai_version import UNIFIED_SINCE, installed
from crewai_persistent_memory.doctor import versions

from ..support.crews import ScriptedLLM, final, needs_unified
from .conftest import Look

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a version of a package, as far as its metadata goes."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))

    def install_one(name: str, number: str) -> None:
        folder = tmp_path / "site" / f"{name.replace('-', '_')}-{number}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")
        crewai_version.installed.cache_clear()
        assert version(name) == number

    yield install_one
    sys.path_importer_cache.pop(str(tmp_path / "site"), None)
    crewai_version.installed.cache_clear()


def test_they_fit(look: Look) -> None:
    found = look().of("versions", "ok")
    assert f"crewai {version('crewai')}" in found
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in found


def test_mem0ai_too_new(look: Look, install: Install) -> None:
    install("mem0ai", "3.1.0")
    assert "mem0ai 3.1.0 is installed" in look().of("versions", "warning")
    assert "mem0ai 3.1.0 is installed" in look(mem0={"api_key": "m0-0123456789"}, read_only=True).of(
        "versions", "error"
    )


def test_mem0ai_too_new_for_crewais_own_storage(look: Look, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("crewai", "1.9.3")
    install("mem0ai", "2.0.5")
    assert "too new for the Mem0Storage of CrewAI 1.9.3 itself" in look().of("versions", "note")
    monkeypatch.setenv("MEM0_API_KEY", "m0-0123456789")
    assert "too new for the Mem0Storage of CrewAI 1.9.3 itself" in look().of("versions", "warning")


def test_a_crewai_that_is_not_known(look: Look, install: Install) -> None:
    install("crewai", "1.16.0")
    assert "crewai 1.16.0 is installed" in look().of("versions", "error")


def test_a_client_that_is_too_old(look: Look, install: Install) -> None:
    install("qdrant-client", "1.18.0")
    assert "qdrant-client 1.18.0 is installed, and" in look().of("versions", "error")


def test_external_memory_is_tried_on_a_real_crew(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "_tried", [])
    report = look(also=("external_memory",))
    if installed() >= UNIFIED_SINCE:
        assert "drops Crew(external_memory=...) without a word (tried on a real crew)" in report.of(
            "external_memory", "note"
        )
    else:
        assert "keeps Crew(external_memory=...) (tried on a real crew)" in report.of("external_memory", "ok")


class TestACrew:
    @pytest.fixture
    def parts(self) -> dict[str, Any]:
        agent = Agent(role="Concierge", goal="Serve", backstory="Old hand", llm=ScriptedLLM(final("noted")))
        return {"agents": [agent], "tasks": [Task(description="tea", expected_output="An answer", agent=agent)]}

    @needs_unified
    def test_crewai_dropped_its_external_memory(self, look: Look, parts: dict[str, Any], tmp_path: Path) -> None:
        with PersistentMemory(path=tmp_path / "stores" / "mine", user_id="john", embedder=None) as memory:
            crew = Crew(**parts, external_memory=memory)
            found = look(crew).of("crew", "error")
        assert "the crew has no memory of this package" in found
        assert "drops external_memory=" in found

    def test_it_has_one(self, look: Look, parts: dict[str, Any], tmp_path: Path) -> None:
        with PersistentMemory(path=tmp_path / "stores" / "mine", user_id="john", embedder=None) as memory:
            report = look(Crew(**parts, **memory.crew_kwargs()))
        assert report.of("crew", "ok")
        assert report.of("write", "ok")
        assert report.bad == []
