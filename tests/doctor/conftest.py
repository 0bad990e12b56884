"""A store with a fault, and what the doctor finds. Slow checks run where a test is about them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import Finding
from crewai_persistent_memory.doctor import second_process, versions
from crewai_persistent_memory.doctor.machine import Machine, Mount
from crewai_persistent_memory.doctor.report import CHECKS, examine, examined_of

from ..support.programs import run_program
from ..support.qdrant_server import QdrantServer, newest

SLOW = ("second process", "external_memory")
A_DISK = Machine([Mount("/", "ext4", False)], [], lambda folder: (10 * 2**30, 20 * 2**30))
"""A machine whose folders last. The tests' own folders are in /tmp, or in memory."""


@dataclass(frozen=True)
class Report:
    """The findings of one look."""

    findings: list[Finding]

    def of(self, check: str, *levels: str) -> str:
        """What a check found, as one text; at these levels only, if any are given."""
        chosen = [each for each in self.findings if each.check == check and (not levels or each.level in levels)]
        assert all(each.remedy for each in chosen if each.level in ("warning", "error")), chosen
        return "\n".join(each.found for each in chosen)

    @property
    def bad(self) -> list[Finding]:
        """Warnings and errors."""
        return [each for each in self.findings if each.level in ("warning", "error")]

    @property
    def text(self) -> str:
        return "\n".join(f"{each.level} {each.check} {each.found} {each.remedy}" for each in self.findings)


Look = Callable[..., Report]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment that names no store, and folders where nothing is."""
    for name in ("CREWAI_MEMORY_PATH", "QDRANT_URL", "QDRANT_API_KEY", "MEM0_API_KEY", "MEM0_HOST", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.chdir(tmp_path / "empty")


@pytest.fixture
def own_interpreters() -> None:
    """The doctor starts its programs as it does for a user."""


@pytest.fixture(autouse=True)
def programs_are_forked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor's programs start in no time. Where it is run as a program itself, they are its own."""

    def forked(name: str, told: str, seconds: float, **environment: str) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryFile() as stdin:
            stdin.write(told.encode())
            stdin.seek(0)
            command, variables = [sys.executable, "-m", name], {**os.environ, **environment}
            return run_program(command, env=variables, stdin=stdin.fileno(), timeout=seconds)

    if "own_interpreters" not in request.fixturenames:
        for module in (second_process, versions):
            monkeypatch.setattr(module, "run_module", forked)


@pytest.fixture
def look() -> Look:
    """``look(path=...)`` is the report about a store; ``also`` names slow checks that it is to have."""

    def look_at(
        memory: Any = None,
        *,
        also: tuple[str, ...] = (),
        machine: Machine = A_DISK,
        peer: str | None = None,
        peer_api_key: str | None = None,
        read_only: bool = False,
        **options: Any,
    ) -> Report:
        examined = examined_of(memory, peer, peer_api_key, read_only, options)  # type: ignore[arg-type]
        examined.machine = machine
        checks = [each for each in CHECKS if each.name not in SLOW or each.name in also]
        return Report(examine(examined, checks))

    return look_at


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[QdrantServer]:
    """A server of the test's own, to kill and pause."""
    started = QdrantServer(newest(), tmp_path / "qdrant").start()
    yield started
    started.stop()
