"""The command line, as people use it: each command in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from crewai_persistent_memory import open_store
from crewai_persistent_memory.adapters.version import is_unified
from crewai_persistent_memory.cli import app, demo
from crewai_persistent_memory.cli.demo import MUST_RECALL, judge, why_it_failed

from ..support.programs import run_program
from ..support.recording import USERS_KEYS, Recording, name_of, recorded
from ..support.thorough import IS_THOROUGH
from .conftest import Call

COMMAND = str(Path(sys.executable).with_name("crewai-memory"))


@pytest.fixture(autouse=True)
def own_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_MEMORY_PATH", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "120")


def run(*arguments: str, code: int = 0) -> str:
    done = run_program([COMMAND, *arguments])
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def run_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def contents(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["content"] for entry in entries]


@pytest.mark.newest
def test_the_round_trip() -> None:
    assert "Remembered for user_id=john" in run("remember", "John likes [window] seats", "--user", "john")
    assert "John likes [window] seats" in run("recall", "which seats?", "--user", "john")
    assert "nothing" in run("recall", "which seats?", "--user", "jane")
    [entry] = run_json("list", "--user", "john")
    assert entry["scope"] == {"user_id": "john", "project_id": "default"}
    assert "no entry" in run("forget", entry["id"], "-u", "jane", code=1)
    assert "Forgot 1" in run("forget", entry["id"], "--user", "john")
    assert run_json("list", "--user", "john") == []


@pytest.mark.newest
def test_a_memory_cannot_steer_the_terminal() -> None:
    shown = run("remember", "red \x1b[31m [bold]tea[/bold]", "--user", "john") + run("list", "--user", "john")
    assert "\x1b[31m" not in shown
    assert shown.count("[bold]tea[/bold]") == 2


@pytest.mark.newest
def test_a_store_in_use(tmp_path: Path) -> None:
    with open_store(path=tmp_path / "store", embedder=None):
        assert "one process at a time" in run("list", "--user", "john", code=2)


class Demonstrated(NamedTuple):
    """One run of the demo, for the tests that look at it."""

    store: Path
    report: dict[str, Any]
    recording: Recording | None
    """Of a run as a user starts it."""


@pytest.fixture(scope="module", params=USERS_KEYS, ids=name_of)
def demonstrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Demonstrated:
    """As a user starts it. Beside an older CrewAI, the ordinary run only forks the processes of the crews:
    ``test_addresses.py`` records there what a program with the demo's crew contacts."""
    folder = tmp_path_factory.mktemp("demo")
    command = ["demo", "--json", "--path", str(folder / "store")]
    if is_unified() or IS_THOROUGH:
        recording = recorded(folder, [COMMAND, *command], [], request.param)
        return Demonstrated(folder / "store", json.loads(recording.printed), recording)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(subprocess, "run", forked)
        done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    return Demonstrated(folder / "store", json.loads(done.stdout), None)


def forked(command: list[str], *, env: dict[str, str], **_: Any) -> subprocess.CompletedProcess[str]:
    """``subprocess.run`` as the demo calls it."""
    return run_program(command, env=env)


@pytest.mark.crew
@pytest.mark.ends  # test_crews.py has two processes and two users on every CrewAI
@pytest.mark.xdist_group("demo")
class TestTheDemo:
    def test_it_recalls_and_nothing_crosses(self, demonstrated: Demonstrated) -> None:
        report = demonstrated.report
        assert report["problems"] == []
        assert report["llm"] == "scripted"
        told, asked = report["phases"]
        assert told["pid"] != asked["pid"]
        for user, words in MUST_RECALL.items():
            assert all(word in " ".join(asked["users"][user]["prompts"]) for word in words)
        with open_store(path=demonstrated.store, user_id="john") as store:
            assert store.count() > 0

    @pytest.mark.repeated
    def test_it_contacts_nobody(self, demonstrated: Demonstrated) -> None:
        assert demonstrated.recording is not None
        assert demonstrated.recording.contacted() == set()
        # The command, and those that run the crews: they are watched as well.
        assert demonstrated.recording.processes == 3

    def test_its_report_fits_a_narrow_terminal(
        self, demonstrated: Demonstrated, call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "40")
        phases = iter(demonstrated.report["phases"])
        monkeypatch.setattr(demo, "_run_phase", lambda *_: next(phases))
        printed = call("demo")
        assert printed.code == 0
        assert max(map(len, printed.out.splitlines())) <= 40
        unwrapped = " ".join(printed.out.split())
        for part in ("SCRIPTED", "what was stored", "after the restart", "nothing crossed"):
            assert part in unwrapped


@pytest.mark.crew
@pytest.mark.ends
def test_the_demo_says_why_it_failed(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setattr(subprocess, "run", forked)
    printed = call("demo", "--llm", "openai/gpt-4o-mini")
    assert printed.code == 1
    assert "The process that should tell the crews failed" in printed.err
    assert "OPENAI_API_KEY" in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        (
            "Traceback\n  raise\nImportError: no LLM 'x'.\n\nFix it:\n  see https://docs",
            "ImportError: no LLM 'x'.",
        ),
        ("Traceback\n  raise\nopenai.AuthenticationError: bad key", "openai.AuthenticationError: bad key"),
        ("Traceback\nValueError: first\n\nDuring handling\n\nRuntimeError: second\nmore", "RuntimeError: second"),
        ("killed by the system", "killed by the system"),
        ("", "it printed nothing, exit code -9"),
    ],
)
def test_the_demos_reason_is_the_error_not_the_last_line(printed: str, reason: str) -> None:
    assert why_it_failed(printed, -9) == reason


class TestVerdict:
    def phases(self) -> list[dict[str, Any]]:
        def users(**seen: str) -> dict[str, Any]:
            return {u: {"recalled": [s], "stored": [], "prompts": [], "answers": []} for u, s in seen.items()}

        return [
            {"pid": 1, "users": users(john="", jane="")},
            {"pid": 2, "users": users(john="nuts window France", jane="Spain")},
        ]

    def test_all_is_well(self) -> None:
        assert judge(self.phases()) == []

    def test_a_leak_is_a_problem_wherever_it_shows(self) -> None:
        for where in ("recalled", "stored", "prompts", "answers"):
            for phase in (0, 1):
                phases = self.phases()
                phases[phase]["users"]["jane"][where] = ["Spain and NUTS"]
                assert judge(phases) == ["jane's crew saw 'nuts', which is not jane's"]

    def test_forgetting_is_a_problem(self) -> None:
        phases = self.phases()
        phases[1]["users"]["john"]["recalled"] = ["nuts France"]
        assert judge(phases) == ["john's crew did not recall 'window'"]

    def test_one_process_is_a_problem(self) -> None:
        phases = self.phases()
        phases[1]["pid"] = 1
        assert judge(phases) == ["both parts ran in one process"]
