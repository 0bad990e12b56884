"""``crewai-memory doctor``: its output, its JSON, its exit codes, and the public function behind it."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from crewai_persistent_memory import Finding, health_report, open_store
from crewai_persistent_memory.admin import survey
from crewai_persistent_memory.cli import main
from crewai_persistent_memory.doctor import report as report_module
from crewai_persistent_memory.doctor.machine import Machine

from ..support.calling import until
from ..support.programs import Program, run_program
from ..support.qdrant_server import QdrantServer
from .conftest import A_DISK, SLOW


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """``doctor("--json")`` runs the command in this process: exit code, output, errors."""
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: A_DISK))
    quick = [each for each in report_module.CHECKS if each.name not in SLOW]
    monkeypatch.setattr(report_module, "CHECKS", quick)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["crewai-memory", "doctor", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "stores" / "mine"
    with open_store(path=path, embedder=None, user_id="john") as store:
        store.add("John likes tea")
    return path


def test_a_healthy_store(doctor: Any, path: Path) -> None:
    code, out, err = doctor("--path", str(path))
    assert (code, err) == (0, "")
    assert f"memories are kept in the folder {path}" in out
    assert out.splitlines()[-1] == "no errors, no warnings"


def test_a_warning_is_no_failure(doctor: Any, path: Path) -> None:
    code, out, _ = doctor("--path", str(path), "--project", "production")
    assert code == 0
    assert "warning elsewhere        project production has no memories here" in out
    assert "→ Give that one: project_id=" in out
    assert out.splitlines()[-1] == "no errors, 1 warning"


def test_an_error_is(doctor: Any) -> None:
    code, out, _ = doctor("--url", "http://127.0.0.1:9")
    assert code == 1
    assert out.splitlines()[-1] == "2 errors, no warnings"


def test_json_is_what_the_function_returns(doctor: Any, path: Path) -> None:
    code, out, err = doctor("--path", str(path), "--json", "--read-only")
    assert (code, err) == (0, "")
    expected = [finding.to_dict() for finding in health_report(path=path, read_only=True)]
    assert json.loads(out) == expected
    assert {each["level"] for each in expected} == {"ok", "note"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--path", ""),
        ("--path", "x", "--url", "http://127.0.0.1:9"),
        ("--peer", " "),
        ("--user", ""),
        ("--unknown",),
        ("--url", "nonsense", "--collection", ""),
    ],
)
def test_usage(doctor: Any, arguments: tuple[str, ...]) -> None:
    code, out, err = doctor(*arguments)
    assert (code, out) == (2, "")
    assert err


def test_a_malformed_address_is_a_finding(doctor: Any) -> None:
    code, out, _ = doctor("--url", "nonsense")
    assert code == 1
    assert "give http:// or https:// and a host" in out


def test_the_keys_of_the_environment_are_not_printed(
    doctor: Any, server: QdrantServer, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {
        "QDRANT_API_KEY": "qdrant-secret-0123456789",
        "MEM0_API_KEY": "m0-secret-0123456789",
        "OPENAI_API_KEY": "sk-secret-0123456789",
        "CREWAI_MEMORY_PEER_API_KEY": "peer-secret-0123456789",
        "CREWAI_MEMORY_HEADERS": json.dumps({"x-gateway": "header-secret-0123456789"}),
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("QDRANT_URL", server.url)
    monkeypatch.setenv("CREWAI_MEMORY_DURABILITY", "store")
    with open_store(collection=collection, embedder=None, user_id="john") as store:
        store.add("John likes tea")
    _, out, err = doctor("--collection", collection, "--peer", "http://john:pass-secret-1@127.0.0.1:9")
    assert "api_key=set (QDRANT_API_KEY)" in out
    assert "headers=set (CREWAI_MEMORY_HEADERS)" in out
    assert "secret" not in out + err


def test_a_key_that_a_library_puts_into_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from crewai_persistent_memory.doctor.findings import check, warning
    from crewai_persistent_memory.doctor.report import examine, examined_of

    @check("loud")
    def loud(examined: Any) -> Any:
        yield warning(
            "no access with the-key-of-the-store at http://a:b@host/, code the-key", "Use the-key-of-the-store"
        )

    monkeypatch.setenv("CREWAI_MEMORY_DURABILITY", "store")
    options: Any = {"url": "http://127.0.0.1:9", "api_key": "the-key-of-the-store"}
    [found] = examine(examined_of(None, None, None, False, options), [loud])
    assert found == Finding("loud", "warning", "no access with … at http://…@host/, code the-key", "Use …")


def test_a_finding_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Finding("store", "ok", "it opens").level = "error"  # type: ignore[misc]


def test_no_control_sequence_reaches_the_terminal(doctor: Any, tmp_path: Path) -> None:
    with open_store(path=tmp_path / "s", embedder=None, user_id="john", project_id="red\u202eder") as store:
        store.add("I like tea")
    _, out, _ = doctor("--path", str(tmp_path / "s"))
    assert "\u202e" not in out
    assert "red\\u202eder" in out


def test_interrupted_while_a_second_process_looks(path: Path) -> None:
    """Ctrl-C: the probe is taken back all the same."""
    if not list(Path("/proc/self/task").glob("*/children")):
        pytest.skip("this system does not tell a process's children")
    program = Program([str(Path(sys.executable).with_name("crewai-memory")), "doctor", "--path", str(path)])
    until(lambda: children_of(program.pid) or not program.is_running, bool)
    os.kill(program.pid, signal.SIGINT)
    program.wait()
    with open_store(path=path, embedder=None) as store:
        assert set(survey(store).counts["user_id"]) == {"john"}


def children_of(pid: int) -> list[str]:
    """The processes that a process has started."""
    found: list[str] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has ended
            found += task.read_text().split()
    return found


def test_as_a_program(path: Path) -> None:
    """All checks, with two processes more, and what a shell sees."""
    program = str(Path(sys.executable).with_name("crewai-memory"))
    done = run_program([program, "doctor", "--path", str(path), "--json"])
    assert done.returncode == 0, done.stderr
    findings = {each["check"]: each["level"] for each in json.loads(done.stdout)}
    assert findings["write"] == findings["deletion"] == "ok"
    assert findings["external_memory"] in ("ok", "note")
    assert done.stderr == ""
