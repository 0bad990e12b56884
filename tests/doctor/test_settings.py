"""Settings that name another place than was meant."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crewai_persistent_memory import MemoryConfig
from crewai_persistent_memory.config.environment import NEVER_FROM_THE_ENVIRONMENT, variable_of
from crewai_persistent_memory.doctor.settings import known_variables

from .conftest import Look


def test_each_value_has_its_source(look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_MEMORY_PATH", str(tmp_path / "mine"))
    monkeypatch.setenv("CREWAI_MEMORY_PROJECT_ID", "production")
    report = look(language="german")
    found = report.of("settings", "ok")
    assert f"the folder {tmp_path / 'mine'} (path: CREWAI_MEMORY_PATH)" in found
    assert "project_id=production (CREWAI_MEMORY_PROJECT_ID)" in found
    assert "durability=store (default)" in found
    assert "language=german (given in the call)" in found


def test_a_default_place(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "by CREWAI_STORAGE_DIR" in look().of("settings", "ok")
    monkeypatch.delenv("CREWAI_STORAGE_DIR")
    assert "no argument and no variable names a store" in look().of("settings", "ok")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("CREWAI_MEMORY_PTAH", "Did you mean CREWAI_MEMORY_PATH?"),
        ("CREWAI_MEMORY_URL", "Did you mean QDRANT_URL?"),
        ("CREWAI_MEMORY_XYZZY", "Unset it"),
        ("CREWAI_MEMORY_USER_ID", "Give it in code"),
    ],
)
def test_a_variable_that_nothing_reads(look: Look, name: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "value")
    report = look()
    [found] = [each for each in report.bad if each.check == "variables"]
    assert name in found.found
    assert found.remedy.startswith(remedy)


def test_no_variable_of_ours_is_said_to_do_nothing(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    for option in MemoryConfig.model_fields:
        variable = variable_of(MemoryConfig, option)
        assert (variable.upper() in known_variables()) == (option not in NEVER_FROM_THE_ENVIRONMENT), variable
    monkeypatch.setenv("CREWAI_MEMORY_MODELS", "/models")
    monkeypatch.setenv("CREWAI_MEMORY_EMBEDDER_THREADS", "1")
    assert look().bad == []


def test_a_server_that_is_named_and_not_used(look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_URL", "http://127.0.0.1:6333")
    found = look(path=tmp_path / "mine").of("variables", "warning")
    assert "QDRANT_URL is set and not used" in found
    assert "memories go to a folder of this machine" in found


def test_a_relative_folder(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_MEMORY_PATH", "memory")
    report = look()
    [found] = [each for each in report.bad if each.check == "settings"]
    assert "'memory' is relative" in found.found
    assert found.remedy == f"Write the whole path: {Path.cwd() / 'memory'}"


def test_a_blank_variable(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_URL", " ")
    assert "is blank" in look().of("settings", "error")


class TestTelemetryAndAddresses:
    def test_crewais_is_on(self, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREWAI_DISABLE_TELEMETRY", "false")
        found = look().of("telemetry", "note")
        assert "CrewAI's telemetry is on: CREWAI_DISABLE_TELEMETRY says so" in found
        assert "may collect traces" in found

    def test_traces(self, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREWAI_TRACING_ENABLED", "true")
        assert "may collect traces" in look().of("telemetry", "note")

    def test_off(self, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CREWAI_DISABLE_TELEMETRY", "true")
        assert "is off (CREWAI_DISABLE_TELEMETRY)" in look().of("telemetry", "ok")
        assert os.environ["CREWAI_DISABLE_TELEMETRY"] == "true"

    def test_whom_it_talks_to(self, look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert look().of("addresses") == "it talks to no other machine"
        spec = {
            "provider": "openai",
            "config": {"api_base": "http://john:secret-word@127.0.0.1:9/v1", "api_key": "sk-x"},
        }
        report = look(url="http://127.0.0.1:9", durability="store", embedder=spec)
        found = report.of("addresses")
        assert "Qdrant at http://127.0.0.1:9" in found
        assert "the embedder of openai at http://127.0.0.1:9/v1" in found
        assert "secret-word" not in report.text
        assert "https://api.openai.com" in look(embedder="openai/text-embedding-3-small").of("addresses")
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
        assert "HTTPS_PROXY" in look(url="https://127.0.0.1:9", durability="store").of("addresses", "note")
